//! Section 8: requests.
#![allow(clippy::too_many_lines, reason = "tables")]

use super::Expected::{Answer, Connection, Either};
use super::frames::*;
use super::{Case, PROTOCOL_ERROR, case};

pub fn cases() -> Vec<Case> {
    [bodies(), trailers(), fields(), pseudo_fields(), lengths()]
        .into_iter()
        .flatten()
        .collect()
}

fn malformed(clause: &'static str, what: &'static str, bytes: Vec<u8>) -> Case {
    case(
        clause,
        what,
        &[hello(&[]), bytes],
        Either(1, PROTOCOL_ERROR),
    )
}

fn bodies() -> Vec<Case> {
    let hello = hello(&[]);
    let head = [(":method", "HEAD"), GET[1], GET[2], GET[3]];
    let options = [(":method", "OPTIONS"), GET[1], (":path", "*"), GET[3]];
    let chunks = [
        post(1, &[]),
        data(0, 1, b"one"),
        data(0, 1, b"two"),
        data(END_STREAM, 1, b"three"),
    ]
    .concat();
    vec![
        case(
            "8.1",
            "GET",
            &[hello.clone(), get(1, "/small.bin")],
            Answer(1, 200),
        ),
        case(
            "8.3.1",
            "a path with a fragment, which is dropped",
            &[hello.clone(), get(1, "/small.bin#frag")],
            Answer(1, 200),
        ),
        case(
            "8.1",
            "HEAD",
            &[hello.clone(), request(1, &head)],
            Answer(1, 200),
        ),
        case(
            "8.1",
            "OPTIONS of *",
            &[hello.clone(), request(1, &options)],
            Answer(1, 204),
        ),
        case(
            "8.1",
            "POST in pieces",
            &[hello.clone(), chunks],
            Answer(1, 200),
        ),
        case(
            "8.1",
            "what is not there",
            &[hello.clone(), get(1, "/none")],
            Answer(1, 404),
        ),
        case(
            "8.1",
            "an answer before the body came",
            &[hello.clone(), headers(0, 1, &GET)],
            Answer(1, 200),
        ),
        case(
            "8.1",
            "an unread body, then a request",
            &[
                hello,
                headers(0, 1, &GET),
                data(END_STREAM, 1, b"x"),
                get(3, "/"),
            ],
            Answer(3, 200),
        ),
    ]
}

fn trailers() -> Vec<Case> {
    let body = [post(1, &[]), data(0, 1, b"test")].concat();
    let with = |bytes: Vec<u8>| [body.clone(), bytes].concat();
    vec![
        case(
            "8.1",
            "trailers",
            &[hello(&[]), with(headers(END_STREAM, 1, &[("x-sum", "1")]))],
            Answer(1, 200),
        ),
        case(
            "8.1",
            "trailers without a body",
            &[
                hello(&[]),
                post(1, &[]),
                headers(END_STREAM, 1, &[("x-sum", "1")]),
            ],
            Answer(1, 200),
        ),
        malformed(
            "8.1",
            "trailers that do not end",
            with(headers(0, 1, &[("x-sum", "1")])),
        ),
        case(
            "8.1",
            "trailers with :method, which is dropped",
            &[
                hello(&[]),
                with(headers(END_STREAM, 1, &[(":method", "GET")])),
            ],
            Answer(1, 200),
        ),
        case(
            "8.1",
            "trailers with :status, which is dropped",
            &[
                hello(&[]),
                with(headers(END_STREAM, 1, &[(":status", "200")])),
            ],
            Answer(1, 200),
        ),
        malformed(
            "8.2",
            "trailers with an upper-case name",
            with(headers(END_STREAM, 1, &[("X-Sum", "1")])),
        ),
        malformed(
            "8.2.2",
            "trailers with connection",
            with(headers(END_STREAM, 1, &[("connection", "close")])),
        ),
        case(
            "8.1",
            "DATA after trailers",
            &[
                hello(&[]),
                with(headers(END_STREAM, 1, &[("x", "1")])),
                data(0, 1, b"x"),
            ],
            Connection(PROTOCOL_ERROR),
        ),
    ]
}

fn fields() -> Vec<Case> {
    let bad = |clause, what, name: &str, value: &str| {
        malformed(clause, what, get_with(1, &[(name, value)]))
    };
    let good = |what, name: &str, value: &str| {
        case(
            "8.2",
            what,
            &[hello(&[]), get_with(1, &[(name, value)])],
            Answer(1, 200),
        )
    };
    let answered_400 = |what, name: &str, value: &str| {
        let bytes = get_with(1, &[(name, value)]);
        case("8.2.1", what, &[hello(&[]), bytes], Answer(1, 400))
    };
    vec![
        answered_400("a name with a quote", "x\"", "yes"),
        answered_400("a value with a blank before it", "x-test", " yes"),
        answered_400("a value with a tab behind it", "x-test", "yes\t"),
        good("a field", "x-test", "yes"),
        good("an empty value", "x-test", ""),
        good("te: trailers", "te", "trailers"),
        good("a cookie", "cookie", "a=b"),
        case(
            "8.2.3",
            "cookies in pieces",
            &[
                hello(&[]),
                get_with(1, &[("cookie", "a=b"), ("cookie", "c=d")]),
            ],
            Answer(1, 200),
        ),
        bad("8.2", "an upper-case name", "X-Test", "yes"),
        bad("8.2.1", "a name with a blank", "x test", "yes"),
        bad(
            "8.2.1",
            "a name with a control character",
            "x\x01test",
            "yes",
        ),
        bad("8.2.1", "a name with a colon", "x:test", "yes"),
        bad("8.2.1", "an empty name", "", "yes"),
        bad("8.2.1", "a name that is not ASCII", "x-é", "yes"),
        bad("8.2.1", "a value with NUL", "x-test", "a\0b"),
        bad("8.2.1", "a value with LF", "x-test", "a\nb: c"),
        bad("8.2.1", "a value with CR", "x-test", "a\rb"),
        bad("8.2.2", "connection", "connection", "keep-alive"),
        bad("8.2.2", "keep-alive", "keep-alive", "timeout=5"),
        bad(
            "8.2.2",
            "proxy-connection",
            "proxy-connection",
            "keep-alive",
        ),
        bad("8.2.2", "transfer-encoding", "transfer-encoding", "chunked"),
        bad("8.2.2", "upgrade", "upgrade", "websocket"),
        bad("8.2.2", "te other than trailers", "te", "gzip"),
    ]
}

