//! A listing for programs: an array of names with types, sizes and dates.

use serde::Serialize;

use super::entries::{Entry, Listing};
use crate::http::endpoints::rfc3339;

#[derive(Serialize)]
struct Item<'a> {
    name: std::borrow::Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// RFC 3339.
    mtime: String,
}

pub(super) fn text(listing: &Listing) -> String {
    let items: Vec<Item<'_>> = listing.entries.iter().map(item).collect();
    serde_json::to_string(&items).expect("strings and numbers are JSON")
}

fn item(entry: &Entry) -> Item<'_> {
    Item {
        name: String::from_utf8_lossy(&entry.name),
        kind: if entry.size.is_some() {
            "file"
        } else {
            "directory"
        },
        size: entry.size,
        mtime: rfc3339(entry.modified),
    }
}
