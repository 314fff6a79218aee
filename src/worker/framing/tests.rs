//! What is refused stands on the wire in tests/it/smuggling.rs as well; here: any cut, and agreement with hyper.

use proptest::prelude::*;

use super::differential::{cut, served, sifted, verdict};
use super::{Refusal, Scanner};
use crate::config::types::HeadLimits;

fn head(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

#[test]
fn limits_are_exact() {
    let limits = HeadLimits {
        size: 2000,
        fields: 7,
        target: 1000,
    };
    let verdict = |bytes: String| {
        let mut scanner = Scanner::new(limits);
        scanner.scan(bytes.as_bytes());
        scanner.refusal()
    };
    let target = |length: usize| {
        let target = "a".repeat(length - 1);
        verdict(format!("GET /{target} HTTP/1.1\r\n\r\n"))
    };
    assert_eq!(target(1000), None);
    assert_eq!(target(1001), Some(Refusal::TargetTooLong));
    let size = |length: usize| {
        let value = "a".repeat(length - "GET / HTTP/1.1\r\nX: \r\n\r\n".len());
        verdict(format!("GET / HTTP/1.1\r\nX: {value}\r\n\r\n"))
    };
    assert_eq!(size(2000), None);
    for more in 1..5 {
        assert_eq!(size(2000 + more), Some(Refusal::FieldsTooLarge));
    }
    let fields = |count: usize| {
        verdict(format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: b\r\n".repeat(count)
        ))
    };
    assert_eq!(fields(7), None);
    assert_eq!(fields(8), Some(Refusal::FieldsTooLarge));
}

#[test]
fn a_request_line_that_is_a_whole_head_is_no_longer_than_one() {
    let limits = HeadLimits {
        size: 1024,
        fields: 7,
        target: 1024,
    };
    let mut scanner = Scanner::new(limits);
    let target = "a".repeat(1023);
    scanner.scan(format!("GET /{target} HTTP/1.1\r\n\r\n").as_bytes());
    assert_eq!(scanner.refusal(), Some(Refusal::FieldsTooLarge));
}

#[test]
fn what_never_ends_is_refused_without_its_end() {
    let endless = "a".repeat(200 * 1024);
    let begun = |start: &str| verdict(format!("{start}{endless}").as_bytes());
    assert_eq!(begun("GET /"), (0, Some(Refusal::TargetTooLong)));
    assert_eq!(begun(""), (0, Some(Refusal::Malformed)));
    let field = "GET / HTTP/1.1\r\nX: ";
    assert_eq!(begun(field), (0, Some(Refusal::FieldsTooLarge)));
    let chunked = head("Transfer-Encoding: chunked\r\n");
    let text = String::from_utf8(chunked.clone()).unwrap();
    let size = begun(&format!("{text}5;"));
    assert_eq!(size, (chunked.len(), Some(Refusal::Malformed)));
    assert_eq!(verdict(b"\x16\x03\x01"), (0, Some(Refusal::Malformed)));
}

#[test]
fn a_body_passes_as_far_as_it_is_sound() {
    let mut bytes = head("Transfer-Encoding: chunked\r\n");
    bytes.extend(b"3\r\nabc\r\n");
    let sound = bytes.len();
    bytes.extend(b" 3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(verdict(&bytes), (sound, Some(Refusal::Malformed)));
}

#[test]
fn extensions_are_counted_over_the_whole_body() {
    let mut bytes = head("Transfer-Encoding: chunked\r\n");
    bytes.extend(b"1;a=b\r\nx\r\n".repeat(64));
    assert_eq!(verdict(&bytes).1, None);
    bytes.extend(b"1;a\r\n");
    assert_eq!(verdict(&bytes).1, Some(Refusal::Malformed));
}

/// Parts that make messages of all kinds, whole and broken.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("GET / HTTP/1.1\r\n".to_owned()),
        4 => Just("Host: a\r\n".to_owned()),
        4 => Just("\r\n".to_owned()),
        2 => (0..30u32).prop_map(|length| format!("Content-Length: {length}\r\n")),
        2 => Just("Transfer-Encoding: chunked\r\n".to_owned()),
        2 => Just("5\r\nabcde\r\n0\r\n\r\n".to_owned()),
        1 => "[ -~\r\n\t\u{0}]{0,12}",
        1 => "[\r\n;,: 0-9a-f]{0,4}",
        1 => Just("0\r\nX: y\r\n\r\n".to_owned()),
    ]
}

/// A message that is as it should be, and its body.
fn message() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let chunks = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..4);
    let length = prop::collection::vec(any::<u8>(), 0..300);
    let kind = prop_oneof![
        length.prop_map(|body| {
            let mut bytes = head(&format!("Content-Length: {}\r\n", body.len()));
            bytes.extend_from_slice(&body);
            (bytes, body)
        }),
        (chunks, any::<bool>(), any::<bool>()).prop_map(|(chunks, extension, trailer)| {
            let mut bytes = head("transfer-encoding: Chunked\r\nX: \t é \r\n");
            for chunk in &chunks {
                let end = if extension { ";a=\"b\"" } else { "" };
                bytes.extend(format!("{:04X}{end}\r\n", chunk.len()).bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(if trailer {
                &b"0\r\nX-Sum: 1\r\n\r\n"[..]
            } else {
                b"00\r\n\r\n"
            });
            (bytes, chunks.concat())
        }),
        Just((b"\r\nGET /x HTTP/1.1\r\nHost:\r\n\r\n".to_vec(), Vec::new())),
        Just((
            b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            Vec::new()
        )),
    ];
    kind.boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_cut_gives_the_same_verdict(
        parts in prop::collection::vec(part(), 1..12),
        places in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes = parts.concat().into_bytes();
        let (passed, refusal) = verdict(&bytes);
        let whole = (bytes[..passed].to_vec(), refusal);
        prop_assert_eq!(&sifted(&cut(&bytes, &places)), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&sifted(&single), &whole);
    }

    #[test]
    fn hyper_sees_the_same_messages(
        messages in prop::collection::vec(message(), 1..24),
        places in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        prop_assert_eq!(verdict(&bytes), (bytes.len(), None));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bodies = runtime.block_on(served(&cut(&bytes, &places), messages.len()));
        let expected: Vec<Vec<u8>> = messages.into_iter().map(|(_, body)| body).collect();
        prop_assert_eq!(bodies, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn of_broken_input_hyper_sees_what_was_sound(
        parts in prop::collection::vec(part(), 1..24),
        places in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes = parts.concat().into_bytes();
        let mut scanner = Scanner::default();
        scanner.scan(&bytes);
        let complete = scanner.take_heads() as usize - usize::from(scanner.in_body());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bodies = runtime.block_on(served(&cut(&bytes, &places), complete));
        prop_assert_eq!(bodies.len(), complete);
    }
}
