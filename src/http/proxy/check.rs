//! Health checks: each server of a site that wants them is asked by itself how it is, by one thread of a worker.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connect::connect;
use super::http1::Message;
use super::server::{Server, Servers};
use super::standing::PoolStanding;
use crate::config::types::{Config, HealthCheck, Upstream};
use crate::metrics::upstreams::{Cause, mix, now};

/// The first checks of a worker spread over this time, or the interval where it is shorter.
const FIRST_SPREAD: Duration = Duration::from_secs(1);
/// How soon it is looked again which servers a service has.
const SERVICE_PAUSE: Duration = Duration::from_secs(1);
/// Of the interval, by how much each pause differs at most.
const JITTER_PART: u32 = 10;

/// The tasks that check; they end with it.
#[derive(Default)]
pub(in crate::http) struct Checks(Vec<tokio::task::JoinHandle<()>>);

impl Checks {
    /// Begins to check what `config` wants to have checked.
    pub(in crate::http) fn start(config: &Config, servers: &Servers) -> Self {
        let mut tasks = Vec::new();
        for (site, index) in config.sites.iter().zip(0..) {
            let proxy = site.proxy.as_ref();
            let check = proxy.and_then(|proxy| proxy.health_check.clone());
            let (Some(proxy), Some(check)) = (proxy, check) else {
                continue;
            };
            let Some(standings) = servers.standings.site(config, index) else {
                continue;
            };
            let check = Rc::new(check);
            for (pool, standing) in proxy.pools.iter().zip(standings.iter()) {
                if standing.service.is_some() {
                    let watch = watch_service(standing.clone(), check.clone(), servers.clone());
                    tasks.push(tokio::task::spawn_local(watch));
                } else {
                    let checks = Self::of(&pool.servers, &check, standing, servers);
                    tasks.extend(checks.into_tasks());
                }
            }
        }
        Self(tasks)
    }

    fn of(
        upstreams: &[Upstream],
        check: &Rc<HealthCheck>,
        standing: &Arc<PoolStanding>,
        servers: &Servers,
    ) -> Self {
        let upstreams = upstreams.iter().enumerate();
        let tasks = upstreams.map(|(number, upstream)| {
            let patient = Patient::new(upstream, check, standing, number, servers);
            tokio::task::spawn_local(patient.watch())
        });
        Self(tasks.collect())
    }

    fn into_tasks(mut self) -> Vec<tokio::task::JoinHandle<()>> {
        std::mem::take(&mut self.0)
    }
}

/// Checks the servers of a service, whichever they are. For ever.
async fn watch_service(standing: Arc<PoolStanding>, check: Rc<HealthCheck>, servers: Servers) {
    let Some(service) = &standing.service else {
        return;
    };
    let (mut checks, mut version) = (Checks::default(), 0);
    loop {
        let known = servers.resolver.targets(&service.name, false).await;
        let until = match known {
            Ok(known) => {
                service.learn(&known.values);
                known.until
            }
            Err(_) => Instant::now(),
        };
        if let Some(fleet) = service.fleet().filter(|fleet| fleet.version != version) {
            drop(checks);
            version = fleet.version;
            checks = Checks::of(&fleet.upstreams, &check, &fleet.standing, &servers);
        }
        sleep_until(until.max(Instant::now() + SERVICE_PAUSE)).await;
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// A server that is checked.
struct Patient {
    check: Rc<HealthCheck>,
    server: Rc<Server>,
    target: Uri,
    host: HeaderValue,
    standing: Arc<PoolStanding>,
    number: usize,
}

impl Patient {
    fn new(
        upstream: &Upstream,
        check: &Rc<HealthCheck>,
        standing: &Arc<PoolStanding>,
        number: usize,
        servers: &Servers,
    ) -> Self {
        Self {
            check: check.clone(),
            server: servers.server(upstream),
            target: format!("{}{}", upstream.base_path, check.path)
                .parse()
                .unwrap_or_default(),
            host: HeaderValue::from_str(&upstream.authority)
                .unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            standing: standing.clone(),
            number,
        }
    }

    /// For ever.
    async fn watch(self) {
        let (mut failures, mut successes) = (0, 0);
        let spread = FIRST_SPREAD.min(self.check.interval);
        sleep(spread.mul_f64(self.chance())).await;
        loop {
            match self.ask().await {
                Ok(()) => {
                    (failures, successes) = (0, successes + 1);
                    if successes >= self.check.healthy_after {
                        self.standing.note_good_check(self.number);
                    }
                }
                Err(cause) => {
                    (failures, successes) = (failures + 1, 0);
                    if failures >= self.check.retries {
                        self.standing.note_bad_check(self.number, cause);
                    }
                }
            }
            let most = self.check.interval / JITTER_PART;
            sleep(self.check.interval - most.mul_f64(self.chance())).await;
        }
    }

    /// A GET on a connection of its own.
    async fn ask(&self) -> Result<(), Cause> {
        let answer = timeout(self.check.timeout, self.status()).await;
        match answer.map_err(|_| Cause::CheckSilence)?? {
            200..400 => Ok(()),
            _ => Err(Cause::CheckStatus),
        }
    }

    async fn status(&self) -> Result<u16, Cause> {
        let connection = connect(&self.server, self.check.timeout).await;
        let sender = connection.map_err(|_| Cause::CheckSilence)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("bws-health-check"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let message = Message {
            method: &Method::GET,
            target: &self.target,
            host: &self.host,
            headers: &headers,
            expects: false,
        };
        let response = sender.ask(&message).await;
        response
            .map(|response| response.status().as_u16())
            .map_err(|_| Cause::CheckSilence)
    }

    /// Between 0 and 1, and never the same for all servers at a time.
    fn chance(&self) -> f64 {
        let identity = self.standing.servers[self.number].identity.hash();
        (mix(now() ^ identity) >> 11) as f64 / (1u64 << 53) as f64
    }
}
