//! Connections to an upstream that says exactly what a test wants.

use http::Method;
use proptest::prelude::*;

use super::differential::{compare, ours};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

/// Status and body.
fn read(said: &str, method: &Method) -> Option<(u16, String)> {
    let reading = block_on(ours(&[said.as_bytes()], method))?;
    Some((reading.status, String::from_utf8(reading.body).unwrap()))
}

#[test]
fn the_final_response_counts() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\nContent-Length: 7\r\n\r\n",
    ] {
        let said = format!("{interim}{ok}");
        assert_eq!(read(&said, &Method::GET), Some((200, "ok".into())));
        assert_eq!(read(interim, &Method::GET), None);
    }
}

#[test]
fn who_has_no_body_needs_no_end_of_it() {
    for (said, method) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Method::HEAD),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            Method::GET,
        ),
        (
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            Method::GET,
        ),
    ] {
        let body = read(said, &method).map(|(_, body)| body);
        assert_eq!(body.as_deref(), Some(""), "{said:?}");
    }
}

#[test]
fn a_truncated_body_is_none() {
    for said in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        "",
    ] {
        assert_eq!(read(said, &Method::GET), None, "{said:?}");
    }
    let delimited = read("HTTP/1.1 200 OK\r\n\r\nabc", &Method::GET);
    assert_eq!(delimited, Some((200, "abc".into())));
}

#[test]
fn a_head_has_its_bounds() {
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(200_000));
    assert_eq!(read(&endless, &Method::GET), None);
}

/// Parts that make responses of all kinds, whole and broken.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("HTTP/1.1 200 OK\r\n".to_owned()),
        1 => Just("HTTP/1.0 200 OK\r\n".to_owned()),
        1 => (100..600u32).prop_map(|status| format!("HTTP/1.1 {status} X\r\n")),
        4 => Just("\r\n".to_owned()),
        2 => (0..12u32).prop_map(|length| format!("Content-Length: {length}\r\n")),
        2 => Just("Transfer-Encoding: chunked\r\n".to_owned()),
        1 => Just("Connection: close\r\n".to_owned()),
        2 => Just("5\r\nabcde\r\n0\r\n\r\n".to_owned()),
        1 => Just("0\r\nX: y\r\n\r\n".to_owned()),
        1 => "[ -~\r\n\t\u{0}]{0,12}",
        1 => "[\r\n;,: 0-9a-f]{0,4}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn hyper_sees_the_same_responses(
        start in prop_oneof![Just("HTTP/1.1 200 OK\r\n"), Just("HTTP/1.1 100 \r\n\r\nHTTP/1.1 404 \r\n"), Just("")],
        parts in prop::collection::vec(part(), 0..10),
        cut in 1..40_usize,
        head in any::<bool>(),
    ) {
        let bytes = format!("{start}{}", parts.concat()).into_bytes();
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        let method = if head { Method::HEAD } else { Method::GET };
        block_on(compare(&pieces, method.clone()));
        let whole = block_on(ours(&[&bytes[..]], &method));
        prop_assert_eq!(block_on(ours(&pieces, &method)), whole);
    }
}
