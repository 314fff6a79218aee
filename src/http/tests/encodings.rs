//! Content codings on the wire.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};

use super::files;
use crate::config::types::*;
use crate::http::compression::testing::decode;
use crate::http::testing::*;

pub(super) fn compression() -> Compression {
    Compression {
        types: vec!["text/*".into()],
        level: 6,
        min_size: 100,
        algorithms: vec![Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip],
    }
}

fn compressing(root: &Path) -> Config {
    let mut config = files(root);
    config.sites[0].compression = Some(Box::new(compression()));
    config
}

pub(super) struct Answer {
    pub(super) head: http::response::Parts,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|it| it.to_str().unwrap())
    }

    pub(super) fn coding(&self) -> &str {
        self.header("content-encoding").unwrap_or("none")
    }

    pub(super) fn decoded(&self) -> Vec<u8> {
        let algorithm = match self.coding() {
            "zstd" => Algorithm::Zstd,
            "br" => Algorithm::Br,
            "gzip" => Algorithm::Gzip,
            _ => return self.body.to_vec(),
        };
        let (bytes, whole) = decode(algorithm, &self.body);
        assert!(whole);
        bytes
    }
}

pub(super) async fn fetch(
    service: &std::rc::Rc<crate::http::service::Service>,
    line: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://a{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let (head, body) = ask_http2(service, request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { head, body }
}

pub(super) fn text(length: usize) -> String {
    let words = "It was the best of times, it was the worst of times, ";
    words.repeat(length / words.len() + 1)[..length].to_owned()
}

#[test]
fn files_are_compressed_for_those_who_want_it() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in [("a.txt", 5000), ("large.txt", 300_000), ("tiny.txt", 99)] {
            fs::write(folder.path().join(name), text(length)).unwrap();
        }
        fs::write(folder.path().join("a.png"), text(5000)).unwrap();
        let service = service(compressing(folder.path()));
        for (path, accepted, expected, vary) in [
            ("/a.txt", "gzip, br, zstd", "zstd", true),
            ("/a.txt", "gzip, br", "br", true),
            ("/a.txt", "gzip", "gzip", true),
            ("/a.txt", "gzip;q=0", "none", true),
            ("/a.txt", "gzip;q=0.1, identity", "none", true),
            ("/a.txt", "", "none", true),
            ("/large.txt", "gzip", "gzip", true),
            ("/large.txt", "br", "br", true),
            ("/large.txt", "zstd", "zstd", true),
            ("/tiny.txt", "gzip", "none", false),
            ("/a.png", "gzip", "none", false),
            // Not negotiated, so the client's refusal of everything is not ours to enforce.
            ("/a.png", "gzip, *;q=0", "none", false),
        ] {
            let original = fs::read(folder.path().join(&path[1..])).unwrap();
            // Made, and then kept.
            for _ in 0..3 {
                let answer = fetch(
                    &service,
                    &format!("GET {path}"),
                    &[("accept-encoding", accepted)],
                )
                .await;
                assert_eq!(
                    (answer.head.status, answer.coding()),
                    (StatusCode::OK, expected),
                    "{path} {accepted}"
                );
                assert_eq!(answer.decoded(), original);
                assert_eq!(answer.header("vary").is_some(), vary, "{path}");
                let etag = answer.header("etag").unwrap();
                assert_eq!(etag.starts_with("W/"), expected != "none");
                assert_eq!(answer.header("accept-ranges").is_none(), expected != "none");
                if let Some(length) = answer.header("content-length") {
                    assert_eq!(length, answer.body.len().to_string());
                }
                let same = fetch(
                    &service,
                    &format!("GET {path}"),
                    &[("accept-encoding", accepted), ("if-none-match", etag)],
                )
                .await;
                assert_eq!(same.head.status, StatusCode::NOT_MODIFIED);
                assert_eq!(same.header("etag"), Some(etag));
                assert_eq!(same.header("vary").is_some(), vary);
                let head = fetch(
                    &service,
                    &format!("HEAD {path}"),
                    &[("accept-encoding", accepted)],
                )
                .await;
                assert_eq!((head.coding(), head.header("etag")), (expected, Some(etag)));
                assert!(head.body.is_empty());
            }
        }
    });
}

#[test]
fn nothing_acceptable_is_406() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), text(5000)).unwrap();
        let service = service(compressing(folder.path()));
        for (accepted, expected) in [("identity;q=0", 406), ("*;q=0", 406), ("gzip, *;q=0", 200)] {
            let answer = fetch(&service, "GET /a.txt", &[("accept-encoding", accepted)]).await;
            assert_eq!(answer.head.status.as_u16(), expected, "{accepted}");
            let vary = answer.head.headers.get_all("vary");
            assert!(vary.iter().any(|it| it == "accept-encoding"));
        }
    });
}

