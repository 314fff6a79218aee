//! `bws --takeover-check …`: a running master asks this program whether it could go on in its place.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use super::arguments::{Arguments, Task};
use super::output::print;
use crate::core::takeover::check;

/// Those of the master, if this is what is asked.
pub(super) fn arguments() -> Option<impl Iterator<Item = OsString>> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == check::ARGUMENT).then_some(arguments)
}

pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    let program = std::iter::once("bws".into());
    let Task::Serve(options) = Arguments::parse_from(program.chain(arguments)).task()? else {
        anyhow::bail!("'{}' is for the master's use only", check::ARGUMENT);
    };
    let answer = check::answer(&options.source, options.verbose);
    print(&serde_json::to_string(&answer)?);
    Ok(match answer.is_yes() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
