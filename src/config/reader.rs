//! Reads spanned TOML tables: one method for each kind of value. Whatever does not fit becomes a finding with its
//! place, and reading goes on.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::availability;
use super::quantity;
use super::report::{Finding, Findings};
use super::schema;
use super::source::{Located, Place};

/// What all readers of one file share.
#[derive(Clone, Copy)]
pub(super) struct File<'t> {
    /// Index into the list of sources.
    pub(super) source: u32,
    pub(super) findings: &'t Findings,
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

/// The value of a key, or an item of a list.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    table: &'static str,
    key: &'t str,
    pub(super) place: Place,
    file: File<'t>,
    value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// The file itself.
    pub(super) fn root(entries: &'t DeTable<'t>, file: File<'t>) -> Self {
        let place = Place {
            source: file.source,
            start: 0,
            end: 0,
        };
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

    /// Names and strings, in the order in which they are written.
    pub(super) fn map(&self, key: &'static str) -> Option<Vec<(Located<String>, Located<String>)>> {
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

    /// Reports every key that was not asked for: its feature is not available, or nobody knows it. Returns whether a
    /// key was refused or unknown: what then seems to be missing may be just that.
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
            let place = Place::new(self.file.source, &key.span());
            unknown |= !availability::lacks_key(self.name, name);
            if let Some(finding) = self.unread(name, value.get_ref(), place) {
                self.file.findings.push(finding);
            }
        }
        refused || unknown
    }

    fn unread(&self, key: &str, value: &DeValue<'_>, place: Place) -> Option<Finding> {
        if availability::lacks_key(self.name, key) {
            let off = availability::is_off(self.name, key, value);
            return (!off).then(|| not_available(&schema::qualified(self.name, key), place));
        }
        let noun = if matches!(value, DeValue::Table(_)) {
            "table"
        } else {
            "key"
        };
        let label = format!("not a {noun} of {}", schema::heading(self.name));
        let help = schema::suggestion(self.name, key);
        Some(
            Finding::error(format!("unknown {noun} '{key}'"))
                .at(place, label)
                .help(help),
        )
    }
}

impl<'t> Value<'t> {
    fn new(
        table: &'static str,
        key: &'t str,
        value: &'t Spanned<DeValue<'t>>,
        file: File<'t>,
    ) -> Self {
        let place = Place::new(file.source, &value.span());
        Self {
            table,
            key,
            place,
            file,
            value: value.get_ref(),
        }
    }

    /// The key's whole name, for messages.
    pub(super) fn name(&self) -> String {
        schema::qualified(self.table, self.key)
    }

    pub(super) fn string(&self) -> Option<Located<String>> {
        match self.value {
            DeValue::String(text) if text.contains('\0') => {
                self.refuse(
                    format!("'{}' holds a NUL character", self.name()),
                    "",
                    "remove it",
                );
                None
            }
            DeValue::String(text) => Some(self.located(text.to_string())),
            _ => self.wrong_type("a string"),
        }
    }

    pub(super) fn boolean(&self) -> Option<Located<bool>> {
        match self.value {
            DeValue::Boolean(on) => Some(self.located(*on)),
            _ => self.wrong_type("true or false"),
        }
    }

