//! The command line: argv in, exit code out.
//!
//! - `arguments`: what can be written
//! - `serve`, `check`, `reload`, `status`, `generate`: what it does
//! - `client`: asks a running master

mod arguments;
mod bind_ports;
mod certificates;
mod check;
mod client;
mod generate;
mod output;
mod reload;
mod serve;
mod status;
mod takeover;

use std::process::ExitCode;

use clap::Parser as _;

use self::arguments::{Arguments, Task};
use crate::systemd::logging::{self, Role};
use crate::worker;

/// A configuration that cannot be used (sysexits.h: EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

/// The main function.
pub fn run() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == "--worker")
    {
        return worker::main(&worker::Hooks {
            start_logging: |settings, assignment| {
                let role = Role::Worker {
                    generation: assignment.generation.0,
                    version: assignment.config_version,
                };
                logging::init(settings, role);
            },
            reopen_logs: logging::reopen,
        });
    }
    if let Some(arguments) = takeover::arguments() {
        return takeover::run(arguments).unwrap_or_else(fail);
    }
    let arguments = Arguments::parse();
    let outcome = match arguments.task() {
        Ok(Task::Serve(options)) => serve::run(options),
        Ok(Task::Check(check)) => Ok(check::run(&check)),
        Ok(Task::Reload(reload)) => reload::run(&reload),
        Ok(Task::Status(status)) => status::run(&status),
        Ok(Task::BindPorts(order)) => bind_ports::run(&order),
        Ok(Task::Generate(wanted)) => Ok(generate::run(&wanted)),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(fail)
}

fn fail(error: anyhow::Error) -> ExitCode {
    eprintln!("bws: {error:#}");
    ExitCode::FAILURE
}
