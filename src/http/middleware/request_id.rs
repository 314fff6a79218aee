//! `X-Request-Id`: one name for a request in the logs of everybody who handles it.

use std::cell::Cell;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(in crate::http) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not taken over.
const LONGEST: usize = 128;

thread_local! {
    /// Random bits of this thread, and how many it has named.
    static NAMED: Cell<(u64, u64)> = Cell::new((random(), random()));
}

/// Names a request: as a trusted proxy does, else anew. The upstream reads it, too.
pub(super) fn name(headers: &mut HeaderMap, is_trusted: bool) -> HeaderValue {
    let given = headers
        .get(X_REQUEST_ID)
        .filter(|given| is_trusted && is_sane(given));
    let id = given.cloned().unwrap_or_else(make);
    headers.insert(X_REQUEST_ID, id.clone());
    id
}

/// What neither breaks a log nor a command line.
fn is_sane(id: &HeaderValue) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~:+/=@".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(fits)
}

fn make() -> HeaderValue {
    let (thread, number) = NAMED.with(|named| {
        let (thread, number) = named.get();
        named.set((thread, number.wrapping_add(1)));
        (thread, number)
    });
    let mut text = [0; 32];
    write(thread, &mut text[..16]);
    write(number, &mut text[16..]);
    HeaderValue::from_bytes(&text).expect("hexadecimal digits are visible ASCII")
}

fn write(mut number: u64, text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(number & 15) as usize];
        number >>= 4;
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random bytes");
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(given: &'static str, is_trusted: bool) -> String {
        let mut headers = HeaderMap::new();
        headers.append(X_REQUEST_ID, HeaderValue::from_static(given));
        let id = name(&mut headers, is_trusted);
        assert_eq!(
            headers.get_all(X_REQUEST_ID).iter().collect::<Vec<_>>(),
            [&id]
        );
        id.to_str().unwrap().to_owned()
    }

    #[test]
    fn only_a_trusted_proxy_names_requests() {
        assert_eq!(named("req-1/a.b:c", true), "req-1/a.b:c");
        for (given, is_trusted) in [("req-1", false), ("", true), ("a b", true), ("a\"b", true)] {
            assert_eq!(named(given, is_trusted).len(), 32, "{given}");
        }
        let long = &*Box::leak("x".repeat(129).into_boxed_str());
        assert_eq!(named(long, true).len(), 32);
    }

    #[test]
    fn no_two_are_equal() {
        let names = || (0..1000).map(|_| named("", false)).collect::<Vec<_>>();
        let mut all = names();
        all.extend(std::thread::spawn(names).join().unwrap());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2000);
    }
}
