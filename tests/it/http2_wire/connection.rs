//! Sections 3 and 4: the start of a connection, and the format of frames.
#![allow(clippy::too_many_lines, reason = "tables")]

use super::Expected::{Answer, Connection, End, Nothing};
use super::frames::*;
use super::{Case, ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, PROTOCOL_ERROR, case};

pub fn cases() -> Vec<Case> {
    [start(), format(), sizes(), blocks()]
        .into_iter()
        .flatten()
        .collect()
}

fn start() -> Vec<Case> {
    vec![
        case("3.4", "preface and SETTINGS", &[hello(&[])], Nothing),
        case(
            "3.4",
            "a request right after them",
            &[hello(&[]), get(1, "/")],
            Answer(1, 200),
        ),
        case(
            "3.4",
            "a misspelt preface",
            &[b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec()],
            End,
        ),
        case(
            "3.4",
            "PING before SETTINGS",
            &[preface(), frame(PING, 0, 0, b"too soon")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "3.4",
            "a request before SETTINGS",
            &[preface(), get(1, "/")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "3.4",
            "an acknowledgement for SETTINGS",
            &[preface(), frame(SETTINGS, ACK, 0, b"")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "3.4",
            "an unknown frame before SETTINGS",
            &[preface(), frame(0xfe, 0, 0, b"")],
            Connection(PROTOCOL_ERROR),
        ),
    ]
}

fn format() -> Vec<Case> {
    let hello = hello(&[]);
    let mut reserved = get(1, "/");
    reserved[5] |= 0x80;
    let mut reserved_ping = frame(PING, 0, 0, b"12345678");
    reserved_ping[5] |= 0x80;
    vec![
        case(
            "4.1",
            "an unknown frame type is ignored",
            &[hello.clone(), frame(0xff, 0xff, 0, b"abc")],
            Nothing,
        ),
        case(
            "4.1",
            "an unknown type on a stream",
            &[hello.clone(), frame(0x16, 0, 1, b"abc"), get(1, "/")],
            Answer(1, 200),
        ),
        case(
            "4.1",
            "an unknown type, empty",
            &[hello.clone(), frame(0xfd, 0, 0, b""), get(1, "/")],
            Answer(1, 200),
        ),
        case(
            "4.1",
            "unknown flags of PING",
            &[hello.clone(), frame(PING, 0xfe, 0, b"12345678")],
            Nothing,
        ),
        case(
            "4.1",
            "unknown flags of HEADERS",
            &[hello.clone(), headers(END_STREAM | 0x52, 1, &GET)],
            Answer(1, 200),
        ),
        case(
            "4.1",
            "unknown flags of SETTINGS",
            &[hello.clone(), frame(SETTINGS, 0xfe, 0, b"")],
            Nothing,
        ),
        case(
            "4.1",
            "the reserved bit of a request",
            &[hello.clone(), reserved],
            Answer(1, 200),
        ),
        case(
            "4.1",
            "the reserved bit of PING",
            &[hello, reserved_ping],
            Nothing,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let hello = hello(&[]);
    let over = 16385;
    let full = [post(1, &[]), data(END_STREAM, 1, &[b'x'; 16384])].concat();
    let long = "x".repeat(15_000);
    vec![
        case(
            "4.2",
            "DATA of 16384 bytes",
            &[hello.clone(), full],
            Answer(1, 200),
        ),
        case(
            "4.2",
            "HEADERS of nearly 16384 bytes",
            &[hello.clone(), get_with(1, &[("x-long", &long)])],
            Answer(1, 200),
        ),
        case(
            "4.2",
            "DATA beyond the limit",
            &[hello.clone(), post(1, &[]), data(0, 1, &vec![0; over])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "4.2",
            "HEADERS beyond the limit",
            &[hello.clone(), frame(HEADERS, 5, 1, &vec![0; over])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "4.2",
            "SETTINGS beyond the limit",
            &[hello.clone(), frame(SETTINGS, 0, 0, &vec![0; 16386])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "4.2",
            "an unknown type beyond the limit",
            &[hello.clone(), frame(0xf0, 0, 0, &vec![0; over])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "4.2",
            "a head alone that says 2^24-1",
            &[hello, head(0xff_ffff, DATA, 0, 1)],
            Connection(FRAME_SIZE_ERROR),
        ),
    ]
}

fn blocks() -> Vec<Case> {
    let hello = hello(&[]);
    let open = frame(HEADERS, END_STREAM, 1, &block(&GET));
    let refused = |what, between: Vec<u8>| {
        case(
            "4.3",
            what,
            &[hello.clone(), open.clone(), between],
            Connection(PROTOCOL_ERROR),
        )
    };
    let pieces: Vec<Vec<u8>> = block(&GET)
        .chunks(16)
        .map(|part| frame(CONTINUATION, 0, 1, part))
        .collect();
    let drip = [
        frame(HEADERS, END_STREAM, 1, b""),
        pieces.concat(),
        frame(CONTINUATION, END_HEADERS, 1, b""),
    ]
    .concat();
    let endless = frame(CONTINUATION, 0, 1, b"").repeat(100);
    let half = block(&GET);
    let split = [
        frame(HEADERS, END_STREAM, 1, &half[..20]),
        frame(CONTINUATION, END_HEADERS, 1, &half[20..]),
    ]
    .concat();
    vec![
        case(
            "4.3",
            "a block in two frames",
            &[hello.clone(), split],
            Answer(1, 200),
        ),
        case(
            "4.3",
            "a block in a few frames",
            &[hello.clone(), drip],
            Answer(1, 200),
        ),
        case(
            "4.3",
            "a block without end",
            &[hello.clone(), open.clone(), endless],
            Connection(ENHANCE_YOUR_CALM),
        ),
        refused("DATA within a block", data(0, 1, b"x")),
        refused("HEADERS of another stream within a block", get(3, "/")),
        refused("HEADERS of the same stream within a block", get(1, "/")),
        refused("PRIORITY within a block", priority(1, 0)),
        refused("RST_STREAM within a block", reset(1, 8)),
        refused("SETTINGS within a block", settings(&[])),
        refused("PING within a block", frame(PING, 0, 0, b"12345678")),
        refused("GOAWAY within a block", frame(GOAWAY, 0, 0, &[0; 8])),
        refused("WINDOW_UPDATE within a block", window_update(0, 1)),
        refused("an unknown type within a block", frame(0xf1, 0, 1, b"")),
        refused(
            "CONTINUATION of another stream",
            frame(CONTINUATION, END_HEADERS, 3, b""),
        ),
    ]
}
