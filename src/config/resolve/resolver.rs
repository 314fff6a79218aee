//! `[proxy] resolver`: the addresses of name servers.

use std::net::{IpAddr, SocketAddr};

use super::super::report::{Finding, Findings};
use super::super::source::Located;

/// Of DNS (RFC 1035 section 4.2).
const PORT: u16 = 53;
/// Beyond these no server is worth waiting for.
const MOST: usize = 8;

/// The servers, each once, in their order; what is none becomes a finding.
pub(super) fn resolve(list: &[Located<String>], findings: &Findings) -> Vec<SocketAddr> {
    if let Some(surplus) = list.get(MOST) {
        findings.push(
            Finding::error(format!("'proxy.resolver' has more than {MOST} servers"))
                .at(surplus.place, "")
                .help("the next one is asked when the one before does not answer: remove some"),
        );
    }
    let mut servers = Vec::new();
    for text in list {
        match parse(&text.value) {
            Some(server) if servers.contains(&server) => {}
            Some(server) => servers.push(server),
            None => findings.push(
                Finding::error(format!("'{}' is not the address of a name server", text.value))
                    .at(text.place, "")
                    .help("write an IP address, with a port unless it is 53: \"192.0.2.53\", \"127.0.0.1:5353\", \"[::1]:5353\""),
            ),
        }
    }
    servers
}

fn parse(text: &str) -> Option<SocketAddr> {
    let bare = || {
        let inner = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let address: IpAddr = inner.unwrap_or(text).parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    };
    let server = text.parse().ok().or_else(bare)?;
    let usable = server.port() > 0 && !server.ip().is_unspecified() && !server.ip().is_multicast();
    usable.then_some(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_or_the_usual_one() {
        for (text, expected) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("127.0.0.1:5353", Some("127.0.0.1:5353")),
            ("::1", Some("[::1]:53")),
            ("[::1]", Some("[::1]:53")),
            ("[::1]:5353", Some("[::1]:5353")),
            ("127.0.0.1:0", None),
            ("0.0.0.0", None),
            ("dns.example", None),
            ("", None),
        ] {
            let parsed = parse(text).map(|server| server.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }
}
