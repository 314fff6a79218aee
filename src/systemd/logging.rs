//! Where log lines go. Level and output change while running: a reload calls [`reconfigure`], SIGUSR1 [`reopen`].

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::line::Line;
use crate::config::types::{LogLevel, LogOutput, Logging};

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Output = Box<dyn Layer<Filtered> + Send + Sync>;

/// Who writes; stands in front of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Master,
    Worker,
}

struct Control {
    role: Role,
    filter: reload::Handle<EnvFilter, Registry>,
    output: reload::Handle<Output, Filtered>,
    current: Mutex<Option<Logging>>,
    file: LogFile,
}

static CONTROL: OnceLock<Control> = OnceLock::new();

/// Starts logging; called again it is [`reconfigure`]. An output that cannot be opened is replaced by stderr, and a
/// warning there says so.
pub fn init(logging: &Logging, role: Role) {
    let file = LogFile::default();
    let (filter, filter_handle) = reload::Layer::new(filter(logging.level));
    let (layer, problem) = output(logging, role, &file);
    let (layer, output_handle) = reload::Layer::new(layer);
    let registry = tracing_subscriber::registry().with(filter).with(layer);
    if registry.try_init().is_err() {
        return reconfigure(logging);
    }
    let current = Mutex::new(Some(logging.clone()));
    let control = Control {
        role,
        filter: filter_handle,
        output: output_handle,
        current,
        file,
    };
    let _ = CONTROL.set(control);
    warn_of(problem);
}

/// Follows a new configuration.
pub fn reconfigure(logging: &Logging) {
    let Some(control) = CONTROL.get() else { return };
    let mut current = control
        .current
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if current.as_ref() == Some(logging) {
        return;
    }
    let _ = control.filter.reload(filter(logging.level));
    let same_output =
        |old: &Logging| (old.output, &old.file_path) == (logging.output, &logging.file_path);
    let mut problem = None;
    if !current.as_ref().is_some_and(same_output) {
        let (layer, failure) = output(logging, control.role, &control.file);
        problem = failure;
        let _ = control.output.reload(layer);
    }
    *current = Some(logging.clone());
    drop(current);
    warn_of(problem);
}

/// Opens the log file anew, after logrotate moved it away. On failure lines go on into the old one.
pub fn reopen() {
    let Some(control) = CONTROL.get() else { return };
    let current = control
        .current
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let Some(logging) = current.filter(|logging| logging.output == LogOutput::File) else {
        return;
    };
    warn_of(control.file.open(&logging.file_path).err());
}

fn warn_of(problem: Option<io::Error>) {
    if let Some(problem) = problem {
        tracing::warn!("{problem}");
    }
}

/// RUST_LOG wins. Libraries speak only of what is wrong, whatever the level.
fn filter(level: LogLevel) -> EnvFilter {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|text| !text.is_empty());
    if let Some(filter) = from_environment.and_then(|text| EnvFilter::try_new(text).ok()) {
        return filter;
    }
    EnvFilter::new(match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "warn,bws=info",
        LogLevel::Debug => "warn,bws=debug",
        LogLevel::Trace => "info,bws=trace",
    })
}

fn output(logging: &Logging, role: Role, file: &LogFile) -> (Output, Option<io::Error>) {
    match logging.output {
        LogOutput::Journald => journal_or_stderr(role),
        LogOutput::Auto if stderr_is_the_journal() => journal_or_stderr(role),
        LogOutput::Auto | LogOutput::Stderr => {
            (lines(role, io::stderr, io::stderr().is_terminal()), None)
        }
        LogOutput::Stdout => (lines(role, io::stdout, io::stdout().is_terminal()), None),
        LogOutput::File => match file.open(&logging.file_path) {
            Ok(()) => {
                let file = file.clone();
                (lines(role, move || file.clone(), false), None)
            }
            Err(error) => (
                lines(role, io::stderr, io::stderr().is_terminal()),
                Some(error),
            ),
        },
    }
}

fn lines<W>(role: Role, writer: W, colours: bool) -> Output
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .event_format(Line { role })
        .with_writer(writer)
        .boxed()
}

fn journal_or_stderr(role: Role) -> (Output, Option<io::Error>) {
    match tracing_journald::layer() {
        Ok(layer) => (journal(layer).boxed(), None),
        Err(error) => {
            let text = format!("no log lines can go to the journal ({error}): they go to stderr");
            (lines(role, io::stderr, false), Some(io::Error::other(text)))
        }
    }
}

/// Without the prefix MESSAGE_ID stays MESSAGE_ID; INFO would be "notice" by default.
fn journal(layer: tracing_journald::Layer) -> tracing_journald::Layer {
    use tracing_journald::{Priority, PriorityMappings};
    let priorities = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    };
    layer
        .with_field_prefix(None)
        .with_priority_mappings(priorities)
        .with_syslog_identifier("bws".into())
}

/// Whether systemd connected our stderr to the journal (`$JOURNAL_STREAM`, systemd.exec(5)).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    std::fs::metadata("/proc/self/fd/2")
        .is_ok_and(|stderr| format!("{}:{}", stderr.dev(), stderr.ino()) == stream)
}

/// The log file; all its clones write to the one that was opened last.
#[derive(Clone, Default)]
struct LogFile(Arc<Mutex<Option<File>>>);

impl LogFile {
    fn open(&self, path: &Path) -> io::Result<()> {
        let explain = |error: io::Error| {
            let text = format!("cannot write the log file '{}': {error}", path.display());
            io::Error::new(error.kind(), text)
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            let mut builder = std::fs::DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o750)
                .create(folder)
                .map_err(explain)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(explain)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            Some(file) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reopened_file_takes_the_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/bws.log");
        let mut file = LogFile::default();
        file.open(&path).unwrap();
        file.write_all(b"one\n").unwrap();
        let rotated = folder.path().join("bws.log.1");
        std::fs::rename(&path, &rotated).unwrap();
        file.clone().open(&path).unwrap();
        file.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(rotated).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
    }
}
