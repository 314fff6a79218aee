//! Requests that two parsers could read differently never reach an upstream, and odd ones that are right do.

mod corpus;
mod downgrade;
mod table;
mod upstream;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use self::corpus::{CORPUS, Frame};
use self::upstream::Record;
use crate::client::storm::tls;
use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{PATIENCE, listener, runtime};

struct Proxy {
    demo: Demo,
    server: Bws,
    record: Arc<Mutex<Record>>,
}

/// Two sites, cleartext and TLS, that forward everything to the upstream.
fn serve() -> Proxy {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let (upstream, record) = upstream::start();
    let proxy = |name: &str, address: SocketAddr| {
        format!(
            "[[sites]]\nname = \"{name}\"\nhostname = \"{HOST}\"\nlisten = \"{address}\"\n\
             [sites.proxy]\nenabled = true\n\
             upstreams = [{{ name = \"up\", url = \"http://{upstream}\" }}]\n"
        )
    };
    let config = format!(
        "[performance]\nworker_threads = 1\nmax_header_size = \"100KB\"\n{}{}\
         [sites.ssl]\nenabled = true\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
        proxy("plain", demo.plain),
        proxy("secure", demo.secure),
        demo.pair.cert_file.display(),
        demo.pair.key_file.display(),
    );
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    Proxy {
        demo,
        server,
        record,
    }
}

