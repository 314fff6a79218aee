//! From a file to something that workers can be started with. Everything here may take long and runs beside the loop.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::generation::Outline;
use crate::config::types::{Config, LogLevel};
use crate::config::{self, Loaded, Plan, Report, parallel};
use crate::core::hot_reload::journal::{self, Context};
use crate::core::journal::exhausted;
use crate::core::process;
use crate::core::report::Details;
use crate::core::supervisor::event::{Cause, LoadError};
use crate::ipc::message::version;
use crate::ipc::snapshot;

/// What loading a configuration and starting its first worker need at least, sockets not counted.
const SPARE_DESCRIPTORS: usize = 16;
/// From here on, two threads share what is made of a configuration.
const MANY_SITES: usize = 500;

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum Source {
    File(PathBuf),
    /// `bws DIR`: serve a folder without a configuration file.
    Folder {
        root: PathBuf,
        port: u16,
    },
}

impl Source {
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::File(path) => path,
            Self::Folder { root, .. } => root,
        }
    }

    /// `old` is in force.
    pub fn read(&self, verbose: bool, old: Option<&Config>) -> Result<Loaded, Report> {
        let mut loaded = match self {
            Self::File(path) => config::load_after(old, path, &config_options()),
            Self::Folder { root, port } => config::serve_folder(root, *port),
        }?;
        let level = &mut loaded.config.logging.level;
        if verbose && *level != LogLevel::Trace {
            *level = LogLevel::Debug;
        }
        Ok(loaded)
    }
}

fn config_options() -> config::Options {
    config::Options {
        serving: true,
        ..config::Options::default()
    }
}

/// A validated configuration, ready to be handed to workers.
pub struct Candidate {
    pub config: Arc<Config>,
    pub(super) outline: Outline,
    pub snapshot: OwnedFd,
    /// What it changes, in one line.
    pub summary: String,
    pub details: Details,
    /// Nothing was read but certificates.
    pub certificates_only: bool,
}

/// Why there is none.
pub struct Refused {
    pub error: LoadError,
    pub details: Box<Details>,
}

/// Reads, validates, compares with the configuration in force, and writes the snapshot: into `memory` if a worker has
/// that already.
pub fn candidate(
    source: &Source,
    verbose: bool,
    old: Option<&Config>,
    context: Context,
    memory: Option<OwnedFd>,
) -> Result<Candidate, Refused> {
    journal::loading(context, source.path());
    journal::validating(context);
    process::check_descriptors(SPARE_DESCRIPTORS).map_err(|error| refused_by(&error))?;
    let loaded = source
        .read(verbose, old)
        .map_err(|report| refused(&report))?;
    let (all, parsed) = (loaded.config.certificates.len(), loaded.certificates_parsed);
    tracing::debug!("certificates: {all}, of these {parsed} parsed");
    let mut made = make(loaded, old, memory)?;
    if old.is_none() && context == Context::Reload {
        // The one in force is of a version whose configurations this one does not know.
        made.summary = format!("BWS {} took over", version());
    }
    Ok(made)
}

/// What is in force, with the new certificates of these sites.
pub fn with_new_certificates(
    old: &Config,
    sites: &BTreeSet<String>,
    memory: Option<OwnedFd>,
) -> Result<Candidate, Refused> {
    process::check_descriptors(SPARE_DESCRIPTORS).map_err(|error| refused_by(&error))?;
    let loaded = Loaded {
        config: config::with_new_certificates(old, |site| sites.contains(site)),
        warnings: Report::default(),
        certificates_parsed: sites.len(),
    };
    Ok(Candidate {
        certificates_only: true,
        ..make(loaded, Some(old), memory)?
    })
}

