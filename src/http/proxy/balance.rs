//! Which server of a pool comes next: smooth weighted round robin.

use std::cell::Cell;
use std::rc::Rc;

use http::HeaderValue;

use super::server::{Server, Servers};
use crate::config::types::{Pool, Proxy, Upstream};

/// The pools of one site, on one thread.
pub(in crate::http) struct Pools(Vec<Vec<Member>>);

/// A server's place in a pool.
pub(super) struct Member {
    pub(super) server: Rc<Server>,
    pub(super) base_path: String,
    /// `Host` when the client's is not preserved.
    pub(super) authority: HeaderValue,
    weight: i64,
    current: Cell<i64>,
}

impl Pools {
    pub(in crate::http) fn new(proxy: &Proxy, servers: &Servers) -> Self {
        let members = |pool: &Pool| {
            pool.servers
                .iter()
                .map(|upstream| Member::new(upstream, servers))
                .collect()
        };
        Self(proxy.pools.iter().map(members).collect())
    }

    pub(super) fn members(&self, pool: usize) -> &[Member] {
        self.0.get(pool).map_or(&[], Vec::as_slice)
    }
}

impl Member {
    fn new(upstream: &Upstream, servers: &Servers) -> Self {
        Self {
            server: servers.server(upstream),
            base_path: upstream.base_path.clone(),
            authority: HeaderValue::from_str(&upstream.authority)
                .unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            weight: i64::from(upstream.weight.max(1)),
            current: Cell::new(0),
        }
    }
}

/// The next of `members` that is not in `tried`; those that lately refused only when there is no other.
pub(super) fn next<'a>(members: &'a [Member], tried: &[usize]) -> Option<(usize, &'a Member)> {
    let fresh = |index: usize| !tried.contains(&index);
    pick(members, |index| {
        fresh(index) && !members[index].server.is_avoided()
    })
    .or_else(|| pick(members, fresh))
}

/// Each round every candidate gains its weight; the richest is chosen and pays what all gained.
fn pick(members: &[Member], eligible: impl Fn(usize) -> bool) -> Option<(usize, &Member)> {
    let mut total = 0;
    let mut best: Option<(usize, &Member)> = None;
    for (index, member) in members
        .iter()
        .enumerate()
        .filter(|(index, _)| eligible(*index))
    {
        total += member.weight;
        member.current.set(member.current.get() + member.weight);
        if best.is_none_or(|(_, best)| member.current.get() > best.current.get()) {
            best = Some((index, member));
        }
    }
    let (_, chosen) = best?;
    chosen.current.set(chosen.current.get() - total);
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::{UpstreamAddress, UpstreamProtocol};

    fn members(weights: &[u32]) -> Vec<Member> {
        let servers = Servers::default();
        weights
            .iter()
            .enumerate()
            .map(|(index, &weight)| {
                let address = UpstreamAddress::Http {
                    host: "127.0.0.1".into(),
                    port: index as u16 + 1,
                };
                let upstream = Upstream {
                    address,
                    authority: "a".into(),
                    base_path: String::new(),
                    weight,
                    protocol: UpstreamProtocol::Http1,
                };
                Member::new(&upstream, &servers)
            })
            .collect()
    }

    fn turns(members: &[Member], count: usize) -> Vec<usize> {
        (0..count).map(|_| next(members, &[]).unwrap().0).collect()
    }

    #[test]
    fn weights_are_spread_smoothly() {
        assert_eq!(turns(&members(&[5, 1, 1]), 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&members(&[1, 1]), 4), [0, 1, 0, 1]);
    }

    #[test]
    fn a_server_that_refused_is_avoided_unless_all_did() {
        let members = members(&[1, 1]);
        members[0].server.avoid();
        assert_eq!(turns(&members, 3), [1, 1, 1]);
        members[1].server.avoid();
        assert!(next(&members, &[]).is_some());
        assert_eq!(next(&members, &[1]).unwrap().0, 0);
        assert!(next(&members, &[0, 1]).is_none());
    }
}