/// Sends `bytes` in pieces of `size` and reads to the end of the connection: the status of each answer.
fn exchange(address: SocketAddr, bytes: &[u8], size: usize) -> Vec<u16> {
    let received = runtime().block_on(async {
        let stream = Endpoint::plain(address).connect().await.unwrap();
        let (mut answers, mut requests) = tokio::io::split(stream);
        let write = async {
            for piece in bytes.chunks(size) {
                // Whom we are refused by may close before the end.
                if requests.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let mut received = Vec::new();
        let read = answers.read_to_end(&mut received);
        let both = async { tokio::join!(write, read) };
        let ended = tokio::time::timeout(PATIENCE, both).await;
        assert!(ended.is_ok(), "not closed: {}", bytes.escape_ascii());
        received
    });
    statuses(&received)
}

fn statuses(received: &[u8]) -> Vec<u16> {
    memchr::memmem::find_iter(received, b"HTTP/1.")
        .map(|at| &received[at + 9..at + 12])
        .filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .collect()
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /post HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{body}")
}

/// Asks for the end, so that the connection's end tells that all is answered.
fn last() -> String {
    format!("GET /last HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")
}

#[test]
fn no_ambiguous_request_reaches_the_upstream() {
    let proxy = serve();
    let mut wrong = Vec::new();
    let mut total = 0;
    for group in CORPUS {
        for part in group.parts {
            let request = group.frame.request(part);
            let seen = exchange(proxy.demo.plain, &request, request.len());
            if seen != [group.answer] {
                let (class, text) = (group.class, request.escape_ascii());
                wrong.push(format!("{class}: {seen:?}, not {}: {text}", group.answer));
            }
        }
        total += group.parts.len();
        println!(
            "{:3}  {:48} {}",
            group.parts.len(),
            group.class,
            group.answer
        );
    }
    println!("{total} requests in {} classes", CORPUS.len());
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(total >= 150);
    let record = proxy.record.lock().unwrap();
    assert!(record.objections.is_empty(), "{:#?}", record.objections);
    let messages: Vec<_> = record
        .messages
        .iter()
        .map(|bytes| bytes.escape_ascii().to_string())
        .collect();
    assert!(messages.is_empty(), "{messages:#?}");
}

#[test]
fn one_byte_at_a_time_changes_nothing() {
    let proxy = serve();
    for group in CORPUS {
        let request = group.frame.request(group.parts[0]);
        let seen = exchange(proxy.demo.plain, &request, 1);
        assert_eq!(seen, [group.answer], "{}", group.class);
    }
    assert!(proxy.record.lock().unwrap().messages.is_empty());
}

#[test]
fn every_control_character_is_refused() {
    let proxy = serve();
    let controls = (0..32u8)
        .chain([127])
        .filter(|byte| !b"\t\r\n".contains(byte));
    for byte in controls {
        let value = [b"X: a", &[byte][..], b"b\r\n"].concat();
        let request = Frame::Field.request(&value);
        assert_eq!(
            exchange(proxy.demo.plain, &request, 4096),
            [400],
            "{byte:#x}"
        );
    }
}

#[test]
fn limits_have_their_own_answers() {
    let proxy = serve();
    let answer = |request: String| exchange(proxy.demo.plain, request.as_bytes(), 8192);
    let target = "a".repeat(33 * 1024);
    assert_eq!(
        answer(format!("GET /{target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        [414]
    );
    let value = "a".repeat(101 * 1024);
    assert_eq!(answer(post(&format!("X: {value}\r\n"), "")), [431]);
    assert_eq!(answer(post(&"X: y\r\n".repeat(101), "")), [431]);
    let trailers = format!("0\r\nX: {}\r\n\r\n", "a".repeat(9 * 1024));
    assert_eq!(
        answer(post("Transfer-Encoding: chunked\r\n", &trailers)),
        [400]
    );
    let extension = format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(300));
    assert_eq!(
        answer(post("Transfer-Encoding: chunked\r\n", &extension)),
        [400]
    );
}

#[test]
fn what_came_before_is_answered_first() {
    let proxy = serve();
    let mut requests = format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n").repeat(20);
    requests += "GET /b HTTP/1.1\nHost: localhost\r\n\r\n";
    let mut expected = vec![200; 20];
    expected.push(400);
    for size in [1, 50, 100_000] {
        assert_eq!(
            exchange(proxy.demo.plain, requests.as_bytes(), size),
            expected
        );
    }
}

#[test]
fn over_tls_the_same() {
    let proxy = serve();
    let received = runtime().block_on(async {
        let endpoint = Endpoint {
            tls: Some(tls(&proxy.demo.authority.der(), HOST, b"http/1.1")),
            ..Endpoint::plain(proxy.demo.secure)
        };
        let mut wire = Wire::new(endpoint.connect().await.unwrap());
        let request =
            format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\nGET /b HTTP/1.1\nHost: {HOST}\n\n");
        wire.send(request.as_bytes()).await.unwrap();
        let end = tokio::time::timeout(PATIENCE, wire.end());
        end.await.expect("closed in time").unwrap()
    });
    assert_eq!(statuses(&received), [200, 400]);
}

#[test]
fn odd_requests_that_are_right_pass() {
    let proxy = serve();
    let chunked = "Transfer-Encoding: Chunked\r\n";
    let long = "a".repeat(30 * 1024);
    let odd = [
        "GET /curl HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"
            .to_owned(),
        "\r\nGET /crlf HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET http://localhost/absolute HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET http://localhost?query HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET http://LOCALHOST:80/port HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "purge /token HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET /a|b?{c}=d&%zz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\nCookie: {long}\r\nX: {long}\r\n\r\n"),
        post("Content-Length: 5\r\n", "abcde"),
        post("Content-Length:\t5 \r\n", "abcde"),
        post("content-length:5\r\nX:\r\nY: a\tb\r\n", "GET /"),
        post("Content-Length: 0\r\n", ""),
        post(&"X: y\r\n".repeat(98), ""),
        post(chunked, "5\r\nabcde\r\n0\r\n\r\n"),
        post(chunked, "000a;name=\"a b\"\r\n0\r\n\r\nabcde\r\n0\r\n\r\n"),
        post(chunked, "3 ; a\t=\t\"b;\\\"\";c\r\nabc\r\n0\r\n\r\n"),
        post(
            chunked,
            "A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nX-Other:\r\nX-Forwarded-For: 127.0.0.1\r\nVia: 1.1 x\r\n\r\n",
        ),
        post(chunked, "0\r\n\r\n"),
    ];
    let single: String = odd.concat() + &last();
    let mut expected = vec![200; odd.len() + 1];
    // This one we answer ourselves.
    expected[5] = 204;
    assert_eq!(exchange(proxy.demo.plain, single.as_bytes(), 1), expected);
    assert_eq!(
        exchange(proxy.demo.plain, single.as_bytes(), single.len()),
        expected
    );
    let record = proxy.record.lock().unwrap();
    assert!(record.objections.is_empty(), "{:#?}", record.objections);
    assert_eq!(record.messages.len(), 2 * odd.len());
}

#[test]
fn a_refusal_is_counted_and_its_answer_arrives() {
    let proxy = serve();
    // Much after the mistake is never read: no reset may overtake the answer.
    let mut request = b"GET / HTTP/1.1\nHost: localhost\r\n\r\n".to_vec();
    request.resize(512 * 1024, b'x');
    assert_eq!(exchange(proxy.demo.plain, &request, 16 * 1024), [400]);
    let metrics = proxy.server.metrics();
    let counted = ("bws_requests_malformed_total".to_owned(), 1.0);
    assert!(metrics.contains(&counted), "{metrics:?}");
}
