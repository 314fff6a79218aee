//! Section 6: PUSH_PROMISE, PING, GOAWAY, and the windows.
#![allow(clippy::too_many_lines, reason = "tables")]

use super::Expected::{Answer, Connection, Either, Nothing, Stream};
use super::frames::*;
use super::{Case, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, case};

pub fn cases() -> Vec<Case> {
    [push_ping_goaway(), windows()]
        .into_iter()
        .flatten()
        .collect()
}

fn push_ping_goaway() -> Vec<Case> {
    let hello = hello(&[]);
    let promise = [&2u32.to_be_bytes()[..], &block(&GET)].concat();
    let goaway = |stream, payload: &[u8]| frame(GOAWAY, 0, stream, payload);
    vec![
        case(
            "6.6",
            "PUSH_PROMISE from a client",
            &[
                hello.clone(),
                get(1, "/large.bin"),
                frame(PUSH_PROMISE, END_HEADERS, 1, &promise),
            ],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.7",
            "PING",
            &[hello.clone(), frame(PING, 0, 0, b"12345678")],
            Nothing,
        ),
        case(
            "6.7",
            "an answer to a PING that was never sent",
            &[hello.clone(), frame(PING, ACK, 0, b"12345678")],
            Nothing,
        ),
        case(
            "6.7",
            "PING on a stream",
            &[hello.clone(), frame(PING, 0, 1, b"12345678")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.7",
            "PING of six bytes",
            &[hello.clone(), frame(PING, 0, 0, b"123456")],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.7",
            "PING of nothing",
            &[hello.clone(), frame(PING, 0, 0, b"")],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.8",
            "GOAWAY on a stream",
            &[hello.clone(), goaway(1, &[0; 8])],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.8",
            "GOAWAY of four bytes",
            &[hello, goaway(0, &[0; 4])],
            Connection(FRAME_SIZE_ERROR),
        ),
    ]
}

fn windows() -> Vec<Case> {
    let hello = hello(&[(4, 0)]);
    let asked = [hello.clone(), get(1, "/large.bin")].concat();
    let most = 0x7fff_ffff;
    // More than the window of a stream (256 KiB), less than that of the connection.
    let too_much: Vec<u8> = (0..20).flat_map(|_| data(0, 1, &[0; 16384])).collect();
    vec![
        case(
            "6.9",
            "WINDOW_UPDATE of 0 for the connection",
            &[hello.clone(), window_update(0, 0)],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.9",
            "WINDOW_UPDATE of 0 for a stream",
            &[asked.clone(), window_update(1, 0)],
            Either(1, PROTOCOL_ERROR),
        ),
        case(
            "6.9",
            "WINDOW_UPDATE of three bytes",
            &[hello.clone(), frame(WINDOW_UPDATE, 0, 0, &[0; 3])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.9",
            "WINDOW_UPDATE of five bytes",
            &[hello.clone(), frame(WINDOW_UPDATE, 0, 0, &[0; 5])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.9",
            "the reserved bit of an increment",
            &[hello.clone(), window_update(0, 0x8000_0001)],
            Nothing,
        ),
        case(
            "6.9",
            "more DATA than the window",
            &[
                hello.clone(),
                post(1, &[("content-length", "10000000")]),
                too_much,
            ],
            Either(1, FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.1",
            "a connection's window above 2^31-1",
            &[
                hello.clone(),
                window_update(0, most),
                window_update(0, most),
            ],
            Connection(FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.1",
            "a stream's window above 2^31-1",
            &[asked.clone(), window_update(1, most), window_update(1, 1)],
            Stream(1, FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.2",
            "a stream's window above 2^31-1 by SETTINGS",
            &[asked.clone(), window_update(1, most), settings(&[(4, 1)])],
            Connection(FLOW_CONTROL_ERROR),
        ),
        case(
            "6.9.2",
            "a window below zero",
            &[
                hello.clone(),
                settings(&[(4, 100)]),
                get(1, "/large.bin"),
                settings(&[(4, 0)]),
            ],
            Answer(1, 200),
        ),
        case(
            "6.10",
            "CONTINUATION after a whole block",
            &[asked, frame(CONTINUATION, END_HEADERS, 1, b"")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10",
            "CONTINUATION on stream 0",
            &[hello, frame(CONTINUATION, END_HEADERS, 0, b"")],
            Connection(PROTOCOL_ERROR),
        ),
    ]
}