fn pseudo_fields() -> Vec<Case> {
    let without = |name: &str| {
        let rest: Vec<_> = GET.into_iter().filter(|(key, _)| *key != name).collect();
        request(1, &rest)
    };
    let changed = |name: &str, value: &'static str| {
        let change = |(key, old)| {
            if key == name {
                (key, value)
            } else {
                (key, old)
            }
        };
        request(1, &GET.map(change))
    };
    let after = request(1, &[GET[0], GET[1], GET[2], ("x", "y"), GET[3]]);
    let host_alone = request(1, &[GET[0], GET[1], GET[2], ("host", "localhost")]);
    let connect = request(1, &[(":method", "CONNECT"), (":authority", "localhost:80")]);
    let answered = |clause, what, bytes: Vec<u8>, status| {
        case(clause, what, &[hello(&[]), bytes], Answer(1, status))
    };
    vec![
        answered(
            "8.3.1",
            "a path that is a query",
            changed(":path", "?small"),
            400,
        ),
        answered(
            "8.3.1",
            "a scheme in capitals",
            changed(":scheme", "HTTP"),
            200,
        ),
        malformed(
            "8.3",
            "an unknown pseudo-field",
            get_with(1, &[(":test", "x")]),
        ),
        malformed(
            "8.3",
            ":status in a request",
            get_with(1, &[(":status", "200")]),
        ),
        malformed("8.3", "a pseudo-field after a field", after),
        malformed("8.3", ":method twice", get_with(1, &[GET[0]])),
        malformed("8.3", ":scheme twice", get_with(1, &[GET[1]])),
        malformed("8.3", ":path twice", get_with(1, &[GET[2]])),
        malformed("8.3", ":authority twice", get_with(1, &[GET[3]])),
        malformed("8.3.1", "no :method", without(":method")),
        malformed("8.3.1", "no :scheme", without(":scheme")),
        malformed("8.3.1", "no :path", without(":path")),
        malformed("8.3.1", "an empty :path", changed(":path", "")),
        malformed("8.3.1", "an empty :method", changed(":method", "")),
        malformed(
            "8.3.1",
            "a :method with a blank",
            changed(":method", "GET /x"),
        ),
        malformed("8.3.1", "a :path with a blank", changed(":path", "/a b")),
        malformed(
            "8.3.1",
            "a :scheme with a blank",
            changed(":scheme", "ht tp"),
        ),
        malformed(
            "8.3.1",
            "an :authority with a blank",
            changed(":authority", "local host"),
        ),
        malformed(
            "8.3.1",
            "a :path that does not begin with /",
            changed(":path", "x"),
        ),
        answered(
            "8.3.1",
            "* for another method than OPTIONS",
            changed(":path", "*"),
            400,
        ),
        answered("8.3.1", "no :authority, but host", host_alone, 200),
        answered(
            "8.3.1",
            "neither :authority nor host",
            without(":authority"),
            400,
        ),
        answered(
            "8.3.1",
            "an :authority of a user",
            changed(":authority", "user@localhost"),
            400,
        ),
        answered(
            "8.3.1",
            "host that says something else",
            get_with(1, &[("host", "other")]),
            400,
        ),
        answered(
            "8.3.1",
            "host that says the same",
            get_with(1, &[("host", "localhost")]),
            200,
        ),
        answered("8.5", "CONNECT", connect, 405),
        malformed("8.5", "CONNECT with :path", changed(":method", "CONNECT")),
    ]
}

fn lengths() -> Vec<Case> {
    let with = |length: &str, body: &[Vec<u8>]| {
        [post(1, &[("content-length", length)]), body.concat()].concat()
    };
    let ended = data(END_STREAM, 1, b"test");
    vec![
        case(
            "8.1.1",
            "content-length that is right",
            &[hello(&[]), with("4", std::slice::from_ref(&ended))],
            Answer(1, 200),
        ),
        malformed(
            "8.1.1",
            "content-length too small",
            with("1", std::slice::from_ref(&ended)),
        ),
        malformed(
            "8.1.1",
            "content-length too great",
            with("5", std::slice::from_ref(&ended)),
        ),
        malformed(
            "8.1.1",
            "content-length smaller than the sum",
            with("5", &[data(0, 1, b"test"), ended.clone()]),
        ),
        malformed(
            "8.1.1",
            "content-length and no body",
            request(1, &[&POST[..], &[("content-length", "4")]].concat()),
        ),
        malformed(
            "8.1.1",
            "content-length that is no number",
            with("4x", std::slice::from_ref(&ended)),
        ),
        malformed(
            "8.1.1",
            "content-length with a sign",
            with("+4", std::slice::from_ref(&ended)),
        ),
        malformed(
            "8.1.1",
            "content-length twice and different",
            [
                post(1, &[("content-length", "4"), ("content-length", "5")]),
                ended,
            ]
            .concat(),
        ),
    ]
}
