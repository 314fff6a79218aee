//! Certificates that BWS gets by itself: what is due is begun beside the loop, and what was got goes live as a reload of
//! those certificates alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::certificates::date;
use super::{Input, Master};
use crate::config::types::ChallengeAnswer;
use crate::core::journal;
use crate::core::supervisor::event::{Event, RequestId};
use crate::ipc::message::{ToWorker, WorkerId};
use crate::tls::acme::schedule::{Kind, Schedule, Seconds, Task};
use crate::tls::acme::{self, Accounts, Failure, Issued, Suggestion};

/// Workers that do not confirm in time are not waited for: the authority asks more than once.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);
/// While others are under way, new certificates wait so long for one reload.
const TOGETHER: Seconds = 20;
/// When that reload failed.
const AGAIN: Seconds = 60;
/// The clock of the wall may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// From a task to the loop.
pub enum News {
    /// Workers shall give these answers; says when they do.
    Show {
        site: String,
        answers: Vec<ChallengeAnswer>,
        shown: oneshot::Sender<()>,
    },
    Ordered {
        site: String,
        outcome: Result<Issued, Failure>,
    },
    Asked {
        site: String,
        outcome: Result<Option<Suggestion>, Failure>,
    },
}

#[derive(Default)]
pub(super) struct Orders {
    pub(super) schedule: Schedule,
    accounts: Accounts,
    /// By site.
    tasks: BTreeMap<String, AbortHandle>,
    /// What authorities are told, by site.
    answers: BTreeMap<String, Vec<ChallengeAnswer>>,
    /// Counts the changes of `answers`.
    revision: u64,
    /// What each worker confirmed.
    confirmed: BTreeMap<WorkerId, u64>,
    /// Who waits for the confirmation of all.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
    /// Not before this, new certificates go live.
    reload_at: Option<Seconds>,
    /// When to look again.
    pub(super) look_at: Option<Instant>,
}

impl Master {
    /// A configuration is in force. After a reload that somebody asked for, failed orders are tried again at once.
    pub(super) fn adopt_orders(&mut self, impatient: bool) {
        let config = self.active().and_then(|active| active.config.clone());
        let Some(config) = config else { return };
        for site in self.orders.schedule.adopt(&config, now(), impatient) {
            self.drop_order(&site);
        }
        self.look_after_orders();
    }

    fn drop_order(&mut self, site: &str) {
        if let Some(task) = self.orders.tasks.remove(site) {
            task.abort();
        }
        self.forget_answers(site);
    }

    /// Begins what is due and says when to look again.
    pub(super) fn look_after_orders(&mut self) {
        let now = now();
        self.orders.look_at = None;
        if self.supervisor.is_stopping() || self.supervisor.active_generation().is_none() {
            return;
        }
        self.serve_new_certificates(now);
        while let Some(task) = self.orders.schedule.begin(now) {
            self.begin(task);
        }
        let due = [self.orders.schedule.next(), self.orders.reload_at];
        let due = due.into_iter().flatten().min();
        self.orders.look_at = due.map(|due| {
            let seconds = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
            Instant::now()
                + Duration::from_secs(seconds).clamp(Duration::from_millis(200), LOOK_EVERY)
        });
    }

    fn begin(&mut self, task: Task) {
        let (accounts, inputs) = (self.orders.accounts.clone(), self.inputs.clone());
        let site = task.site.clone();
        if task.kind == Kind::Order {
            let (names, from) = (task.acme.names.join(", "), &task.acme.directory_url);
            tracing::info!("site '{site}' orders a certificate for {names} from '{from}'");
        }
        let running = tokio::task::spawn_local(async move {
            let news = match task.kind {
                Kind::Order => order(&accounts, task, &inputs).await,
                Kind::Ask => ask(&accounts, task).await,
            };
            let _ = inputs.send(Input::Orders(news)).await;
        });
        self.orders.tasks.insert(site, running.abort_handle());
    }

    pub(super) fn heard_of_orders(&mut self, news: News) {
        match news {
            News::Show {
                site,
                answers,
                shown,
            } => {
                self.orders.answers.insert(site, answers);
                self.tell_answers();
                self.orders.waiting.push((self.orders.revision, shown));
                self.check_confirmations();
            }
            News::Ordered { site, outcome } => {
                self.orders.tasks.remove(&site);
                self.forget_answers(&site);
                self.ordered(&site, outcome);
                self.look_after_orders();
            }
            News::Asked { site, outcome } => {
                self.orders.tasks.remove(&site);
                if let Err(failure) = &outcome {
                    tracing::debug!("no suggestion for the renewal of '{site}': {failure}");
                }
                self.orders.schedule.asked(&site, outcome, now(), chance());
                self.look_after_orders();
            }
        }
    }

