//! The table of classes and answers beside the corpus, README.md; BLESS=1 writes it.

use std::fmt::Write as _;
use std::path::Path;

use super::corpus::{CORPUS, Group};

const START: &str = "\
# Malformed and ambiguous requests, and their answers

Each of these is sent whole and byte by byte, in front of a request that a laxer parser would find in it; the connection
is closed after the answer, and no upstream sees any of it (tests/it/smuggling.rs, which also writes this table: BLESS=1).
Control characters stand as `\\r`, `\\n`, `\\t`, `\\x00`.

| class | requests | answer | the first of them |
|---|---:|---:|---|
";

const LIMITS: &str = "
Limits (RFC 9110 section 15.5, RFC 6585 section 5), over HTTP/1 and, where no frame is named, over HTTP/2 as well:

| what | limit | answer |
|---|---|---|
| request target | `performance.max_uri_length`, 32 KiB | 414 |
| head as a whole | `performance.max_header_size`, 32 KiB | 431 |
| header fields | `performance.max_headers`, 100 | 431 |
| trailers | 8 KiB, 100 fields | 400 |
| chunk extensions | 256 bytes in one body | 400 |
| body | `security.max_request_size` | 413 |
| the head's time | `performance.header_timeout` from its first byte | 408 |
| a body's rate | `performance.min_rate` over `performance.request_timeout` | 408 before the response, else the end |
| host that no site on the port has, without a default | | 421 |
| a request line that says nothing of HTTP (`HELO mail example`) | | the end, without an answer |
";

fn example(group: &Group) -> String {
    let part = group.parts.first().copied().unwrap_or_default();
    let text = part.escape_ascii().to_string().replace('|', "\\|");
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn table() -> String {
    let mut text = START.to_owned();
    for group in CORPUS {
        let Group {
            class,
            parts,
            answer,
            ..
        } = group;
        let _ = writeln!(
            text,
            "| {class} | {} | {answer} | `` {} `` |",
            parts.len(),
            example(group)
        );
    }
    let sum: usize = CORPUS.iter().map(|group| group.parts.len()).sum();
    let _ = writeln!(text, "| all | {sum} | | |");
    text + LIMITS
}

#[test]
fn the_table_is_what_is_tested() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/smuggling/README.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, table()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == table(),
        "'{}' is out of date: run with BLESS=1",
        path.display()
    );
}
