//! The room as a whole: files in, configurations or reports out.

mod accepted;
mod acme;
mod balancing;
mod certificates;
mod changes;
mod clients;
mod includes;
mod inheritance;
mod mutations;
mod parts;
mod reports;
mod several_certificates;

use std::path::{Path, PathBuf};

use super::types::Config;
use super::{Loaded, Options, Report, load};

/// A folder with a configuration file, gone with the value.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, text: &str) -> Result<Loaded, Report> {
        load(&self.write("config.toml", text), &Options::default())
    }
}

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The configuration of a text that has no errors.
fn config(text: &str) -> Config {
    match Folder::new().load(text) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{}", report.plain()),
    }
}

/// The messages about a text that has errors.
fn errors(text: &str) -> Vec<String> {
    let report = Folder::new().load(text).expect_err("the text has errors");
    report
        .problems
        .into_iter()
        .map(|problem| problem.message)
        .collect()
}
