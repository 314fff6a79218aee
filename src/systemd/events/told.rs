//! Who else hears of events: log lines go where the configuration says, at the level that it says; a listener hears
//! every event, as a record in JSON.

use std::fmt;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::Event;

/// Bytes of a message or of a field at most: the journal has all of it.
const LONGEST: usize = 8 * 1024;

/// A value that an event is told with.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Number(u64),
    Text(&'a str),
    /// As many of them as fit.
    List(&'a [serde_json::Value]),
}

/// An event with the fields that it is told with, by their names in the journal.
pub struct Told<'a> {
    pub event: &'static Event,
    pub fields: &'a [(&'static str, Value<'a>)],
    pub message: fmt::Arguments<'a>,
}

type Listener = Box<dyn Fn(&Told<'_>) + Send + Sync>;

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// From now on, `hear` is called with every event of this process, on the thread that tells it. The first listener
/// stays.
pub fn listen(hear: impl Fn(&Told<'_>) + Send + Sync + 'static) {
    let _ = LISTENER.set(Box::new(hear));
}

/// For `tell!`.
pub fn pass_on(told: &Told<'_>) {
    if let Some(hear) = LISTENER.get() {
        hear(told);
    }
}

impl Told<'_> {
    /// One line of JSON: `event`, `at` (seconds since the epoch), `level`, `message`, and the fields, as in `duration_ms`
    /// for `BWS_DURATION_MS`. `more` are fields as well.
    pub fn record(&self, more: &[(&'static str, Value<'_>)]) -> String {
        serde_json::to_string(&Record { told: self, more }).unwrap_or_default()
    }
}

struct Record<'a> {
    told: &'a Told<'a>,
    more: &'a [(&'static str, Value<'a>)],
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Told {
            event,
            fields,
            message,
        } = self.told;
        let message = message.to_string();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", event.name)?;
        let at = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        map.serialize_entry("at", &at)?;
        map.serialize_entry("level", &event.level.as_str().to_ascii_lowercase())?;
        map.serialize_entry("message", &beginning(&message))?;
        for (name, value) in fields.iter().chain(self.more) {
            map.serialize_key(&key(name))?;
            match value {
                Value::Number(number) => map.serialize_value(number)?,
                Value::Text(text) => map.serialize_value(&beginning(text))?,
                Value::List(list) => map.serialize_value(first(list))?,
            }
        }
        map.end()
    }
}

fn key(name: &str) -> String {
    name.strip_prefix("BWS_")
        .unwrap_or(name)
        .to_ascii_lowercase()
}

fn beginning(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match end == text.len() {
        true => text.to_owned(),
        false => format!("{}…", &text[..end]),
    }
}

fn first(list: &[serde_json::Value]) -> &[serde_json::Value] {
    let mut left = LONGEST;
    let fits = |value: &&serde_json::Value| {
        let length = value.to_string().len();
        left = left.saturating_sub(length);
        left > 0
    };
    &list[..list.iter().take_while(fits).count()]
}

impl From<&u64> for Value<'_> {
    fn from(number: &u64) -> Self {
        Self::Number(*number)
    }
}

impl From<&u32> for Value<'_> {
    fn from(number: &u32) -> Self {
        Self::Number(u64::from(*number))
    }
}

impl<'a> From<&'a &str> for Value<'a> {
    fn from(text: &'a &str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Vec<serde_json::Value>> for Value<'a> {
    fn from(list: &'a Vec<serde_json::Value>) -> Self {
        Self::List(list)
    }
}

#[cfg(test)]
mod tests {
    use super::super::RELOAD_FAILED;
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_is_told() {
        let told = Told {
            event: &RELOAD_FAILED,
            fields: &[
                ("BWS_ERRORS", Value::Text("a\n\"b\"\u{2028}")),
                ("BWS_DURATION_MS", Value::Number(7)),
                ("BWS_ERROR_LIST", Value::List(&["x\ny".into()])),
            ],
            message: format_args!("failed:\n{}", "why"),
        };
        let record = told.record(&[("BWS_WORKER_PID", Value::Number(9))]);
        assert!(!record.contains('\n'), "{record}");
        assert!(
            record.starts_with(r#"{"event":"reload-failed","at":"#),
            "{record}"
        );
        let read: serde_json::Value = serde_json::from_str(&record).unwrap();
        assert_eq!(read["error_list"], serde_json::json!(["x\ny"]));
        assert_eq!(read["level"], "error");
        assert_eq!(read["message"], "failed:\nwhy");
        assert_eq!(read["errors"], "a\n\"b\"\u{2028}");
        assert_eq!(
            (&read["duration_ms"], &read["worker_pid"]),
            (&7.into(), &9.into())
        );
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let cut = beginning(&"€".repeat(LONGEST));
        assert!(cut.len() <= LONGEST + '…'.len_utf8() && cut.ends_with("€…"));
        assert_eq!(beginning("short"), "short");
        let list: Vec<serde_json::Value> = vec!["a".repeat(LONGEST / 3).into(); 5];
        assert_eq!(first(&list).len(), 2);
        assert_eq!(first(&list[..1]).len(), 1);
    }
}
