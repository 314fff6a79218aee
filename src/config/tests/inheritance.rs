//! Certificates of the configuration in force, taken over by the next.

use std::sync::Arc;

use super::super::types::Config;
use super::super::{Loaded, Options, Report, Severity, load_after};
use super::Folder;
use super::certificates::{Pair, pair};

fn write(folder: &Folder, name: &str, pair: &Pair) {
    folder.write(&format!("{name}.pem"), &pair.cert);
    folder.write(&format!("{name}.key"), &pair.key);
}

/// Sites `a`, `b` and `c` with a certificate each.
fn sites() -> String {
    let site = |name| {
        format!(
            "[[sites]]\nname = \"{name}\"\nhostname = \"{name}.example\"\nport = 443\napi_only = true\n\
             ssl = {{cert_file = \"{name}.pem\", key_file = \"{name}.key\"}}\n"
        )
    };
    ["a", "b", "c"].map(site).concat()
}

fn load(folder: &Folder, earlier: Option<&Config>) -> Result<Loaded, Report> {
    load_after(earlier, &folder.path("config.toml"), &Options::default())
}

#[test]
fn what_did_not_change_is_not_parsed_again() {
    let folder = Folder::new();
    folder.write("config.toml", &sites());
    for name in ["a", "b", "c"] {
        write(&folder, name, &pair(&[&format!("{name}.example")], 90));
    }
    let first = load(&folder, None).unwrap();
    assert_eq!(first.certificates_parsed, 3);
    let again = load(&folder, Some(&first.config)).unwrap();
    assert_eq!(again.certificates_parsed, 0);
    assert_eq!(again.config, first.config);
    // Another comment, the same certificate.
    let text = format!(
        "# renewed\n{}",
        std::fs::read_to_string(folder.path("a.pem")).unwrap()
    );
    folder.write("a.pem", &text);
    write(&folder, "b", &pair(&["b.example"], 90));
    let renewed = load(&folder, Some(&again.config)).unwrap();
    assert_eq!(renewed.certificates_parsed, 1);
    let same = |index| {
        let [old, new] = [&first, &renewed].map(|it| it.config.certificates.find(index).unwrap());
        Arc::ptr_eq(&old, &new)
    };
    assert_eq!([0, 1, 2].map(same), [true, false, true]);
    let hashes = |loaded: &Loaded| -> Vec<String> {
        let sites = loaded.config.sites.iter();
        sites.map(|site| site.hash.clone()).collect()
    };
    let (before, after) = (hashes(&first), hashes(&renewed));
    assert_eq!(
        [0, 1, 2].map(|it| before[it] == after[it]),
        [true, false, true]
    );
    assert_eq!(renewed.config, load(&folder, None).unwrap().config);
}

#[test]
fn what_is_wrong_now_is_seen_whatever_was_before() {
    let folder = Folder::new();
    folder.write("config.toml", &sites());
    for name in ["a", "b", "c"] {
        write(&folder, name, &pair(&[&format!("{name}.example")], 90));
    }
    let first = load(&folder, None).unwrap().config;
    folder.write("a.key", &pair(&["a.example"], 90).key);
    folder.write("b.pem", "nothing");
    std::fs::remove_file(folder.path("c.key")).unwrap();
    let report = load(&folder, Some(&first)).unwrap_err();
    let text = report.plain();
    let errors = report
        .problems
        .iter()
        .filter(|it| it.severity == Severity::Error);
    assert_eq!(errors.count(), 3, "{text}");
    for expected in ["does not belong", "holds no certificate", "cannot read"] {
        assert!(text.contains(expected), "{text}");
    }
}
