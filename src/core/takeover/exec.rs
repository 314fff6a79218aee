//! The step from one program to the next.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::descriptors::{self, Number};
use super::state::{self, State};
use super::{VARIABLE, moment};
use crate::core::process::TITLE;

/// Signals that would end a program that does not expect them yet. They wait until [`release_signals`].
const SIGNALS: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGTERM, libc::SIGINT, libc::SIGUSR1];

/// Becomes the program at `path`, which goes on from `state`. Returns only when that is impossible, and then nothing
/// has changed.
pub fn become_program(path: &Path, state: &State) -> io::Error {
    match prepare(state) {
        Ok((memory, _kept)) => {
            set_signals_blocked(true);
            let error = Command::new(path)
                .arg0(TITLE)
                .args(arguments())
                .env(VARIABLE, state::announcement(&memory))
                .exec();
            set_signals_blocked(false);
            error
        }
        Err(error) => error,
    }
}

fn prepare(state: &State) -> io::Result<(OwnedFd, descriptors::Kept)> {
    let memory = state.write()?;
    let mut numbers = state.numbers();
    numbers.push(Number(memory.as_raw_fd()));
    let kept = descriptors::keep(numbers)?;
    tracing::debug!(
        "state written at {:?}",
        moment::to_monotonic(std::time::Instant::now())
    );
    Ok((memory, kept))
}

/// This process's own, for the next program.
pub fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// Lets the signals in that came while this process became another program. To be called when they are listened to.
pub fn release_signals() {
    set_signals_blocked(false);
}

fn set_signals_blocked(blocked: bool) {
    let how = match blocked {
        true => libc::SIG_BLOCK,
        false => libc::SIG_UNBLOCK,
    };
    // SAFETY: `set` is initialised by sigemptyset before anything reads it; sigaddset and pthread_sigmask only fail for
    // signals and orders that do not exist.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        for signal in SIGNALS {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(how, set.as_ptr(), std::ptr::null_mut());
    }
}
