//! What tests/fuzz does with this room.

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderValue};

use super::conditional::{self, Validators};
use super::path;
use super::range::{self, Selection};

/// What a path names lies below the root.
pub fn file_path(request_path: &str) {
    let Ok(file) = path::below_root(request_path) else {
        return;
    };
    assert!(
        !file.starts_with(b"/") && !file.contains(&0),
        "{}",
        file.escape_ascii()
    );
    let mut names = file.split(|byte| *byte == b'/');
    assert!(
        !names.any(|name| name == b".." || name == b"."),
        "{}",
        file.escape_ascii()
    );
}

/// Parts lie within the file, do not overlap, and are few.
pub fn ranges(value: &[u8], length: u64) {
    let parts = match range::select(value, length) {
        Selection::One(part) => vec![part],
        Selection::Several(parts) => parts,
        Selection::Whole | Selection::Unsatisfiable => return,
    };
    let mut taken: Vec<(u64, u64)> = Vec::new();
    for part in parts {
        let end = part
            .start
            .checked_add(part.length)
            .filter(|end| *end <= length);
        let end = end.filter(|_| part.length > 0);
        let end = end.unwrap_or_else(|| panic!("{part:?} of {length}"));
        assert!(
            taken
                .iter()
                .all(|(start, stop)| end <= *start || *stop <= part.start)
        );
        assert!(!part.content_range(length).is_empty());
        taken.push((part.start, end));
    }
}

/// Any conditions are evaluated; `*` always means the file.
pub fn conditions(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };
    let etag = HeaderValue::from_static("\"etag\"");
    let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
    let file = Validators {
        etag: Some(&etag),
        weak: false,
        modified: Some((&date, 784_111_777)),
    };
    for name in [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
        IF_RANGE,
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.clone());
        let _ = conditional::evaluate(&headers, &file);
        let _ = conditional::range_applies(&headers, &file);
    }
}
