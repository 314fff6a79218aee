//! The whole service, raw bytes in and raw bytes out.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::testing::*;
use crate::config::types::Config;

fn files(root: &Path) -> Config {
    let mut site = site();
    site.static_files = Some(static_files(root));
    config(vec![site])
}

/// A folder with `x.txt`, ten bytes, and `dir/index.html`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.txt"), "0123456789").unwrap();
    std::fs::create_dir(folder.path().join("dir")).unwrap();
    std::fs::write(folder.path().join("dir/index.html"), "<p>").unwrap();
    folder
}

fn status(response: &str) -> u16 {
    response
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

#[test]
fn a_file_and_its_head() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let get = ask(&service, "GET /x.txt", "").await;
        assert_eq!((status(&get), body(&get)), (200, "0123456789"));
        assert_eq!(
            header(&get, "content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(header(&get, "content-length"), Some("10"));
        assert_eq!(header(&get, "accept-ranges"), Some("bytes"));
        assert_eq!(header(&get, "server"), Some("BWS"));
        assert_eq!(get.matches("date: ").count(), 1);
        let head = ask(&service, "HEAD /x.txt", "").await;
        assert_eq!(head, get.replace("0123456789", ""));
    });
}

#[test]
fn conditions_in_the_order_of_the_rfc() {
    run(async {
        let folder = folder();
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join("x.txt"))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777))
            .unwrap();
        let service = service(files(folder.path()));
        let tag = header(&ask(&service, "GET /x.txt", "").await, "etag")
            .unwrap()
            .to_owned();
        let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
        let before = "Sun, 06 Nov 1994 08:49:36 GMT";
        for (headers, expected) in [
            (format!("If-None-Match: {tag}"), 304),
            (format!("If-None-Match: \"y\", W/{tag}"), 304),
            ("If-None-Match: *".into(), 304),
            ("If-None-Match: \"y\"".into(), 200),
            (format!("If-Modified-Since: {modified}"), 304),
            (format!("If-Modified-Since: {before}"), 200),
            ("If-Modified-Since: yesterday".into(), 200),
            (
                "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT".into(),
                304,
            ),
            // If-None-Match makes the date meaningless.
            (
                format!("If-None-Match: \"y\"\r\nIf-Modified-Since: {modified}"),
                200,
            ),
            (format!("If-Match: {tag}"), 200),
            (format!("If-Match: W/{tag}"), 412),
            ("If-Match: \"y\"".into(), 412),
            ("If-Match: *".into(), 200),
            (format!("If-Unmodified-Since: {before}"), 412),
            (format!("If-Unmodified-Since: {modified}"), 200),
            (
                format!("If-Match: {tag}\r\nIf-Unmodified-Since: {before}"),
                200,
            ),
            (format!("If-Match: \"y\"\r\nIf-None-Match: {tag}"), 412),
            (format!("If-None-Match: {tag}\r\nRange: bytes=0-1"), 304),
            (format!("If-Range: {tag}\r\nRange: bytes=0-1"), 206),
            (format!("If-Range: W/{tag}\r\nRange: bytes=0-1"), 200),
            (format!("If-Range: {modified}\r\nRange: bytes=0-1"), 206),
            (format!("If-Range: {before}\r\nRange: bytes=0-1"), 200),
        ] {
            let response = ask(&service, "GET /x.txt", &format!("{headers}\r\n")).await;
            assert_eq!(status(&response), expected, "{headers}");
            if expected == 304 {
                assert_eq!(header(&response, "etag"), Some(&*tag));
                assert_eq!(header(&response, "content-length"), None);
                assert_eq!(body(&response), "");
            }
        }
    });
}

#[test]
fn ranges() {
    run(async {
        let folder = folder();
        std::fs::write(folder.path().join("large"), vec![b'a'; 100_000]).unwrap();
        let service = service(files(folder.path()));
        let part = ask(&service, "GET /x.txt", "Range: bytes=2-4\r\n").await;
        assert_eq!((status(&part), body(&part)), (206, "234"));
        assert_eq!(header(&part, "content-range"), Some("bytes 2-4/10"));
        assert_eq!(header(&part, "content-length"), Some("3"));
        let suffix = ask(&service, "GET /large", "Range: bytes=-7\r\n").await;
        assert_eq!((status(&suffix), body(&suffix)), (206, "aaaaaaa"));
        let beyond = ask(&service, "GET /x.txt", "Range: bytes=10-\r\n").await;
        assert_eq!(status(&beyond), 416);
        assert_eq!(header(&beyond, "content-range"), Some("bytes */10"));
        let head = ask(&service, "HEAD /x.txt", "Range: bytes=2-4\r\n").await;
        assert_eq!(
            (status(&head), header(&head, "content-length")),
            (200, Some("10"))
        );
        let several = ask(&service, "GET /x.txt", "Range: bytes=0-1,4-5\r\n").await;
        assert_eq!((status(&several), body(&several)), (200, "0123456789"));
    });
}

#[test]
fn folders_redirect_to_themselves_only() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let redirect = ask(&service, "GET /dir?a=%20b", "").await;
        assert_eq!(
            (status(&redirect), header(&redirect, "location")),
            (301, Some("/dir/?a=%20b"))
        );
        let evil = ask(&service, "GET //dir", "").await;
        assert_eq!(
            (status(&evil), header(&evil, "location")),
            (301, Some("/dir/"))
        );
        assert_eq!(body(&ask(&service, "GET /dir/", "").await), "<p>");
        assert_eq!(
            body(&ask(&service, "GET /./x/../dir/%69ndex.html", "").await),
            "<p>"
        );
        assert_eq!(
            status(&ask(&service, "GET /%2e%2e/etc/passwd", "").await),
            400
        );
    });
}

