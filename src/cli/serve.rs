//! `bws --config FILE` and `bws DIR`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::types::{AccessLogFormat, LogLevel, LogOutput, Logging};
use crate::core::master::{self, Options};
use crate::core::process;
use crate::systemd::logging::{self, Role};

pub(super) fn run(options: Options) -> anyhow::Result<ExitCode> {
    process::take_title();
    logging::init(&before_configuration(options.verbose), Role::Master);
    master::run(options)
}

/// How to log until the configuration says how.
fn before_configuration(verbose: bool) -> Logging {
    Logging {
        level: if verbose {
            LogLevel::Debug
        } else {
            LogLevel::Info
        },
        output: LogOutput::Auto,
        format: AccessLogFormat::Combined,
        access_log: None,
        error_log: None,
        file_path: PathBuf::new(),
        log_requests: false,
    }
}
