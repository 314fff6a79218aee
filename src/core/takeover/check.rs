//! The new program is asked before anything is given up: does it understand our state, and our configuration?

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::VARIABLE;
use super::descriptors::{self, Number};
use super::state::State;
use crate::core::master::load::{self, Refused, Source};
use crate::core::report::Details;
use crate::core::supervisor::event::{Cause, LoadError};
use crate::ipc::message::version;

/// The argument that asks.
pub const ARGUMENT: &str = "--takeover-check";
/// Where the program that is asked finds the state.
const STATE: i32 = 3;
/// What is read of its answer.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;
const LONGEST_COMPLAINT: u64 = 16 * 1024;

/// What the new program says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub version: String,
    refusal: Option<Refusal>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    cause: Cause,
    message: String,
    details: Details,
}

/// In the new program: whether it can go on from the state that it was given.
pub fn answer(source: &Source, verbose: bool) -> Answer {
    let refused = match descriptors::claim(Number(STATE)).map(State::read) {
        Ok(Ok(_)) => load::refusal(source, verbose),
        Ok(Err(unreadable)) => Some(load::refused_by_system(&[unreadable.to_string()])),
        Err(_) => Some(load::refused_by_system(&[format!(
            "'{ARGUMENT}' is for the master's use only"
        )])),
    };
    Answer {
        version: version().into(),
        refusal: refused.map(|refused| Refusal {
            cause: refused.error.cause,
            message: refused.error.message,
            details: *refused.details,
        }),
    }
}

impl Answer {
    pub fn is_yes(&self) -> bool {
        self.refusal.is_none()
    }
}

/// Asks the program at `path`; its version, or why it cannot follow.
pub async fn ask(
    path: &Path,
    arguments: Vec<OsString>,
    state: OwnedFd,
    limit: Duration,
) -> Result<String, Refused> {
    let unfit = |why: String| {
        load::refused_by_system(&[format!(
            "the new program '{}' cannot take over: {why}; the old one goes on",
            path.display()
        )])
    };
    let child = start(path, arguments, state).map_err(|error| unfit(told(&error)))?;
    let (status, said, complaint) = match tokio::time::timeout(limit, hear(child)).await {
        Ok(Ok(heard)) => heard,
        Ok(Err(error)) => return Err(unfit(error.to_string())),
        Err(_) => {
            let limit = limit.as_secs_f64();
            return Err(unfit(format!(
                "it was asked and did not answer within {limit} s"
            )));
        }
    };
    match serde_json::from_slice::<Answer>(&said) {
        Ok(Answer {
            version,
            refusal: None,
        }) if status.success() => Ok(version),
        Ok(Answer {
            refusal: Some(refusal),
            version,
        }) => Err(refused(path, &version, refusal)),
        _ => Err(unfit(silent(status, &complaint))),
    }
}

fn start(path: &Path, arguments: Vec<OsString>, state: OwnedFd) -> io::Result<Child> {
    let mut command = std::process::Command::new(path);
    command
        .arg(ARGUMENT)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("NOTIFY_SOCKET")
        .env_remove(VARIABLE);
    command
        .fd_mappings(vec![FdMapping {
            parent_fd: state,
            child_fd: STATE,
        }])
        .map_err(io::Error::other)?;
    Command::from(command).kill_on_drop(true).spawn()
}

async fn hear(mut child: Child) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (said, complaint) = (child.stdout.take(), child.stderr.take());
    let (said, complaint) = tokio::try_join!(
        read(said, LONGEST_ANSWER),
        read(complaint, LONGEST_COMPLAINT)
    )?;
    Ok((child.wait().await?, said, complaint))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(longest).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("it may not be executed ({error}): check its mode and its file system")
        }
        _ => format!("it cannot be executed: {error}"),
    }
}

fn silent(status: ExitStatus, complaint: &[u8]) -> String {
    let complaint = String::from_utf8_lossy(complaint);
    let complaint = complaint.trim();
    match complaint {
        "" => format!("it was asked and gave no answer ({status})"),
        _ => format!("it was asked and gave no answer ({status}): {complaint}"),
    }
}

fn refused(path: &Path, version: &str, refusal: Refusal) -> Refused {
    let Refusal {
        cause,
        message,
        mut details,
    } = refusal;
    let who = format!("the new program '{}' (BWS {version})", path.display());
    let message = match cause {
        Cause::Configuration => message,
        _ => {
            let message = format!("{who} cannot take over: {message}; the old one goes on");
            details.errors_text.clone_from(&message);
            message
        }
    };
    Refused {
        error: LoadError { cause, message },
        details: Box::new(details),
    }
}