#[test]
fn methods_that_files_do_not_have() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let post = ask(&service, "POST /x.txt", "Content-Length: 1\r\n").await;
        assert_eq!(
            (status(&post), header(&post, "allow")),
            (405, Some("GET, HEAD, OPTIONS"))
        );
        let options = ask(&service, "OPTIONS *", "").await;
        assert_eq!(
            (status(&options), header(&options, "content-length")),
            (204, None)
        );
        assert_eq!(status(&ask(&service, "TRACE /x.txt", "").await), 405);
        assert_eq!(status(&ask(&service, "CONNECT a:80", "").await), 405);
        let large = ask(&service, "POST /x.txt", "Content-Length: 1001\r\n").await;
        assert_eq!(status(&large), 413);
    });
}

#[test]
fn errors_speak_the_clients_language() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let plain = ask(&service, "GET /none", "").await;
        assert_eq!((status(&plain), body(&plain)), (404, "404 Not Found\n"));
        let html = ask(&service, "GET /none", "Accept: text/html\r\n").await;
        assert!(body(&html).starts_with("<!doctype html>"));
        assert_eq!(
            header(&html, "content-length").unwrap(),
            body(&html).len().to_string()
        );
        let head = ask(&service, "HEAD /none", "").await;
        assert_eq!(
            (status(&head), body(&head), header(&head, "content-length")),
            (404, "", Some("14"))
        );
    });
}

#[test]
fn malformed_requests_close_the_connection() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        for (request, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                501,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nab",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
                400,
            ),
        ] {
            let response = exchange(
                &service,
                &format!("{request}GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n"),
            )
            .await;
            assert_eq!(status(&response), expected, "{request}");
            assert!(
                !response.contains("0123456789"),
                "what follows is not answered: {request}"
            );
        }
    });
}

#[test]
fn a_length_beside_chunked_ends_the_connection() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        for framing in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
        ] {
            let request = format!("POST /x.txt HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n0\r\n\r\n");
            let response = exchange(
                &service,
                &format!("{request}GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n"),
            )
            .await;
            assert!(!response.contains("0123456789"), "{framing}");
            assert_eq!(header(&response, "connection"), Some("close"), "{framing}");
        }
    });
}

#[test]
fn health_yields_to_a_file_but_not_to_a_prefix() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let health = ask(&service, "GET /api/health?x", "").await;
        let value: serde_json::Value = serde_json::from_str(body(&health)).unwrap();
        assert_eq!(
            (&value["status"], &value["config_version"]),
            (&"healthy".into(), &3.into())
        );
        assert_eq!(
            (&value["generation"], &value["config_hash"]),
            (&2.into(), &"feed".into())
        );
        assert_eq!(header(&health, "cache-control"), Some("no-store"));
        let head = ask(&service, "HEAD /health", "").await;
        assert_eq!((status(&head), body(&head)), (200, ""));
        assert_eq!(status(&ask(&service, "POST /health", "").await), 405);
        assert_eq!(
            status(&ask(&service, "GET /api/health/ready", "").await),
            200
        );
        service.set_ready(false);
        assert_eq!(
            status(&ask(&service, "GET /api/health/ready", "").await),
            503
        );
        std::fs::write(folder.path().join("health"), "mine").unwrap();
        eventually(async || body(&ask(&service, "GET /health", "").await) == "mine").await;
    });
}

#[test]
fn http_2_says_the_same() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let request = |uri: &str| {
            http::Request::get(uri)
                .body(http_body_util::Full::default())
                .unwrap()
        };
        let response = ask_http2(&service, request("http://a/x.txt")).await;
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["content-length"]
            ),
            (200, &"10".parse().unwrap())
        );
        assert_eq!(response.headers().get_all("date").iter().count(), 1);
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(body, "0123456789");
        let mut mismatch = request("http://a/x.txt");
        mismatch.headers_mut().insert("host", "b".parse().unwrap());
        assert_eq!(ask_http2(&service, mismatch).await.status().as_u16(), 400);
    });
}

#[test]
fn keep_alive_answers_one_after_the_other() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let mut client = connect(&service);
        for _ in 0..3 {
            client
                .write_all(b"GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"0123456789") {
                assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0);
            }
        }
    });
}

/// A small file is rewritten in place all the time: every body is of one state.
#[test]
fn a_body_is_never_a_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, "a".repeat(60_000)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let (begin, begun) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        begun.recv().unwrap();
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        for letter in ["b", "a"].iter().cycle() {
            file.write_all_at(letter.repeat(60_000).as_bytes(), 0)
                .unwrap();
            if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
    });
    run(async {
        let service = service(files(folder.path()));
        ask(&service, "GET /x", "").await;
        begin.send(()).unwrap();
        for _ in 0..1500 {
            let response = ask(&service, "GET /x", "").await;
            let body = body(&response);
            assert_eq!(body.len(), 60_000);
            assert!(body.bytes().all(|byte| byte == body.as_bytes()[0]));
        }
    });
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn the_future_of_every_request_is_small() {
    let size = size_of_answer(Service::answer);
    assert!(size < 1024, "{size} bytes");
}

use super::body::{Body, RequestBody};
use super::service::{Connection, Service};
use std::rc::Rc;

fn size_of_answer<F, R>(_: F) -> usize
where
    F: Fn(Rc<Service>, http::Request<RequestBody>, Rc<Connection>) -> R,
    R: Future<Output = http::Response<Body>>,
{
    size_of::<R>()
}
