//! Section 6: the frames of streams, and SETTINGS.
#![allow(clippy::too_many_lines, reason = "tables")]

use super::Expected::{Answer, Connection, Either, Nothing, Stream};
use super::frames::*;
use super::{Case, FRAME_SIZE_ERROR, PROTOCOL_ERROR, case};

pub fn cases() -> Vec<Case> {
    [data_and_headers(), priority_and_reset(), settings_frames()]
        .into_iter()
        .flatten()
        .collect()
}

fn padded(length: u8, payload: &[u8]) -> Vec<u8> {
    [&[length][..], payload, &vec![0; usize::from(length)]].concat()
}

fn data_and_headers() -> Vec<Case> {
    let hello = hello(&[]);
    let posted = [hello.clone(), post(1, &[])].concat();
    let ended = frame(DATA, END_STREAM | PADDED, 1, &padded(10, b"body"));
    let priority_fields = [3u32.to_be_bytes().to_vec(), vec![15], block(&GET)].concat();
    let all_flags = END_STREAM | END_HEADERS | PADDED | PRIORITIZED;
    let whole = END_STREAM | END_HEADERS;
    vec![
        case(
            "6.1",
            "DATA on stream 0",
            &[hello.clone(), data(0, 0, b"x")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.1",
            "DATA with padding",
            &[posted.clone(), ended],
            Answer(1, 200),
        ),
        case(
            "6.1",
            "DATA that is all padding",
            &[
                posted.clone(),
                frame(DATA, END_STREAM | PADDED, 1, &padded(9, b"")),
            ],
            Answer(1, 200),
        ),
        case(
            "6.1",
            "padding longer than DATA",
            &[posted.clone(), frame(DATA, PADDED, 1, b"\x05test")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.1",
            "padding as long as DATA",
            &[posted.clone(), frame(DATA, PADDED, 1, b"\x05\0\0\0\0")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.1",
            "padding without a length",
            &[posted.clone(), frame(DATA, PADDED, 1, b"")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.1",
            "DATA that is empty and ends",
            &[posted.clone(), data(END_STREAM, 1, b"")],
            Answer(1, 200),
        ),
        case(
            "6.1",
            "some empty DATA",
            &[
                posted.clone(),
                data(0, 1, b"").repeat(20),
                data(END_STREAM, 1, b"x"),
            ],
            Answer(1, 200),
        ),
        case(
            "6.2",
            "HEADERS with padding",
            &[
                hello.clone(),
                frame(HEADERS, whole | PADDED, 1, &padded(20, &block(&GET))),
            ],
            Answer(1, 200),
        ),
        case(
            "6.2",
            "HEADERS with priority",
            &[
                hello.clone(),
                frame(HEADERS, whole | PRIORITIZED, 1, &priority_fields),
            ],
            Answer(1, 200),
        ),
        case(
            "6.2",
            "HEADERS with both",
            &[
                hello.clone(),
                frame(HEADERS, all_flags, 1, &padded(7, &priority_fields)),
            ],
            Answer(1, 200),
        ),
        case(
            "6.2",
            "padding longer than HEADERS",
            &[hello.clone(), frame(HEADERS, whole | PADDED, 1, b"\xffx")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.2",
            "HEADERS of nothing",
            &[hello, frame(HEADERS, whole, 1, b"")],
            Stream(1, PROTOCOL_ERROR),
        ),
    ]
}

fn priority_and_reset() -> Vec<Case> {
    let hello = hello(&[]);
    let asked = [hello.clone(), get(1, "/large.bin")].concat();
    vec![
        case(
            "6.3",
            "PRIORITY on stream 0",
            &[hello.clone(), priority(0, 1)],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.3",
            "PRIORITY of four bytes",
            &[asked.clone(), frame(PRIORITY, 0, 1, &[0; 4])],
            Either(1, FRAME_SIZE_ERROR),
        ),
        case(
            "6.3",
            "PRIORITY of six bytes",
            &[asked.clone(), frame(PRIORITY, 0, 1, &[0; 6])],
            Either(1, FRAME_SIZE_ERROR),
        ),
        case(
            "6.3",
            "PRIORITY of an idle stream",
            &[hello.clone(), priority(7, 3), get(9, "/")],
            Answer(9, 200),
        ),
        case(
            "6.4",
            "RST_STREAM on stream 0",
            &[hello.clone(), reset(0, 8)],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.4",
            "RST_STREAM of an idle stream",
            &[hello, reset(9, 8)],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.4",
            "RST_STREAM of three bytes",
            &[asked.clone(), frame(RST_STREAM, 0, 1, &[0; 3])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.4",
            "RST_STREAM of five bytes",
            &[asked, frame(RST_STREAM, 0, 1, &[0; 5])],
            Connection(FRAME_SIZE_ERROR),
        ),
    ]
}

fn settings_frames() -> Vec<Case> {
    let hello = hello(&[]);
    let with = |what, entries: &[(u16, u32)], expected| {
        case("6.5.2", what, &[hello.clone(), settings(entries)], expected)
    };
    vec![
        case(
            "6.5",
            "SETTINGS ACK with a payload",
            &[hello.clone(), frame(SETTINGS, ACK, 0, &[0; 6])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.5",
            "SETTINGS ACK with one byte",
            &[hello.clone(), frame(SETTINGS, ACK, 0, &[0])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.5",
            "SETTINGS on a stream",
            &[hello.clone(), frame(SETTINGS, 0, 1, &[0; 6])],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.5",
            "SETTINGS of five bytes",
            &[hello.clone(), frame(SETTINGS, 0, 0, &[0; 5])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.5",
            "SETTINGS of seven bytes",
            &[hello.clone(), frame(SETTINGS, 0, 0, &[0; 7])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case(
            "6.5",
            "SETTINGS of nothing",
            &[hello.clone(), settings(&[])],
            Nothing,
        ),
        with("ENABLE_PUSH of 2", &[(2, 2)], Connection(PROTOCOL_ERROR)),
        with("ENABLE_PUSH of 1", &[(2, 1)], Nothing),
        with(
            "INITIAL_WINDOW_SIZE of 2^31",
            &[(4, 1 << 31)],
            // hyper says the more general code.
            Connection(PROTOCOL_ERROR),
        ),
        with(
            "INITIAL_WINDOW_SIZE of 2^31-1",
            &[(4, (1 << 31) - 1)],
            Nothing,
        ),
        with(
            "MAX_FRAME_SIZE of 16383",
            &[(5, 16383)],
            Connection(PROTOCOL_ERROR),
        ),
        with(
            "MAX_FRAME_SIZE of 2^24",
            &[(5, 1 << 24)],
            Connection(PROTOCOL_ERROR),
        ),
        with("MAX_FRAME_SIZE of 2^24-1", &[(5, (1 << 24) - 1)], Nothing),
        with("HEADER_TABLE_SIZE of 0", &[(1, 0)], Nothing),
        with("HEADER_TABLE_SIZE of 2^32-1", &[(1, u32::MAX)], Nothing),
        with("MAX_CONCURRENT_STREAMS of 0", &[(3, 0)], Nothing),
        with("MAX_HEADER_LIST_SIZE of 0", &[(6, 0)], Nothing),
        with(
            "ENABLE_CONNECT_PROTOCOL of 2",
            &[(8, 2)],
            Connection(PROTOCOL_ERROR),
        ),
        with(
            "one setting twice: the last counts",
            &[(4, 0), (4, 65535)],
            Nothing,
        ),
        case(
            "6.5.3",
            "the value of the last one counts",
            &[hello.clone(), settings(&[(4, 0), (4, 65535)]), get(1, "/")],
            Answer(1, 200),
        ),
    ]
}
