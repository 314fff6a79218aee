//! Requests that come by HTTP/2 and go on by HTTP/1.1: what has no form there never gets there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::serve;
use crate::harness::PATIENCE;
use crate::http2_wire::frames::*;

const LINE: &str = "val\r\ntransfer-encoding: chunked";
const REQUEST: &str = "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Fields beside those of a POST, which a body of five bytes follows.
const FIELDS: &[(&str, &str)] = &[
    ("content-length", "6"),
    ("content-length", "4"),
    ("content-length", "+5"),
    ("content-length", "-5"),
    ("content-length", "0x5"),
    ("content-length", "5, 5"),
    ("content-length", "5 "),
    ("content-length", ""),
    ("content-length", "99999999999999999999"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", ""),
    ("transfer_encoding", "chunked"),
    ("content_length", "5"),
    ("content.length", "5"),
    ("Transfer-Encoding", "chunked"),
    ("transfer-encoding ", "chunked"),
    ("transfer-encoding\t", "chunked"),
    ("transfer-encoding\0", "chunked"),
    ("transfer-encoding\u{a0}", "chunked"),
    (" transfer-encoding", "chunked"),
    ("tran\u{17f}fer-encoding", "chunked"),
    ("transfer-encoding:chunked", "x"),
    (":transfer-encoding", "chunked"),
    ("x\r\ntransfer-encoding", "chunked"),
    ("x\ntransfer-encoding", "chunked"),
    ("x: y\r\ntransfer-encoding", "chunked"),
    ("", "x"),
    ("x:", "y"),
    ("x\"", "y"),
    ("x(", "y"),
    ("x\u{7f}", "y"),
    ("x", LINE),
    ("x", "a\rb"),
    ("x", "a\nb"),
    ("x", "a\0b"),
    ("x", "a\u{1}b"),
    ("x", "a\u{7f}b"),
    ("x", " a"),
    ("x", "a "),
    ("x", "\ta"),
    ("x", "a\t"),
    ("x", REQUEST),
    ("connection", "x"),
    ("keep-alive", "5"),
    ("proxy-connection", "x"),
    ("upgrade", "h2c"),
    ("te", "gzip"),
    ("host", "other"),
    ("host", ""),
    (":path", "/smuggled"),
    (":status", "200"),
    (":protocol", "websocket"),
];

/// Pseudo-fields instead of those that a POST has.
const PSEUDO_FIELDS: &[(&str, &str)] = &[
    (":method", "POST /x HTTP/1.1\r\nx: y\r\n"),
    (":method", "PO ST"),
    (":method", ""),
    (":method", "G:T"),
    (":method", "TRACE"),
    (":method", "CONNECT"),
    (":path", ""),
    (":path", "x"),
    (":path", "?x"),
    (":path", "*"),
    (":path", "/x y"),
    (":path", "/x\t"),
    (":path", "/x\r\n"),
    (":path", "/x HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: y"),
    (":path", "http://localhost/x"),
    (":scheme", ""),
    (":scheme", "ftp"),
    (":scheme", "http://localhost/x HTTP/1.1\r\nx: y"),
    (":authority", ""),
    (":authority", "local host"),
    (":authority", "localhost\r\nx: y"),
    (":authority", "user@localhost"),
    (":authority", "localhost/x"),
    (":authority", "localhost:80:80"),
    (":authority", "localhost:x"),
    (":authority", "localhost,other"),
    (":authority", "[::1"),
];

const TRAILERS: &[(&str, &str)] = &[
    ("content-length", "5"),
    ("transfer-encoding", "chunked"),
    ("host", "other"),
    ("cookie", "a=b"),
    ("x\r\ny", "z"),
    ("x\"", "y"),
    ("x", "y\r\n"),
    ("x", "y "),
    ("X", "y"),
];

fn post(more: &[(&str, &str)]) -> Vec<u8> {
    let head = headers(0, 1, &[&POST, more].concat());
    [head, data(END_STREAM, 1, b"abcde")].concat()
}

fn instead((name, value): (&str, &str)) -> Vec<u8> {
    let change = |(key, old)| (key, if key == name { value } else { old });
    request(1, &POST.map(change))
}

fn with_trailer(trailer: (&str, &str)) -> Vec<u8> {
    let head = headers(0, 1, &[&POST[..], &[("trailer", "x")]].concat());
    let end = headers(END_STREAM, 1, &[trailer]);
    [head, data(0, 1, b"abcde"), end].concat()
}

/// The status that comes of `frames`; None when the stream or the connection is refused.
fn status(address: SocketAddr, frames: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be closed before the end.
    let _ = stream.write_all(&[&hello(&[]), frames].concat());
    let (mut bytes, mut space) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut space) {
        bytes.extend_from_slice(&space[..count]);
        while let Some(frame) = Frame::take(&mut bytes) {
            match frame.kind {
                HEADERS => return frame.status(),
                RST_STREAM | GOAWAY => return None,
                _ => {}
            }
        }
    }
    None
}

#[test]
fn what_http_1_has_no_form_for_does_not_go_on() {
    let proxy = serve();
    let cases = FIELDS.iter().map(|field| (field, post(&[*field])));
    let cases = cases.chain(PSEUDO_FIELDS.iter().map(|field| (field, instead(*field))));
    let cases = cases.chain(TRAILERS.iter().map(|field| (field, with_trailer(*field))));
    let passed: Vec<_> = cases
        .filter(|(_, frames)| status(proxy.demo.plain, frames).is_some_and(|it| it < 400))
        .map(|(field, _)| field)
        .collect();
    assert!(passed.is_empty(), "{passed:?}");
    let record = proxy.record.lock().unwrap();
    assert!(record.objections.is_empty(), "{:#?}", record.objections);
    assert!(record.messages.is_empty(), "{:?}", record.messages);
}

#[test]
fn what_it_has_a_form_for_goes_on_in_that() {
    let proxy = serve();
    let crumbs = post(&[("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")]);
    let length = post(&[("content-length", "5"), ("host", "LOCALHOST:80")]);
    let nameless = request(1, &[POST[0], POST[1], POST[2], ("host", "localhost")]);
    // The body is there, so nobody is asked for it.
    let hasty = post(&[("expect", "100-continue")]);
    let cases = [
        (hasty, "-proto: http\r\ntransfer-encoding: chunked\r\n"),
        (crumbs, "cookie: a=1; b=2\r\n"),
        (length, "content-length: 5\r\n\r\nabcde"),
        (nameless, "host: "),
        (instead((":scheme", "HTTP")), "content-length: 0\r\n"),
        (instead((":path", "//x/?")), "POST //x/? HTTP/1.1\r\n"),
    ];
    for (frames, written) in cases {
        assert_eq!(status(proxy.demo.plain, &frames), Some(200), "{written}");
        let record = proxy.record.lock().unwrap();
        let last = record.messages.last().map(|it| it.escape_ascii());
        let last = last.map(|it| it.to_string()).unwrap_or_default();
        let written = written.as_bytes().escape_ascii().to_string();
        assert!(last.contains(&written), "{written}: {last}");
        assert!(record.objections.is_empty(), "{:#?}", record.objections);
    }
}
