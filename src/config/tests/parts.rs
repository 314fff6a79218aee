//! A file that is read in parts says what it says as a whole, whatever it holds.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::parts::{Numbered, read_in_parts};
use super::super::raw::Raw;
use super::super::resolve;
use super::super::source::Source;
use super::{Options, fixtures};

/// What becomes of a text that is cut into parts of at least `size` bytes and resolved site by site.
fn outcome(text: &str, size: usize) -> (String, String, bool) {
    let source = Arc::new(Source::new(Path::new("/x/config.toml"), text.to_owned()));
    let sources = vec![source.clone()];
    let file = Numbered { number: 0, source };
    let mut reading = read_in_parts(&[file], Raw::read, size).pop().unwrap();
    if size < usize::MAX {
        let sites = reading.raw.sites.into_iter().flatten();
        reading.raw.sites = sites.map(|site| vec![site]).collect();
    }
    let (raw, findings) = (reading.raw, reading.findings);
    let options = Options::default();
    let resolved = resolve::resolve(raw, &sources, &findings, Vec::new(), &options, None);
    (
        format!("{:?}", resolved.config),
        findings.report(&sources).plain(),
        reading.broken,
    )
}

const LINES: &[&str] = &[
    "[[sites]]\n",
    "[[sites]]\n",
    "[[sites]]\n",
    "[[sites]] # again\n",
    "[[sites]]\r\n",
    " [[sites]]\n",
    "[[ sites ]]\n",
    "[[\"sites\"]]\n",
    "[[sites]]x\n",
    "[sites]\n",
    "sites = []\n",
    "# [[sites]]\n",
    "[server]\n",
    "[logging]\n",
    "[sites.proxy]\n",
    "[sites.ssl]\n",
    "[[sites.proxy.upstreams]]\n",
    "[[sites.proxy.routes]]\n",
    "name = \"a\"\n",
    "name = \"b\"\n",
    "hostname = \"a.example\"\n",
    "hostname = \"-\"\n",
    "port = 80\n",
    "port = 81\n",
    "static_dir = \"/\"\n",
    "static_dir = \"/missing\"\n",
    "default = true\n",
    "cert_file = \"/missing.pem\"\n",
    "key_file = \"/missing.pem\"\n",
    "key_file = \"credential:none\"\n",
    "url = \"http://127.0.0.1:3000\"\n",
    "path = \"/\"\n",
    "upstream = \"a\"\n",
    "headers = {x-a = \"b\"}\n",
    "unknown = 1\n",
    "name = \"\"\"\n",
    "\"\"\"\n",
    "name = '''\n",
    "'''\n",
    "hostnames = [\n",
    "\"a\", \"b\"]\n",
    "headers = {\n",
    "}\n",
    "name = \"ü\n",
    "\n",
];

fn lines() -> impl Strategy<Value = String> {
    let line = prop::sample::select(LINES);
    prop::collection::vec(line, 0..60).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn parts_say_what_the_whole_says(text in lines(), size in 1_usize..80) {
        prop_assert_eq!(outcome(&text, size), outcome(&text, usize::MAX));
    }

    #[test]
    fn parts_of_a_mutated_file_say_what_the_whole_says(
        which in 0_usize..4,
        cut in any::<prop::sample::Index>(),
        length in 0_usize..20,
        put in "[\\[\\]={}\"'\n\\\\.,# a-z0-9ü]{0,4}",
        size in 1_usize..200,
    ) {
        let names = ["examples/basic.toml", "examples/proxy.toml", "examples/ssl.toml", "config-errors/everything.toml"];
        let text = std::fs::read_to_string(fixtures(names[which])).unwrap();
        let again = text.find("[[sites]]").unwrap();
        let mut characters: Vec<char> = format!("{text}\n{}", &text[again..]).chars().collect();
        let start = cut.index(characters.len());
        let end = (start + length).min(characters.len());
        characters.splice(start..end, put.chars());
        let text: String = characters.into_iter().collect();
        prop_assert_eq!(outcome(&text, size), outcome(&text, usize::MAX));
    }
}
