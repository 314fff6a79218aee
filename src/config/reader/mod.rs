//! Reads spanned TOML tables: one method for each kind of value. Whatever does not fit becomes a finding with its
//! place, and reading goes on.

mod value;

use std::cell::{Cell, RefCell};
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::report::{Finding, Findings};
use super::schema;
use super::source::{Located, Place};

pub(super) use value::Value;

/// Names with values, as `headers = {…}` has them.
pub(super) type Pairs = Vec<(Located<String>, Located<String>)>;

/// What all readers of one file, or of a part of it, share.
#[derive(Clone, Copy)]
pub(super) struct File<'t> {
    /// Index into the list of sources.
    source: u32,
    /// Where the text that was parsed begins in the file.
    offset: usize,
    pub(super) findings: &'t Findings,
}

impl<'t> File<'t> {
    pub(super) fn new(source: u32, offset: usize, findings: &'t Findings) -> Self {
        Self {
            source,
            offset,
            findings,
        }
    }

    /// The place in the file of what the parser found at `span`.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let span = self.offset + span.start..self.offset + span.end;
        Place::new(self.source, &span)
    }
}

/// A table that is being read. Call [`Table::finish`] when every key was asked for.
pub(super) struct Table<'t> {
    /// As in [`schema::TABLES`].
    pub(super) name: &'static str,
    pub(super) place: Place,
    file: File<'t>,
    entries: &'t DeTable<'t>,
    seen: RefCell<Vec<&'static str>>,
    /// How many findings there were before the table's own keys; set by the first of them.
    before: Cell<Option<usize>>,
}

impl<'t> Table<'t> {
    /// The file itself.
    pub(super) fn root(entries: &'t DeTable<'t>, file: File<'t>) -> Self {
        let place = file.place(&(0..0));
        Self::new("", place, file, entries)
    }

    fn new(name: &'static str, place: Place, file: File<'t>, entries: &'t DeTable<'t>) -> Self {
        Self {
            name,
            place,
            file,
            entries,
            seen: RefCell::default(),
            before: Cell::default(),
        }
    }

    /// Says that the tables within this one are read, and its own keys are next.
    pub(super) fn begin_own_keys(&self) {
        self.before.set(Some(self.file.findings.count()));
    }

    /// The value of a key, which is from now on known.
    pub(super) fn value(&self, key: &'static str) -> Option<Value<'t>> {
        if self.before.get().is_none() {
            self.begin_own_keys();
        }
        let value = self.entries.get(key)?;
        self.seen.borrow_mut().push(key);
        Some(Value::new(self.name, key, value, self.file))
    }

    pub(super) fn string(&self, key: &'static str) -> Option<Located<String>> {
        self.value(key)?.string()
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<Located<bool>> {
        self.value(key)?.boolean()
    }

    pub(super) fn integer(
        &self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<Located<u64>> {
        self.value(key)?.integer(range)
    }

    /// An integer whose range lies within 32 bits.
    pub(super) fn small(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u32> {
        u32::try_from(self.integer(key, range)?.value).ok()
    }

    pub(super) fn port(&self, key: &'static str) -> Option<Located<u16>> {
        let port = self.integer(key, super::defaults::PORT_RANGE)?;
        Some(port.map(|port| u16::try_from(port).unwrap_or(u16::MAX)))
    }

    /// Bytes.
    pub(super) fn size(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.value(key)?.size(range)
    }

    /// Bytes, and where they are written.
    pub(super) fn located_size(
        &self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<Located<u64>> {
        let value = self.value(key)?;
        let place = value.place;
        value.size(range).map(|value| Located { value, place })
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.value(key)?.duration(range)
    }

    pub(super) fn path(&self, key: &'static str) -> Option<Located<PathBuf>> {
        self.value(key)?.path()
    }

    pub(super) fn strings(&self, key: &'static str) -> Option<Vec<Located<String>>> {
        self.value(key)?.strings()
    }

    /// One word of a list; the words are what `choices` starts with.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.value(key)?.choice(choices)
    }

    /// A list of such words.
    pub(super) fn choices<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<Vec<T>> {
        let items = self.value(key)?.list()?;
        Some(items.iter().filter_map(|it| it.choice(choices)).collect())
    }

    /// Names and strings, in the order in which they are written.
    pub(super) fn map(&self, key: &'static str) -> Option<Pairs> {
        self.value(key)?.map()
    }

    /// A table within this one; `name` is its whole name.
    pub(super) fn table(&self, key: &'static str, name: &'static str) -> Option<Table<'t>> {
        self.value(key)?.table(name)
    }

    /// An array of tables within this one; empty when it is left out.
    pub(super) fn tables(&self, key: &'static str, name: &'static str) -> Vec<Table<'t>> {
        self.value(key)
            .map(|value| value.tables(name))
            .unwrap_or_default()
    }

    /// Reports every key that was not asked for: nobody knows it. Returns whether a key was refused or unknown: what then
    /// seems to be missing may be just that.
    pub(super) fn finish(self) -> bool {
        let refused = self
            .before
            .get()
            .is_some_and(|before| self.file.findings.count() > before);
        let seen = self.seen.borrow();
        if seen.len() == self.entries.len() {
            return refused;
        }
        let mut unknown = false;
        for (key, value) in self.entries.iter() {
            let name = key.get_ref().as_ref();
            if seen.contains(&name) {
                continue;
            }
            let place = self.file.place(&key.span());
            unknown = true;
            let finding = self.unknown(name, value.get_ref(), place);
            self.file.findings.push(finding);
        }
        refused || unknown
    }

    fn unknown(&self, key: &str, value: &DeValue<'_>, place: Place) -> Finding {
        let noun = if matches!(value, DeValue::Table(_)) {
            "table"
        } else {
            "key"
        };
        let label = format!("not a {noun} of {}", schema::heading(self.name));
        let help = schema::suggestion(self.name, key);
        Finding::error(format!("unknown {noun} '{key}'"))
            .at(place, label)
            .help(help)
    }
}
