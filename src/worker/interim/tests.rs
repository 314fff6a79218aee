//! The outbox by itself, and below hyper: clients that send many requests at once and read as they like.

use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::yield_now;

use super::*;
use crate::config::types::HeadLimits;
use crate::metrics::counters::Recorder;
use crate::worker::activity::Clock;
use crate::worker::connection::poll_hyper;
use crate::worker::io::{ClientIo, Transport};

const HINT: &[u8] = b"HTTP/1.1 103 Early Hints\r\n\r\n";

fn outbox() -> Outbox {
    let outbox = Outbox::default();
    outbox.push(StatusCode::EARLY_HINTS, &HeaderMap::new());
    outbox
}

/// What leaves when the stream takes `most` bytes at a time, and `all` bytes before it is full.
fn leave(outbox: &Outbox, most: usize, all: usize) -> Vec<u8> {
    let mut left = Vec::new();
    let polled = outbox.poll_leave(|bytes| {
        let count = bytes.len().min(most).min(all - left.len());
        left.extend_from_slice(&bytes[..count]);
        match count {
            0 => Poll::Pending,
            count => Poll::Ready(Ok(count)),
        }
    });
    assert_eq!(polled.is_ready(), !outbox.is_due());
    left
}

#[test]
fn hints_leave_at_once_where_nothing_of_hypers_can_be_left() {
    let outbox = outbox();
    assert!(outbox.is_due());
    outbox.close();
    outbox.note_write();
    assert_eq!(leave(&outbox, 7, 10), HINT[..10]);
    assert_eq!(leave(&outbox, 100, 1000), HINT[10..]);
    assert!(outbox.is_empty());
}

#[test]
fn behind_an_earlier_response_hints_wait_for_its_end() {
    let outbox = Outbox::default();
    outbox.note_write();
    outbox.push(StatusCode::EARLY_HINTS, &HeaderMap::new());
    assert_eq!(leave(&outbox, 100, 1000), b"");
    outbox.note_flush();
    assert_eq!(leave(&outbox, 100, 1000), HINT);
}

#[test]
fn hints_that_the_final_response_overtakes_are_dropped_whole() {
    let outbox = outbox();
    assert_eq!(leave(&outbox, 5, 5), HINT[..5]);
    outbox.note_write();
    outbox.push(StatusCode::PROCESSING, &HeaderMap::new());
    outbox.close();
    outbox.note_flush();
    assert_eq!(leave(&outbox, 100, 1000), HINT[5..]);
    assert!(outbox.is_empty());
}

/// What is asked for, and what its handler does.
#[derive(Clone, Debug)]
struct Script {
    hints: usize,
    /// The handler lets others run so often before each hint, and before its answer.
    pauses: usize,
    /// Bytes of the answer.
    size: usize,
    /// Bytes of a body which is read when the answer is there already.
    upload: Option<usize>,
    expects: bool,
}

fn script() -> impl Strategy<Value = Script> {
    let size = prop_oneof![Just(0), 1..100_usize, 5_000..30_000_usize];
    let upload = prop_oneof![2 => Just(None), 1 => (1..9_000_usize).prop_map(Some)];
    (0..4_usize, 0..3_usize, size, upload, any::<bool>()).prop_map(
        |(hints, pauses, size, upload, expects)| Script {
            hints,
            pauses,
            size,
            upload,
            expects,
        },
    )
}

fn request(number: usize, script: &Script, last: bool) -> Vec<u8> {
    let close = if last { "Connection: close\r\n" } else { "" };
    let Some(length) = script.upload else {
        return format!("GET /{number} HTTP/1.1\r\nHost: a\r\n{close}\r\n").into();
    };
    let expect = match script.expects {
        true => "Expect: 100-continue\r\n",
        false => "",
    };
    let body = "b".repeat(length);
    format!("POST /{number} HTTP/1.1\r\nHost: a\r\n{expect}{close}Content-Length: {length}\r\n\r\n{body}").into()
}

async fn handle(
    activity: Rc<Activity>,
    script: Script,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    activity.note_request();
    let number = HeaderValue::try_from(request.uri().path()).unwrap();
    if script.upload.is_some() {
        tokio::task::spawn_local(request.into_body().collect());
    }
    let pause = async || {
        for _ in 0..script.pauses {
            yield_now().await;
        }
    };
    for _ in 0..script.hints {
        pause().await;
        let headers = HeaderMap::from_iter([(http::header::LINK, number.clone())]);
        activity.send(StatusCode::EARLY_HINTS, headers);
    }
    pause().await;
    activity.interim.close();
    let mut response = Response::new(Full::from(vec![b'x'; script.size]));
    response.headers_mut().insert("x-number", number);
    Ok(response)
}

