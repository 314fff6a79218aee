//! The configuration file: source → raw → resolve → types; diff.
//!
//! - [`load()`] goes all the way: `source` (text and places), `parts` (long files in parts at once), `reader` (spanned
//!   tables, one method for each kind of value), `raw` (values as written), `resolve` (meaning, checks), [`types`] (what
//!   everybody else works with)
//! - `parallel` spreads over the CPUs what is done for each of many sites, files or certificates
//! - `schema` lists every key, `defaults` what is left out
//! - [`mod@reference`]: every key, for the manual and its test
//! - [`report`]: all problems of a file, each with its place and what to do
//! - [`mod@diff`]: what changes between two configurations

mod connectivity;
mod defaults;
pub mod diff;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hash;
mod include;
mod load;
mod ocsp;
pub(crate) mod parallel;
mod parts;
mod pem;
mod quantity;
mod raw;
mod reader;
pub mod reference;
mod render;
pub mod report;
mod resolve;
mod schema;
mod source;
mod syntax;
pub mod types;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use diff::{Plan, diff};
pub use report::{Problem, Report, Severity};

/// How thoroughly to check.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connect to every upstream once; one that cannot be reached is an error.
    pub connect: bool,
    pub connect_timeout: Duration,
    /// The configuration is to be served by this process. Otherwise what only the service can see, such as credentials,
    /// is a warning.
    pub serving: bool,
    /// Where systemd put the credentials of this process.
    pub credentials: Option<PathBuf>,
    /// Where certificates and accounts are kept; None: in a folder beside the configuration.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: false,
            connect_timeout: defaults::TEST_CONNECTION_TIMEOUT,
            serving: false,
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            state: state_directory(),
        }
    }
}

/// What systemd's StateDirectory= made, the first of several.
fn state_directory() -> Option<PathBuf> {
    let told = std::env::var_os("STATE_DIRECTORY")?;
    let first = std::env::split_paths(&told).next();
    first.filter(|folder| folder.is_absolute())
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: types::Config,
    pub warnings: Report,
    /// The others were taken over from the configuration before.
    pub certificates_parsed: usize,
}

/// What a file and those that it includes say about listening.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Each once.
    pub listen: Vec<types::ListenAddress>,
    /// The files, and the folders in which an `include` looks for others.
    pub sources: Vec<PathBuf>,
}

/// What would be listened on, whatever else is wrong in the file: for who only has to bind it.
pub fn addresses(path: &Path) -> Result<Addresses, Report> {
    load::addresses(path)
}

/// Loads, resolves and checks a file; all problems at once.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Report> {
    load::load(path, options, None)
}

/// The same, while `earlier` is in force: certificates whose files did not change since are not parsed again.
pub fn load_after(
    earlier: Option<&types::Config>,
    path: &Path,
    options: &Options,
) -> Result<Loaded, Report> {
    load::load(path, options, earlier)
}

/// A configuration in which nothing changes but the certificates of those sites for which BWS gets them by itself and
/// `is_meant` says yes: they are read anew.
pub fn with_new_certificates(
    config: &types::Config,
    is_meant: impl Fn(&str) -> bool,
) -> types::Config {
    let mut config = config.clone();
    resolve::refresh_certificates(&mut config, is_meant);
    hash::fill(&mut config);
    config
}

/// The configuration that `bws DIR --port P` serves: one site for any host, without a management port.
pub fn serve_folder(folder: &Path, port: u16) -> Result<Loaded, Report> {
    let Some(text) = load::path_text(folder) else {
        let message = format!("the absolute path of '{}' is not UTF-8", folder.display());
        return Err(load::refuse(message, "rename the folder"));
    };
    let quoted = toml::Value::from(text);
    let text = format!(
        "[[sites]]\nname = \"folder\"\nhostname = \"_\"\nport = {port}\nstatic_dir = {quoted}\ndirectory_listing = true\n"
    );
    load::load_text(Path::new("(command line)"), text, &Options::default())
}
