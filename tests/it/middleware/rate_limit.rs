//! `[sites.rate_limit]` and `[security.rate_limiting]`.

use rustix::process::Signal;

use super::{Guarded, PATHS, PROTOCOLS};
use crate::harness::process;
use crate::harness::wait_for;

/// Four at once, and then none for an hour.
const FOUR: &str =
    "rate_limit = { requests_per_minute = 1, burst_size = 4, block_duration = \"1h\" }";

fn status(guarded: &Guarded, from: &str) -> u16 {
    guarded.ask("/small.bin", &["--interface", from]).status
}

#[test]
fn files_and_proxied_paths_count_together_and_clients_apart() {
    let guarded = Guarded::serve(FOUR);
    assert_eq!(guarded.statuses(&[]), [200; 4]);
    for answer in guarded.ask_all(&[]) {
        assert_eq!(answer.status, 429);
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&seconds), "{seconds}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(guarded.statuses(&["--interface", "127.0.0.2"]), [200; 4]);
    assert_eq!(status(&guarded, "127.0.0.2"), 429);
}

#[test]
fn neither_a_reload_nor_a_dead_worker_makes_it_forget() {
    let guarded = Guarded::serve_with("[server]\nworkers = 2", FOUR);
    assert_eq!(guarded.statuses(&[]), [200; 4]);
    assert_eq!(status(&guarded, "127.0.0.1"), 429);
    guarded.reload(
        "[server]\nworkers = 1",
        &format!("api_only = false\n{FOUR}"),
    );
    assert_eq!(status(&guarded, "127.0.0.1"), 429);
    let before = guarded.server.workers();
    for worker in &before {
        process::signal(*worker, Signal::KILL);
    }
    wait_for("a new worker", || {
        let now = guarded.server.workers();
        (!now.is_empty() && now.iter().all(|worker| !before.contains(worker))).then_some(())
    });
    assert_eq!(status(&guarded, "127.0.0.1"), 429);
    // A site of another name knows nothing of it, and the limit of all sites begins now.
    let all = "[security.rate_limiting]\nrequests_per_minute = 1\nburst_size = 2\nwhitelist = [\"127.0.0.2\"]";
    guarded.reload(all, "");
    let statuses = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"];
    assert_eq!(
        statuses.map(|from| status(&guarded, from)),
        [200, 200, 429, 200]
    );
}

#[test]
fn a_blacklist_needs_no_limit() {
    let guarded = Guarded::serve("rate_limit = { blacklist = [\"127.0.0.2\"] }");
    assert_eq!(guarded.statuses(&[]), [200; PATHS.len() * PROTOCOLS.len()]);
    assert_eq!(guarded.statuses(&["--interface", "127.0.0.2"]), [403; 4]);
}
