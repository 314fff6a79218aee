//! `bws generate completions|man`: what a package or a shell wants of the command line.

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::arguments::{Arguments, Generate, Page};
use super::output::print;

const MANUAL: &str = include_str!("../../man/bws.8");
const CONFIGURATION_MANUAL: &str = include_str!("../../man/bws.toml.5");

pub(super) fn run(wanted: &Generate) -> ExitCode {
    match wanted {
        Generate::Man { page: Page::Bws } => print(MANUAL),
        Generate::Man {
            page: Page::BwsToml,
        } => print(CONFIGURATION_MANUAL),
        Generate::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "bws", &mut script);
            print(&String::from_utf8_lossy(&script));
        }
    }
    ExitCode::SUCCESS
}
