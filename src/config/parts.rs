//! Files become raw values, many of them and long ones in parts at once.
//!
//! A file is cut at lines that read `[[sites]]`. Such a line may stand inside of a string or a list, too; then the part
//! before it ends in the middle of that, which is a syntax error there. So when every part is free of errors, every cut
//! was between two tables, and the parts say what the whole says: all but the first hold nothing but sites, and only
//! they do. Whatever does not look like that is read as a whole, which is also how every error gets its message.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable};

use super::parallel;
use super::raw::{self, Raw};
use super::reader::File;
use super::report::{Finding, Findings};
use super::source::{Place, Source};
use super::syntax::{self, Trust, Verdict};

/// A smaller part is not worth a thread's while: about two hundred short sites.
const SMALLEST: usize = 32 << 10;
/// Parts for each thread, so that none waits long for another that has more to do.
const PARTS_PER_THREAD: usize = 4;
const CUT: &str = "\n[[sites]]";

/// A file with its index in the list of sources.
pub(super) struct Numbered {
    pub(super) number: u32,
    pub(super) source: Arc<Source>,
}

/// What a file of some kind means.
pub(super) type Reader = fn(&DeTable<'_>, File<'_>) -> Raw;

/// What a file holds.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) raw: Raw,
    pub(super) findings: Findings,
    /// There are syntax errors.
    pub(super) broken: bool,
}

/// A part of a file.
struct Part<'a> {
    file: &'a Numbered,
    range: Range<usize>,
    role: Role,
}

#[derive(Clone, Copy)]
enum Role {
    /// All of a file.
    Whole,
    /// What stands before the first cut.
    First,
    /// What begins with a cut.
    Later,
}

/// Reads each file; the results are in the order of the files.
pub(super) fn read(files: &[Numbered], reader: Reader) -> Vec<Reading> {
    let total: usize = files.iter().map(|file| file.source.text.len()).sum();
    let size = total / (PARTS_PER_THREAD * parallel::threads());
    read_in_parts(files, reader, size.max(SMALLEST))
}

/// The same, in parts of at least `size` bytes.
pub(super) fn read_in_parts(files: &[Numbered], reader: Reader, size: usize) -> Vec<Reading> {
    let parts: Vec<Vec<Part<'_>>> = files.iter().map(|file| file.parts(size)).collect();
    let counts: Vec<usize> = parts.iter().map(Vec::len).collect();
    let parts = parts.into_iter().flatten().collect();
    let mut readings = parallel::map(parts, |part: Part<'_>| part.read(reader)).into_iter();
    let join = |(file, count): (&Numbered, usize)| {
        let parts: Vec<Option<Reading>> = readings.by_ref().take(count).collect();
        let parts: Option<Vec<Reading>> = parts.into_iter().collect();
        parts.map_or_else(|| file.read(reader), Reading::join)
    };
    files.iter().zip(counts).map(join).collect()
}

impl Numbered {
    fn parts(&self, size: usize) -> Vec<Part<'_>> {
        let ranges = cut(&self.source.text, size);
        let whole = ranges.len() == 1;
        let part = |(number, range)| Part {
            file: self,
            range,
            role: match number {
                0 if whole => Role::Whole,
                0 => Role::First,
                _ => Role::Later,
            },
        };
        ranges.into_iter().enumerate().map(part).collect()
    }

    /// As a whole.
    fn read(&self, reader: Reader) -> Reading {
        let (table, errors) = DeTable::parse_recoverable(&self.source.text);
        let (syntax, broken_lines, trusted) = self.syntax_errors(&errors);
        let findings = Findings::default();
        let raw = reader(table.get_ref(), File::new(self.number, 0, &findings));
        // On a line that cannot be parsed nothing else can be trusted.
        findings.retain(|finding| {
            finding.place().is_none_or(|place| {
                let start = place.start as usize;
                start < trusted && !broken_lines.contains(&self.source.line_index(start))
            })
        });
        syntax.append(findings);
        Reading {
            raw,
            findings: syntax,
            broken: !errors.is_empty(),
        }
    }

    /// The first syntax error of each line, the lines, and where nothing can be trusted any more.
    fn syntax_errors(&self, errors: &[toml::de::Error]) -> (Findings, HashSet<usize>, usize) {
        let (findings, source) = (Findings::default(), &self.source);
        let (mut lines, mut trust) = (HashSet::new(), Trust::default());
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let span = source.boundary(span.start)..source.boundary(span.end);
            let (before, rest) = source.text.split_at(span.start);
            let before = before.rsplit('\n').next().unwrap_or_default();
            let rest = rest.lines().next().unwrap_or_default();
            let verdict = trust.judge(error.message(), before, rest);
            if verdict == Verdict::Forget || !lines.insert(source.line_index(span.start)) {
                continue;
            }
            let (message, help) = match verdict {
                Verdict::ListOpen => syntax::explain_open_list(),
                _ => syntax::explain(error.message(), &source.text[span.clone()]),
            };
            let finding = Finding::error(message).help(help);
            findings.push(finding.at(Place::new(self.number, &span), ""));
            if verdict == Verdict::ListOpen {
                return (findings, lines, span.start);
            }
        }
        (findings, lines, usize::MAX)
    }
}

