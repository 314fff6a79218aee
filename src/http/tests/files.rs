//! Static files on the wire.

use super::{files, folder};
use crate::http::testing::*;

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
        assert_eq!(undated(&head), undated(&get).replace("0123456789", ""));
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
    });
}

/// The parts of a multipart response: `Content-Range` and bytes.
fn parts(response: &str) -> Vec<(String, String)> {
    let kind = header(response, "content-type").unwrap();
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let inner = body(response)
        .strip_prefix(&format!("--{boundary}\r\n"))
        .unwrap()
        .strip_suffix(&format!("\r\n--{boundary}--\r\n"))
        .unwrap();
    inner
        .split(&format!("\r\n--{boundary}\r\n"))
        .map(|part| {
            let (head, bytes) = part.split_once("\r\n\r\n").unwrap();
            let (kind, range) = head.split_once("\r\nContent-Range: ").unwrap();
            assert_eq!(kind, "Content-Type: text/plain; charset=utf-8");
            (range.to_owned(), bytes.to_owned())
        })
        .collect()
}

#[test]
fn several_ranges_in_one_response() {
    run(async {
        let folder = folder();
        let large = "0123456789".repeat(10_000);
        std::fs::write(folder.path().join("large.txt"), large).unwrap();
        let service = service(files(folder.path()));
        for path in ["/x.txt", "/large.txt"] {
            let line = format!("GET {path}");
            let several = ask(&service, &line, "Range: bytes=4-5, 0-1\r\n").await;
            assert_eq!(status(&several), 206);
            let length = body(&several).len().to_string();
            assert_eq!(header(&several, "content-length"), Some(&*length));
            assert_eq!(header(&several, "content-range"), None);
            let whole = if path == "/x.txt" { "10" } else { "100000" };
            assert_eq!(
                parts(&several),
                [
                    (format!("bytes 4-5/{whole}"), "45".to_owned()),
                    (format!("bytes 0-1/{whole}"), "01".to_owned()),
                ]
            );
        }
        let none = ask(&service, "GET /x.txt", "Range: bytes=10-,20-30\r\n").await;
        assert_eq!(
            (status(&none), header(&none, "content-range")),
            (416, Some("bytes */10"))
        );
        let abuse = format!("Range: bytes={}\r\n", "0-,".repeat(1000));
        let whole = ask(&service, "GET /x.txt", &abuse).await;
        assert_eq!((status(&whole), body(&whole)), (200, "0123456789"));
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
