//! What upstreams say by HTTP/2, and what they hear.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::frames::*;
use super::interim::{GET, ask_hearing};
use super::upstream::through;
use crate::http::interim::MOST;
use crate::http::testing::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
const HINT: [(&str, &str); 2] = [(":status", "103"), ("link", "</a.css>; rel=preload")];

#[test]
fn hints_are_for_the_client() {
    run(async {
        let peer = answering(|stream| {
            let hint = [&HINT[..], &[("link", "</b.js>"), ("trailer", "x")]].concat();
            let processing = head(0, stream, &[(":status", "102")]);
            let unasked = head(0, stream, &[(":status", "100")]);
            [head(0, stream, &hint), unasked, processing, ok(stream)].concat()
        })
        .await;
        let service = service(through(by_http2(&[&peer])));
        for _ in 0..2 {
            let (answer, heard) = ask_hearing(&service, GET).await;
            assert_eq!((status(&answer), body(&answer)), (200, "ok"));
            assert_eq!(heard.statuses(), [103, 102]);
            let (_, headers) = &heard.0.borrow()[0];
            let links: Vec<_> = headers.get_all("link").iter().collect();
            assert_eq!(links, ["</a.css>; rel=preload", "</b.js>"]);
            let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["link", "via"]);
        }
        assert_eq!(peer.connections.get(), 1);
    });
}

#[test]
fn what_is_no_sound_response_is_502_and_not_asked_for_again() {
    type Says = fn(u32) -> Vec<u8>;
    let cases: [(&str, Says, usize); 11] = [
        (
            "hints without end",
            |it| head(0, it, &HINT).repeat(9000),
            MOST,
        ),
        (
            "a switch",
            |it| [head(0, it, &[(":status", "101")]), ok(it)].concat(),
            0,
        ),
        (
            "a hint that is the end",
            |it| head(END_STREAM, it, &HINT),
            1,
        ),
        (
            "a hint with a body",
            |it| [head(0, it, &HINT), frame(DATA, 0, it, b"x")].concat(),
            1,
        ),
        (
            "a hint for the connection",
            |it| [head(0, it, &[HINT[0], ("connection", "x")]), ok(it)].concat(),
            0,
        ),
        (
            "a hint with what is no name",
            |it| [head(0, it, &[HINT[0], ("x\"", "y")]), ok(it)].concat(),
            0,
        ),
        (
            "what is no name",
            |it| head(END_STREAM, it, &[(":status", "200"), ("x\"", "y")]),
            0,
        ),
        ("no status", |it| head(END_STREAM, it, &[("x", "1")]), 0),
        (
            "a field of HTTP/1",
            |it| {
                head(
                    END_STREAM,
                    it,
                    &[(":status", "200"), ("transfer-encoding", "chunked")],
                )
            },
            0,
        ),
        (
            "two lengths",
            |it| {
                head(
                    0,
                    it,
                    &[
                        (":status", "200"),
                        ("content-length", "1"),
                        ("content-length", "1"),
                    ],
                )
            },
            0,
        ),
        (
            "no length",
            |it| head(0, it, &[(":status", "200"), ("content-length", "+1")]),
            0,
        ),
    ];
    for (what, says, hints) in cases {
        run(async move {
            let (one, other) = (answering(says).await, answering(says).await);
            let service = service(through(by_http2(&[&one, &other])));
            let (answer, heard) = ask_hearing(&service, POST).await;
            assert_eq!(status(&answer), 502, "{what}: {answer}");
            assert_eq!(heard.statuses().len(), hints, "{what}");
            assert_eq!(one.requests() + other.requests(), 1, "{what}");
        });
    }
}

