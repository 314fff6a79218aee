//! Reloads that fail: the caller learns why, the old configuration serves on, and the next good one works.

use std::fs;
use std::path::Path;
use std::process::Output;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::harness::bws::{Bws, binary};
use crate::harness::demo::Demo;
use crate::harness::process::signal;
use crate::harness::{install, listener, wait_for, write_file};

/// A reload that fails now: its message has all of `words`, and nothing has changed.
fn assert_refused(demo: &Demo, server: &Bws, words: &[&str]) {
    let (number, version) = (demo.served(), demo.config_version());
    // Not the server's own file, which a test may have broken.
    let output = server.command_of(&binary(), &["reload"]).output().unwrap();
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    for word in words {
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "no '{word}' in: {said}"
        );
    }
    assert_eq!((demo.served(), demo.config_version()), (number, version));
}

fn assert_recovers(demo: &Demo, server: &Bws) {
    let version = demo.config_version();
    server.reload_to(&demo.bws(1));
    assert_eq!((demo.served(), demo.config_version()), (1, version + 1));
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn a_syntax_error() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1).replacen("[[sites]]", "[[sites]", 1));
    assert_refused(&demo, &server, &["config.toml:4:", "^"]);
    assert_recovers(&demo, &server);
}

#[test]
fn a_file_that_was_cut_off() {
    let (demo, server) = Demo::serve(1);
    for rest in ["", "[server]\n"] {
        server.configure(rest);
        assert_refused(&demo, &server, &["there is no site"]);
    }
    assert_recovers(&demo, &server);
}

#[test]
fn an_unknown_key_and_a_missing_folder_are_told_at_once() {
    let (demo, server) = Demo::serve(1);
    let root = demo.root(1).display().to_string();
    let broken = demo
        .bws(1)
        .replace("worker_threads", "worker_treads")
        .replacen(&root, "/nowhere/at/all", 1);
    server.configure(&broken);
    assert_refused(
        &demo,
        &server,
        &[
            "worker_treads",
            "did you mean",
            "worker_threads",
            "/nowhere/at/all",
        ],
    );
    assert_recovers(&demo, &server);
}

#[test]
fn a_missing_certificate() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1).replace("site.pem", "nowhere.pem"));
    assert_refused(&demo, &server, &["nowhere.pem"]);
    assert_recovers(&demo, &server);
}

#[test]
fn a_key_of_another_certificate() {
    let (demo, server) = Demo::serve(1);
    demo.authority.issue(demo.path(), "other", &["localhost"]);
    server.configure(&demo.bws(1).replace("site.key", "other.key"));
    assert_refused(&demo, &server, &["other.key"]);
    assert_recovers(&demo, &server);
}

#[test]
fn an_expired_certificate() {
    let (demo, server) = Demo::serve(1);
    demo.authority
        .issue_expired(demo.path(), "old", &["localhost"]);
    server.configure(
        &demo
            .bws(1)
            .replace("site.pem", "old.pem")
            .replace("site.key", "old.key"),
    );
    assert_refused(&demo, &server, &["old.pem", "expired"]);
    assert_recovers(&demo, &server);
}

#[test]
fn a_port_that_somebody_else_holds() {
    let (demo, server) = Demo::serve(1);
    let (_held, address) = listener();
    server.configure(
        &demo
            .bws(1)
            .replacen(&demo.plain.to_string(), &address.to_string(), 1),
    );
    assert_refused(&demo, &server, &[&address.port().to_string()]);
    assert_recovers(&demo, &server);
}

/// A server whose executable lies in the test's folder, where it can be broken.
fn serve_a_copy() -> (Demo, Bws) {
    Demo::serve_copy(1, quick)
}

/// With a short deadline for new workers.
fn quick(config: &str) -> String {
    format!("[server]\nready_timeout = 1\n\n{config}")
}

fn a_broken_binary(content: &[u8], words: &[&str]) {
    let (demo, server) = serve_a_copy();
    let program = demo.path().join("bws");
    let whole = fs::read(&program).unwrap();
    let workers = server.workers();
    install(&program, content, 0o755);
    server.configure(&quick(&demo.bws(1)));
    assert_refused(&demo, &server, words);
    // Whoever was asked in vain may be on its way out yet.
    wait_for("the workers of before, alone", || {
        (server.workers() == workers).then_some(())
    });
    install(&program, &whole, 0o755);
    assert_recovers(&demo, &server);
}

