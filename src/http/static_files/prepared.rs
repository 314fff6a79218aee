//! A file made ready to be sent: its headers, and its bytes when they are few.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue};
use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::conditional::Validators;
use super::range::Part;
use super::rules::Rules;
use super::siblings::Sibling;
use super::stamp::Stamp;
use super::variants::Variants;
use crate::config::types::Algorithm;
use crate::http::body::{Body, Chunk, FileSlice};
use crate::http::compression::{add_vary, coding};
use crate::http::open_file::OpenFile;

/// Files up to this many bytes are kept in memory.
const SMALL: u64 = 64 * 1024;
/// How often a file that keeps changing is read again.
const MAX_READS: usize = 16;

pub(super) enum Content {
    Memory(Bytes),
    Disk(Rc<OpenFile>),
}

/// All that a response needs of a file.
pub(in crate::http) struct Prepared {
    /// The whole head of a 200 response.
    pub(in crate::http) headers: HeaderMap,
    /// None when the site sends none, as `modified`.
    etag: Option<HeaderValue>,
    /// `Last-Modified`, and the same in seconds since the epoch.
    modified: Option<(HeaderValue, i64)>,
    pub(in crate::http) length: u64,
    pub(super) content: Content,
    pub(super) stamp: Stamp,
    /// Whether its stamp is enough to see the next change.
    pub(super) cacheable: bool,
    /// The other codings that it has.
    pub(super) variants: Option<Box<Variants>>,
}

impl Prepared {
    /// Reads `file` when it is small. `name` gives the media type.
    pub(super) fn new(file: OwnedFd, stat: &Stat, name: &[u8], rules: &Rules) -> io::Result<Self> {
        let file = File::from(file);
        let (content, stamp) = read(file, Stamp::new(stat))?;
        let length = match &content {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Disk(_) => stamp.size,
        };
        let etag = rules.etag.then(|| header_value(&stamp.etag()));
        let modified = rules.last_modified.then(|| stamp.last_modified());
        let mut prepared = Self {
            headers: HeaderMap::new(),
            etag,
            modified: modified.map(|seconds| (http_date(seconds), seconds)),
            length,
            content,
            stamp,
            cacheable: !stamp.is_racy(),
            variants: None,
        };
        prepared.headers = prepared.whole_headers(name, rules);
        Ok(prepared)
    }

    /// The same with the other codings that the site has of it.
    pub(super) fn with_siblings(
        file: OwnedFd,
        stat: &Stat,
        siblings: Vec<Sibling>,
        name: &[u8],
        rules: &Rules,
    ) -> io::Result<Self> {
        let mut prepared = Self::new(file, stat, name, rules)?;
        let Some(compression) = &rules.compression else {
            return Ok(prepared);
        };
        let mut encoded = Vec::with_capacity(siblings.len());
        for sibling in siblings {
            let mut other = Self::new(sibling.file, &sibling.stat, name, rules)?;
            let coding = coding(sibling.algorithm);
            other.headers.insert(CONTENT_ENCODING, coding);
            add_vary(&mut other.headers);
            prepared.cacheable &= other.cacheable;
            encoded.push((sibling.algorithm, Rc::new(other)));
        }
        let (headers, length) = (&prepared.headers, prepared.length);
        prepared.variants = Variants::new(encoded, compression, headers, length);
        if prepared.variants.is_some() {
            add_vary(&mut prepared.headers);
        }
        Ok(prepared)
    }

    /// Opens the file at `path`, wherever that is, and reads it when it is small.
    pub(in crate::http) fn open(path: &Path, rules: &Rules) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Self::new(file, &stat, path.as_os_str().as_bytes(), rules)
    }

    /// Whether these are the siblings that it was prepared with.
    pub(super) fn has_siblings(&self, siblings: &[Sibling]) -> bool {
        let known = self
            .siblings()
            .map(|(algorithm, it)| (*algorithm, it.stamp));
        known.eq(siblings
            .iter()
            .map(|it| (it.algorithm, Stamp::new(&it.stat))))
    }

    fn siblings(&self) -> impl Iterator<Item = &(Algorithm, Rc<Self>)> {
        let variants = self.variants.iter();
        variants.flat_map(|variants| &variants.siblings)
    }

    pub(super) fn validators(&self) -> Validators<'_> {
        Validators {
            etag: self.etag.as_ref(),
            weak: false,
            modified: self
                .modified
                .as_ref()
                .map(|(date, seconds)| (date, *seconds)),
        }
    }

    /// How much memory it takes, about.
    pub(super) fn weight(&self) -> usize {
        let siblings = self.siblings().map(|(_, it)| it.weight());
        self.own_weight() + siblings.sum::<usize>()
    }

    fn own_weight(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) => bytes.len() + 1024,
            Content::Disk(_) => 1024,
        }
    }

    pub(super) fn descriptors(&self) -> usize {
        let siblings = self.siblings().map(|(_, it)| it.descriptors());
        usize::from(matches!(self.content, Content::Disk(_))) + siblings.sum::<usize>()
    }

    /// A file that is not in memory may have been written to since.
    pub(in crate::http) fn is_current(&self) -> bool {
        let own = match &self.content {
            Content::Memory(_) => true,
            Content::Disk(file) => file.is_as_opened(),
        };
        own && self.siblings().all(|(_, it)| it.is_current())
    }

    /// All of it; empty when the file is.
    pub(super) fn whole(&self) -> Part {
        Part {
            start: 0,
            length: self.length,
        }
    }

    /// The bytes of `part`, which lies within the file.
    pub(super) fn chunk(&self, part: Part) -> Chunk {
        match &self.content {
            Content::Memory(bytes) => Chunk::Bytes(slice(bytes, part)),
            Content::Disk(file) => Chunk::File(FileSlice {
                file: file.clone(),
                offset: part.start,
                length: part.length,
            }),
        }
    }

    /// A body of all of it.
    pub(in crate::http) fn whole_body(&self) -> Body {
        self.body(self.whole())
    }

    /// A body of nothing but `part`.
    pub(super) fn body(&self, part: Part) -> Body {
        match self.chunk(part) {
            Chunk::Bytes(bytes) => Body::Full(bytes),
            Chunk::File(slice) => Body::File(slice),
        }
    }

    fn whole_headers(&self, name: &[u8], rules: &Rules) -> HeaderMap {
        let mut headers = rules.base.clone();
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, rules.media_types.of(name));
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.length));
        if let Some((date, _)) = &self.modified {
            headers.insert(LAST_MODIFIED, date.clone());
        }
        if let Some(etag) = &self.etag {
            headers.insert(ETAG, etag.clone());
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers
    }
}

