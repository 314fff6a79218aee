//! The manual pages, `--help` and the code say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use bws::config::reference::{self, Key};

use crate::harness::bws::binary;

/// What bws.toml(5) says of a key: `.It Ic name`, then `.Pq type; default; reload`, then text.
struct Entry {
    summary: String,
    text: String,
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name);
    fs::read_to_string(path).expect("a manual page")
}

/// The entries of the manual by table and key.
fn entries() -> BTreeMap<(String, String), Entry> {
    let page = page("bws.toml.5");
    let (_, tables) = page.split_once(".Sh TABLES AND KEYS").expect("the section");
    let (tables, _) = tables.split_once(".Sh FILES").expect("the next section");
    let mut entries = BTreeMap::new();
    for section in tables.split("\n.Ss ").skip(1) {
        let (head, body) = section.split_once('\n').expect("a heading is a line");
        let table = match head.trim_end_matches("\\&") {
            "The file itself" => "",
            head => head,
        };
        for item in body.split("\n.It Ic ").skip(1) {
            let mut lines = item.splitn(3, '\n').map(str::to_owned);
            let mut line = || lines.next().unwrap_or_default();
            let key = (table.to_owned(), line());
            let (summary, text) = (line(), line());
            let twice = entries.insert(key.clone(), Entry { summary, text });
            assert!(twice.is_none(), "{key:?} is told twice");
        }
    }
    entries
}

#[test]
fn every_key_is_in_the_manual_and_no_other() {
    let known: BTreeSet<_> = reference::keys()
        .into_iter()
        .map(|key| (key.table, key.name.to_owned()))
        .collect();
    let told: BTreeSet<_> = entries().into_keys().collect();
    let missing: Vec<_> = known.difference(&told).collect();
    let unknown: Vec<_> = told.difference(&known).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "bws.toml.5 lacks {missing:?} and tells of {unknown:?}, which src/config/schema.rs does not know"
    );
}

#[test]
fn whatever_the_manual_tells_of_is_available() {
    for (key, entry) in entries() {
        let text = [entry.summary, entry.text].concat();
        assert!(!text.to_lowercase().contains("not available"), "{key:?}");
    }
    assert!(!page("bws.toml.5").contains("Not available in this version"));
}

#[test]
fn every_key_has_type_default_and_effect() {
    for ((table, key), entry) in entries() {
        let summary = entry.summary.strip_prefix(".Pq ").unwrap_or_default();
        let parts: Vec<&str> = summary.split("; ").collect();
        let complete = match parts[..] {
            [_, "no effect"] => true,
            [_, default, "reload"] => default.starts_with("default ") || default == "required",
            _ => false,
        };
        assert!(complete, "{table} {key}: '{}'", entry.summary);
        assert!(!entry.text.trim().is_empty(), "{table} {key} is not told");
    }
}

/// `sites.proxy.timeout` of `[[sites]]`'s tables.
fn full_name(key: &Key) -> String {
    match key.table.replace(['[', ']'], "") {
        table if table.is_empty() => key.name.to_owned(),
        table => format!("{table}.{}", key.name),
    }
}

/// Long options and commands that `--help` names.
fn help(command: &[&str]) -> (BTreeSet<String>, Vec<String>) {
    let output = Command::new(binary())
        .args(command)
        .arg("--help")
        .env("COLUMNS", "200")
        .output()
        .expect("bws can be started");
    let text = String::from_utf8(output.stdout).expect("text");
    let options = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.trim_end_matches(|sign: char| !sign.is_alphanumeric()));
    let options = options.filter(|word| !word.is_empty()).map(str::to_owned);
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = listed
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned);
    (options.collect(), commands.collect())
}

#[test]
fn options_and_commands_are_those_of_the_manual() {
    let page = page("bws.8");
    let (mut options, commands) = help(&[]);
    for command in &commands {
        assert!(
            page.contains(&format!("\n.It Cm {command}")),
            "bws(8) lacks the command '{command}'"
        );
        if command != "help" {
            options.extend(help(&[command.as_str()]).0);
        }
    }
    assert!(commands.contains(&"reload".to_owned()), "{commands:?}");
    let told: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with(".It Fl "))
        .flat_map(|line| {
            line.split_whitespace()
                .filter_map(|word| word.strip_prefix('-'))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(told, options, "bws(8) on the left, --help on the right");
}

#[test]
fn what_bws_generates_is_what_is_shipped() {
    let generated = |words: &[&str]| {
        let output = Command::new(binary())
            .arg("generate")
            .args(words)
            .output()
            .expect("bws can be started");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(generated(&["man"]), page("bws.8"));
    assert_eq!(generated(&["man", "bws.toml"]), page("bws.toml.5"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(generated(&["completions", shell]).contains("config-check"));
    }
}

#[test]
fn the_packaged_configuration_has_no_error() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(packaging.join("config.toml")).unwrap();
    let welcome = packaging.join("welcome").display().to_string();
    let path = folder.path().join("config.toml");
    fs::write(&path, text.replace("/usr/share/bws/welcome", &welcome)).unwrap();
    let output = Command::new(binary())
        .arg("check")
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}