/// All that a client gets which sends everything at once and reads `piece` bytes at a time.
async fn serve(scripts: Vec<Script>, piece: usize) -> Vec<u8> {
    let (client, server) = UnixStream::pair().unwrap();
    rustix::net::sockopt::set_socket_send_buffer_size(&server, 4096).unwrap();
    let activity = Rc::new(Activity::new(Rc::new(Clock::default())));
    let requests: Vec<_> = scripts.iter().enumerate().collect();
    let requests = requests
        .into_iter()
        .flat_map(|(number, script)| request(number, script, number + 1 == scripts.len()));
    let requests: Vec<u8> = requests.collect();
    let io = ClientIo::new(
        Transport::Unix(server),
        activity.clone(),
        Recorder::detached(0),
    );
    let answering = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let number: usize = request.uri().path()[1..].parse().unwrap();
        handle(answering.clone(), scripts[number].clone(), request)
    });
    let io = TokioIo::new(io.guarded(Bytes::new(), HeadLimits::default()));
    let mut connection = Builder::new()
        .half_close(true)
        .writev(true)
        .serve_connection(io, service);
    let (mut answers, mut asks) = client.into_split();
    let connection = async move {
        // Whoever drops it closes the stream.
        let _ = poll_fn(|context| poll_hyper(&mut connection, &activity, context)).await;
        drop(connection);
    };
    let ask = async move {
        for part in requests.chunks(1000) {
            asks.write_all(part).await.unwrap();
            yield_now().await;
        }
    };
    let read = async {
        let (mut seen, mut buffer) = (Vec::new(), vec![0; piece]);
        while let Ok(count @ 1..) = answers.read(&mut buffer).await {
            seen.extend_from_slice(&buffer[..count]);
        }
        seen
    };
    tokio::join!(connection, ask, read).2
}

/// Takes a head off `bytes`.
fn take_head(bytes: &mut &[u8]) -> String {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").expect("a head") + 4;
    let (head, rest) = bytes.split_at(end);
    *bytes = rest;
    String::from_utf8(head.to_vec()).expect("a head is text")
}

/// How many hints came for each request. Panics where something stands elsewhere than it may.
fn read(mut bytes: &[u8], scripts: &[Script]) -> Vec<usize> {
    let hints = scripts.iter().enumerate().map(|(number, script)| {
        let mut hints = 0;
        loop {
            let head = take_head(&mut bytes);
            if head == "HTTP/1.1 100 Continue\r\n\r\n" {
                continue;
            }
            if head.starts_with("HTTP/1.1 103 ") {
                let expected = format!("HTTP/1.1 103 Early Hints\r\nlink: /{number}\r\n\r\n");
                assert_eq!(head, expected);
                hints += 1;
                continue;
            }
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(head.contains(&format!("x-number: /{number}\r\n")), "{head}");
            break;
        }
        let (body, rest) = bytes.split_at(script.size);
        assert!(body.iter().all(|byte| *byte == b'x'));
        bytes = rest;
        hints
    });
    let hints = hints.collect();
    assert_eq!(bytes, b"");
    hints
}

fn check(scripts: Vec<Script>, piece: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let serving = serve(scripts.clone(), piece);
    let seen = tokio::task::LocalSet::new().block_on(&runtime.unwrap(), async {
        tokio::time::timeout(Duration::from_secs(20), serving)
            .await
            .expect("it hangs")
    });
    let hints = read(&seen, &scripts);
    let wanted: Vec<usize> = scripts.iter().map(|script| script.hints).collect();
    if scripts.iter().all(|script| script.upload.is_none()) {
        assert_eq!(hints, wanted);
    } else {
        assert!(hints.iter().zip(&wanted).all(|(came, sent)| came <= sent));
    }
}

#[test]
fn a_request_that_came_with_the_body_before_it_is_not_overlooked() {
    let script = |size, upload| Script {
        hints: 0,
        pauses: 2,
        size,
        upload,
        expects: false,
    };
    for piece in [1, 7, 100] {
        check(
            vec![
                script(24_169, Some(8_441)),
                script(22, Some(7_611)),
                script(69, None),
            ],
            piece,
        );
    }
}

#[test]
fn a_client_that_reads_one_byte_at_a_time() {
    let script = |hints, pauses, size| Script {
        hints,
        pauses,
        size,
        upload: None,
        expects: false,
    };
    let scripts = vec![
        script(2, 0, 20_000),
        script(1, 0, 0),
        script(3, 2, 10),
        script(0, 0, 10_000),
        script(1, 1, 9_000),
    ];
    check(scripts, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_hint_stands_before_its_own_response(
        scripts in prop::collection::vec(script(), 1..8),
        piece in prop_oneof![Just(1_usize), 1..500_usize, Just(100_000)],
    ) {
        check(scripts, piece);
    }
}
