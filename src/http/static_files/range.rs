//! Byte ranges: RFC 9110 section 14.

/// What a `Range` header selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// No range, one that is not understood, or several: the whole file is always a right answer.
    Whole,
    Part {
        start: u64,
        length: u64,
    },
    /// 416
    Unsatisfiable,
}

/// Reads `value` for a file of `length` bytes.
pub(super) fn select(value: &[u8], length: u64) -> Selection {
    parse(value, length).unwrap_or(Selection::Whole)
}

fn parse(value: &[u8], length: u64) -> Option<Selection> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?.min(length);
        return Some(part(length - suffix, length, length));
    }
    let first = number(first)?;
    let end = if last.is_empty() {
        length
    } else {
        number(last)?.saturating_add(1)
    };
    if !last.is_empty() && end <= first {
        return None;
    }
    Some(part(first, end.min(length), length))
}

fn part(start: u64, end: u64, length: u64) -> Selection {
    if start >= length {
        Selection::Unsatisfiable
    } else {
        Selection::Part {
            start,
            length: end - start,
        }
    }
}

/// Digits alone; what is too big for any file is as big as can be.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let part = |start, length| Selection::Part { start, length };
        for (value, expected) in [
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-999", part(500, 500)),
            ("bytes=-500", part(9500, 500)),
            ("bytes=9500-", part(9500, 500)),
            ("Bytes = 0-0", part(0, 1)),
            ("bytes=9999-99999999999999999999999", part(9999, 1)),
            ("bytes=-20000", part(0, 10_000)),
            ("bytes=10000-", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
        ] {
            assert_eq!(select(value.as_bytes(), 10_000), expected, "{value}");
        }
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "lines=0-1",
            "bytes=0-1,5-6",
            "bytes=+1-2",
            "bytes=1--2",
        ] {
            assert_eq!(
                select(value.as_bytes(), 10_000),
                Selection::Whole,
                "{value}"
            );
        }
    }

    #[test]
    fn an_empty_file_has_no_ranges() {
        assert_eq!(select(b"bytes=0-", 0), Selection::Unsatisfiable);
        assert_eq!(select(b"bytes=-1", 0), Selection::Unsatisfiable);
    }
}