fn slice(bytes: &Bytes, part: Part) -> Bytes {
    let index = |offset: u64| usize::try_from(offset).unwrap_or(bytes.len());
    bytes.slice(index(part.start)..index(part.start + part.length))
}

fn http_date(seconds: i64) -> HeaderValue {
    let date = UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
    header_value(&httpdate::fmt_http_date(date))
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("entity tags and dates are visible ASCII")
}

/// The bytes of a small file are of one state: the stamp is the same before and after, or we read again. While a
/// write is under way the stamp may be its new one already, so a file that just changed must read the same twice.
fn read(file: File, mut stamp: Stamp) -> io::Result<(Content, Stamp)> {
    let mut before: Option<Vec<u8>> = None;
    for _ in 0..MAX_READS {
        if stamp.size > SMALL {
            return Ok((Content::Disk(Rc::new(OpenFile::new(file)?)), stamp));
        }
        let bytes = read_up_to(&file, stamp.size)?;
        let after = Stamp::new(&rustix::fs::fstat(&file)?);
        let whole = bytes.len() as u64 == stamp.size && after == stamp;
        if whole && (before.as_ref() == Some(&bytes) || !stamp.is_racy()) {
            return Ok((Content::Memory(Bytes::from(bytes)), stamp));
        }
        stamp = after;
        before = Some(bytes);
    }
    // It changes faster than it can be read; what came last is as good as any.
    Ok((
        Content::Memory(Bytes::from(before.unwrap_or_default())),
        stamp,
    ))
}

fn read_up_to(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).expect("small")];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn prepare(folder: &Path, name: &str) -> Prepared {
        let file = File::open(folder.join(name)).unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        Prepared::new(file.into(), &stat, name.as_bytes(), &Rules::plain()).unwrap()
    }

    fn modified(folder: &Path) -> i64 {
        prepare(folder, "x").modified.unwrap().1
    }

    #[test]
    fn a_change_of_the_same_length_changes_the_tag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "one").unwrap();
        let old = File::options().write(true).open(&path).unwrap();
        old.set_modified(UNIX_EPOCH + Duration::from_nanos(1_500_000_000))
            .unwrap();
        let first = prepare(folder.path(), "x");
        assert_eq!(
            first.headers[LAST_MODIFIED],
            "Thu, 01 Jan 1970 00:00:01 GMT"
        );
        assert!(!first.cacheable, "it changed this very moment");
        old.set_modified(UNIX_EPOCH + Duration::from_nanos(1_500_000_001))
            .unwrap();
        assert_ne!(prepare(folder.path(), "x").etag, first.etag);
    }

    #[test]
    fn times_beyond_the_calendar_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("x")).unwrap();
        file.set_modified(UNIX_EPOCH - Duration::from_secs(86_400))
            .unwrap();
        assert_eq!(modified(folder.path()), 0);
        file.set_modified(UNIX_EPOCH + Duration::from_secs(10_000_000_000))
            .unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(modified(folder.path()).unsigned_abs() <= now);
    }

    #[test]
    fn large_files_stay_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("small"), vec![1; 65_536]).unwrap();
        std::fs::write(folder.path().join("large"), vec![1; 65_537]).unwrap();
        assert!(prepare(folder.path(), "small").descriptors() == 0);
        let large = prepare(folder.path(), "large");
        assert!(large.descriptors() == 1);
        assert_eq!(large.headers[CONTENT_LENGTH], "65537");
    }
}
