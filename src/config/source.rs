//! The text of a configuration file, and where in it something stands.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use super::defaults::MAX_FILE_SIZE;
use super::types::Stamp;

/// A byte range of one of the files of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index into the list of sources.
    pub(super) source: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Place {
    pub(super) fn new(source: u32, span: &Range<usize>) -> Self {
        // MAX_FILE_SIZE keeps every offset far below 4 GiB.
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            source,
            start: clamp(span.start),
            end: clamp(span.end),
        }
    }

    pub(super) fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T> Located<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located {
            value: change(self.value),
            place: self.place,
        }
    }
}

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    /// As the operator named it.
    pub(super) path: PathBuf,
    /// Absolute; relative paths in the file start here.
    pub(super) folder: PathBuf,
    pub(super) text: String,
    line_starts: OnceLock<Vec<usize>>,
}

/// Why a file could not become a [`Source`].
pub(super) enum Unreadable {
    /// What is wrong, and what to do.
    File(String, String),
    /// Not UTF-8 from this offset on; the text is as good as it gets.
    Encoding(Source, usize),
}

impl Source {
    pub(super) fn new(path: &Path, text: String) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let folder = absolute.parent().unwrap_or(Path::new("/")).to_path_buf();
        Self {
            path: path.to_path_buf(),
            folder,
            text,
            line_starts: OnceLock::new(),
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self, Unreadable> {
        let bytes = read_limited(path, MAX_FILE_SIZE)
            .map_err(|refusal| Unreadable::File(refusal.message, refusal.help))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Err(Unreadable::Encoding(Self::new(path, text), valid))
            }
        }
    }

    /// Line and column of an offset, both from 1; columns count characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let line = self.line_index(offset);
        let start = self.line_starts()[line];
        (line + 1, self.text[start..offset].chars().count() + 1)
    }

    /// Index of the line that holds an offset.
    pub(super) fn line_index(&self, offset: usize) -> usize {
        self.line_starts()
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// The lines `first..=last` without the last line's end.
    pub(super) fn lines(&self, first: usize, last: usize) -> Range<usize> {
        let starts = self.line_starts();
        let end = starts
            .get(last + 1)
            .map_or(self.text.len(), |next| next - 1);
        starts[first]..end.max(starts[first])
    }

    /// The nearest character boundary at or before an offset.
    pub(super) fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let breaks = memchr::memchr_iter(b'\n', self.text.as_bytes());
            std::iter::once(0).chain(breaks.map(|at| at + 1)).collect()
        })
    }
}

/// Why a file was not read.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) help: String,
}

/// Reads a regular file of at most `limit` bytes: a pipe would block, and a mistyped path may be a disk image.
pub(super) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, Refusal> {
    Ok(read_stamped(path, limit)?.0)
}

/// The same, with how the file looked before its first byte was read.
pub(super) fn read_stamped(path: &Path, limit: u64) -> Result<(Vec<u8>, Stamp), Refusal> {
    let shown = path.display();
    let refuse = |error: &std::io::Error| Refusal {
        message: format!("cannot read '{shown}': {}", reason(error)),
        help: advice(error).to_owned(),
    };
    let metadata = std::fs::metadata(path).map_err(|error| refuse(&error))?;
    if !metadata.is_file() {
        return Err(Refusal {
            message: format!("'{shown}' is not a regular file"),
            help: "name a file".to_owned(),
        });
    }
    // One byte more, to see the end without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limit) + 1).unwrap_or(0));
    let file = File::open(path).map_err(|error| refuse(&error))?;
    let now = SystemTime::now();
    let stamp = Stamp::new(&file.metadata().map_err(|error| refuse(&error))?, now);
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(&error))?;
    if bytes.len() as u64 > limit {
        return Err(Refusal {
            message: format!("'{shown}' is larger than {} MiB", limit >> 20),
            help: "check that this is the right file".to_owned(),
        });
    }
    Ok((bytes, stamp))
}

/// The system's words for an error, without the number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// What an operator can do about a file that cannot be used.
pub(super) fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "create it, or correct the path",
        std::io::ErrorKind::PermissionDenied => {
            "allow the user that BWS runs as to read it (every folder above needs to be searchable, too)"
        }
        _ => "check the path and the disk",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source::new(Path::new("x"), "a = 1\nü = ö\n".to_owned());
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(6), (2, 1));
        assert_eq!(source.position(11), (2, 5));
        assert_eq!(source.position(7), (2, 1), "inside a character");
        assert_eq!(source.position(999), (3, 1));
        assert_eq!(&source.text[source.lines(1, 1)], "ü = ö");
        assert_eq!(&source.text[source.lines(2, 2)], "");
    }

    #[test]
    fn what_is_not_a_file_of_sane_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let big = folder.path().join("big");
        std::fs::write(&big, [0; 11]).unwrap();
        assert!(read_limited(&big, 10).is_err());
        assert_eq!(read_limited(&big, 11).ok().unwrap().len(), 11);
        assert!(read_limited(folder.path(), 10).is_err());
    }
}
