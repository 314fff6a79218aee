//! A set of networks that is fast to ask, however many there are.

use std::net::IpAddr;

use crate::config::types::Network;

/// IPv4 and IPv6 apart, so that `::/0` does not mean IPv4.
#[derive(Debug, Default)]
pub(super) struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl Networks {
    pub(super) fn new(networks: &[Network]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Network { address, prefix } in networks {
            let prefix = u32::from(*prefix);
            match address {
                IpAddr::V4(address) => {
                    let first = address.to_bits();
                    v4.push((
                        first,
                        first | u32::MAX.checked_shr(prefix).unwrap_or_default(),
                    ));
                }
                IpAddr::V6(address) => {
                    let first = address.to_bits();
                    v6.push((
                        first,
                        first | u128::MAX.checked_shr(prefix).unwrap_or_default(),
                    ));
                }
            }
        }
        Self {
            v4: Ranges::new(v4),
            v6: Ranges::new(v6),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// Whether `address` lies in one of the networks; a v4-mapped address (RFC 4291 section 2.5.5.2) counts as IPv4.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contain(address.to_bits()),
            IpAddr::V6(address) => self.v6.contain(address.to_bits()),
        }
    }
}

/// First and last of each range, in order; they neither overlap nor contain one another.
#[derive(Debug, Default)]
struct Ranges<T>(Box<[(T, T)]>);

impl<T: Ord + Copy> Ranges<T> {
    fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(previous) if first <= previous.1 => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged.into())
    }

    fn contain(&self, bits: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= bits);
        after > 0 && bits <= self.0[after - 1].1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        let (address, prefix) = text.split_once('/').unwrap();
        Network {
            address: address.parse().unwrap(),
            prefix: prefix.parse().unwrap(),
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let list = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32"].map(network);
        let networks = Networks::new(&list);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "192.0.2.7",
            "2001:db8::1",
            "::ffff:10.2.3.4",
        ] {
            assert!(networks.contain(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "11.0.0.0",
            "192.0.2.8",
            "2001:db9::",
            "::1",
        ] {
            assert!(!networks.contain(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn all_of_one_family_is_nothing_of_the_other() {
        let all = Networks::new(&[network("::/0")]);
        assert!(all.contain("ffff::1".parse().unwrap()));
        assert!(!all.contain("192.0.2.1".parse().unwrap()));
        let all = Networks::new(&[network("0.0.0.0/0")]);
        assert!(all.contain("255.255.255.255".parse().unwrap()));
        assert!(!all.contain("::1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn as_asking_one_by_one(list in prop::collection::vec((any::<u16>(), 16u8..=32), 0..40), asked in any::<u16>()) {
            // All within 10.0.0.0/16, so that they meet.
            let mask = |prefix: u8| u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or_default();
            let base = 10 << 24;
            let list: Vec<_> = list.into_iter().map(|(low, prefix)| Network {
                address: std::net::Ipv4Addr::from_bits((base | u32::from(low)) & mask(prefix)).into(),
                prefix,
            }).collect();
            let asked = base | u32::from(asked);
            let expected = list.iter().any(|network| match network.address {
                IpAddr::V4(address) => address.to_bits() == asked & mask(network.prefix),
                IpAddr::V6(_) => false,
            });
            let asked = std::net::Ipv4Addr::from_bits(asked).into();
            prop_assert_eq!(Networks::new(&list).contain(asked), expected);
        }
    }
}
