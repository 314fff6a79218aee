//! What one program tells the next: JSON in a sealed memfd, with a format number in front.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use serde::{Deserialize, Serialize};

use super::VARIABLE;
use super::descriptors::{self, Number};
use super::program::Identity;
use crate::config::types::{Logging, Management};
use crate::core::chronicle;
use crate::core::master::figures::Figures;
use crate::core::master::generation;
use crate::core::master::names::Names;
use crate::core::report::LastReload;
use crate::core::sockets;
use crate::core::supervisor::Supervisor;
use crate::core::worker_process;
use crate::ipc::message;
use crate::metrics::totals::Totals;

/// To be raised when an older program would misunderstand what this one writes. A field that both can do without, with
/// `#[serde(default)]`, is no new format.
pub const FORMAT: u32 = 1;
/// No state is longer: ten thousand sites make some megabytes.
const LONGEST: u64 = 256 * 1024 * 1024;

/// Everything that the master knows. Descriptors are in it by number.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    #[serde(flatten)]
    pub header: Header,
    pub program: PathBuf,
    /// What lay on that path when the program was executed.
    pub became: Identity,
    /// The start of the master: on the monotonic clock, and since the epoch.
    pub started: Duration,
    pub started_at: Duration,
    pub supervisor: Supervisor,
    pub sockets: sockets::Record,
    pub generations: Vec<generation::Record>,
    pub workers: Vec<worker_process::Record>,
    /// Who waits for the end of a reload: the number of the request, and the connection.
    pub callers: Vec<(u64, Number)>,
    pub last_request: u64,
    pub figures: Figures,
    /// What outlives workers.
    #[serde(default)]
    pub lasting: Option<Number>,
    /// Of all workers, living ones too: for a program that cannot read their counters.
    pub totals: Totals,
    pub last_reload: Option<LastReload>,
    /// What was told lately.
    #[serde(default)]
    pub chronicle: chronicle::Record,
    /// What the names of upstreams stand for.
    #[serde(default)]
    pub names: Names,
    /// The path of the control socket, and the socket.
    pub control: Option<(PathBuf, Number)>,
    /// The TCP side of the management API.
    pub tcp: Option<(Management, Number)>,
    pub logging: Option<Logging>,
    /// What is watched for changes.
    pub watched: Option<Vec<PathBuf>>,
}

/// Who wrote it, and in which languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: u32,
    /// Of the program.
    pub version: String,
    /// `ipc::message::PROTOCOL`: equal ones understand each other's configurations.
    pub protocol: String,
    /// `ipc::message::LANGUAGE`.
    pub language: u32,
    /// The layout of the counters: words of a thread, words of a site.
    pub counters: (usize, usize),
}

/// The state of another version, or none at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(
        "BWS {} cannot take over from BWS {version}, whose state has format {format} (known here: {FORMAT}): \
         change between these versions with 'systemctl restart bws'",
        message::version()
    )]
    Format { version: String, format: u32 },
    #[error(
        "BWS {} does not understand the state of BWS {version} ({reason}): \
         change between these versions with 'systemctl restart bws'",
        message::version()
    )]
    Content { version: String, reason: String },
    #[error("there is no state of a BWS master: {0}")]
    None(String),
}

impl State {
    /// Every descriptor that has to stay open.
    pub fn numbers(&self) -> Vec<Number> {
        let sockets = self.sockets.numbers();
        let generations = self
            .generations
            .iter()
            .flat_map(generation::Record::numbers);
        let workers = self
            .workers
            .iter()
            .flat_map(worker_process::Record::numbers);
        let callers = self.callers.iter().map(|(_, number)| *number);
        let control = self.control.iter().map(|(_, number)| *number);
        let tcp = self.tcp.iter().map(|(_, number)| *number);
        let lasting = self.lasting;
        sockets
            .chain(generations)
            .chain(workers)
            .chain(callers)
            .chain(control)
            .chain(tcp)
            .chain(lasting)
            .collect()
    }

    /// Writes it where the next program can read it.
    pub fn write(&self) -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("bws-state", flags)?);
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.rewind()?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        Ok(file.into())
    }

    pub fn read(memory: OwnedFd) -> Result<Self, Unreadable> {
        let bytes = content(&File::from(memory))
            .map_err(|error| Unreadable::None(format!("it cannot be read: {error}")))?;
        let header: Prefix =
            serde_json::from_slice(&bytes).map_err(|error| Unreadable::None(error.to_string()))?;
        let Prefix { format, version } = header;
        if format != FORMAT {
            return Err(Unreadable::Format { version, format });
        }
        serde_json::from_slice(&bytes).map_err(|error| Unreadable::Content {
            version,
            reason: error.to_string(),
        })
    }
}

/// What every format has.
#[derive(Deserialize)]
struct Prefix {
    format: u32,
    version: String,
}

fn content(file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > LONGEST {
        return Err(io::Error::other("it is too long"));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// What [`VARIABLE`] has to say, for this process and this memfd.
pub(super) fn announcement(memory: &OwnedFd) -> String {
    format!("{}:{}", std::process::id(), memory.as_raw_fd())
}

/// The state that the program before has left, if this process was another program before. To be called once.
pub fn left_behind() -> Option<Result<State, Unreadable>> {
    let announced = std::env::var(VARIABLE).ok()?;
    let (pid, number) = announced.split_once(':')?;
    if pid.parse() != Ok(std::process::id()) {
        return None;
    }
    let memory = descriptors::claim(Number(number.parse().ok()?));
    let memory = memory.map_err(|error| Unreadable::None(error.to_string()));
    Some(memory.and_then(State::read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(text: &str) -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.into()
    }

    #[test]
    fn another_format_is_told_with_both_versions() {
        let text = r#"{"format":99,"version":"7.0.0","anything":[]}"#;
        let error = State::read(memory(text)).unwrap_err().to_string();
        for word in ["7.0.0", "99", "restart"] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_state_with_something_missing_is_told() {
        let text = r#"{"format":1,"version":"0.0.9"}"#;
        let error = State::read(memory(text)).unwrap_err();
        assert!(matches!(error, Unreadable::Content { .. }), "{error}");
        let error = State::read(memory("nonsense")).unwrap_err();
        assert!(matches!(error, Unreadable::None(_)), "{error}");
    }
}
