//! What the peer sees stands in tests/it/http2_wire.rs; here: any cut, and the bounds of the ledger.

use super::*;
use crate::config::types::HeadLimits;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

fn opening() -> Vec<u8> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    [preface, frame(kind::SETTINGS, 0, 0, &[0; 6])].concat()
}

/// What [`last_words`] says is more than any configuration has `h2` take.
#[test]
fn no_header_list_is_as_long_as_the_last_words() {
    let longest = HeadLimits {
        size: HeadLimits::LARGEST_SIZE,
        fields: HeadLimits::MOST_FIELDS,
        target: 0,
    };
    let frames = crate::worker::connection::max_header_list(&longest) as usize / 16_384;
    let words = last_words::of(Fault::EnhanceYourCalm, 0).len() / HEAD;
    assert!(frames + frames / 4 + 2 < words, "{frames}, {words}");
}

#[test]
fn any_cut_gives_the_same() {
    let harmless = [
        opening(),
        frame(kind::HEADERS, flag::END_HEADERS, 1, b"abcdefghijklm"),
        frame(kind::DATA, 0, 1, &[9; 100]),
        frame(kind::PING, 0, 0, &[1; 8]),
        frame(77, 3, 5, b""),
    ]
    .concat();
    let bad = [harmless.clone(), frame(kind::PING, 0, 0, b"1234567")].concat();
    let words = last_words::of(Fault::FrameSize, 0);
    for size in 1..bad.len() {
        assert_eq!(sifted(&harmless, size), (harmless.clone(), None), "{size}");
        let expected = [&harmless[..], &words].concat();
        assert_eq!(
            sifted(&bad, size),
            (expected, Some(Fault::FrameSize)),
            "{size}"
        );
    }
}

#[test]
fn what_costs_and_brings_nothing_comes_to_an_end() {
    let floods = [
        (frame(kind::PING, 0, 0, &[0; 8]), 300),
        (frame(kind::SETTINGS, 0, 0, b""), 100),
        (frame(kind::SETTINGS, 0, 0, &[0; 600]), 23),
        (frame(kind::PRIORITY, 0, 3, &[0; 5]), 300),
        (frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), 300),
        (frame(0xfa, 0, 0, b""), 300),
        (frame(kind::DATA, 0, 1, b""), 300),
        (frame(kind::RST_STREAM, 0, 1, &[0; 4]), 50),
    ];
    for (flood, allowed) in floods {
        let spent = usize::from(flood[3] != kind::SETTINGS) * 3;
        let few = [opening(), flood.repeat(allowed - spent - 1)].concat();
        assert_eq!(sifted(&few, 4096).1, None, "{flood:?}");
        let many = [opening(), flood.repeat(allowed + 1)].concat();
        assert_eq!(
            sifted(&many, 4096).1,
            Some(Fault::EnhanceYourCalm),
            "{flood:?}"
        );
    }
}

#[test]
fn a_busy_client_earns_what_it_needs() {
    // Each request with its window updates and priority, for ever; a tenth of them is taken back.
    let mut watch = Watch::new(0);
    watch.sift(&opening(), 0);
    for stream in 0..100_000u32 {
        let id = stream * 2 + 1;
        let reset = if stream % 10 == 0 { 1 } else { 0 };
        let request = [
            frame(kind::HEADERS, 5, id, b"x"),
            frame(16, 0, 0, b"u=1"),
            frame(kind::RST_STREAM, 0, id, &[0; 4]).repeat(reset),
            frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 4, 0]),
        ]
        .concat();
        watch.sift(&request, stream / 2000);
        watch.sent(1024);
    }
    assert_eq!(watch.fault, None);
}

#[test]
fn a_small_window_is_no_flood() {
    // What was read is granted at once, of the stream and of the connection.
    let mut watch = Watch::new(0);
    watch.sift(&opening(), 0);
    let grant = |stream| frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 2, 0]);
    for _ in 0..20_000 {
        watch.sent(9 + 512);
        watch.sift(&[grant(1), grant(0)].concat(), 0);
    }
    assert_eq!(watch.fault, None);
}

#[test]
fn time_gives_back_and_never_too_much() {
    let mut watch = Watch::new(0);
    watch.sift(&opening(), 0);
    let pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(990);
    watch.sift(&pings, 1_000_000);
    assert_eq!(watch.fault, None);
    watch.sift(&pings, 1_000_001);
    assert_eq!(watch.fault, Some(Fault::EnhanceYourCalm));
}

#[test]
fn a_turn_ends() {
    let mut watch = Watch::new(0);
    watch.sift(&opening(), 0);
    assert!(!watch.had_its_turn(1));
    watch.sift(&frame(kind::DATA, 0, 1, b"x").repeat(300), 0);
    assert!(watch.had_its_turn(1) && !watch.had_its_turn(2));
}