fn make(
    loaded: Loaded,
    old: Option<&Config>,
    memory: Option<OwnedFd>,
) -> Result<Candidate, Refused> {
    let config = &loaded.config;
    let memory = memory.map_or_else(snapshot::blank, Ok);
    let memory = memory.map_err(|error| refused_by(&error))?;
    let tell = || (describe(&loaded, old), Outline::new(config));
    let seal = || snapshot::seal(config, &memory);
    let (((summary, details), outline), snapshot) = match config.sites.len() < MANY_SITES {
        true => (tell(), seal()),
        false => parallel::both(tell, seal),
    };
    snapshot.map_err(|error| refused_by(&error))?;
    Ok(Candidate {
        config: Arc::new(loaded.config),
        outline,
        snapshot: memory,
        summary,
        details,
        certificates_only: false,
    })
}

/// What [`candidate`] would say of the file as it is now, without its consequences.
pub fn check(
    source: &Source,
    verbose: bool,
    old: Option<&Config>,
) -> Result<(Details, String), Box<Details>> {
    let loaded = source
        .read(verbose, old)
        .map_err(|report| refused(&report).details)?;
    let hash = loaded.config.hash.clone();
    Ok((describe(&loaded, old).1, hash))
}

/// The hash of the configuration as it is now, or what is wrong with it.
pub fn hash(source: &Source, old: Option<&Config>) -> Result<String, String> {
    match source.read(false, old) {
        Ok(loaded) => Ok(loaded.config.hash),
        Err(report) => Err(report.to_string()),
    }
}

/// Why [`candidate`] would refuse the file as it is now.
pub fn refusal(source: &Source, verbose: bool) -> Option<Refused> {
    source
        .read(verbose, None)
        .err()
        .map(|report| refused(&report))
}

fn describe(loaded: &Loaded, old: Option<&Config>) -> (String, Details) {
    let plan: Option<Plan> = old.map(|old| config::diff(old, &loaded.config));
    let summary = plan.as_ref().map(Plan::summary).unwrap_or_default();
    let details = Details {
        plan_text: plan.as_ref().map(Plan::to_string).unwrap_or_default(),
        plan: plan.as_ref().map(to_value).unwrap_or_default(),
        warnings_text: loaded.warnings.to_string(),
        warnings: to_value(&loaded.warnings),
        ..Details::default()
    };
    (summary, details)
}

fn refused(report: &Report) -> Refused {
    let error = LoadError {
        cause: Cause::Configuration,
        message: report.one_line(),
    };
    let errors_text = report.to_string();
    let details = Details {
        errors: to_value(report),
        errors_text,
        ..Details::default()
    };
    Refused {
        error,
        details: Box::new(details),
    }
}

pub fn refused_by(error: &io::Error) -> Refused {
    let advice = process::exhaustion_advice(error).map(|advice| format!(": {advice}"));
    let advice = advice.unwrap_or_default();
    exhausted(&format!("{error}{advice}"), true);
    refused_by_system(&[format!("no new workers can be started: {error}{advice}")])
}

/// The configuration is right, but the system does not give what it asks for.
pub fn refused_by_system(problems: &[String]) -> Refused {
    let error = LoadError {
        cause: Cause::System,
        message: problems.join("; "),
    };
    let details = Details {
        errors: to_value(&problems),
        errors_text: problems.join("\n"),
        ..Details::default()
    };
    Refused {
        error,
        details: Box::new(details),
    }
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_read_what_was_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for (threads, sites) in [(1, 0), (1, 2), (3, 2500), (2, 5000), (64, 5000)] {
            let site = |number| {
                format!(
                    "[[sites]]\nname = \"{number}\"\nhostname = \"h{number}\"\nport = 80\napi_only = true\n"
                )
            };
            let sites: String = (0..sites).map(site).collect();
            let text = format!("[performance]\nworker_threads = {threads}\n{sites}");
            std::fs::write(&path, text).unwrap();
            let source = Source::File(path.clone());
            let candidate = candidate(&source, false, None, Context::Boot, None);
            let candidate = candidate.map_err(|refused| refused.error).unwrap();
            let copy = candidate.snapshot.try_clone().unwrap();
            assert_eq!(snapshot::open(copy).unwrap(), *candidate.config);
            let read = snapshot::open_for_worker(candidate.snapshot).unwrap();
            assert_eq!(read, *candidate.config);
        }
    }
}