    fn integer(&self, range: RangeInclusive<u64>) -> Option<Located<u64>> {
        let DeValue::Integer(number) = self.value else {
            return self.wrong_type("an integer");
        };
        match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (range_of(&range)).contains(&number) => {
                Some(self.located(u64::try_from(number).unwrap_or(*range.end())))
            }
            _ => {
                let (low, high) = (range.start(), range.end());
                self.out_of_range(&number.to_string(), &low.to_string(), &high.to_string())
            }
        }
    }

    fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let size = match self.value {
            DeValue::String(text) => match quantity::size(text) {
                Some(size) => size,
                None => {
                    return self
                        .malformed("a size", "write bytes, or \"512KB\", \"10MB\", \"1GB\"");
                }
            },
            DeValue::Integer(_) => self.integer(0..=i64::MAX as u64)?.value,
            _ => return self.wrong_type("a size, as 65536 or \"64KB\""),
        };
        if range.contains(&size) {
            return Some(size);
        }
        let [low, high] = [*range.start(), *range.end()].map(quantity::show_size);
        self.out_of_range(&quantity::show_size(size), &low, &high)
    }

    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = match self.value {
            DeValue::String(text) => match quantity::duration(text) {
                Some(duration) => duration,
                None => {
                    return self
                        .malformed("a duration", "write seconds, or \"500ms\", \"30s\", \"5m\"");
                }
            },
            DeValue::Integer(_) => Duration::from_secs(self.integer(0..=i64::MAX as u64)?.value),
            _ => return self.wrong_type("a duration, as 30 or \"500ms\""),
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let [low, high] = [*range.start(), *range.end()].map(quantity::show_duration);
        self.out_of_range(&quantity::show_duration(duration), &low, &high)
    }

    pub(super) fn path(&self) -> Option<Located<PathBuf>> {
        let text = self.string()?;
        if text.value.is_empty() {
            self.refuse(
                format!("'{}' is empty", self.name()),
                "",
                "write a path, or remove the key",
            );
            return None;
        }
        Some(text.map(PathBuf::from))
    }

    /// The items of a list.
    pub(super) fn list(&self) -> Option<Vec<Value<'t>>> {
        match self.value {
            DeValue::Array(items) => Some(
                items
                    .iter()
                    .map(|item| Value::new(self.table, self.key, item, self.file))
                    .collect(),
            ),
            _ => self.wrong_type("a list"),
        }
    }

    /// A list of strings; a lone string is a list of one.
    fn strings(&self) -> Option<Vec<Located<String>>> {
        if let DeValue::String(_) = self.value {
            return Some(vec![self.string()?]);
        }
        Some(self.list()?.iter().filter_map(Value::string).collect())
    }

    fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string()?.value;
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*chosen);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        if availability::lacks_value(self.table, self.key, &text) {
            let help = format!("write one of \"{}\"", words.join("\", \""));
            return self.value_not_available(&format!("\"{text}\""), &help);
        }
        let help = match schema::nearest(&text, words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of \"{}\"", words.join("\", \"")),
        };
        self.refuse(format!("'{}' cannot be \"{text}\"", self.name()), "", &help);
        None
    }

    fn map(&self) -> Option<Vec<(Located<String>, Located<String>)>> {
        let DeValue::Table(entries) = self.value else {
            return self.wrong_type("a table of names and strings");
        };
        let mut pairs: Vec<_> = entries
            .iter()
            .filter_map(|(name, value)| {
                let place = Place::new(self.file.source, &name.span());
                let text = Value::new(self.table, self.key, value, self.file).string()?;
                Some((
                    Located {
                        value: name.get_ref().to_string(),
                        place,
                    },
                    text,
                ))
            })
            .collect();
        pairs.sort_by_key(|(name, _)| name.place);
        Some(pairs)
    }

    pub(super) fn table(&self, name: &'static str) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(name, self.place, self.file, entries)),
            DeValue::Array(_) => {
                self.wrong_type(&format!("one table, written {}", schema::heading(name)))
            }
            _ => self.wrong_type("a table"),
        }
    }

    fn tables(&self, name: &'static str) -> Vec<Table<'t>> {
        match self.value {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| Value::new(self.table, self.key, item, self.file).table(name))
                .collect(),
            DeValue::Table(_) => {
                self.wrong_type::<()>(&format!(
                    "a list of tables, written {}",
                    schema::heading(name)
                ));
                Vec::new()
            }
            _ => {
                self.wrong_type::<()>("a list of tables");
                Vec::new()
            }
        }
    }

    /// Refuses a value whose feature does not exist yet.
    pub(super) fn value_not_available<T>(&self, value: &str, help: &str) -> Option<T> {
        let message = format!(
            "'{} = {value}' is not available in this version of BWS",
            self.name()
        );
        self.refuse(message, "", help);
        None
    }

    pub(super) fn refuse(&self, message: String, label: &str, help: &str) {
        let finding = Finding::error(message).at(self.place, label);
        self.file.findings.push(if help.is_empty() {
            finding
        } else {
            finding.help(help)
        });
    }

    fn located<T>(&self, value: T) -> Located<T> {
        Located {
            value,
            place: self.place,
        }
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let help = match self.value {
            DeValue::String(text) if is_bare(text, wanted) => {
                format!("write {text} without quotes")
            }
            DeValue::Integer(number) if wanted == "a string" => format!("write \"{number}\""),
            _ => String::new(),
        };
        let message = format!("'{}' must be {wanted}", self.name());
        self.refuse(message, &format!("this is {found}"), &help);
        None
    }

    fn malformed<T>(&self, wanted: &str, help: &str) -> Option<T> {
        self.refuse(format!("'{}' is not {wanted}", self.name()), "", help);
        None
    }

    fn out_of_range<T>(&self, found: &str, low: &str, high: &str) -> Option<T> {
        let message = format!("'{}' cannot be {found}", self.name());
        self.refuse(message, &format!("must be between {low} and {high}"), "");
        None
    }
}

/// "'sites.rate_limit' is not available …": one for a table, not one for each of its keys.
fn not_available(name: &str, place: Place) -> Finding {
    Finding::error(format!("'{name}' is not available in this version of BWS"))
        .at(place, "")
        .help("remove it")
}

fn range_of(range: &RangeInclusive<u64>) -> RangeInclusive<i128> {
    i128::from(*range.start())..=i128::from(*range.end())
}

/// Whether a string would be the wanted value if it had no quotes.
fn is_bare(text: &str, wanted: &str) -> bool {
    match wanted {
        "an integer" => text.parse::<i64>().is_ok(),
        "true or false" => matches!(text, "true" | "false"),
        _ => false,
    }
}
