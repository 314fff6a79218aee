//! Memory for headers, used again: that of a request that is answered is what the next response needs.

use std::cell::RefCell;

use http::HeaderMap;

/// Those that a thread keeps at most: as many as it has requests at a time, when it has many.
const KEPT: usize = 128;
/// Larger ones are nobody's habit, and not kept. (Each field takes about 100 bytes.)
const LARGEST: usize = 32;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map with room for so many fields.
pub(super) fn headers(fields: usize) -> HeaderMap {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    let mut headers = spare.unwrap_or_default();
    headers.reserve(fields);
    headers
}

/// Keeps the memory of `headers`.
pub(in crate::http::proxy) fn keep(mut headers: HeaderMap) {
    if !(1..=LARGEST).contains(&headers.capacity()) {
        return;
    }
    headers.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < KEPT {
            spare.push(headers);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_empty_and_bounded() {
        for _ in 0..2 * KEPT {
            let mut full = HeaderMap::new();
            full.insert("a", http::HeaderValue::from_static("b"));
            keep(full);
        }
        assert_eq!(SPARE.with_borrow(Vec::len), KEPT);
        keep(HeaderMap::with_capacity(1000));
        for _ in 0..=KEPT {
            let headers = headers(12);
            assert!(headers.is_empty() && (12..100).contains(&headers.capacity()));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
    }
}
