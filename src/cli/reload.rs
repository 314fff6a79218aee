//! `bws reload`: waits until the new configuration serves, or says why it does not.

use std::process::ExitCode;

use anyhow::Context as _;
use http::Method;

use super::arguments::Reload;
use super::client::{self, Answer};
use super::output::{complain, print};
use crate::core::report::{CheckReport, ReloadReport};

pub(super) fn run(reload: &Reload) -> anyhow::Result<ExitCode> {
    let path = if reload.plan {
        "/api/config/check"
    } else {
        "/api/config/reload"
    };
    let answer = client::ask(
        reload.control.as_deref(),
        Method::POST,
        path,
        reload.timeout,
    )?;
    match reload.plan {
        true => show_plan(&answer),
        false => show_reload(&answer),
    }
}

fn show_reload(answer: &Answer) -> anyhow::Result<ExitCode> {
    let report: ReloadReport = parse(answer)?;
    warn(&report.details.warnings_text);
    let (version, took) = (report.version, report.duration_ms);
    if !report.success {
        complain(&report.details.errors_text);
        complain(&match version {
            0 => "bws: reload failed: nothing serves yet".to_owned(),
            version => format!("bws: reload failed; still serving version {version}"),
        });
        return Ok(ExitCode::FAILURE);
    }
    print_block(&report.details.plan_text);
    print(&format!(
        "version {version} serves after {took} ms: {}\n",
        report.message
    ));
    Ok(ExitCode::SUCCESS)
}

fn show_plan(answer: &Answer) -> anyhow::Result<ExitCode> {
    let report: CheckReport = parse(answer)?;
    warn(&report.details.warnings_text);
    if !report.valid {
        complain(&report.details.errors_text);
        return Ok(ExitCode::FAILURE);
    }
    match report.details.plan_text.trim() {
        "" => print("a reload would change nothing\n"),
        plan => print_block(plan),
    }
    Ok(ExitCode::SUCCESS)
}

fn parse<T: serde::de::DeserializeOwned>(answer: &Answer) -> anyhow::Result<T> {
    serde_json::from_slice(&answer.body).with_context(|| {
        format!(
            "the answer of the master (status {}) is not understood",
            answer.status
        )
    })
}

fn warn(text: &str) {
    if !text.is_empty() {
        complain(text);
    }
}

fn print_block(text: &str) {
    if !text.trim().is_empty() {
        print(&format!("{}\n", text.trim_end()));
    }
}
