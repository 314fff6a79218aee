//! The exact words of reports: `tests/fixtures/config-errors/NAME.toml` gives `NAME.expected`.
//!
//! To write the expected files anew after a deliberate change: `BLESS=1 cargo test --lib config::tests::reports`.

use std::path::Path;

use super::super::{Options, load};
use super::fixtures;

#[test]
fn reports_read_as_expected() {
    // Relative, so that no folder of the machine is in the reports.
    let folder = Path::new("tests/fixtures/config-errors");
    let mut names: Vec<_> = std::fs::read_dir(fixtures("config-errors"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_str().unwrap().ends_with(".toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 20);
    let mut wrong = Vec::new();
    for name in names {
        let found = rendered(&folder.join(&name));
        let expected = fixtures("config-errors")
            .join(&name)
            .with_extension("expected");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}\n{found}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rendered(path: &Path) -> String {
    let report = match load(path, &Options::default()) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    let root = format!("{}/", env!("CARGO_MANIFEST_DIR"));
    format!("{}\n\n{}\n", report.one_line(), report.plain()).replace(&root, "/ROOT/")
}
