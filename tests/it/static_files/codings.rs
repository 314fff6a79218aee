//! Content codings, as curl decodes them.

use std::fs;
use std::time::{Duration, SystemTime};

use super::Setup;
use crate::middleware::curl::output;

const COMPRESSION: &str = "[sites.compression]\ntypes = [\"text/*\", \"application/octet-stream\"]";

fn text(length: usize) -> String {
    let mut text = String::with_capacity(length + 32);
    let mut number = 1u32;
    while text.len() < length {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(&format!("line {} of it\n", number >> 20));
    }
    text.truncate(length);
    text
}

fn prepare(root: &std::path::Path) {
    for (name, length) in [
        ("small.txt", 5_000),
        ("large.txt", 3_000_000),
        ("tiny.txt", 100),
    ] {
        fs::write(root.join(name), text(length)).unwrap();
    }
}

#[test]
fn files_come_out_as_they_went_in() {
    let setup = Setup::new("", COMPRESSION, prepare);
    for coding in ["gzip", "br", "zstd"] {
        let header = format!("Accept-Encoding: {coding}");
        let wanted = ["--compressed", "--header", &*header];
        for (path, length) in [("/small.txt", 5_000), ("/large.txt", 3_000_000)] {
            // Compressed while it is sent, and then from what was kept.
            for _ in 0..2 {
                let answer = setup.curl(path, &wanted);
                assert_eq!(answer.header("content-encoding"), Some(coding), "{path}");
                assert_eq!(answer.header("vary"), Some("accept-encoding"));
                assert!(answer.header("etag").unwrap().starts_with("W/\""));
                assert!(answer.body == text(length), "{path} {coding}");
            }
        }
        let answer = setup.curl("/tiny.txt", &wanted);
        assert_eq!(
            (answer.header("content-encoding"), answer.header("vary")),
            (None, None)
        );
    }
    let plain = setup.curl("/large.txt", &[]);
    assert_eq!(
        (plain.header("content-encoding"), plain.body.len()),
        (None, 3_000_000)
    );
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
    let refused = setup.curl("/small.txt", &["--header", "Accept-Encoding: identity;q=0"]);
    assert_eq!(refused.status, 406);
}

#[test]
fn proxied_bodies_too() {
    let setup = Setup::new("", COMPRESSION, prepare);
    for coding in ["gzip", "br", "zstd"] {
        let header = format!("Accept-Encoding: {coding}");
        let answer = setup.curl("/up/bytes/500000", &["--compressed", "--header", &header]);
        let expected = answer.header("content-type").map(|_| coding);
        assert_eq!(answer.header("content-encoding"), expected);
        assert!(answer.body == "p".repeat(500_000));
    }
}

#[test]
fn siblings_beside_a_file() {
    let setup = Setup::new("", COMPRESSION, |root| {
        let write = |name: &str, content: &str, age: u64| {
            fs::write(root.join(name), content).unwrap();
            let file = fs::File::options()
                .write(true)
                .open(root.join(name))
                .unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        };
        write("a.js", "plain", 100);
        write("a.js.gz", "packed by hand", 100);
        write("a.js.br", "stale", 200);
    });
    let both = ["--header", "Accept-Encoding: br, gzip"];
    let answer = setup.curl("/a.js", &both);
    assert_eq!(
        (answer.header("content-encoding"), &*answer.body),
        (Some("gzip"), "packed by hand")
    );
    let part = setup.curl("/a.js", &[both[0], both[1], "--range", "0-5"]);
    assert_eq!((part.status, &*part.body), (206, "packed"));
    assert_eq!(part.header("content-range"), Some("bytes 0-5/14"));
}

/// Others are served while a long file is compressed by the only thread, and the memory for it is bounded.
#[test]
fn compression_takes_turns() {
    let keys = "[sites.compression]\nlevel = 11\n";
    let setup = Setup::new("", keys, |root| {
        fs::write(root.join("long.txt"), text(4_000_000)).unwrap();
        fs::write(root.join("x.png"), "quick").unwrap();
    });
    std::thread::scope(|scope| {
        let url = setup.url("/long.txt");
        let long = scope.spawn(move || {
            let wanted = ["--header", "Accept-Encoding: br", "--output", "/dev/null"];
            output(&[&wanted[..], &[&url]].concat())
        });
        let mut quick = 0;
        while !long.is_finished() {
            assert_eq!(setup.curl("/x.png", &[]).body, "quick");
            quick += 1;
        }
        long.join().unwrap();
        assert!(quick > 0);
    });
    for worker in setup.server.workers() {
        assert!(crate::proxy::peak_memory(worker) < 128 << 20);
    }
}
