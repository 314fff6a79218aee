//! Which address of several is tried first: a short form of RFC 6724. Nothing is sent.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses that can be reached before those that cannot, and IPv6 before IPv4 where it leads anywhere; else as they
/// came.
pub(super) fn sort(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let six = addresses.iter().filter(|it| it.is_ipv6()).count();
    if six > 0 && six < addresses.len() {
        addresses.sort_by_cached_key(|address| rank(*address, source(*address)));
    }
    addresses
}

/// The address that a packet to `address` would have; None when there is no way.
fn source(address: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((address, 53)).ok()?;
    socket.local_addr().ok().map(|own| own.ip())
}

/// Lower is better.
fn rank(address: IpAddr, source: Option<IpAddr>) -> u8 {
    match (address, source) {
        (_, None) => 3,
        (IpAddr::V6(to), Some(IpAddr::V6(from))) if scope(to) == scope(from) => 0,
        (IpAddr::V6(_), _) => 2,
        (IpAddr::V4(_), _) => 1,
    }
}

/// How far an address goes: this machine, this link, this site, everywhere.
fn scope(address: Ipv6Addr) -> u8 {
    match address.segments()[0] {
        _ if address.is_loopback() => 0,
        first if first & 0xffc0 == 0xfe80 => 1,
        first if first & 0xfe00 == 0xfc00 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_way_leads_is_last() {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        let (global, private) = (address("2001:db8::1"), address("fd00::1"));
        assert_eq!(rank(global, Some(address("2001:db8::2"))), 0);
        assert_eq!(rank(global, Some(private)), 2);
        assert_eq!(rank(global, None), 3);
        assert_eq!(rank(address("192.0.2.1"), Some(address("10.0.0.1"))), 1);
        assert_eq!(rank(private, Some(address("fd00::2"))), 0);
    }

    #[test]
    fn one_family_stays_as_it_came() {
        let addresses: Vec<IpAddr> = vec![[127, 0, 0, 9].into(), [127, 0, 0, 1].into()];
        assert_eq!(sort(addresses.clone()), addresses);
    }
}
