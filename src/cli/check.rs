//! `bws --config-check FILE`, `bws check FILE`, `--dry-run`.

use std::process::ExitCode;

use super::EXIT_CONFIG;
use super::arguments::Check;
use super::output::{complain, count, print};
use crate::config;

pub(super) fn run(check: &Check) -> ExitCode {
    let options = config::Options {
        connect: check.connect,
        ..config::Options::default()
    };
    match config::load(&check.file, &options) {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                complain(&loaded.warnings.to_string());
            }
            print(&format!(
                "{}: configuration is valid ({}, {})\n",
                check.file.display(),
                count(loaded.config.sites.len(), "site"),
                count(loaded.config.listeners.len(), "listener"),
            ));
            ExitCode::SUCCESS
        }
        Err(report) => {
            complain(&report.to_string());
            ExitCode::from(EXIT_CONFIG)
        }
    }
}
