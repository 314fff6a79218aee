//! How many requests a client may make: for each IPv4 address, and for each IPv6 network of 64 bits, which is what one
//! customer has. All threads, workers and generations count together.
//!
//! - `pace`: when the next request may come
//! - `table`: what is remembered of each client
//! - `hash`: where in the table

mod hash;
mod pace;
mod table;

use std::net::IpAddr;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use self::pace::{Decision, Pace};
use self::table::Table;
use super::Refusal;
use super::networks::Networks;
use crate::config::types;
use crate::http::clock;
use crate::metrics::lasting::Lasting;

/// One limit, of a site or of all sites together.
pub(super) struct RateLimit {
    pace: Option<Pace>,
    /// Not limited.
    free: Networks,
    /// Always refused.
    banned: Networks,
    table: Table,
    key: hash::Key,
    /// Of the site's name.
    scope: u64,
}

impl RateLimit {
    /// `scope`: the site's name; empty for all sites together.
    pub(super) fn new(limit: &types::RateLimit, scope: &str, lasting: &Lasting<'static>) -> Self {
        let secret = lasting.secret();
        let word = |from: usize| {
            let bytes = secret[from..from + 8].try_into();
            u64::from_le_bytes(bytes.expect("eight bytes"))
        };
        let key = [word(0), word(8)];
        Self {
            pace: limit
                .rate
                .as_ref()
                .map(|rate| Pace::new(rate, limit.block_duration)),
            free: Networks::new(&limit.whitelist),
            banned: Networks::new(&limit.blacklist),
            table: Table::new(lasting.rate_limits()),
            key,
            scope: hash::hash_text(key, scope),
        }
    }

    /// Counts a request of `client`; says why it may not pass.
    pub(super) fn check(&self, client: IpAddr) -> Result<(), Refusal> {
        self.check_at(client, clock::now_ms())
    }

    fn check_at(&self, client: IpAddr, milliseconds: u64) -> Result<(), Refusal> {
        if self.banned.contain(client) {
            return Err(StatusCode::FORBIDDEN.into());
        }
        let Some(pace) = self.pace.filter(|_| !self.free.contain(client)) else {
            return Ok(());
        };
        let [family, prefix] = bucket(client);
        let hash = hash::hash(self.key, &[self.scope, family, prefix]);
        let now = pace::moment(milliseconds);
        self.table
            .update(hash, now, |memory| match pace.decide(memory, now) {
                Decision::Allow(next) => (Ok(()), Some(next)),
                Decision::Refuse(units, next) => (Err(refusal(units)), next),
            })
    }
}

/// What counts as one client.
fn bucket(client: IpAddr) -> [u64; 2] {
    match client.to_canonical() {
        IpAddr::V4(address) => [4, address.to_bits().into()],
        IpAddr::V6(address) => [6, (address.to_bits() >> 64) as u64],
    }
}

/// RFC 6585 section 4.
fn refusal(units: u64) -> Refusal {
    Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        header: Some((RETRY_AFTER, HeaderValue::from(pace::seconds(units)))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use super::*;

    fn limit(scope: &str, lasting: &Lasting<'static>) -> RateLimit {
        let network = |text: &str| types::Network {
            address: text.parse().unwrap(),
            prefix: 32,
        };
        let limit = types::RateLimit {
            rate: Some(types::Rate {
                requests_per_minute: 60,
                burst_size: 2,
            }),
            block_duration: Duration::ZERO,
            whitelist: vec![network("10.0.0.1")],
            blacklist: vec![network("10.0.0.2")],
        };
        RateLimit::new(&limit, scope, lasting)
    }

    fn statuses(limit: &RateLimit, client: &str) -> Vec<u16> {
        let check = |_| limit.check_at(client.parse().unwrap(), 1_000_000);
        let status =
            |result: Result<(), Refusal>| result.map_or_else(|it| it.status.as_u16(), |()| 200);
        (0..3).map(check).map(status).collect()
    }

    #[test]
    fn each_client_and_each_site_for_itself() {
        let lasting = Lasting::detached();
        let (site, other) = (limit("site", &lasting), limit("other", &lasting));
        assert_eq!(statuses(&site, "192.0.2.1"), [200, 200, 429]);
        assert_eq!(statuses(&site, "192.0.2.2"), [200, 200, 429]);
        assert_eq!(statuses(&other, "192.0.2.1"), [200, 200, 429]);
        assert_eq!(statuses(&site, "10.0.0.1"), [200; 3]);
        assert_eq!(statuses(&site, "10.0.0.2"), [403; 3]);
        // What was counted is there for the next generation.
        assert_eq!(statuses(&limit("site", &lasting), "192.0.2.1"), [429; 3]);
    }

    #[test]
    fn one_network_of_64_bits_is_one_client() {
        let site = limit("site", &Lasting::detached());
        assert_eq!(statuses(&site, "2001:db8::1"), [200, 200, 429]);
        assert_eq!(statuses(&site, "2001:db8::ffff:2"), [429; 3]);
        assert_eq!(statuses(&site, "2001:db8:0:1::1"), [200, 200, 429]);
        assert_eq!(statuses(&site, "::ffff:192.0.2.1"), [200, 200, 429]);
        assert_eq!(statuses(&site, "192.0.2.1"), [429; 3]);
    }

    #[test]
    fn a_flood_of_addresses_does_not_let_the_greedy_go() {
        let words: Vec<_> = (0..1024).map(|_| AtomicU64::new(0)).collect();
        let site = RateLimit {
            table: Table::new(Vec::leak(words)),
            ..limit("site", &Lasting::detached())
        };
        let greedy = "192.0.2.1".parse().unwrap();
        let mut allowed = 0;
        for number in 0..100_000u32 {
            let passer = std::net::Ipv4Addr::from(0x0b00_0000 + number);
            assert_eq!(site.check_at(passer.into(), 1_000_000), Ok(()));
            allowed += u32::from(site.check_at(greedy, 1_000_000).is_ok());
        }
        assert_eq!(allowed, 2);
    }

    #[test]
    fn threads_do_not_let_more_through() {
        let site = limit("site", &Lasting::detached());
        let client = "192.0.2.1".parse().unwrap();
        let allowed = std::thread::scope(|scope| {
            let ask = || {
                (0..100)
                    .filter(|_| site.check_at(client, 5_000).is_ok())
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(allowed, 2);
    }
}
