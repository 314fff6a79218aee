//! `Max-Forwards`: how many servers a request may still pass (RFC 9110 section 7.6.2). It speaks of OPTIONS, and of TRACE,
//! which nobody gets here.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

const MAX_FORWARDS: HeaderName = HeaderName::from_static("max-forwards");

/// Whether `request` may go to another server, which takes one hop off.
pub(super) fn allow<B>(request: &mut Request<B>) -> bool {
    request.method() != Method::OPTIONS || spend(request.headers_mut())
}

/// Takes one hop off; false when none is left. What is no number is left alone.
fn spend(headers: &mut HeaderMap) -> bool {
    let mut values = headers.get_all(MAX_FORWARDS).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return true;
    };
    let Some(hops) = hops(value) else { return true };
    let Some(left) = hops.checked_sub(1) else {
        return false;
    };
    headers.insert(MAX_FORWARDS, left.into());
    true
}

/// No more than we count.
fn hops(value: &HeaderValue) -> Option<u32> {
    let text = value.to_str().ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(values: &[&'static str]) -> Option<Vec<String>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(MAX_FORWARDS, HeaderValue::from_static(value));
        }
        let rest = spend(&mut headers).then_some(headers)?;
        let rest = rest.get_all(MAX_FORWARDS).iter();
        Some(rest.map(|value| value.to_str().unwrap().into()).collect())
    }

    #[test]
    fn each_server_takes_one() {
        for (values, left) in [
            (&["0"][..], None),
            (&["00"], None),
            (&["1"], Some(&["0"][..])),
            (&["10"], Some(&["9"])),
            (&["99999999999999999999"], Some(&["4294967294"])),
            (&[""], Some(&[""])),
            (&["-1"], Some(&["-1"])),
            (&["+1"], Some(&["+1"])),
            (&["0, 0"], Some(&["0, 0"])),
            (&["0", "0"], Some(&["0", "0"])),
            (&[], Some(&[])),
        ] {
            let left = left.map(|left| left.iter().map(ToString::to_string).collect());
            assert_eq!(spent(values), left, "{values:?}");
        }
    }
}
