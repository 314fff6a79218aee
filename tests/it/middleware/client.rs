//! `trusted_proxies` and `request_id`: who a request comes from, and its name.

use std::fs;

use super::{Guarded, PATHS, PROTOCOLS};
use crate::harness::wait_for;

const TRUSTED: &str =
    "[security]\nrequest_id = true\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";
const RULES: &str = "redirect_to_https = true\naccess = { deny_ips = [\"192.0.2.1\"] }\n\
                     rate_limit = { requests_per_minute = 1, burst_size = 8 }";

#[test]
fn a_trusted_proxy_says_who_its_client_is() {
    let guarded = Guarded::serve_with(TRUSTED, RULES);
    let said = |client: &str| {
        let client = format!("X-Forwarded-For: {client}");
        guarded.statuses(&["--header", &client, "--header", "X-Forwarded-Proto: https"])
    };
    assert_eq!(said("6.6.6.6, 192.0.2.1, 10.0.0.1"), [403; 4]);
    assert_eq!(said("192.0.2.1, 192.0.2.2"), [200; 4]);
    assert_eq!(said("192.0.2.2"), [200; 4]);
    assert_eq!(said("192.0.2.2"), [429; 4]);
    assert_eq!(said("192.0.2.3"), [200; 4]);
    // Without TLS in front of the proxy, and with the other header.
    assert_eq!(
        guarded.statuses(&["--header", "Forwarded: for=192.0.2.4"]),
        [308; 4]
    );
    // Nobody else is believed: this client is 127.0.0.2, whatever it says.
    for client in ["192.0.2.1", "192.0.2.2"] {
        let client = format!("X-Forwarded-For: {client}");
        let arguments = [
            "--interface",
            "127.0.0.2",
            "--header",
            &client,
            "--header",
            "X-Forwarded-Proto: https",
        ];
        assert_eq!(guarded.statuses(&arguments), [308; 4]);
    }
}

#[test]
fn the_upstream_and_the_log_learn_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let global = format!(
        "{TRUSTED}[logging]\nlog_requests = true\nformat = \"json\"\naccess_log = \"{}\"",
        log.display()
    );
    let guarded = Guarded::serve_with(&global, "");
    let arguments = [
        "--header",
        "X-Forwarded-For: 192.0.2.9",
        "--header",
        "X-Request-Id: abc-1",
    ];
    let answer = guarded.ask("/echo/head?trusted", &arguments);
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    for line in [
        "x-forwarded-for: 192.0.2.9, 127.0.0.1\n",
        "x-request-id: abc-1\n",
    ] {
        assert!(answer.body.contains(line), "{}", answer.body);
    }
    let others = [&arguments[..], &["--interface", "127.0.0.2"]].concat();
    let answer = guarded.ask("/echo/head?other", &others);
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert!(
        answer.body.contains("x-forwarded-for: 127.0.0.2\n"),
        "{}",
        answer.body
    );
    assert!(id.len() == 32 && answer.body.contains(&format!("x-request-id: {id}\n")));
    for (part, client, id) in [
        ("trusted", "192.0.2.9", "abc-1"),
        ("other", "127.0.0.2", &*id),
    ] {
        let line = wait_for("a line", || {
            let text = fs::read_to_string(&log).ok()?;
            text.lines()
                .find(|line| line.contains(part))
                .map(str::to_owned)
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["remote_addr"], &line["request_id"]),
            (&client.into(), &id.into())
        );
    }
}

#[test]
fn every_response_has_a_name_of_its_own() {
    let guarded = Guarded::serve_with(
        "[security]\nrequest_id = true",
        "access = { deny_ips = [\"127.0.0.2\"] }",
    );
    let mut names: Vec<String> = Vec::new();
    for from in ["127.0.0.1", "127.0.0.2"] {
        let answers = guarded.ask_all(&["--interface", from, "--header", "X-Request-Id: mine"]);
        names.extend(
            answers
                .iter()
                .map(|answer| answer.header("x-request-id").unwrap().to_owned()),
        );
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 2 * PATHS.len() * PROTOCOLS.len());
    assert!(names.iter().all(|name| name.len() == 32), "{names:?}");
}
