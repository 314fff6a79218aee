//! `bws generate`: files that packages install.

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::arguments::{Arguments, Generate, Page};
use super::output::print;
use crate::systemd::events;

const MANUAL: &str = include_str!("../../man/bws.8");
const CONFIGURATION_MANUAL: &str = include_str!("../../man/bws.toml.5");

pub(super) fn run(wanted: &Generate) -> ExitCode {
    match wanted {
        Generate::Man { page: Page::Bws } => print(MANUAL),
        Generate::Man {
            page: Page::BwsToml,
        } => print(CONFIGURATION_MANUAL),
        Generate::Catalog => print(&events::catalog()),
        Generate::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "bws", &mut script);
            print(&String::from_utf8_lossy(&script));
        }
    }
    ExitCode::SUCCESS
}