impl Part<'_> {
    /// None: the file is to be read as a whole.
    fn read(self, reader: Reader) -> Option<Reading> {
        let text = &self.file.source.text[self.range.clone()];
        let is_sites = |key: &Spanned<DeString<'_>>| key.get_ref() == "sites";
        let (reader, expected): (Reader, fn(bool) -> bool) = match self.role {
            Role::Whole => return Some(self.file.read(reader)),
            Role::First => (reader, |is_sites| !is_sites),
            Role::Later => (raw::read_included, |is_sites| is_sites),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut keys = table.get_ref().keys();
        if !errors.is_empty() || !keys.all(|key| expected(is_sites(key))) {
            return None;
        }
        let findings = Findings::default();
        let file = File::new(self.file.number, self.range.start, &findings);
        Some(Reading {
            raw: reader(table.get_ref(), file),
            findings,
            broken: false,
        })
    }
}

impl Reading {
    fn join(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        for part in parts {
            whole.raw.add(part.raw);
            whole.findings.append(part.findings);
        }
        whole
    }
}

/// Where parts of a text begin and end: what stands before its first site, then parts of at least `size` bytes. A text
/// that would make less than two of these stays whole.
fn cut(text: &str, size: usize) -> Vec<Range<usize>> {
    let finder = memchr::memmem::Finder::new(CUT);
    let next = |from: usize| {
        let found = finder.find(text.as_bytes().get(from..)?)?;
        // Behind the end of the line before.
        Some(from + found + 1)
    };
    let mut cuts = vec![0];
    let first = if text.starts_with(&CUT[1..]) {
        Some(0)
    } else {
        next(0)
    };
    let mut coming = first;
    while let Some(cut) = coming.filter(|cut| text.len() - cut >= size) {
        cuts.push(cut);
        coming = next(cut + size);
    }
    if cuts.len() < 3 {
        cuts.truncate(1);
    }
    let ends = cuts[1..].iter().copied().chain([text.len()]);
    cuts.iter()
        .zip(ends)
        .map(|(start, end)| *start..end)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parts(text: &str) -> Vec<String> {
        let ranges = cut(text, 1).into_iter();
        ranges.map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn cuts_are_made_before_sites() {
        assert_eq!(
            parts("a\n[[sites]]\nb\n[[sites]]\n"),
            ["a\n", "[[sites]]\nb\n", "[[sites]]\n"]
        );
        assert_eq!(
            parts("[[sites]]\n[[sites]]"),
            ["", "[[sites]]\n", "[[sites]]"]
        );
        assert_eq!(parts("a\n[[sites]]\n# [[sites]]").len(), 1);
        assert_eq!(cut("\n[[sites]]\n[[sites]]\n", 100), vec![0..21]);
        assert_eq!(cut("", 1), vec![0..0]);
    }

    /// The others are, too, but more slowly.
    #[test]
    fn good_files_are_read_in_parts() {
        for (text, expected) in [
            (
                "[server]\n[[sites]]\nname = 'a'\n[[sites]]\n[sites.ssl]\n",
                true,
            ),
            ("[[sites]]\nname = 'a'\n[[sites]]\n", true),
            ("a = \"\"\"\n[[sites]]\n[[sites]]\n\"\"\"\n", false),
            ("sites = []\n[[sites]]\n[[sites]]\n", false),
            ("[[sites]]\n[[sites]]\n[server]\n", false),
        ] {
            let source = Arc::new(Source::new(Path::new("x"), text.to_owned()));
            let file = Numbered { number: 0, source };
            let parts = file.parts(1);
            assert_eq!(parts.len(), 3, "{text}");
            let read = parts.into_iter().all(|part| part.read(Raw::read).is_some());
            assert_eq!(read, expected, "{text}");
        }
    }
}
