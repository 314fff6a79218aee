//! Networks: `192.0.2.0/24`, `2001:db8::/32`, or one address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::Network;

/// The networks of a list; what is none becomes a finding.
pub(super) fn resolve(list: &[Located<String>], findings: &Findings) -> Vec<Network> {
    list.iter().filter_map(|text| one(text, findings)).collect()
}

fn one(text: &Located<String>, findings: &Findings) -> Option<Network> {
    let Some((network, is_exact)) = parse(&text.value) else {
        findings.push(
            Finding::error(format!("'{}' is not a network", text.value))
                .at(text.place, "")
                .help("write an address, or a network as \"192.0.2.0/24\" or \"2001:db8::/32\""),
        );
        return None;
    };
    if !is_exact {
        let shown = format!("{}/{}", network.address, network.prefix);
        findings.push(
            Finding::warning(format!(
                "'{}' has bits beyond its prefix: it means all of {shown}",
                text.value
            ))
            .at(text.place, "")
            .help(format!("write \"{shown}\", or the address alone")),
        );
    }
    Some(network)
}

/// The network, and whether it was written without bits beyond its prefix.
fn parse(text: &str) -> Option<(Network, bool)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let written: IpAddr = address.parse().ok()?;
    let width: u8 = if written.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(width), number)?;
    if prefix > width {
        return None;
    }
    // RFC 4291 section 2.5.5.2: a v4-mapped address is an IPv4 address.
    let (address, prefix) = match written.to_canonical() {
        mapped @ IpAddr::V4(_) if written.is_ipv6() && prefix >= 96 => (mapped, prefix - 96),
        _ => (written, prefix),
    };
    let masked = mask(address, prefix);
    let network = Network {
        address: masked,
        prefix,
    };
    Some((network, masked == address))
}

/// Digits alone: `parse` would take a sign.
fn number(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or_default();
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or_default();
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let (network, is_exact) = parse(text)?;
        let mark = if is_exact { "" } else { " ~" };
        Some(format!("{}/{}{mark}", network.address, network.prefix))
    }

    #[test]
    fn networks_and_addresses() {
        for (text, network) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7/24", "192.0.2.0/24 ~"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(network), "{text}");
        }
    }

    #[test]
    fn nothing_else() {
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0.0/8/8",
            "host",
            "10.0.0.0/255.0.0.0",
            "[::1]",
            "010.0.0.1",
            "10.0.0.1:80",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
