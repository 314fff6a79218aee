//! From a path to a checked configuration: file, included files, raw, resolve.

use std::collections::{BTreeSet, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::defaults::{MAX_INCLUDED_FILES, MAX_INCLUDED_NAMES};
use super::parts::{self, Numbered, Reader, Reading};
use super::raw::{self, Raw};
use super::report::{Finding, Findings, Report};
use super::resolve::{self, Resolved};
use super::source::{Located, Place, Source, Unreadable, reason};
use super::types::Config;
use super::{Addresses, Loaded, Options, connectivity, include, parallel};
use crate::dns::Resolver;

/// The files read so far and what was found in them.
#[derive(Default)]
struct Loading {
    sources: Vec<Arc<Source>>,
    findings: Findings,
    /// Paths whose change means a new configuration.
    watched: Vec<PathBuf>,
    /// A file could not be read or parsed: what is missing in it is no second error.
    broken: bool,
}

pub(super) fn load(
    path: &Path,
    options: &Options,
    earlier: Option<&Config>,
) -> Result<Loaded, Report> {
    let (loading, raw) = open(path);
    loading.finish(raw, options, earlier)
}

/// Only what is listened on: no other file is looked at, and other errors are passed over.
pub(super) fn addresses(path: &Path) -> Result<Addresses, Report> {
    let (mut loading, mut raw) = open(path);
    loading.include(&mut raw);
    if loading.broken {
        return Err(loading.findings.report(&loading.sources));
    }
    let listen: BTreeSet<_> = raw.sites().filter_map(resolve::address).collect();
    Ok(Addresses {
        listen: listen.into_iter().collect(),
        sources: loading.watched,
    })
}

fn open(path: &Path) -> (Loading, Raw) {
    let mut loading = Loading::default();
    loading
        .watched
        .push(std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
    // Every path of a configuration begins with this one, and crosses to the workers as text.
    let source = match path_text(path) {
        Some(_) => Source::read(path),
        None => Err(not_text(path)),
    };
    let raw = loading.read_main(source);
    (loading, raw)
}

/// Loads text that stands in no file.
pub(super) fn load_text(name: &Path, text: String, options: &Options) -> Result<Loaded, Report> {
    let mut loading = Loading::default();
    let raw = loading.read_main(Ok(Source::new(name, text)));
    loading.finish(raw, options, None)
}

/// An absolute path as text, which not every path is.
pub(super) fn path_text(path: &Path) -> Option<String> {
    std::path::absolute(path)
        .ok()?
        .into_os_string()
        .into_string()
        .ok()
}

fn not_text(path: &Path) -> Unreadable {
    let message = format!("the absolute path of '{}' is not UTF-8", path.display());
    Unreadable::File(message, "rename the file or folder".to_owned())
}

/// A report of one error that belongs to no file.
pub(super) fn refuse(message: String, help: &str) -> Report {
    let findings = Findings::default();
    findings.push(Finding::error(message).help(help));
    findings.report(&[])
}

impl Loading {
    fn finish(
        mut self,
        mut raw: Raw,
        options: &Options,
        earlier: Option<&Config>,
    ) -> Result<Loaded, Report> {
        self.include(&mut raw);
        if self.broken {
            return Err(self.findings.report(&self.sources));
        }
        self.check_sites(&raw, earlier);
        let watched = std::mem::take(&mut self.watched);
        let (sources, findings) = (&self.sources, &self.findings);
        let earlier = earlier.map(|config| &config.certificates);
        let resolved = resolve::resolve(raw, sources, findings, watched, options, earlier);
        let Resolved {
            config,
            targets,
            parsed,
        } = resolved;
        if options.connect && !self.findings.has_errors() {
            let resolver = Resolver::new(config.resolver.clone());
            connectivity::test(&targets, resolver, options.connect_timeout, &self.findings);
        }
        let failed = self.findings.has_errors();
        let report = self.findings.report(&self.sources);
        if failed {
            Err(report)
        } else {
            Ok(Loaded {
                config,
                warnings: report,
                certificates_parsed: parsed,
            })
        }
    }

    /// A file that was cut off, or is not written yet, is no wish to serve nothing any more.
    fn check_sites(&self, raw: &Raw, earlier: Option<&Config>) {
        if raw.sites().next().is_some() {
            return;
        }
        let message = "there is no site: nothing is served";
        let finding = match earlier {
            Some(earlier) if !earlier.sites.is_empty() => Finding::error(message)
                .help("complete the file; to serve nothing any more, stop the server"),
            _ => Finding::warning(message).help("add a [[sites]] table"),
        };
        self.findings.push(finding);
    }

    fn read_main(&mut self, source: Result<Source, Unreadable>) -> Raw {
        let mut read = self.read(vec![(source, None)], Raw::read);
        read.pop().unwrap_or_default()
    }

    /// Reads files and what is in them; `named` is where each is asked for.
    fn read(
        &mut self,
        sources: Vec<(Result<Source, Unreadable>, Option<Place>)>,
        reader: Reader,
    ) -> Vec<Raw> {
        let admitted = sources
            .into_iter()
            .map(|(source, named)| self.admit(source, named));
        let files: Vec<Numbered> = admitted.flatten().collect();
        let readings = parts::read(&files, reader);
        readings
            .into_iter()
            .map(|reading| self.take(reading))
            .collect()
    }

    fn take(&mut self, reading: Reading) -> Raw {
        self.broken |= reading.broken;
        self.findings.append(reading.findings);
        reading.raw
    }

    /// Takes a file up among the sources, or says why not.
    fn admit(
        &mut self,
        source: Result<Source, Unreadable>,
        named: Option<Place>,
    ) -> Option<Numbered> {
        let number = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let (source, finding) = match source {
            Ok(source) => {
                let source = Arc::new(source);
                self.sources.push(source.clone());
                return Some(Numbered { number, source });
            }
            Err(Unreadable::File(message, help)) => {
                let finding = Finding::error(message).help(help);
                (
                    None,
                    named
                        .into_iter()
                        .fold(finding, |it, place| it.at(place, "included here")),
                )
            }
            Err(Unreadable::Encoding(source, offset)) => {
                let place = Place::new(number, &(offset..offset));
                let finding = Finding::error("the file is not UTF-8");
                let finding = finding
                    .at(place, "the first wrong byte")
                    .help("save it as UTF-8");
                (Some(Arc::new(source)), finding)
            }
        };
        self.broken = true;
        self.sources.extend(source);
        self.findings.push(finding);
        None
    }

    /// Adds the sites of included files.
    fn include(&mut self, raw: &mut Raw) {
        let Some(folder) = self.sources.first().map(|source| source.folder.clone()) else {
            return;
        };
        let (files, too_many) = self.included_files(&folder, std::mem::take(&mut raw.include));
        let sources = parallel::map(files, |(path, named)| (Source::read(&path), Some(named)));
        for other in self.read(sources, raw::read_included) {
            raw.add(other);
        }
        too_many
            .into_iter()
            .for_each(|finding| self.findings.push(finding));
    }

    /// Each file once, with where it is asked for; and what is wrong if there are too many.
    fn included_files(
        &mut self,
        folder: &Path,
        patterns: Vec<Located<String>>,
    ) -> (Vec<(PathBuf, Place)>, Option<Finding>) {
        let mut known: HashSet<PathBuf> = self.watched.iter().cloned().collect();
        let mut files = Vec::new();
        let mut left = MAX_INCLUDED_NAMES;
        for pattern in patterns {
            for file in self.expand(folder, &pattern, &mut left) {
                if !known.insert(file.clone()) {
                    continue;
                }
                if known.len() > MAX_INCLUDED_FILES {
                    let message = format!("more than {MAX_INCLUDED_FILES} files are included");
                    let finding = Finding::error(message).at(pattern.place, "");
                    return (files, Some(finding.help("put several sites into one file")));
                }
                self.watched.push(file.clone());
                files.push((file, pattern.place));
            }
        }
        (files, None)
    }

    fn expand(
        &mut self,
        folder: &Path,
        pattern: &Located<String>,
        left: &mut usize,
    ) -> Vec<PathBuf> {
        if cfg!(fuzzing) {
            // What is made up there must not search this machine.
            return Vec::new();
        }
        match include::expand(folder, &pattern.value, left) {
            Ok(expansion) => {
                self.watched.extend(expansion.folders);
                expansion.files
            }
            Err(error) => {
                self.broken = true;
                let message = format!("cannot search for '{}': {}", pattern.value, reason(&error));
                let help = match error.kind() {
                    ErrorKind::QuotaExceeded => {
                        "name the folder of the files, as in \"sites.d/*.toml\""
                    }
                    _ => "allow the user that BWS runs as to read the folder",
                };
                self.findings
                    .push(Finding::error(message).at(pattern.place, "").help(help));
                Vec::new()
            }
        }
    }
}
