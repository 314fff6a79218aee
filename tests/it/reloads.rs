//! Reloads that succeed: what the caller learns, and when.

use std::process::Stdio;

use rustix::process::Signal;

use crate::client::storm::tls;
use crate::client::transport::{Endpoint, Transport};
use crate::harness::demo::{Demo, HOST};
use crate::harness::{runtime, wait_for};

#[test]
fn the_new_configuration_serves_when_the_command_returns() {
    let (demo, server) = Demo::serve(5);
    let before = demo.config_version();
    for number in 1..=5 {
        server.reload_to(&demo.bws(number));
        assert_eq!(demo.served(), number);
        assert_eq!(demo.config_version(), before + u64::from(number));
    }
}

#[test]
fn the_command_says_what_changed_and_how_long_it_took() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1));
    let output = server.reload();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("plain") && said.contains("ms"), "{said}");
}

#[test]
fn a_signal_reloads_too() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1));
    server.process.signal(Signal::HUP);
    wait_for("the new configuration", || {
        (demo.served() == 1).then_some(())
    });
}

#[test]
fn the_socket_api_reloads_too() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1));
    let (status, body) = server.control("POST", "/api/config/reload");
    assert_eq!(status, 200, "{body}");
    assert_eq!(demo.served(), 1);
    server.configure("[[sites]\n");
    let (status, body) = server.control("POST", "/api/config/reload");
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("config.toml"), "{body}");
    assert_eq!(demo.served(), 1);
}

#[test]
fn triggers_during_a_reload_become_one_more() {
    let (demo, server) = Demo::serve(2);
    server.configure(&demo.bws(1));
    server.process.signal(Signal::HUP);
    let reloading = || {
        server
            .notify
            .states()
            .iter()
            .filter(|state| *state == "RELOADING=1")
            .count()
    };
    wait_for("RELOADING=1", || (reloading() == 1).then_some(()));
    server.configure(&demo.bws(2));
    (0..20).for_each(|_| server.process.signal(Signal::HUP));
    let output = server.reload();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(demo.served(), 2);
    wait_for("the reload after it", || (reloading() >= 2).then_some(()));
    // The first, the one after it, and one more where the first was over before the last trigger came.
    assert!(
        (2..=4).contains(&reloading()),
        "{:?}",
        server.notify.states()
    );
}

#[test]
fn callers_at_once_are_all_answered() {
    let (demo, server) = Demo::serve(1);
    server.configure(&demo.bws(1));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            server
                .command(&["reload"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for caller in callers {
        let output = caller.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(demo.served(), 1);
}

#[test]
fn a_reload_brings_the_new_certificate() {
    let (demo, server) = Demo::serve(0);
    let tls = tls(&demo.authority.der(), HOST, b"http/1.1");
    let endpoint = Endpoint {
        address: demo.secure,
        from: None,
        tls: Some(tls),
    };
    let shown = || {
        let connection = runtime().block_on(endpoint.connect()).unwrap();
        let Transport::Tls(stream) = connection else {
            unreachable!("an endpoint with TLS")
        };
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown();
    demo.authority.issue(demo.path(), "site", &[HOST]);
    assert_eq!(shown(), before, "files are read at a reload, not before");
    server.reload_to(&demo.bws(0));
    assert_ne!(shown(), before);
}

#[test]
fn old_workers_leave() {
    let (demo, server) = Demo::serve(3);
    let first = server.workers();
    assert_eq!(first.len(), 1);
    (1..=3).for_each(|number| server.reload_to(&demo.bws(number)));
    let now = wait_for("a single worker", || {
        Some(server.workers()).filter(|all| all.len() == 1)
    });
    assert_ne!(first, now);
}
