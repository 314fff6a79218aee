//! Section 5: the states of streams, their numbers, concurrency and errors.
#![allow(clippy::too_many_lines, reason = "tables")]

use super::Expected::{Answer, Connection, Nothing, Stream};
use super::frames::*;
use super::{Case, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, case};

pub fn cases() -> Vec<Case> {
    [
        idle(),
        half_closed(),
        closed(),
        numbers(),
        limits(),
        errors(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn idle() -> Vec<Case> {
    let refused = |what, bytes: Vec<u8>| {
        case(
            "5.1",
            what,
            &[hello(&[]), bytes],
            Connection(PROTOCOL_ERROR),
        )
    };
    vec![
        refused("idle: DATA", data(END_STREAM, 1, b"test")),
        refused("idle: RST_STREAM", reset(1, 8)),
        refused("idle: WINDOW_UPDATE", window_update(1, 100)),
        refused(
            "idle: CONTINUATION",
            frame(CONTINUATION, END_HEADERS, 1, &block(&GET)),
        ),
        refused(
            "idle: DATA above the newest stream",
            [get(1, "/"), data(END_STREAM, 3, b"test")].concat(),
        ),
        refused("idle: RST_STREAM of a server's stream", reset(2, 8)),
        refused(
            "idle: WINDOW_UPDATE of a server's stream",
            window_update(2, 1),
        ),
        case(
            "5.1",
            "idle: PRIORITY",
            &[hello(&[]), priority(1, 0)],
            Nothing,
        ),
        case(
            "5.1",
            "idle: PRIORITY, then the request",
            &[hello(&[]), priority(1, 0), get(1, "/")],
            Answer(1, 200),
        ),
    ]
}

fn half_closed() -> Vec<Case> {
    // A window of nothing, so that the response is still to come.
    let hello = hello(&[(4, 0)]);
    let asked = [hello.clone(), get(1, "/large.bin")].concat();
    let after =
        |what, bytes: Vec<u8>, expected| case("5.1", what, &[asked.clone(), bytes], expected);
    vec![
        after(
            "half-closed (remote): DATA",
            data(END_STREAM, 1, b"test"),
            Connection(PROTOCOL_ERROR),
        ),
        after(
            "half-closed (remote): HEADERS",
            get(1, "/"),
            Connection(PROTOCOL_ERROR),
        ),
        after(
            "half-closed (remote): CONTINUATION",
            frame(CONTINUATION, END_HEADERS, 1, &block(&GET)),
            Connection(PROTOCOL_ERROR),
        ),
        after(
            "half-closed (remote): WINDOW_UPDATE",
            window_update(1, 10),
            Answer(1, 200),
        ),
        after(
            "half-closed (remote): PRIORITY",
            priority(1, 0),
            Answer(1, 200),
        ),
        after("half-closed (remote): RST_STREAM", reset(1, 8), Nothing),
    ]
}

fn closed() -> Vec<Case> {
    let asked = [hello(&[(4, 0)]), get(1, "/large.bin"), reset(1, 8)].concat();
    // A request on another stream lets the server see the end of the first.
    let long_ago = [asked.clone(), get(3, "/")].concat();
    let after =
        |what, bytes: Vec<u8>, expected| case("5.1", what, &[asked.clone(), bytes], expected);
    vec![
        after(
            "closed by RST_STREAM: HEADERS",
            get(1, "/"),
            Connection(PROTOCOL_ERROR),
        ),
        after(
            "closed by RST_STREAM: CONTINUATION",
            frame(CONTINUATION, END_HEADERS, 1, b""),
            Connection(PROTOCOL_ERROR),
        ),
        after("closed by RST_STREAM: PRIORITY", priority(1, 0), Nothing),
        after(
            "closed by RST_STREAM: WINDOW_UPDATE",
            window_update(1, 1),
            Nothing,
        ),
        after("closed by RST_STREAM: RST_STREAM", reset(1, 8), Nothing),
        case(
            "5.1",
            "closed by RST_STREAM: the next request",
            &[long_ago],
            Answer(3, 200),
        ),
        case(
            "5.1",
            "closed: DATA for a stream that was passed over",
            &[hello(&[]), get(5, "/"), data(0, 3, b"x")],
            Stream(3, STREAM_CLOSED),
        ),
    ]
}

fn numbers() -> Vec<Case> {
    let hello = hello(&[]);
    vec![
        case(
            "5.1.1",
            "an even number",
            &[hello.clone(), get(2, "/")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "5.1.1",
            "a number smaller than the one before",
            &[hello.clone(), get(5, "/"), get(3, "/")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "5.1.1",
            "stream 0",
            &[hello.clone(), get(0, "/")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "5.1.1",
            "numbers may be left out",
            &[hello.clone(), get(1, "/"), get(101, "/")],
            Answer(101, 200),
        ),
        case(
            "5.1.1",
            "the greatest number",
            &[hello, get(0x7fff_ffff, "/")],
            Answer(0x7fff_ffff, 200),
        ),
    ]
}

fn limits() -> Vec<Case> {
    let many: Vec<u8> = (0..129)
        .flat_map(|index| get(2 * index + 1, "/large.bin"))
        .collect();
    let all_but_one: Vec<u8> = (0..128)
        .flat_map(|index| get(2 * index + 1, "/large.bin"))
        .collect();
    let after_reset = [all_but_one.clone(), reset(1, 8), get(257, "/large.bin")].concat();
    let hello = hello(&[(4, 0)]);
    vec![
        case(
            "5.1.2",
            "as many streams as are allowed",
            &[hello.clone(), all_but_one],
            Answer(255, 200),
        ),
        case(
            "5.1.2",
            "one stream too many",
            &[hello.clone(), many],
            Stream(257, REFUSED_STREAM),
        ),
        case(
            "5.1.2",
            "a stream that was reset makes room",
            &[hello, after_reset],
            Answer(257, 200),
        ),
    ]
}

fn errors() -> Vec<Case> {
    let hello = hello(&[]);
    let itself = [1u32.to_be_bytes().to_vec(), vec![15], block(&GET)].concat();
    let depends_on_itself = frame(HEADERS, END_STREAM | END_HEADERS | PRIORITIZED, 1, &itself);
    let bad = get_with(3, &[("connection", "close")]);
    let mixed = [get(1, "/none"), bad, get(5, "/")].concat();
    vec![
        case(
            "5.3.1",
            "HEADERS that depends on itself",
            &[hello.clone(), depends_on_itself],
            Stream(1, PROTOCOL_ERROR),
        ),
        case(
            "5.3.1",
            "PRIORITY that depends on itself",
            &[hello.clone(), get(1, "/large.bin"), priority(1, 1)],
            Stream(1, PROTOCOL_ERROR),
        ),
        case(
            "5.4.2",
            "other streams go on after one's error",
            &[hello.clone(), mixed],
            Answer(5, 200),
        ),
        case(
            "5.4.2",
            "RST_STREAM with an unknown code",
            &[hello.clone(), get(1, "/large.bin"), reset(1, 0xff)],
            Nothing,
        ),
        case(
            "5.5",
            "an extension frame on a stream",
            &[hello.clone(), frame(0x20, 0, 1, b"x"), get(1, "/")],
            Answer(1, 200),
        ),
        case(
            "5.5",
            "an unknown setting",
            &[hello, settings(&[(0xff, 1), (0, 2)])],
            Nothing,
        ),
    ]
}