    fn ordered(&mut self, site: &str, outcome: Result<Issued, Failure>) {
        let (now, result) = (now(), outcome.clone());
        let renewed = self.orders.schedule.has_certificate(site);
        self.orders.schedule.ordered(site, outcome, now, chance());
        match result {
            Ok(issued) => {
                journal::certificate_got(site, &date(issued.not_after), renewed);
                let wait = match self.orders.schedule.is_idle(now) {
                    true => 0,
                    false => TOGETHER,
                };
                let at = self.orders.reload_at.unwrap_or(now + wait);
                self.orders.reload_at = Some(at.min(now + wait));
            }
            Err(failure) => {
                let phase = self.orders.schedule.phase(site);
                let due = phase.and_then(|phase| phase.due).unwrap_or(now);
                let wait = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
                journal::certificate_failed(site, &failure.text, Duration::from_secs(wait));
            }
        }
    }

    /// A reload of the new certificates alone: whatever became of the file of the configuration meanwhile.
    fn serve_new_certificates(&mut self, now: Seconds) {
        if self.orders.reload_at.is_none_or(|at| at > now) || self.supervisor.is_reloading() {
            return;
        }
        self.orders.reload_at = None;
        if self.orders.schedule.unserved().is_empty() {
            return;
        }
        // Until it is known to have succeeded.
        self.orders.reload_at = Some(now + AGAIN);
        self.last_request += 1;
        self.feed(Event::ReloadRequested(RequestId(self.last_request)));
    }

    /// The sites that a reload is about when nobody asked for another one.
    pub(super) fn new_certificates(&self) -> BTreeSet<String> {
        self.orders.schedule.unserved()
    }

    fn forget_answers(&mut self, site: &str) {
        if self.orders.answers.remove(site).is_some() {
            self.tell_answers();
        }
    }

    fn tell_answers(&mut self) {
        self.orders.revision += 1;
        for (id, process) in &self.workers {
            let ours = self.generations.get(&process.generation);
            if ours.is_some_and(|generation| generation.origin.is_none()) {
                self.tell(*id, self.answer_message());
            }
        }
    }

    /// A worker that begins to accept.
    pub(super) fn tell_answers_to(&self, worker: WorkerId) {
        if !self.orders.answers.is_empty() {
            self.tell(worker, self.answer_message());
        }
    }

    fn answer_message(&self) -> ToWorker {
        ToWorker::Answer {
            revision: self.orders.revision,
            answers: self.orders.answers.values().flatten().cloned().collect(),
        }
    }

    pub(super) fn answers_known(&mut self, worker: WorkerId, revision: u64) {
        self.orders.confirmed.insert(worker, revision);
        self.check_confirmations();
    }

    /// Goes on with orders whose answers all workers give.
    pub(super) fn check_confirmations(&mut self) {
        let workers = &self.workers;
        self.orders
            .confirmed
            .retain(|worker, _| workers.contains_key(worker));
        let active = self.supervisor.active_workers();
        let confirmed = |worker: &WorkerId| self.orders.confirmed.get(worker).copied();
        let all = active
            .iter()
            .map(|worker| confirmed(worker).unwrap_or(0))
            .min();
        let all = all.unwrap_or(0);
        let waiting = std::mem::take(&mut self.orders.waiting);
        for (revision, shown) in waiting {
            match revision <= all {
                true => drop(shown.send(())),
                false => self.orders.waiting.push((revision, shown)),
            }
        }
    }
}

async fn order(accounts: &Accounts, task: Task, inputs: &tokio::sync::mpsc::Sender<Input>) -> News {
    let Task {
        site, acme, leaf, ..
    } = task;
    let (inputs, of) = (inputs.clone(), site.clone());
    let show = move |answers| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        let (inputs, site) = (inputs.clone(), of.clone());
        Box::pin(async move {
            let (shown, known) = oneshot::channel();
            let news = News::Show {
                site,
                answers,
                shown,
            };
            let _ = inputs.send(Input::Orders(news)).await;
            let _ = tokio::time::timeout(CONFIRMED_WITHIN, known).await;
        })
    };
    let outcome = acme::order(accounts, &acme, leaf.as_deref(), &show).await;
    News::Ordered { site, outcome }
}

async fn ask(accounts: &Accounts, task: Task) -> News {
    let leaf = task.leaf.unwrap_or_default();
    let outcome = acme::suggestion(accounts, &task.acme, &leaf).await;
    let site = task.site;
    News::Asked { site, outcome }
}

pub(super) fn now() -> Seconds {
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    Seconds::try_from(now).unwrap_or(Seconds::MAX)
}

/// Between 0 and 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness all wait alike, which does no harm.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}
