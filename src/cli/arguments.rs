//! What can be written on the command line, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::core::master::{Options, Source};

const SYSTEM_CONFIG: &str = "/etc/bws/config.toml";
const LOCAL_CONFIG: &str = "config.toml";

/// A web server and reverse proxy whose configuration, certificates and binary change under load without one client
/// noticing.
#[derive(Debug, Parser)]
#[command(
    name = "bws",
    bin_name = "bws",
    version,
    args_conflicts_with_subcommands = false
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Serve this folder, without a configuration file
    #[arg(value_name = "DIR", conflicts_with_all = ["config", "config_check"])]
    folder: Option<PathBuf>,
    /// Port to serve DIR on
    #[arg(short, long, default_value_t = 8080, requires = "folder", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Serve what this file says [default: $BWS_CONFIG, /etc/bws/config.toml, ./config.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check FILE, or the file that would be served, and exit: 0 when it is valid, 78 when not
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    config_check: Option<Option<PathBuf>>,
    /// Check what would be served, and exit
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    dry_run: Option<Option<PathBuf>>,
    /// With a check: connect to every upstream as well
    #[arg(long, global = true)]
    connect: bool,
    /// The control socket of the master, instead of the usual places
    #[arg(long, value_name = "PATH", global = true, env = "BWS_CONTROL")]
    control: Option<PathBuf>,
    /// Log at level debug
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration file: exit 0 when it is valid, 78 when not
    Check {
        /// [default: the file that would be served]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Have the running master load its configuration anew, and wait until the new one serves
    Reload(Reload),
    /// Show the running master, its workers and its configuration
    Status(Status),
    /// As root: bind the ports of a configuration that the running master may not bind itself
    BindPorts {
        /// The configuration, which only root may be able to write [default: $BWS_CONFIG, /etc/bws/config.toml, ./config.toml]
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print a file that packages install
    #[command(subcommand)]
    Generate(Generate),
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Generate {
    /// A completion script, for example: bws generate completions bash > /etc/bash_completion.d/bws
    Completions { shell: clap_complete::Shell },
    /// A manual page, for example: bws generate man | man -l -
    Man {
        #[arg(default_value = "bws")]
        page: Page,
    },
    /// The journal's message catalog, /usr/lib/systemd/catalog/bws.catalog
    Catalog,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Page {
    Bws,
    #[value(name = "bws.toml")]
    BwsToml,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Reload {
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(super) plan: bool,
    /// How long to wait, as "60s", "500ms" or "5m"
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub(super) timeout: Duration,
    #[arg(skip)]
    pub(super) control: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Status {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Again every second, until interrupted
    #[arg(long)]
    pub(super) watch: bool,
    #[arg(skip)]
    pub(super) control: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) file: PathBuf,
    pub(super) connect: bool,
}

#[derive(Clone, Debug)]
pub(super) struct BindPorts {
    pub(super) file: PathBuf,
    pub(super) control: Option<PathBuf>,
}

pub(super) enum Task {
    Serve(Options),
    Check(Check),
    Reload(Reload),
    Status(Status),
    BindPorts(BindPorts),
    Generate(Generate),
}

impl Arguments {
    pub(super) fn task(self) -> anyhow::Result<Task> {
        let Self {
            control, connect, ..
        } = self;
        match self.command {
            Some(Command::Reload(reload)) => return Ok(Task::Reload(Reload { control, ..reload })),
            Some(Command::Status(status)) => return Ok(Task::Status(Status { control, ..status })),
            Some(Command::BindPorts { config }) => {
                let file = config.or(self.config).map_or_else(usual_config, Ok)?;
                return Ok(Task::BindPorts(BindPorts { file, control }));
            }
            Some(Command::Generate(wanted)) => return Ok(Task::Generate(wanted)),
            Some(Command::Check { file }) => {
                let file = file.or(self.config).map_or_else(usual_config, Ok)?;
                return Ok(Task::Check(Check { file, connect }));
            }
            None => {}
        }
        if let Some(named) = self.config_check.or(self.dry_run) {
            let named = named.or(self.config);
            let file = named.map_or_else(usual_config, Ok)?;
            return Ok(Task::Check(Check { file, connect }));
        }
        let source = match (self.folder, self.config) {
            (Some(root), _) => Source::Folder {
                root: std::path::absolute(root)?,
                port: self.port,
            },
            (None, Some(file)) => Source::File(file),
            (None, None) => Source::File(usual_config()?),
        };
        Ok(Task::Serve(Options {
            source,
            verbose: self.verbose,
            control,
        }))
    }
}

fn usual_config() -> anyhow::Result<PathBuf> {
    if let Some(file) = std::env::var_os("BWS_CONFIG").filter(|value| !value.is_empty()) {
        return Ok(file.into());
    }
    let exists = |path: &&str| std::path::Path::new(path).exists();
    match [SYSTEM_CONFIG, LOCAL_CONFIG].into_iter().find(exists) {
        Some(path) => Ok(path.into()),
        None => bail!(
            "there is no configuration: neither '{SYSTEM_CONFIG}' nor './{LOCAL_CONFIG}' exists; \
             name one with 'bws --config FILE', or serve a folder with 'bws DIR'"
        ),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| "write it as 60s, 500ms or 5m".to_owned())?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => Err(format!("'{unit}' is no unit: write 60s, 500ms or 5m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(words: &[&str]) -> Task {
        Arguments::try_parse_from([&["bws"], words].concat())
            .unwrap()
            .task()
            .unwrap()
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_folder_and_a_file_are_told_apart() {
        let Task::Serve(options) = task(&["./reload", "--port", "81"]) else {
            panic!("no serve")
        };
        assert!(matches!(options.source, Source::Folder { port: 81, .. }));
        let Task::Serve(options) = task(&["-c", "x.toml", "-v"]) else {
            panic!("no serve")
        };
        assert!(options.verbose && matches!(options.source, Source::File(_)));
    }

    #[test]
    fn every_way_to_check_is_a_check() {
        for words in [
            &["--config-check", "x.toml"][..],
            &["--dry-run", "-c", "x.toml"],
            &["--dry-run", "x.toml"],
            &["check", "x.toml"],
            &["-c", "x.toml", "--config-check"],
        ] {
            let Task::Check(check) = task(words) else {
                panic!("{words:?} is no check")
            };
            assert_eq!(check.file, PathBuf::from("x.toml"));
        }
        let Task::Check(check) = task(&["check", "x.toml", "--connect"]) else {
            panic!("no check")
        };
        assert!(check.connect);
    }

    #[test]
    fn a_reload_may_take_its_time() {
        let words = ["reload", "--timeout", "2m", "--control", "/x"];
        let Task::Reload(reload) = task(&words) else {
            panic!("no reload")
        };
        assert_eq!(reload.timeout, Duration::from_secs(120));
        assert_eq!(reload.control, Some(PathBuf::from("/x")));
        assert!(duration("5 parsecs").is_err());
        assert!(Arguments::try_parse_from(["bws", "--port", "1"]).is_err());
    }
}
