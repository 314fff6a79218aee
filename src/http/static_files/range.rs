//! Byte ranges: RFC 9110 section 14.

/// As many parts as one response may have; who asks for more gets the whole file.
const MAX_PARTS: usize = 16;
/// As many ranges as are looked at.
const MAX_ASKED: usize = 256;

/// What a `Range` header selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// No range, one that is not understood, or too many: the whole file is always a right answer.
    Whole,
    One(Part),
    /// Two or more that do not overlap, in the order that the client named them in.
    Several(Vec<Part>),
    /// 416
    Unsatisfiable,
}

/// A stretch of a file, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Part {
    fn end(self) -> u64 {
        self.start + self.length
    }

    /// `bytes 0-499/1234`, the value of a `Content-Range`.
    pub(super) fn content_range(self, whole: u64) -> String {
        format!("bytes {}-{}/{whole}", self.start, self.end() - 1)
    }
}

/// Reads `value` for a file of `length` bytes.
pub(super) fn select(value: &[u8], length: u64) -> Selection {
    let Some(parts) = parse(value, length) else {
        return Selection::Whole;
    };
    let parts = without_overlaps(parts);
    match parts[..] {
        [] => Selection::Unsatisfiable,
        [part] => Selection::One(part),
        _ if parts.len() > MAX_PARTS => Selection::Whole,
        _ => Selection::Several(parts),
    }
}

/// The satisfiable ranges; None when the header is not one that we understand.
fn parse(value: &[u8], length: u64) -> Option<Vec<Part>> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut parts = Vec::new();
    let mut asked = 0;
    // A list may have empty elements: RFC 9110 section 5.6.1.2.
    for range in set
        .split(',')
        .map(|range| range.trim_matches([' ', '\t']))
        .filter(|range| !range.is_empty())
    {
        asked += 1;
        if asked > MAX_ASKED {
            return None;
        }
        parts.extend(parse_one(range, length)?);
    }
    (asked > 0).then_some(parts)
}

/// None when `range` is malformed; nothing within when it lies beyond the end.
fn parse_one(range: &str, length: u64) -> Option<Option<Part>> {
    let (first, last) = range.split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?.min(length);
        return Some(part(length - suffix, length));
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
    Some(part(first, end.min(length)))
}

fn part(start: u64, end: u64) -> Option<Part> {
    (start < end).then(|| Part {
        start,
        length: end - start,
    })
}

/// Parts that overlap become one (RFC 9110 section 15.3.7.2), so that no byte is sent twice; then they come in the
/// order of the file.
fn without_overlaps(parts: Vec<Part>) -> Vec<Part> {
    let mut sorted = parts.clone();
    sorted.sort_unstable_by_key(|part| (part.start, part.length));
    let mut merged: Vec<Part> = Vec::with_capacity(sorted.len());
    for part in sorted {
        match merged.last_mut() {
            Some(before) if part.start < before.end() => {
                before.length = before.end().max(part.end()) - before.start;
            }
            _ => merged.push(part),
        }
    }
    if merged.len() == parts.len() {
        parts
    } else {
        merged
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

    fn one(start: u64, length: u64) -> Selection {
        Selection::One(Part { start, length })
    }

    fn several(parts: &[(u64, u64)]) -> Selection {
        let part = |&(start, length)| Part { start, length };
        Selection::Several(parts.iter().map(part).collect())
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (value, expected) in [
            ("bytes=0-499", one(0, 500)),
            ("bytes=500-999", one(500, 500)),
            ("bytes=-500", one(9500, 500)),
            ("bytes=9500-", one(9500, 500)),
            ("Bytes = 0-0", one(0, 1)),
            ("bytes=9999-99999999999999999999999", one(9999, 1)),
            ("bytes=-20000", one(0, 10_000)),
            ("bytes=10000-", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=0-0,-1", several(&[(0, 1), (9999, 1)])),
            (
                "bytes= 0-999, 4500-5499, -1000",
                several(&[(0, 1000), (4500, 1000), (9000, 1000)]),
            ),
            ("bytes=500-700,601-999", one(500, 500)),
        ] {
            assert_eq!(select(value.as_bytes(), 10_000), expected, "{value}");
        }
    }

    #[test]
    fn several_ranges() {
        for (value, expected) in [
            // As the client ordered them, unless some overlap.
            ("bytes=5-6,0-1", several(&[(5, 2), (0, 2)])),
            ("bytes=0-4,5-9", several(&[(0, 5), (5, 5)])),
            ("bytes=8-9,0-3,2-5", several(&[(0, 6), (8, 2)])),
            ("bytes=0-1,,\t, 5-6,", several(&[(0, 2), (5, 2)])),
            // What lies beyond the end is left out.
            ("bytes=0-1,5000-", one(0, 2)),
            ("bytes=5000-,6000-", Selection::Unsatisfiable),
            ("bytes=0-,0-,0-,0-,-10", one(0, 10)),
            // One that is malformed spoils them all.
            ("bytes=0-1,5-4", Selection::Whole),
        ] {
            assert_eq!(select(value.as_bytes(), 10), expected, "{value}");
        }
    }

    #[test]
    fn too_many_ranges_are_the_whole_file() {
        let ranges = |count: usize| {
            let list: Vec<String> = (0..count).map(|at| format!("{0}-{0}", at * 2)).collect();
            select(format!("bytes={}", list.join(",")).as_bytes(), 10_000)
        };
        assert!(matches!(ranges(MAX_PARTS), Selection::Several(_)));
        assert_eq!(ranges(MAX_PARTS + 1), Selection::Whole);
        let overlapping = format!("bytes={}", "0-9,".repeat(MAX_ASKED));
        assert_eq!(select(overlapping.as_bytes(), 10_000), one(0, 10));
        assert_eq!(
            select(format!("{overlapping}0-9").as_bytes(), 10_000),
            Selection::Whole
        );
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=1 -2",
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

    proptest::proptest! {
        /// Whatever is asked for: parts lie within the file, no byte comes twice, and they are few.
        #[test]
        fn parts_are_bounded(
            ranges in proptest::collection::vec("[0-9]{0,3}-[0-9]{0,3}", 0..300),
            length in 0u64..1200,
        ) {
            let value = format!("bytes={}", ranges.join(", "));
            let parts = match select(value.as_bytes(), length) {
                Selection::One(part) => vec![part],
                Selection::Several(parts) => parts,
                Selection::Whole | Selection::Unsatisfiable => vec![],
            };
            assert!(parts.len() <= MAX_PARTS);
            let mut sorted = parts.clone();
            sorted.sort_unstable_by_key(|part| part.start);
            assert!(sorted.iter().all(|part| part.length > 0 && part.end() <= length));
            assert!(sorted.windows(2).all(|pair| pair[0].end() <= pair[1].start));
        }

        #[test]
        fn nothing_makes_it_panic(value: Vec<u8>, length: u64) {
            let _ = select(&value, length);
            let _ = select(&[b"bytes=", &value[..]].concat(), length);
        }
    }
}
