//! `allow_ips` and `deny_ips`.

use super::Guarded;

/// The addresses of this machine that curl comes from.
const FROM: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.1.0.1"];

fn statuses(guarded: &Guarded) -> Vec<Vec<u16>> {
    FROM.map(|from| guarded.statuses(&["--interface", from]))
        .into()
}

#[test]
fn deny_wins_over_allow_and_a_reload_changes_it() {
    let guarded =
        Guarded::serve("access = { allow_ips = [\"127.0.0.0/24\"], deny_ips = [\"127.0.0.2\"] }");
    assert_eq!(statuses(&guarded), [[200; 4], [403; 4], [403; 4]]);
    guarded.reload("", "access = { deny_ips = [\"127.0.0.1\", \"::/0\"] }");
    assert_eq!(statuses(&guarded), [[403; 4], [200; 4], [200; 4]]);
    guarded.reload("", "");
    assert_eq!(statuses(&guarded), [[200; 4]; 3]);
}

#[test]
fn a_refusal_does_not_wait_for_the_body() {
    let guarded = Guarded::serve("access = { deny_ips = [\"127.0.0.0/8\"] }");
    let large = guarded.demo.path().join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(8 << 20)
        .unwrap();
    let upload = format!("@{}", large.display());
    assert_eq!(guarded.statuses(&["--data-binary", &upload]), [403; 4]);
    let chunked = [
        "--data-binary",
        &upload,
        "--header",
        "Transfer-Encoding: chunked",
    ];
    assert_eq!(guarded.ask("/echo", &chunked).status, 403);
}
