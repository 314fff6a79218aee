//! A pool as one thread knows it, and the choice of a server for a request.

use std::cell::{Cell, LazyCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderValue;

use super::balance;
use super::client::Client;
use super::server::{Server, Servers};
use super::standing::{PoolStanding, Standing};
use super::sticky::Sticky;
use crate::config::types::{Balancing, BalancingMethod, Upstream};
use crate::metrics::upstreams::{Cause, mix, now};

/// Beyond it a thread's start in the round makes no difference.
const MAX_HEAD_START: usize = 64;

pub(super) struct Pool {
    pub(super) standing: Arc<PoolStanding>,
    members: Vec<Member>,
    pub(super) balancing: Balancing,
    pub(super) sticky: Option<Sticky>,
    random: Cell<u64>,
    /// Not all servers have the same priority.
    tiered: bool,
}

/// A server's place in a pool.
pub(super) struct Member {
    pub(super) server: Rc<Server>,
    pub(super) base_path: String,
    /// `Host` when the client's is not preserved.
    pub(super) authority: HeaderValue,
    /// Its identity's.
    pub(super) hash: u64,
    pub(super) weight: i64,
    /// It is used when none of a lower number can be (RFC 2782).
    pub(super) priority: u16,
    /// Of the round robin.
    pub(super) credit: Cell<i64>,
}

impl Member {
    fn new(upstream: &Upstream, standing: &Standing, servers: &Servers) -> Self {
        Self {
            server: servers.server(upstream),
            base_path: upstream.base_path.clone(),
            authority: HeaderValue::from_str(&upstream.authority)
                .unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            hash: standing.identity.hash(),
            weight: i64::from(upstream.weight.max(1)),
            priority: 0,
            credit: Cell::new(0),
        }
    }
}

/// The outcome of a choice.
pub(super) enum Choice {
    Place(Place),
    /// Every server that could serve has as many requests as it may.
    Full,
    /// None serves. Seconds after which it makes sense to come again.
    Down {
        retry_after: u32,
    },
}

impl Pool {
    pub(super) fn new(
        balancing: Balancing,
        upstreams: &[Upstream],
        standing: &Arc<PoolStanding>,
        servers: &Servers,
    ) -> Self {
        let members = upstreams
            .iter()
            .zip(&standing.servers)
            .map(|(upstream, standing)| Member::new(upstream, standing, servers));
        let sticky = balancing.sticky_sessions;
        let turn = standing.threads.fetch_add(1, Ordering::Relaxed);
        let pool = Self {
            standing: standing.clone(),
            members: members.collect(),
            balancing,
            sticky: sticky.then(|| Sticky::new(standing, &servers.standings.lasting.secret())),
            random: Cell::new(mix(now() ^ mix(turn as u64 + u64::from(std::process::id())))),
            tiered: false,
        };
        // Otherwise all threads would begin with the first server.
        for _ in 0..turn % MAX_HEAD_START {
            balance::round_robin(&pool.members, |index| pool.members[index].weight);
        }
        pool
    }

    /// The same with a priority for each server.
    pub(super) fn with_priorities(mut self, priorities: &[u16]) -> Self {
        for (member, priority) in self.members.iter_mut().zip(priorities) {
            member.priority = *priority;
        }
        self.tiered = priorities.windows(2).any(|pair| pair[0] != pair[1]);
        self
    }

    /// A server that is not in `tried`. `repeatable`: no harm is done when it does not answer.
    pub(super) fn choose(
        self: &Rc<Self>,
        client: &Client,
        tried: &[usize],
        repeatable: bool,
    ) -> Choice {
        let time = LazyCell::new(now);
        if let Some(place) = self.trial(tried, repeatable, &time) {
            return Choice::Place(place);
        }
        // Another thread may take the last place between our look and our step.
        for _ in 0..=self.members.len() {
            let Some(index) = self.pick(client, tried, &time) else {
                break;
            };
            if self.standing.servers[index].enter() {
                return Choice::Place(Place::new(self, index, false));
            }
        }
        let standings = self.standing.servers.iter();
        if standings.clone().any(|server| server.share(|| *time) > 0) {
            return Choice::Full;
        }
        let soonest = standings.filter_map(|server| server.trial_at()).min();
        let seconds = soonest.map(|at| at.saturating_sub(*time).div_ceil(1000));
        Choice::Down {
            retry_after: seconds.map_or(RETRY_AFTER_CHECKS, |seconds| {
                u32::try_from(seconds).unwrap_or(1).max(1)
            }),
        }
    }

    /// Waits until a server has room.
    pub(super) async fn wait(self: &Rc<Self>) -> Option<Place> {
        let Balancing {
            queue,
            queue_timeout,
            ..
        } = self.balancing;
        let index = self.standing.wait(queue, queue_timeout).await?;
        Some(Place::new(self, index, false))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether somebody came earlier and still waits.
    pub(super) fn has_queue(&self) -> bool {
        self.standing.limited && !self.standing.waiting.is_empty()
    }

    fn pick(
        &self,
        client: &Client,
        tried: &[usize],
        time: &impl std::ops::Deref<Target = u64>,
    ) -> Option<usize> {
        let priority = self.tiered.then(|| self.usable_priority(tried, time));
        let share = |index: usize| match priority {
            Some(priority) if self.members[index].priority != priority => 0,
            _ => self.share(index, tried, time),
        };
        let active = |index: usize| i64::from(self.standing.servers[index].active());
        if let Some(favourite) = client.favourite.filter(|&index| share(index) > 0) {
            return Some(favourite);
        }
        let members = &self.members[..];
        match self.balancing.method {
            BalancingMethod::RoundRobin => balance::round_robin(members, share),
            BalancingMethod::LeastConnections => balance::least_connections(members, share, active),
            BalancingMethod::IpHash => balance::by_hash(members, share, client.hash),
            BalancingMethod::RandomTwo => {
                balance::random_two(members, share, active, || self.random())
            }
        }
    }

    fn share(
        &self,
        index: usize,
        tried: &[usize],
        time: &impl std::ops::Deref<Target = u64>,
    ) -> i64 {
        let server = &self.standing.servers[index];
        if tried.contains(&index) || server.is_full() {
            return 0;
        }
        self.members[index].weight * server.share(|| **time)
    }

    /// The lowest of those who can take a request.
    fn usable_priority(&self, tried: &[usize], time: &impl std::ops::Deref<Target = u64>) -> u16 {
        let usable = |&(index, _): &(usize, &Member)| self.share(index, tried, time) > 0;
        let members = self.members.iter().enumerate().filter(usable);
        members
            .map(|(_, member)| member.priority)
            .min()
            .unwrap_or(0)
    }

    /// A server that was out for long enough gets one request to show that it is back.
    fn trial(
        self: &Rc<Self>,
        tried: &[usize],
        repeatable: bool,
        time: &impl std::ops::Deref<Target = u64>,
    ) -> Option<Place> {
        let servers = self.standing.servers.iter();
        if servers.clone().all(Standing::is_up) {
            return None;
        }
        let alone = !servers.clone().any(|server| server.share(|| **time) > 0);
        if !alone && !repeatable {
            return None;
        }
        let claims = |(index, server): &(usize, &Standing)| {
            !tried.contains(index) && server.claim_trial(**time, alone)
        };
        let (index, server) = servers.enumerate().find(claims)?;
        server.enter().then(|| Place::new(self, index, true))
    }

    fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        mix(state)
    }
}

/// When only health checks can bring a pool back.
const RETRY_AFTER_CHECKS: u32 = 5;

/// One request's place at a server; left when dropped.
pub(super) struct Place {
    pool: Rc<Pool>,
    pub(super) index: usize,
    /// The request is to show whether the server is back.
    trial: bool,
}

impl Place {
    fn new(pool: &Rc<Pool>, index: usize, trial: bool) -> Self {
        Self {
            pool: pool.clone(),
            index,
            trial,
        }
    }

    pub(super) fn member(&self) -> &Member {
        &self.pool.members[self.index]
    }

    pub(super) fn server(&self) -> &Rc<Server> {
        &self.member().server
    }

    pub(super) fn count_request(&self, retry: bool) {
        self.pool.standing.count_request(self.index, retry);
    }

    /// The server gave a response.
    pub(super) fn note_answer(&self) {
        self.pool.standing.note_answer(self.index, self.trial);
    }

    /// It gave none, and that was its own fault.
    pub(super) fn note_failure(&self, cause: Cause) {
        self.pool
            .standing
            .note_failure(self.index, cause, self.trial);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.standing.leave(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pools::Pools;
    use super::super::standing::Standings;
    use super::*;
    use crate::http::testing::{config, site};
    use crate::http::tests::upstream::proxy;
    use crate::metrics::lasting::Lasting;

    #[test]
    fn the_threads_of_a_worker_share_out_by_weight_together() {
        let mut proxied = site();
        let mut proxy = proxy(&[1, 2, 3]);
        for (server, weight) in proxy.pools[0].servers.iter_mut().zip([3, 2, 1]) {
            server.weight = weight;
        }
        proxied.proxy = Some(Box::new(proxy));
        let config = config(vec![proxied]);
        let standings = Standings::new(1, Lasting::detached(), |_| ());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let servers = Servers::of(standings.clone());
                    let pools = Pools::new(&config, 0, &servers).unwrap();
                    let client = Client::default();
                    for _ in 0..2_500 {
                        match pools.pool(0).unwrap().0.choose(&client, &[], true) {
                            Choice::Place(place) => place.count_request(false),
                            _ => panic!("all servers are up"),
                        }
                    }
                });
            }
        });
        let standing = &standings.site(&config, 0).unwrap()[0];
        let counts = standing.servers.iter().map(Standing::requests);
        for (count, ideal) in counts.zip([5_000, 3_333, 1_667]) {
            assert!(count.abs_diff(ideal) <= 4, "{count} of {ideal}");
        }
        assert!(standing.servers.iter().all(|server| server.active() == 0));
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::http::tests::upstream::upstream;

    /// Servers of these weights.
    pub(in crate::http::proxy) fn members(weights: &[i64]) -> Vec<Member> {
        let servers = Servers::default();
        let member = |(number, weight): (usize, &i64)| {
            let upstream = upstream(u16::try_from(number).unwrap());
            Member {
                server: servers.server(&upstream),
                base_path: String::new(),
                authority: HeaderValue::from_static("localhost"),
                hash: mix(number as u64),
                weight: *weight,
                priority: 0,
                credit: Cell::new(0),
            }
        };
        weights.iter().enumerate().map(member).collect()
    }
}
