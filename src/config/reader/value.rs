//! One value of a table: its kinds, each with what it must hold.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::quantity;
use super::super::report::Finding;
use super::super::schema;
use super::super::source::{Located, Place};
use super::{File, Pairs, Table};

/// The value of a key, or an item of a list.
#[derive(Clone, Copy)]
pub(in crate::config) struct Value<'t> {
    table: &'static str,
    key: &'t str,
    pub(in crate::config) place: Place,
    file: File<'t>,
    value: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    pub(super) fn new(
        table: &'static str,
        key: &'t str,
        value: &'t Spanned<DeValue<'t>>,
        file: File<'t>,
    ) -> Self {
        let place = file.place(&value.span());
        Self {
            table,
            key,
            place,
            file,
            value: value.get_ref(),
        }
    }

    /// The key's whole name, for messages.
    pub(in crate::config) fn name(&self) -> String {
        schema::qualified(self.table, self.key)
    }

    pub(in crate::config) fn string(&self) -> Option<Located<String>> {
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

    pub(in crate::config) fn boolean(&self) -> Option<Located<bool>> {
        match self.value {
            DeValue::Boolean(on) => Some(self.located(*on)),
            _ => self.wrong_type("true or false"),
        }
    }

    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<Located<u64>> {
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

    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
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

    pub(in crate::config) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
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

    pub(in crate::config) fn path(&self) -> Option<Located<PathBuf>> {
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
    pub(in crate::config) fn list(&self) -> Option<Vec<Value<'t>>> {
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
    pub(super) fn strings(&self) -> Option<Vec<Located<String>>> {
        if let DeValue::String(_) = self.value {
            return Some(vec![self.string()?]);
        }
        Some(self.list()?.iter().filter_map(Value::string).collect())
    }

    pub(in crate::config) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string()?.value;
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*chosen);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let help = match schema::nearest(&text, words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of \"{}\"", words.join("\", \"")),
        };
        self.refuse(format!("'{}' cannot be \"{text}\"", self.name()), "", &help);
        None
    }

    pub(super) fn map(&self) -> Option<Pairs> {
        let DeValue::Table(entries) = self.value else {
            return self.wrong_type("a table of names and strings");
        };
        let mut pairs: Vec<_> = entries
            .iter()
            .filter_map(|(name, value)| {
                let place = self.file.place(&name.span());
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

    pub(in crate::config) fn table(&self, name: &'static str) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(name, self.place, self.file, entries)),
            DeValue::Array(_) => {
                self.wrong_type(&format!("one table, written {}", schema::heading(name)))
            }
            _ => self.wrong_type("a table"),
        }
    }

    pub(super) fn tables(&self, name: &'static str) -> Vec<Table<'t>> {
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

    /// Refuses a value that is of the right type.
    pub(in crate::config) fn refuse(&self, message: String, label: &str, help: &str) {
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
