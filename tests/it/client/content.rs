//! What a right answer looks like, and whether its body is wholly of one configuration.

use super::tally::Outcome;

/// Name of the header in which each configuration states its number.
pub const HEADER: &str = "x-config";

const MARKERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PATTERN: usize = 64 * 1024;

/// The byte that all files of configuration `number` consist of.
pub fn marker(number: u32) -> u8 {
    MARKERS[number as usize % MARKERS.len()]
}

/// What the answer has to be.
#[derive(Clone, Debug)]
pub enum Expected {
    /// This many bytes of the marker of the configuration that the header names.
    Marker { length: u64 },
    /// These bytes.
    Text(Vec<u8>),
}

/// Looks at a body as it comes, keeping nothing but short texts.
#[derive(Default)]
pub struct Inspector {
    pattern: Vec<u8>,
    length: u64,
    first: Option<u8>,
    mixed: bool,
    start: Vec<u8>,
}

impl Inspector {
    pub fn begin(&mut self) {
        self.length = 0;
        self.first = None;
        self.mixed = false;
        self.start.clear();
    }

    pub fn see(&mut self, mut part: &[u8]) {
        self.length += part.len() as u64;
        let room = 64usize.saturating_sub(self.start.len());
        self.start.extend_from_slice(&part[..part.len().min(room)]);
        let Some(first) = self.first.or(part.first().copied()) else {
            return;
        };
        self.first = Some(first);
        if self.pattern.first() != Some(&first) {
            self.pattern = vec![first; PATTERN];
        }
        while !part.is_empty() {
            let (piece, rest) = part.split_at(part.len().min(PATTERN));
            self.mixed |= piece != &self.pattern[..piece.len()];
            part = rest;
        }
    }

    /// Judges the whole response.
    pub fn judge(
        &self,
        expected: &Expected,
        status: u16,
        config: Option<&str>,
    ) -> (Outcome, String) {
        if status != 200 {
            return (Outcome::Wrong, format!("status {status}"));
        }
        let length = match expected {
            Expected::Marker { length } => *length,
            Expected::Text(text) if *text == self.start => {
                return (Outcome::Answered, String::new());
            }
            Expected::Text(text) => {
                return (
                    Outcome::Wrong,
                    format!("{:?} instead of {text:?}", self.start),
                );
            }
        };
        let Some(number) = config.and_then(|value| value.parse().ok()) else {
            return (Outcome::Wrong, format!("header {HEADER} is {config:?}"));
        };
        if self.length != length {
            return (
                Outcome::Wrong,
                format!("{} bytes instead of {length}", self.length),
            );
        }
        if self.mixed || self.first != Some(marker(number)) {
            return (
                Outcome::Mixed,
                format!("configuration {number}, body begins {:?}", self.first),
            );
        }
        (Outcome::Answered, String::new())
    }
}

#[test]
fn a_body_of_two_configurations_is_seen() {
    let mut inspector = Inspector::default();
    let expected = Expected::Marker { length: 4 };
    let mut judge = |parts: [&[u8]; 2], header| {
        inspector.begin();
        parts.into_iter().for_each(|part| inspector.see(part));
        inspector.judge(&expected, 200, header).0
    };
    assert_eq!(judge([b"33", b"33"], Some("3")), Outcome::Answered);
    assert_eq!(judge([b"33", b"44"], Some("3")), Outcome::Mixed);
    assert_eq!(judge([b"33", b"33"], Some("4")), Outcome::Mixed);
    assert_eq!(judge([b"33", b"3"], Some("3")), Outcome::Wrong);
    assert_eq!(judge([b"33", b"33"], None), Outcome::Wrong);
}
