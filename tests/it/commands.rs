//! The documented commands, as people type them.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::harness::bws::{Bws, binary};
use crate::harness::demo::{Demo, HOST};
use crate::harness::process::{Process, signal, title};
use crate::harness::{free_address, get, wait_for};

fn bws(arguments: &[&str]) -> Output {
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(arguments)
        .env("RUNTIME_DIRECTORY", empty.path())
        .output();
    output.expect("bws can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Of the server's own processes, those whose command line `pgrep -f PATTERN` finds.
fn pgrep(server: &Bws, pattern: &str) -> Vec<u32> {
    let output = Command::new("pgrep")
        .args(["-f", pattern])
        .output()
        .expect("procps is installed");
    let family = [vec![server.process.pid()], server.workers()].concat();
    let found = text(&output.stdout);
    found
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .filter(|pid| family.contains(pid))
        .collect()
}

#[test]
fn processes_are_found_by_the_documented_patterns() {
    let (demo, server) = Demo::serve(1);
    let titles = || {
        [vec![server.process.pid()], server.workers()]
            .concat()
            .into_iter()
            .map(title)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        pgrep(&server, "bws.*master"),
        [server.process.pid()],
        "{:?}",
        titles()
    );
    assert_eq!(
        pgrep(&server, "bws.*worker"),
        server.workers(),
        "{:?}",
        titles()
    );
    // kill -HUP $(pgrep -f "bws.*master")
    server.configure(&demo.bws(1));
    pgrep(&server, "bws.*master")
        .into_iter()
        .for_each(|pid| signal(pid, Signal::HUP));
    wait_for("the new configuration", || {
        (demo.served() == 1).then_some(())
    });
    // kill -9 $(pgrep -f "bws.*worker")
    wait_for("one worker", || (server.workers().len() == 1).then_some(()));
    pgrep(&server, "bws.*worker")
        .into_iter()
        .for_each(|pid| signal(pid, Signal::KILL));
    assert_eq!(demo.served(), 1);
}

#[test]
fn a_configuration_is_checked_without_serving_it() {
    let demo = Demo::new(0, free_address(), free_address());
    let path = demo.path().join("config.toml");
    fs::write(&path, demo.bws(0)).unwrap();
    let path = path.to_str().unwrap();
    for spelling in [
        vec!["--config-check", path],
        vec!["--dry-run", "--config", path],
        vec!["check", path],
    ] {
        let output = bws(&spelling);
        assert_eq!(output.status.code(), Some(0), "{spelling:?}: {output:?}");
    }
    fs::write(path, demo.bws(0).replace("worker_threads", "worker_treads")).unwrap();
    let output = bws(&["--config-check", path]);
    let said = text(&output.stderr) + &text(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("config.toml:2:1") && said.contains("worker_threads"),
        "{said}"
    );
}

#[test]
fn a_check_gathers_all_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(
        &path,
        "[server]\nnam = 1\n[[sites]]\nname = \"a\"\nport = 99999\nstatic_dir = \"/nowhere/a\"\n",
    )
    .unwrap();
    let output = bws(&["--config-check", path.to_str().unwrap()]);
    let said = text(&output.stderr) + &text(&output.stdout);
    for word in ["'nam'", "99999"] {
        assert!(said.contains(word), "no {word} in: {said}");
    }
}

#[test]
fn the_catalog_is_printed_as_it_is_shipped() {
    let output = bws(&["generate", "catalog"]);
    let shipped = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/bws.catalog")).unwrap();
    assert_eq!(text(&output.stdout), text(&shipped));
}

#[test]
fn commands_without_a_server_say_so() {
    let folder = tempfile::tempdir().unwrap();
    // Where this machine has a master, that one would answer.
    let control = folder.path().join("control.sock");
    for command in ["reload", "status"] {
        let output = bws(&["--control", control.to_str().unwrap(), command]);
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && said.contains("control.sock"),
            "{command}: {output:?}"
        );
    }
}

#[test]
fn status_is_for_people_and_for_programs() {
    let (demo, server) = Demo::serve(1);
    server.reload_to(&demo.bws(1));
    let output = server.command(&["status"]).output().unwrap();
    let said = text(&output.stdout);
    assert!(
        output.status.success() && said.contains(&server.process.pid().to_string()),
        "{output:?}"
    );
    let output = server.command(&["status", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(status["pid"], server.process.pid(), "{status}");
    assert_eq!(status["config_version"], 2, "{status}");
    assert!(
        !status["sites"].is_null() && !status["generations"].is_null(),
        "{status}"
    );
    assert_eq!(status["last_reload"]["success"], true, "{status}");
}

#[test]
fn a_plan_is_printed_and_nothing_else_happens() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1));
    let output = server.command(&["reload", "--plan"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("plain"), "{output:?}");
    assert_eq!(demo.served(), 0);
}

#[test]
fn health_tells_the_version_of_the_configuration() {
    let (demo, server) = Demo::serve(1);
    let before = demo.health();
    assert_eq!(before["status"], "healthy");
    for key in [
        "service",
        "version",
        "uptime",
        "timestamp",
        "config_version",
        "config_hash",
        "generation",
    ] {
        assert!(!before[key].is_null(), "{key}: {before}");
    }
    server.reload_to(&demo.bws(1));
    let after = demo.health();
    assert_eq!(
        after["config_version"].as_u64(),
        before["config_version"].as_u64().map(|version| version + 1)
    );
    assert_ne!(after["config_hash"], before["config_hash"]);
    assert!(
        after["uptime"].as_f64() >= before["uptime"].as_f64(),
        "{before} {after}"
    );
    assert_eq!(get(demo.plain, HOST, "/health").0.status, 200);
}

#[test]
fn a_folder_is_served_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "hello").unwrap();
    let address = free_address();
    let mut command = Command::new(binary());
    command
        .arg(folder.path())
        .arg("--port")
        .arg(address.port().to_string());
    command.env("RUNTIME_DIRECTORY", folder.path());
    let mut process = Process::start(command, &folder.path().join("log")).unwrap();
    wait_for("the server", || TcpStream::connect(address).ok());
    assert_eq!(get(address, "localhost", "/").1, b"hello");
    process.signal(Signal::TERM);
    assert!(process.wait().success());
}

#[test]
fn it_binds_by_itself_where_nobody_passes_sockets() {
    let demo = Demo::new(0, free_address(), free_address());
    let server = Bws::start(demo.path(), &demo.bws(0), Vec::new());
    assert_eq!(demo.served(), 0);
    let (status, _) = server.stop();
    assert!(status.success());
    assert!(
        TcpStream::connect(demo.plain).is_err(),
        "the port is free again"
    );
}

#[test]
fn the_log_tells_a_reload_step_by_step() {
    let (demo, server) = Demo::serve(1);
    server.reload_to(&demo.bws(1));
    let log = || server.process.output().to_lowercase();
    for line in [
        "Loading configuration from",
        "Validating new configuration",
        "Spawning new worker with PID",
        "Ready to accept connections",
        "Hot reload",
        "Graceful shutdown complete",
    ] {
        wait_for(line, || log().contains(&line.to_lowercase()).then_some(()));
    }
    server.process.signal(Signal::HUP);
    wait_for("the signal's line", || {
        log().contains("received sighup").then_some(())
    });
}