#[test]
fn a_part_is_a_part_of_the_plain_file() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), text(5000)).unwrap();
        let service = service(compressing(folder.path()));
        let both = [("accept-encoding", "gzip"), ("range", "bytes=7-10")];
        let part = fetch(&service, "GET /a.txt", &both).await;
        assert_eq!(
            (part.head.status, part.coding()),
            (StatusCode::PARTIAL_CONTENT, "none")
        );
        assert_eq!(part.body, text(5000)[7..11]);
        assert_eq!(part.header("vary"), Some("accept-encoding"));
    });
}

#[test]
fn siblings_are_used_unless_they_are_older() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str, age: u64| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        };
        write("a.js", "plain", 100);
        write("a.js.gz", "in gzip", 100);
        write("a.js.br", "in brotli", 101);
        write("a.js.zst", "in zstd", 50);
        write("b.png", "image", 100);
        write("b.png.gz", "small image", 100);
        fs::create_dir(folder.path().join("b.png.br")).unwrap();
        let service = service(compressing(folder.path()));
        for (path, accepted, coding, body) in [
            ("/a.js", "gzip, br", "gzip", "in gzip"),
            ("/a.js", "br", "none", "plain"),
            ("/a.js", "zstd;q=0.5, gzip", "gzip", "in gzip"),
            ("/a.js", "zstd, gzip", "zstd", "in zstd"),
            ("/a.js.gz", "gzip", "none", "in gzip"),
            ("/b.png", "br, gzip", "gzip", "small image"),
        ] {
            let answer = fetch(
                &service,
                &format!("GET {path}"),
                &[("accept-encoding", accepted)],
            )
            .await;
            assert_eq!(
                (answer.coding(), &answer.body[..]),
                (coding, body.as_bytes()),
                "{path} {accepted}"
            );
        }
        let gzip = ("accept-encoding", "gzip");
        let answer = fetch(&service, "GET /a.js", &[gzip]).await;
        assert_eq!(
            answer.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        let etag = answer.header("etag").unwrap();
        assert!(etag.starts_with('"'));
        let plain = fetch(&service, "GET /a.js", &[]).await;
        assert_ne!(plain.header("etag"), Some(etag));
        assert_eq!(plain.header("vary"), Some("accept-encoding"));
        let part = fetch(
            &service,
            "GET /a.js",
            &[gzip, ("range", "bytes=3-"), ("if-range", etag)],
        )
        .await;
        assert_eq!(part.header("content-range"), Some("bytes 3-6/7"));
        assert_eq!((part.coding(), &part.body[..]), ("gzip", &b"gzip"[..]));
        write("a.js.br", "brotli anew", 10);
        eventually(async || {
            fetch(&service, "GET /a.js", &[("accept-encoding", "br")])
                .await
                .coding()
                == "br"
        })
        .await;
        fs::remove_file(folder.path().join("a.js.gz")).unwrap();
        eventually(async || fetch(&service, "GET /a.js", &[gzip]).await.coding() == "none").await;
    });
}

#[test]
fn validators_and_cache_control_are_the_sites_choice() {
    run(async {
        let folder = super::folder();
        let mut config = files(folder.path());
        config.sites[0].cache = Caching {
            files: Some("public, max-age=60".into()),
            proxied: None,
            etag: false,
            last_modified: false,
        };
        let service = service(config);
        let answer = fetch(&service, "GET /x.txt", &[]).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
        assert_eq!(
            (answer.header("etag"), answer.header("last-modified")),
            (None, None)
        );
        let now = httpdate::fmt_http_date(SystemTime::now());
        for (name, value, expected) in [
            ("if-none-match", "\"x\"", 200),
            ("if-modified-since", &now, 200),
            ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
            ("if-none-match", "*", 304),
            ("if-match", "\"x\"", 412),
            ("if-match", "*", 200),
        ] {
            let answer = fetch(&service, "GET /x.txt", &[(name, value)]).await;
            assert_eq!(answer.head.status.as_u16(), expected, "{name}: {value}");
        }
        assert_eq!(
            fetch(&service, "GET /none", &[])
                .await
                .header("cache-control"),
            None
        );
    });
}

#[test]
fn over_http_1_too() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large.txt"), text(200_000)).unwrap();
        let service = service(compressing(folder.path()));
        let get = ask(&service, "GET /large.txt", "Accept-Encoding: gzip\r\n").await;
        assert_eq!(header(&get, "transfer-encoding"), Some("chunked"));
        assert_eq!(header(&get, "content-encoding"), Some("gzip"));
        assert!(get.ends_with("\r\n0\r\n\r\n"));
        // Kept as soon as the file is old enough to be believed; its length is then known.
        let ask_again = async || ask(&service, "GET /large.txt", "Accept-Encoding: gzip\r\n").await;
        eventually(async || header(&ask_again().await, "content-length").is_some()).await;
        let again = ask_again().await;
        let head = ask(&service, "HEAD /large.txt", "Accept-Encoding: gzip\r\n").await;
        assert_eq!(
            header(&head, "content-length"),
            header(&again, "content-length")
        );
        assert_eq!(body(&head), "");
    });
}
