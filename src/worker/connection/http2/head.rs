//! The fields of a response as they go out over HTTP/2.

use std::cell::RefCell;
use std::time::SystemTime;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue};

use crate::worker::activity::Ticks;

/// Takes out what only concerns an HTTP/1 connection (RFC 9113 section 8.2.2).
pub fn strip_connection_fields(headers: &mut HeaderMap) {
    if !headers.keys().any(is_of_connection) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_of_connection(name))
        .cloned()
        .collect();
    for name in own.into_iter().chain(named) {
        headers.remove(name);
    }
}

fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade"
    )
}

/// Says when the response was made, unless somebody did (RFC 9110 section 6.6.1). `now` is the thread's clock: a date
/// that it has seen is written once.
pub fn date(headers: &mut HeaderMap, now: Ticks) {
    headers.entry(DATE).or_insert_with(|| today(now));
}

/// Says how long the body is, unless somebody did.
pub fn announce_length(headers: &mut HeaderMap, length: u64) {
    headers
        .entry(CONTENT_LENGTH)
        .or_insert_with(|| HeaderValue::from(length));
}

fn today(now: Ticks) -> HeaderValue {
    thread_local! {
        static WRITTEN: RefCell<Option<(Ticks, HeaderValue)>> = const { RefCell::new(None) };
    }
    WRITTEN.with_borrow_mut(|written| match written {
        Some((then, date)) if *then == now => date.clone(),
        _ => {
            let text = httpdate::fmt_http_date(SystemTime::now());
            let date = HeaderValue::try_from(text).expect("a date is ASCII");
            *written = Some((now, date.clone()));
            date
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_concerns_one_connection_goes() {
        let mut all = headers(&[
            ("connection", "close, x-private"),
            ("connection", "X-Other"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "trailers"),
            ("proxy-connection", "close"),
            ("x-private", "1"),
            ("x-other", "1"),
            ("content-type", "text/plain"),
        ]);
        strip_connection_fields(&mut all);
        assert_eq!(all, headers(&[("content-type", "text/plain")]));
    }

    #[test]
    fn nothing_is_said_twice() {
        let said = [
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("content-length", "5"),
        ];
        let mut all = headers(&said);
        date(&mut all, 1);
        announce_length(&mut all, 7);
        assert_eq!(all, headers(&said));
        let mut none = HeaderMap::new();
        date(&mut none, 1);
        announce_length(&mut none, 7);
        assert_eq!(none[CONTENT_LENGTH], "7");
        assert!(httpdate::parse_http_date(none[DATE].to_str().unwrap()).is_ok());
    }
}