#[test]
fn a_new_binary_that_may_not_be_executed() {
    let (demo, server) = serve_a_copy();
    let program = demo.path().join("bws");
    let whole = fs::read(&program).unwrap();
    install(&program, &whole, 0o644);
    server.configure(&quick(&demo.bws(1)));
    assert_refused(&demo, &server, &["may not be executed", "check its mode"]);
    // A worker that dies meanwhile is replaced by one of the running version.
    let worker = server.workers()[0];
    signal(worker, Signal::KILL);
    wait_for("another worker", || {
        let workers = server.workers();
        (workers.len() == 1 && workers[0] != worker).then_some(())
    });
    assert_eq!(demo.served(), 0);
    install(&program, &whole, 0o755);
    assert_recovers(&demo, &server);
}

#[test]
fn a_new_binary_that_is_cut_off() {
    let whole = fs::read(binary()).unwrap();
    a_broken_binary(&whole[..64 * 1024], &["new program", "cannot take over"]);
}

#[test]
fn a_new_binary_that_does_not_understand_the_state() {
    let answer = br#"#!/bin/sh
echo '{"version":"0.0.1","refusal":{"cause":"system","message":"a state of the future","details":
{"plan":null,"plan_text":"","warnings":null,"warnings_text":"","errors":null,"errors_text":""}}}'
exit 1
"#;
    a_broken_binary(
        answer,
        &["new program", "BWS 0.0.1", "a state of the future"],
    );
}

#[test]
fn a_syntax_error_met_by_a_new_binary() {
    let (demo, server) = serve_a_copy();
    let program = demo.path().join("bws");
    let master = fs::read_link(format!("/proc/{}/exe", server.process.pid())).unwrap();
    install(&program, &fs::read(&program).unwrap(), 0o755);
    server.configure(&demo.bws(1).replacen("[[sites]]", "[[sites]", 1));
    assert_refused(&demo, &server, &["config.toml:4:", "^"]);
    let now = fs::read_link(format!("/proc/{}/exe", server.process.pid())).unwrap();
    assert_eq!(
        now,
        Path::new(&format!("{} (deleted)", master.display())),
        "the old program goes on"
    );
    assert_recovers(&demo, &server);
}

#[test]
fn a_new_binary_that_is_no_program() {
    a_broken_binary(
        b"\x7fELF, but not really",
        &["new program", "gave no answer"],
    );
}

#[test]
fn a_new_binary_that_ends_at_once() {
    a_broken_binary(
        b"#!/bin/sh\nexit 3\n",
        &["new program", "no answer", "exit status: 3"],
    );
}

#[test]
fn a_new_binary_that_never_gets_ready() {
    a_broken_binary(
        b"#!/bin/sh\nexec sleep 600\n",
        &["new program", "did not answer within 1 s"],
    );
}

#[test]
fn a_descriptor_limit_that_is_too_low() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1));
    let pid = Pid::from_raw(i32::try_from(server.process.pid()).unwrap());
    let usual = getrlimit(Resource::Nofile);
    // Room for the caller's connection and one file, not for a new worker's channel.
    let tight = Rlimit {
        current: Some(limit_with_free(server.process.pid(), 2)),
        maximum: usual.maximum,
    };
    prlimit(pid, Resource::Nofile, tight).unwrap();
    assert_refused(&demo, &server, &["limit of open files", "LimitNOFILE"]);
    prlimit(pid, Resource::Nofile, usual).unwrap();
    assert_recovers(&demo, &server);
}

/// The limit under which a process can open so many descriptors more.
fn limit_with_free(pid: u32, mut free: u32) -> u64 {
    let is_free = |number: &u64| !Path::new(&format!("/proc/{pid}/fd/{number}")).exists();
    for number in 0.. {
        free -= u32::from(is_free(&number));
        if free == 0 {
            return number + 1;
        }
    }
    unreachable!("numbers do not end")
}

#[test]
fn a_broken_file_at_start_ends_with_the_documented_code() {
    let demo = Demo::new(0, listener().1, listener().1);
    write_file(
        &demo.path().join("bad.toml"),
        "[[sites]]\nhostnam = \"x\"\n",
    );
    let output = std::process::Command::new(binary())
        .arg("--config")
        .arg(demo.path().join("bad.toml"))
        .env("RUNTIME_DIRECTORY", demo.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains("bad.toml:2:"), "{}", said(&output));
}
