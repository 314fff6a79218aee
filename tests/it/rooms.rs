//! The house's plan holds: no room imports from one that it must not know.

use std::fs;
use std::path::{Path, PathBuf};

/// What each room may import. A longer name is a part of a room.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("cli", &["config", "core", "worker", "systemd", "ipc"]),
    ("config", &["dns"]),
    (
        "core",
        &["config", "dns", "ipc", "systemd", "tls", "metrics"],
    ),
    ("dns", &[]),
    ("http", &["config::types", "dns", "metrics"]),
    ("ipc", &["config::types", "dns"]),
    ("metrics", &[]),
    ("systemd", &["config::types"]),
    ("tls", &["config::types", "metrics"]),
    (
        "worker",
        &[
            "config::types",
            "dns",
            "ipc",
            "http",
            "tls",
            "metrics",
            "systemd::events",
        ],
    ),
];

#[test]
fn no_room_imports_from_one_it_must_not_know() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (room, allowed) in ALLOWED {
        for file in sources(&source.join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            let foreign = imports(&text)
                .into_iter()
                .filter(|path| !permits(room, allowed, path));
            wrong.extend(foreign.map(|path| format!("{}: crate::{path}", file.display())));
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the house's plan:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_room_has_a_rule() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let known = ALLOWED.iter().any(|(room, _)| *room == name);
        assert_eq!(
            entry.path().is_dir(),
            known,
            "src/{name}: rooms are folders, each with a rule here"
        );
    }
}

#[test]
fn hot_reload_is_where_the_documentation_says() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/hot_reload/mod.rs");
    assert!(room.exists());
    // RUST_LOG=bws::core::hot_reload=trace has to name a module that exists.
    #[allow(unused_imports)]
    use bws::core::hot_reload as _;
}

fn permits(room: &str, allowed: &[&str], path: &str) -> bool {
    let inside = |part: &str| path == part || path.starts_with(&format!("{part}::"));
    inside(room) || allowed.iter().any(|part| inside(part))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                found.push(path)
            }
            false => {}
        }
    }
    found
}

/// Every `crate::a::b` in a source, comments left out; braces are opened up: `crate::{a::b, c}` is two.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join(" ");
    let mut found = Vec::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => found.extend(members(list)),
            None => found.push(path(after)),
        }
    }
    found
}

fn path(text: &str) -> String {
    let end = text.find(|sign: char| !sign.is_alphanumeric() && !"_:".contains(sign));
    text[..end.unwrap_or(text.len())]
        .trim_end_matches(':')
        .to_owned()
}

fn members(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut start = true;
    let mut found = Vec::new();
    for (at, sign) in list.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && sign.is_alphabetic() => {
                found.push(path(&list[at..]));
                start = false;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn imports_are_found_in_every_spelling() {
    let text = "use crate::config::types::Config;\nuse crate::{ipc::channel, tls::{a, b}};\n\
                // crate::core is not meant\nlet x = crate::http::Body::Empty;";
    assert_eq!(
        imports(text),
        [
            "config::types::Config",
            "ipc::channel",
            "tls",
            "http::Body::Empty"
        ]
    );
    assert!(permits(
        "worker",
        &["config::types"],
        "config::types::Config"
    ));
    assert!(!permits("worker", &["config::types"], "config::resolve"));
    assert!(!permits("http", &["tls"], "tls_tickets"));
}
