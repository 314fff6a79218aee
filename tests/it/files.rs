//! Static files, as they are on the wire.

use std::fs;

use crate::client::storm::SMALL;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{fetch, get};

fn request(
    demo: &Demo,
    method: &str,
    path: &str,
    headers: &str,
) -> (crate::client::wire::Head, Vec<u8>) {
    let text =
        format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\r\n");
    fetch(demo.plain, &text)
}

#[test]
fn a_file_an_index_and_a_missing_one() {
    let (demo, _server) = Demo::serve(0);
    let (head, body) = get(demo.plain, HOST, "/small.bin");
    assert_eq!((head.status, body), (200, vec![b'0'; 1024]));
    assert_eq!(head.header("content-length"), Some("1024"));
    assert!(head.header("etag").is_some() && head.header("last-modified").is_some());
    let (head, body) = get(demo.plain, HOST, "/");
    assert_eq!((head.status, body.len() as u64), (200, SMALL));
    assert!(
        head.header("content-type")
            .is_some_and(|value| value.starts_with("text/html"))
    );
    assert_eq!(get(demo.plain, HOST, "/nothing").0.status, 404);
}

#[test]
fn head_has_the_same_length_and_no_body() {
    let (demo, _server) = Demo::serve(0);
    let text = format!("HEAD /small.bin HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    crate::harness::runtime().block_on(async {
        let stream = crate::client::transport::Endpoint::plain(demo.plain)
            .connect()
            .await
            .unwrap();
        let mut wire = crate::client::wire::Wire::new(stream);
        wire.send(text.as_bytes()).await.unwrap();
        let head = wire.receive(true, |_| ()).await.unwrap();
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("1024"))
        );
        assert!(wire.end().await.unwrap().is_empty());
    });
}

#[test]
fn ranges() {
    let (demo, _server) = Demo::serve(0);
    fs::write(demo.root(0).join("digits.txt"), "0123456789").unwrap();
    let range = |value: &str| {
        let (head, body) = request(&demo, "GET", "/digits.txt", &format!("Range: {value}\r\n"));
        let range = head.header("content-range").unwrap_or_default().to_owned();
        (head.status, range, String::from_utf8(body).unwrap())
    };
    assert_eq!(
        range("bytes=2-4"),
        (206, "bytes 2-4/10".into(), "234".into())
    );
    assert_eq!(
        range("bytes=7-"),
        (206, "bytes 7-9/10".into(), "789".into())
    );
    assert_eq!(range("bytes=-2"), (206, "bytes 8-9/10".into(), "89".into()));
    assert_eq!(
        range("bytes=8-100"),
        (206, "bytes 8-9/10".into(), "89".into())
    );
    let (status, unsatisfied, _) = range("bytes=10-");
    assert_eq!((status, unsatisfied.as_str()), (416, "bytes */10"));
    assert_eq!(range("chairs=1-2").0, 200);
}

#[test]
fn conditions() {
    let (demo, _server) = Demo::serve(0);
    let (head, _) = get(demo.plain, HOST, "/small.bin");
    let (tag, date) = (
        head.header("etag").unwrap(),
        head.header("last-modified").unwrap(),
    );
    let status = |headers: String| request(&demo, "GET", "/small.bin", &headers).0.status;
    assert_eq!(status(format!("If-None-Match: {tag}\r\n")), 304);
    assert_eq!(status("If-None-Match: \"other\"\r\n".into()), 200);
    assert_eq!(status(format!("If-Modified-Since: {date}\r\n")), 304);
    assert_eq!(status("If-Match: \"other\"\r\n".into()), 412);
    assert_eq!(
        status(format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n")),
        206
    );
    assert_eq!(
        status("Range: bytes=0-1\r\nIf-Range: \"other\"\r\n".into()),
        200
    );
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let (demo, _server) = Demo::serve(0);
    let secret = demo.path().join("secret.txt");
    fs::write(&secret, "the secret").unwrap();
    std::os::unix::fs::symlink(&secret, demo.root(0).join("link.txt")).unwrap();
    std::os::unix::fs::symlink(demo.path(), demo.root(0).join("up")).unwrap();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/x/../../secret.txt",
        "/%2e%2e%2fsecret.txt",
        "//secret.txt",
        "/link.txt",
        "/up/secret.txt",
        "/small.bin%00.txt",
    ] {
        let (head, body) = get(demo.plain, HOST, path);
        assert!(
            matches!(head.status, 400 | 403 | 404),
            "{path}: {}",
            head.status
        );
        assert!(!body.windows(6).any(|part| part == b"secret"), "{path}");
    }
}

#[test]
fn paths_are_decoded_once() {
    let (demo, _server) = Demo::serve(0);
    fs::write(demo.root(0).join("a b%41.txt"), "found").unwrap();
    assert_eq!(get(demo.plain, HOST, "/a%20b%2541.txt?query=1").1, b"found");
    assert_eq!(get(demo.plain, HOST, "/a%20b%41.txt").0.status, 404);
}

#[test]
fn a_folder_is_redirected_to_its_slash() {
    let (demo, _server) = Demo::serve(0);
    fs::create_dir(demo.root(0).join("sub")).unwrap();
    fs::write(demo.root(0).join("sub/index.html"), "inside").unwrap();
    let (head, _) = get(demo.plain, HOST, "/sub?a=b");
    assert!(matches!(head.status, 301 | 308), "{}", head.status);
    assert!(
        head.header("location")
            .is_some_and(|to| to.ends_with("/sub/?a=b")),
        "{:?}",
        head.header("location")
    );
    assert_eq!(get(demo.plain, HOST, "/sub/").1, b"inside");
}

#[test]
fn other_methods_are_told_which_there_are() {
    let (demo, _server) = Demo::serve(0);
    let (head, _) = request(&demo, "POST", "/small.bin", "Content-Length: 0\r\n");
    assert_eq!(head.status, 405);
    assert!(
        head.header("allow")
            .is_some_and(|methods| methods.contains("GET"))
    );
}

#[test]
fn a_changed_file_is_seen_within_a_second() {
    let (demo, _server) = Demo::serve(0);
    let path = demo.root(0).join("news.txt");
    fs::write(&path, "old").unwrap();
    assert_eq!(get(demo.plain, HOST, "/news.txt").1, b"old");
    crate::harness::write_file(&path, "brand new");
    crate::harness::wait_for("the new file", || {
        (get(demo.plain, HOST, "/news.txt").1 == b"brand new").then_some(())
    });
}

#[test]
fn types_and_the_usual_security_headers() {
    let (demo, _server) = Demo::serve(0);
    for (name, kind) in [
        ("a.css", "text/css"),
        ("a.js", "javascript"),
        ("a.svg", "image/svg+xml"),
    ] {
        fs::write(demo.root(0).join(name), "x").unwrap();
        let (head, _) = get(demo.plain, HOST, &format!("/{name}"));
        let shown = head.header("content-type").unwrap_or_default();
        assert!(shown.contains(kind), "{name}: {shown}");
        assert_eq!(head.header("x-content-type-options"), Some("nosniff"));
    }
}
