//! Parts of files: larger than memory, many at a time, by curl.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;

use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::{PATIENCE, runtime};

use super::{PROTOCOLS, Setup};
use crate::middleware::curl::output;

const GIB: u64 = 1 << 30;
/// Ten GiB of holes, with a word here and there.
const WORDS: [(u64, &str); 3] = [(0, "first"), (5 * GIB, "middle"), (10 * GIB - 4, "last")];

fn sparse(root: &std::path::Path) {
    let file = fs::File::create(root.join("sparse.bin")).unwrap();
    file.set_len(10 * GIB).unwrap();
    for (at, word) in WORDS {
        file.write_all_at(word.as_bytes(), at).unwrap();
    }
    // Each block tells its place.
    let mut numbers = Vec::new();
    (0..1u32 << 18).for_each(|at| numbers.extend_from_slice(&at.to_be_bytes()));
    fs::write(root.join("numbers.bin"), numbers).unwrap();
    fs::write(root.join("digits.txt"), "0123456789").unwrap();
}

#[test]
fn ten_gib_by_ranges() {
    let setup = Setup::new("", "", sparse);
    let whole = 10 * GIB;
    for (range, status, content_range, body) in [
        ("0-4", 206, format!("bytes 0-4/{whole}"), "first"),
        (
            "5368709120-5368709125",
            206,
            format!("bytes 5368709120-5368709125/{whole}"),
            "middle",
        ),
        (
            "-4",
            206,
            format!("bytes 10737418236-10737418239/{whole}"),
            "last",
        ),
        (
            "10737418236-",
            206,
            format!("bytes 10737418236-10737418239/{whole}"),
            "last",
        ),
    ] {
        let answer = setup.curl("/sparse.bin", &["--range", range]);
        assert_eq!((answer.status, &*answer.body), (status, body), "{range}");
        assert_eq!(answer.header("content-range"), Some(&*content_range));
    }
    let beyond = setup.curl("/sparse.bin", &["--range", "10737418240-"]);
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some("bytes */10737418240"))
    );
    let head = setup.curl("/sparse.bin", &["--head"]);
    assert_eq!(head.header("content-length"), Some("10737418240"));
    let several = setup.curl("/sparse.bin", &["--range", "0-4,5368709120-5368709125,-4"]);
    assert_eq!(several.status, 206);
    let kind = several.header("content-type").unwrap();
    assert!(
        kind.starts_with("multipart/byteranges; boundary="),
        "{kind}"
    );
    for (_, word) in WORDS {
        assert!(
            several
                .body
                .contains(&format!("/{whole}\r\n\r\n{word}\r\n--")),
            "{word}"
        );
    }
    // A part that is long itself goes out by sendfile, between others: its bytes are counted.
    let long = ["--range", "0-9,1000-999999,-4", "--output", "/dev/null"];
    let told = ["--write-out", "%{size_download}"];
    let url = setup.url("/sparse.bin");
    for protocol in PROTOCOLS {
        let arguments = [&long[..], &told, &[protocol, &url]].concat();
        let length: usize = output(&arguments).parse().unwrap();
        assert!((999_014..1_000_000).contains(&length), "{length}");
    }
    assert!(crate::proxy::peak_memory(setup.server.workers()[0]) < 64 << 20);
}

#[test]
fn a_thousand_at_once() {
    let setup = Setup::new("", "", sparse);
    let address = setup.address;
    runtime().block_on(async {
        let mut asking = tokio::task::JoinSet::new();
        (0..1000).for_each(|number| drop(asking.spawn(ask(address, number))));
        let all = async { while asking.join_next().await.transpose().unwrap().is_some() {} };
        tokio::time::timeout(PATIENCE * 2, all).await.unwrap();
    });
    assert!(crate::proxy::peak_memory(setup.server.workers()[0]) < 128 << 20);
}

/// Two parts, where the first is long enough for sendfile and lies behind the second.
async fn ask(address: SocketAddr, number: u64) {
    let mut wire = Wire::new(Endpoint::plain(address).connect().await.unwrap());
    let (near, far) = (number * 4, 500_000 + number * 4);
    let request = format!(
        "GET /numbers.bin HTTP/1.1\r\nHost: a\r\nRange: bytes={far}-{},{near}-{}\r\n\r\n",
        far + 19_999,
        near + 3,
    );
    wire.send(request.as_bytes()).await.unwrap();
    let (head, body) = wire.response().await.unwrap();
    assert_eq!(head.status, 206);
    let kind = head.header("content-type").unwrap();
    let parts = parts(&body, kind.split_once('=').unwrap().1);
    let counted = |start: u64, length: u64| -> Vec<u8> {
        let numbers = start / 4..(start + length) / 4;
        numbers.flat_map(|at| (at as u32).to_be_bytes()).collect()
    };
    assert_eq!(parts.len(), 2);
    assert!(parts[0] == counted(far, 20_000) && parts[1] == counted(near, 4));
}

/// The bytes of each part.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let end = format!("\r\n--{boundary}--\r\n");
    let mut rest = body
        .strip_suffix(end.as_bytes())
        .expect("it ends as it must");
    let separator = format!("\r\n--{boundary}\r\n");
    let mut parts = Vec::new();
    while let Some(at) = memchr::memmem::find(rest, b"\r\n\r\n") {
        rest = &rest[at + 4..];
        let length = memchr::memmem::find(rest, separator.as_bytes()).unwrap_or(rest.len());
        let (part, after) = rest.split_at(length);
        parts.push(part);
        rest = after;
    }
    parts
}

#[test]
fn conditions_by_curl() {
    let setup = Setup::new("", "", sparse);
    let answer = setup.curl("/digits.txt", &[]);
    let (etag, date) = (
        answer.header("etag").unwrap(),
        answer.header("last-modified").unwrap(),
    );
    let status = |header: &str, value: &str| {
        let header = format!("{header}: {value}");
        setup.curl("/digits.txt", &["--header", &header]).status
    };
    assert_eq!(status("If-None-Match", etag), 304);
    assert_eq!(status("If-Modified-Since", date), 304);
    assert_eq!(status("If-Match", "\"other\""), 412);
    assert_eq!(
        status("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        412
    );
    let part = |condition: &str| {
        let header = format!("If-Range: {condition}");
        setup
            .curl("/digits.txt", &["--range", "2-3", "--header", &header])
            .body
    };
    assert_eq!(part(etag), "23");
    assert_eq!(part(&format!("W/{etag}")), "0123456789");
    // Changed less than a minute ago: the date is no strong validator.
    assert_eq!(part(date), "0123456789");
}
