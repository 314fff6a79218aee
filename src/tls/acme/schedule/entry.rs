//! One site's certificate.

use super::pace::{self, Seconds, after_limit, backoff};
use super::{Issued, Kind, Scope, Suggestion};
use crate::config::types::{Acme, Certificate};

/// An authority is asked about renewals neither more nor less often.
const ASK_EVERY: (Seconds, Seconds) = (3600, 86_400);
/// After a certificate came: so long at most until another order.
const LONGEST_REST: Seconds = 6 * 3600;
/// Without a suggestion.
const ASK_USUALLY: Seconds = 6 * 3600;

/// A certificate that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub leaf: Vec<u8>,
    pub not_before: Seconds,
    pub not_after: Seconds,
    /// What it is for, sorted.
    pub(super) names: Vec<String>,
    /// The directory that it came from.
    authority: Option<String>,
}

impl Held {
    /// None for a placeholder.
    pub(super) fn of(certificate: &Certificate) -> Option<Self> {
        let mut names = certificate.names.clone();
        names.sort_unstable();
        Some(Self {
            leaf: certificate.chain.first()?.to_vec(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            names,
            authority: certificate.authority.clone(),
        })
    }

    /// It is what `acme` asks for.
    fn suits(&self, acme: &Acme) -> bool {
        let named = acme.names.iter().all(|name| self.names.contains(name));
        named && self.authority.as_ref() == Some(&acme.directory_url)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Waiting,
    Running(Kind),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) acme: Acme,
    pub(super) held: Option<Held>,
    step: Step,
    failures: u32,
    /// Of the last attempt.
    pub(super) error: Option<String>,
    /// After a failure: not before.
    retry_at: Option<Seconds>,
    /// What the authority wants: at this time, instead of ours.
    suggested: Option<Seconds>,
    ask_at: Option<Seconds>,
    /// `held` is on disk, and not in the configuration in force.
    unserved: bool,
    share: f64,
}

/// How it stands with a site, for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// An order is under way.
    pub ordering: bool,
    /// When the next one is due, if none is.
    pub due: Option<Seconds>,
    pub failures: u32,
    pub error: Option<String>,
}

impl Entry {
    pub(super) fn new(acme: Acme, site: &str) -> Self {
        Self {
            acme,
            held: None,
            step: Step::Waiting,
            failures: 0,
            error: None,
            retry_at: None,
            suggested: None,
            ask_at: None,
            unserved: false,
            share: pace::share(site),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.step != Step::Waiting
    }

    pub(super) fn is_unserved(&self) -> bool {
        self.unserved
    }

    /// `in_force` is what workers show.
    pub(super) fn adopt(&mut self, in_force: Option<Held>, now: Seconds) {
        let same = |held: &Held| Some(&held.leaf) == in_force.as_ref().map(|it| &it.leaf);
        if self.unserved && !self.held.as_ref().is_some_and(same) {
            // What was read was not the newest yet.
            return;
        }
        self.unserved = false;
        if !self.held.as_ref().is_some_and(same) {
            self.suggested = None;
            self.ask_at = Some(now);
        }
        self.held = in_force;
    }

    /// What failed is tried again at once.
    pub(super) fn hurry(&mut self, now: Seconds) {
        self.retry_at = self.retry_at.map(|at| at.min(now));
    }

    pub(super) fn postpone(&mut self, until: Seconds) {
        match self.order_at() <= until {
            true => self.retry_at = Some(until),
            false => self.ask_at = Some(until),
        }
    }

    pub(super) fn due(&self) -> Option<Seconds> {
        let order = self.order_at();
        let due = self.ask_at.map_or(order, |ask| ask.min(order));
        (!self.is_running()).then_some(due)
    }

    pub(super) fn order_at(&self) -> Seconds {
        let wanted = match &self.held {
            Some(held) if held.suits(&self.acme) => self
                .suggested
                .unwrap_or_else(|| pace::renewal(held.not_before, held.not_after, self.share)),
            _ => Seconds::MIN,
        };
        self.retry_at.map_or(wanted, |retry| retry.max(wanted))
    }

    pub(super) fn begin(&mut self, now: Seconds) -> Kind {
        let kind = match self.order_at() <= now || self.held.is_none() {
            true => Kind::Order,
            false => Kind::Ask,
        };
        self.step = Step::Running(kind);
        kind
    }

    pub(super) fn issued(&mut self, issued: Issued, now: Seconds) {
        self.held = Some(Held {
            leaf: issued.leaf,
            not_before: issued.not_before,
            not_after: issued.not_after,
            names: self.acme.names.clone(),
            authority: Some(self.acme.directory_url.clone()),
        });
        self.step = Step::Waiting;
        (self.failures, self.error) = (0, None);
        // Whatever the clocks say: a new certificate is not replaced at once.
        let life = issued.not_after.saturating_sub(issued.not_before);
        self.retry_at = Some(now + (life / 4).clamp(1, LONGEST_REST));
        (self.suggested, self.ask_at) = (None, Some(now + ASK_USUALLY));
        self.unserved = true;
    }

    pub(super) fn failed(&mut self, text: String, scope: Scope, now: Seconds, chance: f64) {
        self.step = Step::Waiting;
        self.failures = self.failures.saturating_add(1);
        let wait = match scope {
            Scope::Limit => after_limit(self.failures, chance),
            _ => backoff(self.failures, chance),
        };
        self.retry_at = Some(now + wait);
        self.error = Some(text);
    }

    /// A moment in the window that the authority suggests (RFC 9773 section 4.2).
    pub(super) fn suggested(&mut self, said: Option<Suggestion>, now: Seconds, chance: f64) {
        self.step = Step::Waiting;
        let Some(said) = said.filter(|said| said.from <= said.until) else {
            self.ask_at = Some(now + ASK_USUALLY);
            return;
        };
        let window = said.until.saturating_sub(said.from) as f64;
        let moment = said.from.saturating_add((window * chance) as Seconds);
        // Once chosen it stays, unless the window moved away from it.
        let stays = self
            .suggested
            .is_some_and(|at| (said.from..=said.until).contains(&at));
        if !stays {
            self.suggested = Some(moment);
        }
        let again = Seconds::try_from(said.ask_after.as_secs()).unwrap_or(Seconds::MAX);
        self.ask_at = Some(now + again.clamp(ASK_EVERY.0, ASK_EVERY.1));
    }

    pub(super) fn phase(&self) -> Phase {
        let ordering = self.step == Step::Running(Kind::Order);
        Phase {
            ordering,
            due: (!ordering).then(|| self.order_at()),
            failures: self.failures,
            error: self.error.clone(),
        }
    }
}
