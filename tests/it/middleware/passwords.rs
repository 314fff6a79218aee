//! `require_auth` and what belongs to it.

use std::fs;

use super::{Guarded, PATHS, PROTOCOLS};
use crate::harness::wait_for;

/// "U*U", and "Hello world!".
const ALICE: &str = "alice:$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
const BOB: &str = "bob:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5\n";

const KEYS: &str = "access = { require_auth = true, auth_realm = \"the shop\", auth_file = \"users\" }\n\
                    access_control = { allow_origins = [\"https://app.example\"] }";

/// With `users` in the file.
fn serve(global: &str, users: &str) -> Guarded {
    let guarded = Guarded::serve_with(global, "");
    fs::write(guarded.demo.path().join("users"), users).unwrap();
    guarded.reload(global, KEYS);
    guarded
}

#[test]
fn only_who_knows_the_password_comes_in() {
    let log = "[logging]\nlog_requests = true\naccess_log = \"access.log\"";
    let guarded = serve(log, &format!("{ALICE}{BOB}"));
    for answer in guarded.ask_all(&[]) {
        let question = "Basic realm=\"the shop\", charset=\"UTF-8\"";
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, Some(question))
        );
    }
    for wrong in ["alice:u*u", "bob:U*U", "carol:U*U", ":"] {
        assert_eq!(guarded.statuses(&["--user", wrong]), [401; 4], "{wrong}");
    }
    for right in ["alice:U*U", "bob:Hello world!"] {
        assert_eq!(guarded.statuses(&["--user", right]), [200; 4], "{right}");
    }
    assert_eq!(guarded.ask("/health", &[]).status, 401);
    // The log has the name, whether it was hashed or known already.
    let lines = wait_for("lines", || {
        let text = fs::read_to_string(guarded.demo.path().join("access.log")).ok()?;
        let named = text.lines().filter(|line| line.contains(" - bob ["));
        (named.count() == 4).then_some(text)
    });
    assert!(
        lines
            .lines()
            .filter(|line| line.contains("\" 401 "))
            .all(|line| line.contains(" - - ["))
    );
    // The upstream does not see the password.
    let seen = guarded
        .ask(
            "/echo/head",
            &["--user", "alice:U*U", "--header", "X-Kept: 1"],
        )
        .body;
    assert!(
        seen.contains("x-kept: 1") && !seen.to_lowercase().contains("authorization"),
        "{seen}"
    );
    // Scripts of other origins ask before they send a password, and learn that it was wrong.
    let preflight = [
        "--request",
        "OPTIONS",
        "--header",
        "Access-Control-Request-Method: GET",
    ];
    let origin = ["--header", "Origin: https://app.example"];
    assert_eq!(
        guarded.ask("/", &[&preflight[..], &origin].concat()).status,
        204
    );
    let refused = guarded.ask("/", &origin);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://app.example")
    );
}

#[test]
fn a_question_is_answered_while_the_body_still_comes() {
    let guarded = serve("", ALICE);
    let large = guarded.demo.path().join("large");
    fs::File::create(&large).unwrap().set_len(4 << 20).unwrap();
    let upload = format!("@{}", large.display());
    for (path, protocol) in PATHS.iter().flat_map(|path| PROTOCOLS.map(|it| (path, it))) {
        let arguments = [protocol, "--user", "alice:wrong", "--data-binary", &upload];
        assert_eq!(
            guarded.ask(path, &arguments).status,
            401,
            "{path} {protocol}"
        );
    }
    let arguments = ["--user", "alice:U*U", "--data-binary", &upload];
    assert_eq!(
        guarded.ask("/echo/count", &arguments).body,
        format!("{} 0", 4 << 20)
    );
}

#[test]
fn a_reload_sees_a_changed_file_and_refuses_a_wrong_one() {
    let guarded = serve("[server]\nwatch_config = true", ALICE);
    assert_eq!(
        guarded.ask("/", &["--user", "bob:Hello world!"]).status,
        401
    );
    let file = guarded.demo.path().join("users");
    fs::write(
        &file,
        format!("{ALICE}eve:$apr1$abcdefgh$0123456789012345678901\n"),
    )
    .unwrap();
    let refused = guarded.server.reload();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(
        said.contains("line 2 of") && said.contains("MD5") && !said.contains("apr1"),
        "{said}"
    );
    fs::write(&file, BOB).unwrap();
    // The file is watched: nobody has to say more.
    wait_for("the new passwords", || {
        let status = guarded.ask("/", &["--user", "bob:Hello world!"]).status;
        (status == 200).then_some(())
    });
    assert_eq!(guarded.ask("/", &["--user", "alice:U*U"]).status, 401);
}
