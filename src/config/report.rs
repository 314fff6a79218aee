//! What is wrong with a configuration, for a person (a snippet with a caret), for a status line and for a program.

use std::cell::RefCell;
use std::fmt;
use std::io::IsTerminal as _;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::render;
use super::source::{Place, Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One problem of a configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    pub severity: Severity,
    /// Names the thing in '…' and says what is wrong.
    pub message: String,
    /// None for what belongs to no file.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<usize>,
    /// In characters, from 1.
    pub column: Option<usize>,
    /// What to do.
    pub help: Option<String>,
    #[serde(skip)]
    pub(super) marks: Vec<Mark>,
}

/// A marked part of a file; the first of a problem is where it is, others belong to the story.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
    pub(super) label: String,
}

/// All problems of a configuration, in the order of its files.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Report {
    pub problems: Vec<Problem>,
}

impl Report {
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// The first problem and how many more there are, for a status line.
    pub fn one_line(&self) -> String {
        let errors = || {
            self.problems
                .iter()
                .filter(|it| it.severity == Severity::Error)
        };
        let (first, more, noun) = match errors().next() {
            Some(error) => (error, errors().count() - 1, "error"),
            None => match self.problems.first() {
                Some(warning) => (warning, self.problems.len() - 1, "warning"),
                None => return "no problem".to_owned(),
            },
        };
        match more {
            0 => first.one_line(),
            1 => format!("{} (and 1 more {noun})", first.one_line()),
            _ => format!("{} (and {more} more {noun}s)", first.one_line()),
        }
    }

    /// The whole report without colours, wherever it goes.
    pub fn plain(&self) -> String {
        render::report(self, false)
    }

    /// The whole report with colours.
    pub fn styled(&self) -> String {
        render::report(self, true)
    }
}

/// In colours when stderr is a terminal, as that is where reports are printed.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::io::stderr().is_terminal();
        formatter.write_str(&render::report(self, colours))
    }
}

impl std::error::Error for Report {}

impl Problem {
    /// `config.toml:12:8: unknown key 'hostnmae'`.
    pub fn one_line(&self) -> String {
        match (&self.file, self.line, self.column) {
            (Some(file), Some(line), Some(column)) => {
                format!("{file}:{line}:{column}: {}", self.message)
            }
            (Some(file), ..) => format!("{file}: {}", self.message),
            _ => self.message.clone(),
        }
    }
}

/// A problem while its place is still an index into the sources.
#[derive(Debug)]
pub(super) struct Finding {
    severity: Severity,
    message: String,
    help: Option<String>,
    marks: Vec<(Place, String)>,
}

impl Finding {
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            marks: Vec::new(),
        }
    }

    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Where it is; a second call says what else belongs to it.
    pub(super) fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.marks.push((place, label.into()));
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.marks.first().map(|mark| mark.0)
    }

    fn problem(self, sources: &[Arc<Source>]) -> Problem {
        let marks: Vec<Mark> = self
            .marks
            .into_iter()
            .filter_map(|(place, label)| {
                let source = sources.get(place.source as usize)?.clone();
                Some(Mark {
                    source,
                    span: place.span(),
                    label,
                })
            })
            .collect();
        let position = marks
            .first()
            .map(|mark| mark.source.position(mark.span.start));
        Problem {
            severity: self.severity,
            message: self.message,
            file: marks
                .first()
                .map(|mark| mark.source.path.display().to_string()),
            line: position.map(|position| position.0),
            column: position.map(|position| position.1),
            help: self.help,
            marks,
        }
    }
}

/// Gathers what is found on the way; everyone who reads or resolves holds a reference.
#[derive(Debug, Default)]
pub(super) struct Findings(RefCell<Vec<Finding>>);

/// So many are kept: who includes a folder of other files has no use for millions.
const MOST: usize = 10_000;

impl Findings {
    pub(super) fn push(&self, finding: Finding) {
        let mut all = self.0.borrow_mut();
        let fatal = |it: &Finding| it.severity == Severity::Error;
        // The first error counts in any case.
        if all.len() < MOST || fatal(&finding) && !all.iter().any(fatal) {
            all.push(finding);
        }
    }

    /// Takes over what `other` found.
    pub(super) fn append(&self, other: Self) {
        other
            .0
            .into_inner()
            .into_iter()
            .for_each(|it| self.push(it));
    }

    pub(super) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.0
            .borrow()
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Drops what `keep` does not want to keep.
    pub(super) fn retain(&self, keep: impl FnMut(&Finding) -> bool) {
        self.0.borrow_mut().retain(keep);
    }

    /// In the order of the files; what belongs to no place comes last.
    pub(super) fn report(self, sources: &[Arc<Source>]) -> Report {
        let mut findings = self.0.into_inner();
        if findings.len() >= MOST {
            let more = Finding::warning("there may be more than is told here");
            findings.push(more.help("look at the first ones"));
        }
        findings.sort_by_key(|finding| (finding.place().is_none(), finding.place()));
        Report {
            problems: findings.into_iter().map(|it| it.problem(sources)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn there_is_an_end_to_what_is_told() {
        let warnings = (0..2 * MOST).map(|_| Finding::warning("odd"));
        let errors = (0..5).map(|_| Finding::error("wrong"));
        let told = report(warnings.chain(errors).collect());
        assert!(told.has_errors());
        assert_eq!(told.problems.len(), MOST + 2);
    }

    fn report(findings: Vec<Finding>) -> Report {
        let source = Source::new(Path::new("config.toml"), "[server]\nnmae = 1\n".to_owned());
        let all = Findings::default();
        findings.into_iter().for_each(|finding| all.push(finding));
        all.report(&[Arc::new(source)])
    }

    fn place() -> Place {
        Place {
            source: 0,
            start: 9,
            end: 13,
        }
    }

    #[test]
    fn one_line_names_the_first_error_and_counts_the_others() {
        let only = report(vec![Finding::error("unknown key 'nmae'").at(place(), "")]);
        assert_eq!(only.one_line(), "config.toml:2:1: unknown key 'nmae'");
        let three = report(vec![
            Finding::error("third"),
            Finding::warning("zeroth").at(
                Place {
                    start: 0,
                    ..place()
                },
                "",
            ),
            Finding::error("second").at(place(), ""),
        ]);
        assert_eq!(
            three.one_line(),
            "config.toml:2:1: second (and 1 more error)"
        );
    }

    #[test]
    fn programs_read_a_list() {
        let list = serde_json::to_value(report(vec![
            Finding::error("bad").at(place(), "x").help("do"),
        ]));
        let expected = serde_json::json!([{"severity": "error", "message": "bad", "file": "config.toml",
            "line": 2, "column": 1, "help": "do"}]);
        assert_eq!(list.unwrap(), expected);
    }
}