#[test]
fn who_spoke_or_spoke_badly_is_not_asked_again() {
    type Says = fn(u32) -> Vec<u8>;
    let cases: [(&str, Says, usize, u16); 5] = [
        ("gone", |it| reset(it, INTERNAL_ERROR), 2, 200),
        ("refused", |it| reset(it, REFUSED_STREAM), 2, 200),
        (
            "a hint, gone",
            |it| [head(0, it, &HINT), reset(it, INTERNAL_ERROR)].concat(),
            1,
            502,
        ),
        (
            "a hint, refused",
            |it| [head(0, it, &HINT), reset(it, REFUSED_STREAM)].concat(),
            1,
            502,
        ),
        (
            "no status",
            |it| head(END_STREAM, it, &[("x", "1")]),
            1,
            502,
        ),
    ];
    for (what, says, asked, outcome) in cases {
        run(async move {
            let (bad, good) = (answering(says).await, answering(ok).await);
            let mut proxy = by_http2(&[&bad, &good]);
            proxy.pools[0].servers[0].weight = 9;
            let service = service(through(proxy));
            let (answer, _) = ask_hearing(&service, GET).await;
            assert_eq!(status(&answer), outcome, "{what}");
            assert_eq!(bad.requests().min(1) + good.requests(), asked, "{what}");
        });
    }
}

#[test]
fn only_what_was_certainly_not_looked_at_is_sent_again_for_nothing() {
    for (code, attempts, asked) in [
        (INTERNAL_ERROR, 0, 1),
        (INTERNAL_ERROR, 2, 1),
        (REFUSED_STREAM, 0, 3),
    ] {
        run(async move {
            let peer = answering(move |it| reset(it, code)).await;
            let mut proxy = by_http2(&[&peer]);
            proxy.retry.attempts = attempts;
            let (answer, _) = ask_hearing(&service(through(proxy)), GET).await;
            assert_eq!((status(&answer), peer.requests()), (502, asked), "{code}");
        });
    }
}

#[test]
fn what_has_no_content_gets_none() {
    run(async {
        let says = |it| {
            let head = head(0, it, &[(":status", "204"), ("content-length", "3")]);
            [head, frame(DATA, END_STREAM, it, b"abc")].concat()
        };
        let peer = answering(says).await;
        let (answer, _) = ask_hearing(&service(through(by_http2(&[&peer]))), GET).await;
        assert_eq!((status(&answer), body(&answer)), (204, ""));
        assert_eq!(header(&answer, "content-length"), None);
    });
}

#[test]
fn a_request_beyond_the_last_stream_goes_elsewhere_with_its_body() {
    run(async {
        let peer = Peer::start(|frame, connection| match (frame.kind, connection) {
            // It has looked at none.
            (DATA, 1) => super::frames::frame(GOAWAY, 0, 0, &[0; 8]),
            (DATA, _) if frame.ends_stream() => ok(frame.stream),
            _ => Vec::new(),
        })
        .await;
        let service = service(through(by_http2(&[&peer])));
        let posted = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef";
        assert_eq!(body(&exchange(&service, posted).await), "ok");
        assert_eq!((peer.connections.get(), peer.requests()), (2, 2));
        assert_eq!(peer.data(), b"abcdefabcdef");
    });
}

#[test]
fn no_more_requests_share_a_connection_than_the_upstream_allows() {
    run(async {
        let shares = Rc::<RefCell<[usize; 6]>>::default();
        let counted = shares.clone();
        let peer = Peer::allowing(2, move |frame, connection| {
            if frame.kind == HEADERS {
                counted.borrow_mut()[connection] += 1;
            }
            Vec::new()
        })
        .await;
        let service = service(through(by_http2(&[&peer])));
        let mut clients: Vec<_> = (0..10).map(|_| connect(&service)).collect();
        for client in &mut clients {
            client.write_all(GET.as_bytes()).await.unwrap();
        }
        eventually(async || peer.requests() == 10).await;
        assert_eq!(*shares.borrow(), [0, 2, 2, 2, 2, 2]);
    });
}

#[test]
fn an_answer_before_the_request_is_whole_is_good() {
    run(async {
        let peer = answering(|stream| [ok(stream), reset(stream, NO_ERROR)].concat()).await;
        let service = service(through(by_http2(&[&peer])));
        let mut client = connect(&service);
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nabc";
        client.write_all(head).await.unwrap();
        let mut answer = vec![0; 512];
        let count = client.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        assert_eq!(body(&exchange(&service, GET).await), "ok");
        assert_eq!(peer.connections.get(), 1);
    });
}

