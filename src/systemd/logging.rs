//! Where log lines go. Level and output change while running: a reload calls [`reconfigure`], SIGUSR1 [`reopen`].

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::Level;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::line::{self, Line};
use crate::config::types::{LogLevel, LogOutput, Logging};

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Output = Box<dyn Layer<Filtered> + Send + Sync>;

/// Libraries whose debug lines would bury ours when RUST_LOG raises the level for all.
const TALKATIVE: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "notify",
    "rustls",
    "tokio",
    "tokio_rustls",
];

/// Who writes; stands in front of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Master,
    Worker { generation: u64, version: u64 },
}

struct Control {
    role: Role,
    filter: reload::Handle<EnvFilter, Registry>,
    output: reload::Handle<Output, Filtered>,
    current: Mutex<Option<Logging>>,
    files: Files,
}

/// The files that lines may go to.
#[derive(Clone, Default)]
struct Files {
    all: LogFile,
    /// Warnings and errors only, beside the output.
    errors: LogFile,
}

static CONTROL: OnceLock<Control> = OnceLock::new();

/// Starts logging; called again it is [`reconfigure`]. An output that cannot be opened is replaced by stderr, and a
/// warning there says so.
pub fn init(logging: &Logging, role: Role) {
    let files = Files::default();
    let (filter, filter_handle) = reload::Layer::new(filter(logging.level));
    let (layer, problem) = outputs(logging, role, &files);
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
        files,
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
    let places = |logging: &Logging| {
        (
            logging.output,
            logging.file_path.clone(),
            logging.error_log.clone(),
        )
    };
    let mut problem = None;
    if current.as_ref().map(places) != Some(places(logging)) {
        let (layer, failure) = outputs(logging, control.role, &control.files);
        problem = failure;
        let _ = control.output.reload(layer);
    }
    *current = Some(logging.clone());
    drop(current);
    warn_of(problem);
}

/// Opens the log files anew, after logrotate moved them away. On failure lines go on into the old one.
pub fn reopen() {
    let Some(control) = CONTROL.get() else { return };
    let current = control
        .current
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let Some(logging) = current else { return };
    if logging.output == LogOutput::File {
        warn_of(control.files.all.open(&logging.file_path).err());
    }
    if let Some(path) = &logging.error_log {
        warn_of(control.files.errors.open(path).err());
    }
}

fn warn_of(problem: Option<io::Error>) {
    if let Some(problem) = problem {
        tracing::warn!("{problem}");
    }
}

/// RUST_LOG wins. Libraries speak only of what is wrong, whatever the level, unless RUST_LOG names them.
fn filter(level: LogLevel) -> EnvFilter {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|text| !text.is_empty());
    if let Some(filter) = from_environment.and_then(|text| filter_of(&text)) {
        return filter;
    }
    EnvFilter::new(match level {
        LogLevel::Error => "error,rustls=off",
        // What h2 warns of is a client's doing, as often as it likes; all that rustls says is.
        // Folders that vanish while they are watched are looked for again.
        LogLevel::Warn => "warn,h2=error,notify=error,rustls=off",
        LogLevel::Info => "warn,h2=error,notify=error,rustls=off,bws=info",
        LogLevel::Debug => "warn,h2=error,notify=error,rustls=off,bws=debug",
        LogLevel::Trace => "info,bws=trace",
    })
}

/// What RUST_LOG says; None when it cannot be understood.
fn filter_of(text: &str) -> Option<EnvFilter> {
    let named = |library: &&str| {
        let target = |directive: &str| {
            let end = directive.find(['=', '[', ':']).unwrap_or(directive.len());
            directive[..end].trim() == *library
        };
        text.split(',').any(target)
    };
    let quiet = TALKATIVE.iter().filter(|library| !named(library));
    let directive = |library: &&str| match *library {
        "notify" => "notify=error".to_owned(),
        "rustls" => "rustls=off".to_owned(),
        other => format!("{other}=warn"),
    };
    let directives: Vec<String> = quiet.map(directive).collect();
    EnvFilter::try_new(format!("{text},{}", directives.join(","))).ok()
}

/// All that lines go to.
fn outputs(logging: &Logging, role: Role, files: &Files) -> (Output, Option<io::Error>) {
    let (main, problem) = output(logging, role, &files.all);
    let Some(path) = &logging.error_log else {
        return (main, problem);
    };
    match files.errors.open(path) {
        Ok(()) => {
            let file = files.errors.clone();
            let errors = lines(role, Level::WARN, move || file.clone(), false);
            (main.and_then(errors).boxed(), problem)
        }
        Err(error) => (main, problem.or(Some(error))),
    }
}

fn output(logging: &Logging, role: Role, file: &LogFile) -> (Output, Option<io::Error>) {
    match logging.output {
        LogOutput::Journald => journal_or_stderr(role),
        LogOutput::Auto if stderr_is_the_journal() => journal_or_stderr(role),
        LogOutput::Auto | LogOutput::Stderr => (
            lines(role, ALL, io::stderr, io::stderr().is_terminal()),
            None,
        ),
        LogOutput::Stdout => (
            lines(role, ALL, io::stdout, io::stdout().is_terminal()),
            None,
        ),
        LogOutput::File => match file.open(&logging.file_path) {
            Ok(()) => {
                let file = file.clone();
                (lines(role, ALL, move || file.clone(), false), None)
            }
            Err(error) => (
                lines(role, ALL, io::stderr, io::stderr().is_terminal()),
                Some(error),
            ),
        },
    }
}

/// The level that lets every line through which the filter lets through.
const ALL: Level = Level::TRACE;

fn lines<W>(role: Role, least: Level, writer: W, colours: bool) -> Output
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .event_format(Line { role, least })
        .fmt_fields(line::fields())
        .with_writer(writer)
        .boxed()
}

fn journal_or_stderr(role: Role) -> (Output, Option<io::Error>) {
    match tracing_journald::layer() {
        Ok(layer) => (journal(layer, role).boxed(), None),
        Err(error) => {
            let text = format!("no log lines can go to the journal ({error}): they go to stderr");
            (
                lines(role, ALL, io::stderr, false),
                Some(io::Error::other(text)),
            )
        }
    }
}

/// Without the prefix MESSAGE_ID stays MESSAGE_ID; INFO would be "notice" by default.
fn journal(layer: tracing_journald::Layer, role: Role) -> tracing_journald::Layer {
    use tracing_journald::{Priority, PriorityMappings};
    let priorities = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    };
    let layer = layer
        .with_field_prefix(None)
        .with_priority_mappings(priorities);
    match role {
        Role::Master => layer.with_syslog_identifier("bws".into()),
        Role::Worker {
            generation,
            version,
        } => layer
            .with_syslog_identifier("bws-worker".into())
            .with_custom_fields([
                ("BWS_GENERATION", generation.to_string()),
                ("BWS_CONFIG_VERSION", version.to_string()),
            ]),
    }
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
    fn libraries_are_quiet_unless_they_are_named() {
        let shown = filter_of("debug,rustls=trace").unwrap().to_string();
        assert!(
            shown.contains("h2=warn") && shown.contains("hyper_util=warn"),
            "{shown}"
        );
        assert!(
            shown.contains("rustls=trace") && !shown.contains(",rustls=off"),
            "{shown}"
        );
        let shown = filter_of("debug").unwrap().to_string();
        assert!(shown.contains("rustls=off"), "{shown}");
        assert!(filter_of("bws=loud").is_none());
    }

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
