//! TLS sessions resume at any worker: before and after a reload, after a worker's death, in a new binary.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::process::signal;
use crate::harness::{install, wait_for};

/// Openssl asks for a page, in a session of before or in a new one, and keeps the session's ticket. True when it was
/// resumed.
fn connect(demo: &Demo, version: &str, session: &Path) -> bool {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", version, "-servername", HOST, "-ign_eof"])
        .args(["-connect", &demo.secure.to_string(), "-sess_out"])
        .arg(session.with_extension("new"));
    if session.exists() {
        command.arg("-sess_in").arg(session);
    }
    let request = demo.path().join("request");
    let text = format!("GET /small.bin HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    std::fs::write(&request, text).unwrap();
    command
        .stdin(std::fs::File::open(request).unwrap())
        .stderr(Stdio::null());
    let said = command.output().expect("openssl can be started").stdout;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
    // TLS 1.3 gives another ticket each time, TLS 1.2 need not.
    let renewed = std::fs::rename(session.with_extension("new"), session);
    assert!(renewed.is_ok() || session.exists());
    said.contains("Reused, TLSv1.")
}

fn another_worker(server: &Bws) {
    let worker = server.workers()[0];
    signal(worker, Signal::KILL);
    wait_for("another worker", || {
        let workers = server.workers();
        (workers.len() == 1 && workers[0] != worker).then_some(())
    });
}

#[test]
fn a_session_outlives_reload_worker_and_binary() {
    let (demo, server) = Demo::serve_copy(1, str::to_owned);
    let sessions = ["-tls1_2", "-tls1_3"].map(|version| (version, demo.path().join(version)));
    let all = |expected: bool, when: &str| {
        for (version, session) in &sessions {
            assert_eq!(
                connect(&demo, version, session),
                expected,
                "{version} {when}"
            );
        }
    };
    all(false, "at first");
    all(true, "at the same worker");
    server.reload_to(&demo.bws(1));
    all(true, "after a reload");
    another_worker(&server);
    all(true, "after a worker's death");
    let program = demo.path().join("bws");
    let mut content = std::fs::read(&program).unwrap();
    content.push(0);
    install(&program, &content, 0o755);
    assert!(server.reload().status.success());
    assert!(server.process.output().contains("has taken over"));
    all(true, "in a new binary");
}