#[test]
fn the_rest_of_a_request_goes_on_after_its_answer() {
    run(async {
        let peer = answering(ok).await;
        let service = service(through(by_http2(&[&peer])));
        let mut client = connect(&service);
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
        client.write_all(head).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        client.write_all(b"abcdef").await.unwrap();
        eventually(async || peer.seen(DATA).iter().any(Frame::ends_stream)).await;
        assert_eq!((peer.data(), peer.resets()), (b"abcdef".to_vec(), vec![]));
    });
}

#[test]
fn what_is_cut_off_does_not_look_whole() {
    run(async {
        for (length, whole) in [(None, false), (Some("3"), false), (Some("2"), true)] {
            let peer = answering(move |stream| {
                let length = length.map(|length| ("content-length", length));
                let fields: Vec<_> = [(":status", "200")].into_iter().chain(length).collect();
                let begun = frame(DATA, 0, stream, b"ok");
                [head(0, stream, &fields), begun, reset(stream, NO_ERROR)].concat()
            })
            .await;
            let service = service(through(by_http2(&[&peer])));
            let answer = exchange(&service, GET).await;
            let ends = match length {
                None => answer.ends_with("0\r\n\r\n"),
                Some(length) => body(&answer).len().to_string() == length,
            };
            assert_eq!(ends, whole, "{length:?}: {answer}");
        }
    });
}

#[test]
fn who_leaves_is_not_worked_for_any_more() {
    run(async {
        let begun = |stream| {
            [
                head(0, stream, &[(":status", "200")]),
                frame(DATA, 0, stream, b"abc"),
            ]
            .concat()
        };
        for (request, answers) in [
            (GET, false),
            (GET, true),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
                true,
            ),
        ] {
            let answer = move |stream| if answers { begun(stream) } else { Vec::new() };
            let peer = answering(answer).await;
            let service = service(through(by_http2(&[&peer])));
            let mut client = connect(&service);
            client.write_all(request.as_bytes()).await.unwrap();
            match answers {
                true => drop(client.read_exact(&mut [0; 12]).await.unwrap()),
                false => eventually(async || peer.requests() == 1).await,
            }
            drop(client);
            eventually(async || peer.resets() == [CANCEL]).await;
        }
    });
}

#[test]
fn the_upstream_says_whether_it_wants_the_body() {
    const HEAD: &[u8] =
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n";
    let told = |frame: &Frame| match (frame.kind, frame.ends_stream()) {
        (HEADERS, _) => head(0, frame.stream, &[(":status", "100")]),
        (DATA, true) => ok(frame.stream),
        _ => Vec::new(),
    };
    run(async move {
        let peer = Peer::start(move |frame, _| told(frame)).await;
        let service = service(through(by_http2(&[&peer])));
        let mut client = connect(&service);
        client.write_all(HEAD).await.unwrap();
        let mut answer = [0; 25];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"abcdef").await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(
            (&answer, peer.data()),
            (b"HTTP/1.1 200", b"abcdef".to_vec())
        );
    });
    run(async {
        let peer = answering(|stream| head(END_STREAM, stream, &[(":status", "403")])).await;
        let service = service(through(by_http2(&[&peer])));
        let mut client = connect(&service);
        client.write_all(HEAD).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403");
        eventually(async || peer.resets() == [CANCEL]).await;
        assert!(peer.seen(DATA).is_empty());
    });
    run(async {
        // It says nothing until the body is there.
        let peer = Peer::start(|frame, _| match (frame.kind, frame.ends_stream()) {
            (DATA, true) => ok(frame.stream),
            _ => Vec::new(),
        })
        .await;
        let service = service(through(by_http2(&[&peer])));
        let request = [HEAD, b"abcdef"].concat();
        let answer = exchange(&service, &String::from_utf8(request).unwrap()).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    });
}
