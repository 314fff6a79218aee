//! Files that change, vanish or shrink while they are sent, and what is no file at all.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::client::transport::Endpoint;
use crate::client::wire::{Failure, Wire};
use crate::harness::{PATIENCE, runtime};

use super::Setup;
use crate::middleware::curl::curl;

const LENGTH: usize = 32 << 20;

fn large(root: &std::path::Path) {
    fs::write(root.join("large.bin"), vec![b'a'; LENGTH]).unwrap();
}

/// What becomes of a download when `change` happens in its midst: how many bytes came, and whether all.
fn download(setup: &Setup, change: impl Fn()) -> (usize, bool) {
    runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(setup.address).connect().await.unwrap());
        let request = b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n";
        wire.send(request).await.unwrap();
        // The head is here, and the socket's buffers are full.
        wire.stream.read_exact(&mut [0; 1]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        change();
        let mut rest = Vec::new();
        let end = tokio::time::timeout(PATIENCE, async {
            let mut buffer = vec![0; 1 << 16];
            loop {
                match wire.stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => rest.extend_from_slice(&buffer[..count]),
                }
                if rest.len() > LENGTH && rest.ends_with(b"a") && body(&rest).len() == LENGTH {
                    return;
                }
            }
        });
        end.await.unwrap();
        let body = body(&rest);
        let whole = body.len() == LENGTH;
        // What breaks off may end in bytes of another state: sendfile lends the kernel the file's own pages.
        assert!(!whole || body.iter().all(|byte| *byte == b'a'));
        (body.len(), whole)
    })
}

fn body(response: &[u8]) -> &[u8] {
    let at = memchr::memmem::find(response, b"\r\n\r\n").expect("a head");
    &response[at + 4..]
}

#[test]
fn a_download_is_whole_or_breaks_off() {
    // One thread, as each has its own idea of a file for up to a second.
    let setup = Setup::new("", "[performance]\nworker_threads = 1", large);
    let path = setup.path("large.bin");
    let file = fs::File::options().write(true).open(&path).unwrap();
    assert_eq!(download(&setup, || ()), (LENGTH, true));
    // What is replaced or removed is still there for those who began.
    let replace = || crate::harness::write_file(&path, "new");
    assert!(download(&setup, replace).1);
    large(path.parent().unwrap());
    let tag = || {
        let answer = curl(&["--head", &setup.url("/large.bin")]);
        answer.header("etag").map(str::to_owned)
    };
    let old = tag();
    assert!(download(&setup, || fs::remove_file(&path).unwrap()).1);
    large(path.parent().unwrap());
    crate::harness::wait_for("another file of the name", || {
        let new = tag();
        (new.is_some() && new != old).then_some(())
    });
    let append = || {
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"more", LENGTH as u64).unwrap();
    };
    assert!(download(&setup, append).1);
    drop(file);
    let shrink = || {
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 20)
            .unwrap()
    };
    large(path.parent().unwrap());
    assert!(!download(&setup, shrink).1);
    large(path.parent().unwrap());
    let rewrite = || {
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&vec![b'b'; LENGTH], 0).unwrap();
    };
    let (_, whole) = download(&setup, rewrite);
    assert!(!whole);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let setup = Setup::new("", "", |root| {
        let status = std::process::Command::new("mkfifo")
            .arg(root.join("fifo"))
            .status();
        assert!(status.unwrap().success());
        std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", root.join("device")).unwrap();
        fs::write(root.join("größe €.txt"), "found").unwrap();
    });
    assert_eq!(setup.curl("/fifo", &[]).status, 403);
    assert_eq!(setup.curl("/socket", &[]).status, 404);
    assert_eq!(setup.curl("/device", &[]).status, 404);
    assert_eq!(
        setup.curl("/gr%C3%B6%C3%9Fe%20%e2%82%ac.txt", &[]).body,
        "found"
    );
    // Curl sends what it is given as it is.
    assert_eq!(setup.curl("/größe%20€.txt", &[]).body, "found");
}

#[test]
fn a_response_that_breaks_off_is_seen_as_such() {
    let setup = Setup::new("", "", large);
    let path = setup.path("large.bin");
    runtime().block_on(async {
        let mut wire = Wire::new(Endpoint::plain(setup.address).connect().await.unwrap());
        wire.send(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        let outcome = tokio::time::timeout(PATIENCE, wire.response())
            .await
            .unwrap();
        assert!(
            matches!(outcome, Err(Failure::Short | Failure::Broken(_))),
            "{outcome:?}"
        );
    });
}
