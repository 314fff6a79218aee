//! The start of a process that has these descriptors and no others, by posix_spawn(3): unlike fork(2) it copies nothing
//! of the master's memory, which grows with the configuration.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::io::fcntl_dupfd_cloexec;

use crate::core::takeover;

/// The first descriptor after the standard ones (sd_listen_fds(3)).
const FIRST_DESCRIPTOR: i32 = 3;
/// What of the master's environment is no worker's business.
const MASTERS_OWN: [&str; 5] = [
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    takeover::VARIABLE,
];

/// A process to be started.
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    /// What `ps` shows.
    pub(super) title: String,
    /// In the order of their numbers, each with its name (sd_listen_fds_with_names(3)).
    pub(super) descriptors: Vec<(&'static str, BorrowedFd<'a>)>,
    /// Beside what the master was given.
    pub(super) environment: &'a [(&'static str, &'static str)],
}

impl Start<'_> {
    /// Its PID.
    pub(super) fn spawn(self) -> io::Result<u32> {
        let mut actions = PosixSpawnFileActions::init()?;
        let nothing = File::open("/dev/null")?;
        actions.add_dup2(nothing.as_raw_fd(), 0)?;
        let copies = self.copies()?;
        for (number, copy) in (FIRST_DESCRIPTOR..).zip(&copies) {
            actions.add_dup2(copy.as_raw_fd(), number)?;
        }
        let arguments = [c_string(self.title.clone().into())?, c"--worker".to_owned()];
        let pid = posix_spawn(
            self.program,
            &actions,
            &fresh_signals()?,
            &arguments,
            &self.environment()?,
        )?;
        u32::try_from(pid.as_raw()).map_err(io::Error::other)
    }

    /// Of each descriptor one whose number no other shall have: dup2(2) would close it.
    fn copies(&self) -> io::Result<Vec<OwnedFd>> {
        let count = i32::try_from(self.descriptors.len()).map_err(io::Error::other)?;
        let copy = |(_, descriptor): &(_, BorrowedFd<'_>)| {
            Ok(fcntl_dupfd_cloexec(descriptor, FIRST_DESCRIPTOR + count)?)
        };
        self.descriptors.iter().map(copy).collect()
    }

    fn environment(&self) -> io::Result<Vec<CString>> {
        let names: Vec<&str> = self.descriptors.iter().map(|(name, _)| *name).collect();
        let own = [
            ("LISTEN_FDS", names.len().to_string()),
            ("LISTEN_FDNAMES", names.join(":")),
        ];
        let more = self.environment.iter();
        let own = own
            .into_iter()
            .chain(more.map(|(name, value)| (*name, (*value).to_owned())));
        let own: Vec<(&str, String)> = own.collect();
        let inherited = std::env::vars_os().filter(|(name, _)| {
            let is = |other: &str| name.to_str() == Some(other);
            !MASTERS_OWN.iter().copied().any(is) && !own.iter().any(|(name, _)| is(name))
        });
        let own = own
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        inherited.chain(own).map(assignment).collect()
    }
}

fn assignment((mut name, value): (OsString, OsString)) -> io::Result<CString> {
    name.push("=");
    name.push(value);
    c_string(name)
}

fn c_string(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec()).map_err(io::Error::other)
}

/// None blocked, and SIGPIPE as every program expects it.
fn fresh_signals() -> io::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    let flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_flags(flags)?;
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let start = Start {
            program: Path::new("/nowhere/bws"),
            title: "bws: worker".into(),
            descriptors: Vec::new(),
            environment: &[],
        };
        assert_eq!(start.spawn().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_environment_is_the_masters_with_what_is_a_workers_own() {
        let input = io::stdin();
        let start = Start {
            program: Path::new("/nowhere/bws"),
            title: "bws: worker".into(),
            descriptors: vec![("one", input.as_fd()), ("two", input.as_fd())],
            environment: &[("PATH", "other")],
        };
        let environment = start.environment().unwrap();
        let count = |text: &[u8]| {
            let all = environment.iter();
            all.filter(|one| one.as_bytes().starts_with(text)).count()
        };
        assert_eq!(count(b"LISTEN_FDS=2"), 1);
        assert_eq!(count(b"LISTEN_FDNAMES=one:two"), 1);
        assert_eq!((count(b"PATH="), count(b"PATH=other")), (1, 1));
        assert_eq!(count(b"LISTEN_PID="), 0);
    }
}
