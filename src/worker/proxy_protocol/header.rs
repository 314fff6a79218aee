//! The header of the PROXY protocol, versions 1 and 2 (haproxy.org, "The PROXY protocol", 2020), read strictly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// How version 2 begins.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// How version 1 begins.
pub(super) const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, its end included.
pub(super) const LONGEST_LINE: usize = 107;

/// Who is behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Client(SocketAddr),
    /// The proxy speaks for itself (its health checks do), or does not know.
    Proxy,
}

/// A line of version 1, its end included. None when it is none.
pub(super) fn parse_line(line: &[u8]) -> Option<Source> {
    let line = line.strip_prefix(WORD)?.strip_suffix(b"\r\n")?;
    if line.len() + WORD.len() + 2 > LONGEST_LINE {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    let mut fields = text.split(' ');
    let address = match fields.next()? {
        // Whatever follows is to be passed over.
        "UNKNOWN" => return Some(Source::Proxy),
        "TCP4" => pair::<Ipv4Addr>(&mut fields)?,
        "TCP6" => pair::<Ipv6Addr>(&mut fields)?,
        _ => return None,
    };
    let [source, _] = [port(fields.next()?)?, port(fields.next()?)?];
    fields.next().is_none().then(|| client(address, source))
}

/// The source of source and destination.
fn pair<'a, T: FromStr + Into<IpAddr>>(
    fields: &mut impl Iterator<Item = &'a str>,
) -> Option<IpAddr> {
    let source: T = fields.next()?.parse().ok()?;
    fields.next()?.parse::<T>().ok()?;
    Some(source.into())
}

/// Digits alone, without a zero before them.
fn port(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// What follows the signature of version 2: command, family, and how many bytes are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preamble {
    is_local: bool,
    family: u8,
    pub(super) length: u16,
}

impl Preamble {
    pub(super) fn parse([command, family, high, low]: [u8; 4]) -> Option<Self> {
        let is_local = match command {
            0x20 => true,
            0x21 => false,
            _ => return None,
        };
        // Three families and two transports, or none of either.
        let is_known = family >> 4 <= 3 && family & 15 <= 2;
        is_known.then_some(Self {
            is_local,
            family,
            length: u16::from_be_bytes([high, low]),
        })
    }

    /// `rest` is as long as announced; what follows the addresses (TLVs) is passed over. None when it is too short.
    pub(super) fn source(self, rest: &[u8]) -> Option<Source> {
        if self.is_local {
            return Some(Source::Proxy);
        }
        match self.family {
            0x11 => {
                let (addresses, port) = rest.get(..12)?.split_at(8);
                let source: [u8; 4] = addresses[..4].try_into().ok()?;
                Some(client(IpAddr::from(source), big_endian(port)))
            }
            0x21 => {
                let (addresses, port) = rest.get(..36)?.split_at(32);
                let source: [u8; 16] = addresses[..16].try_into().ok()?;
                Some(client(IpAddr::from(source), big_endian(port)))
            }
            // Unspecified, a Unix socket, or datagrams, which this is not.
            _ => Some(Source::Proxy),
        }
    }
}

fn big_endian(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn client(address: IpAddr, port: u16) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Option<String> {
        parse_line(text.as_bytes()).map(shown)
    }

    fn shown(source: Source) -> String {
        match source {
            Source::Client(address) => address.to_string(),
            Source::Proxy => "proxy".to_owned(),
        }
    }

    fn binary(start: [u8; 4], rest: &[u8]) -> Option<String> {
        Preamble::parse(start)?.source(rest).map(shown)
    }

    #[test]
    fn lines_of_version_1() {
        for (text, source) in [
            (
                "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n",
                "192.0.2.1:56324",
            ),
            ("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "[2001:db8::1]:1"),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1"),
            ("PROXY UNKNOWN\r\n", "proxy"),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "proxy"),
        ] {
            assert_eq!(line(text).as_deref(), Some(source), "{text}");
        }
        for text in [
            "",
            "PROXY",
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 x 1 2\r\n",
            "proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "GET / HTTP/1.1\r\n",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
        assert_eq!(
            line(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(100))),
            None
        );
    }

    #[test]
    fn version_2() {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 1, 187];
        assert_eq!(
            binary([0x21, 0x11, 0, 12], &v4).as_deref(),
            Some("192.0.2.1:4660")
        );
        let with_tlv = [&v4[..], &[4, 0, 1, 0]].concat();
        assert_eq!(
            binary([0x21, 0x11, 0, 16], &with_tlv).as_deref(),
            Some("192.0.2.1:4660")
        );
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(
            binary([0x21, 0x21, 0, 36], &v6).as_deref(),
            Some("[2001:db8::1]:0")
        );
        for start in [
            [0x20, 0x11, 0, 0],
            [0x21, 0, 0, 0],
            [0x20, 0, 0, 9],
            [0x21, 0x31, 0, 216],
        ] {
            assert_eq!(binary(start, &[]).as_deref(), Some("proxy"), "{start:?}");
        }
        for start in [
            [0x22, 0x11, 0, 12],
            [0x11, 0x11, 0, 12],
            [0x01, 0x11, 0, 12],
            [0x21, 0x41, 0, 12],
            [0x21, 0x13, 0, 12],
            [0x21, 0x21, 0, 12],
        ] {
            assert_eq!(binary(start, &v4), None, "{start:?}");
        }
        assert_eq!(binary([0x21, 0x11, 0, 11], &v4[..11]), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(start: [u8; 4], bytes: Vec<u8>, text in "PROXY (TCP4|TCP6)[ -~]{0,90}\r\n") {
            let _ = binary(start, &bytes);
            let _ = parse_line(&bytes);
            let _ = parse_line(text.as_bytes());
        }
    }
}
