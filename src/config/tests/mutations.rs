//! Whatever a file holds, loading ends with a configuration or a report.

use std::path::Path;

use proptest::prelude::*;

use super::super::{Options, load::load_text};
use super::{errors, fixtures};

fn attempt(text: String) {
    let result = load_text(Path::new("config.toml"), text, &Options::default());
    if let Err(report) = result {
        assert!(report.has_errors());
        assert!(!report.one_line().is_empty());
        assert!(report.styled().len() >= report.plain().len());
    }
}

fn valid() -> Vec<String> {
    let read = |name| std::fs::read_to_string(fixtures(name)).unwrap();
    [
        "examples/basic.toml",
        "examples/proxy.toml",
        "examples/ssl.toml",
        "config-errors/everything.toml",
    ]
    .map(read)
    .to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        attempt(text);
    }

    #[test]
    fn any_toml_like_text_is_survived(text in "([a-z]{1,3}|[\\[\\]={}\"'\n\\\\.,# 0-9üé\t\r])*") {
        attempt(text);
    }

    #[test]
    fn a_mutated_file_is_survived(
        which in 0_usize..4,
        cut in any::<prop::sample::Index>(),
        length in 0_usize..40,
        put in "[\\[\\]={}\"'\n\\\\.,# a-z0-9ü\0]{0,6}",
    ) {
        let mut characters: Vec<char> = valid()[which].chars().collect();
        let start = cut.index(characters.len());
        let end = (start + length).min(characters.len());
        characters.splice(start..end, put.chars());
        attempt(characters.into_iter().collect());
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for open in ["[", "{a="] {
        let found = errors(&format!("a = {}", open.repeat(100_000)));
        assert!(!found.is_empty());
    }
    assert!(!errors(&format!("a{} = 1", ".a".repeat(100_000))).is_empty());
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let folder = super::Folder::new();
    let path = folder.path("config.toml");
    std::fs::write(&path, b"[server]\nname = \"\xff\"\n").unwrap();
    let report = super::load(&path, &Options::default()).unwrap_err();
    assert!(
        report
            .one_line()
            .ends_with("config.toml:2:9: the file is not UTF-8"),
        "{}",
        report.one_line()
    );
}

#[test]
fn what_is_not_a_file_is_an_error() {
    let folder = super::Folder::new();
    for path in [folder.path("missing.toml"), folder.0.path().to_path_buf()] {
        let report = super::load(&path, &Options::default()).unwrap_err();
        assert_eq!(report.problems.len(), 1);
        assert!(report.problems[0].help.is_some());
    }
}

#[test]
fn a_path_that_is_no_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = super::Folder::new();
    let odd = folder.0.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&odd).unwrap();
    let file = odd.join("config.toml");
    std::fs::write(
        &file,
        "[[sites]]\nname = \"a\"\nport = 80\nstatic_dir = \".\"\n",
    )
    .unwrap();
    let report = super::load(&file, &Options::default()).unwrap_err();
    assert!(
        report.one_line().ends_with("is not UTF-8"),
        "{}",
        report.one_line()
    );
    assert!(super::super::serve_folder(&odd, 80).is_err());
}
