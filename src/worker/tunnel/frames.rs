//! Where WebSocket frames end (RFC 6455 section 5.2), so that a goodbye never lands inside one.

use crate::ipc::message::FramePlace;

/// "Going Away" (RFC 6455 section 7.4.1) in a close frame for a client.
pub const GOODBYE: [u8; 4] = [0x88, 2, 0x03, 0xe9];
/// The same for a server: masked, as every client's frame. The key is all zeros, and so hides nothing.
pub const MASKED_GOODBYE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

const CLOSE: u8 = 8;
/// The first bytes of a frame, up to the end of its longest length field.
const HEAD: usize = 10;

/// One direction of a WebSocket.
#[derive(Default)]
pub struct Frames {
    head: [u8; HEAD],
    known: usize,
    /// Bytes of the frame that follow its length.
    left: u64,
    closed: bool,
}

impl Frames {
    /// Follows `bytes` as they pass.
    pub fn pass(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped =
                    usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head[self.known] = *first;
            self.known += 1;
            bytes = rest;
            if let Some(left) = self.rest_of_frame() {
                self.closed |= self.head[0] & 0x0f == CLOSE;
                (self.left, self.known) = (left, 0);
            }
        }
    }

    /// Whether a frame of ours may be put here: between two, and nobody said goodbye yet.
    pub fn is_open(&self) -> bool {
        self.left == 0 && self.known == 0 && !self.closed
    }

    /// Mask and payload, once the length is known.
    fn rest_of_frame(&self) -> Option<u64> {
        let head = &self.head[..self.known];
        let second = *head.get(1)?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let wide = |range: std::ops::Range<usize>| {
            let bytes = head.get(range)?;
            Some(
                bytes
                    .iter()
                    .fold(0, |wide, byte| (wide << 8) | u64::from(*byte)),
            )
        };
        let payload = match second & 0x7f {
            126 => wide(2..4)?,
            127 => wide(2..10)?,
            short => u64::from(short),
        };
        Some(payload.saturating_add(mask))
    }

    /// What the next generation has to know.
    pub fn place(&self) -> FramePlace {
        FramePlace {
            head: self.head[..self.known].to_vec(),
            left: self.left,
            closed: self.closed,
        }
    }

    pub fn at(place: &FramePlace) -> Self {
        let mut frames = Self {
            left: place.left,
            closed: place.closed,
            ..Self::default()
        };
        let known = place.head.len().min(HEAD - 1);
        frames.head[..known].copy_from_slice(&place.head[..known]);
        frames.known = known;
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of each length form, masked and not.
    fn stream() -> (Vec<u8>, Vec<usize>) {
        let mut stream = Vec::new();
        let mut ends = vec![0];
        let mut add = |head: &[u8], rest: usize| {
            stream.extend_from_slice(head);
            stream.extend(std::iter::repeat_n(0x81, rest));
            ends.push(stream.len());
        };
        add(&[0x81, 0], 0);
        add(&[0x81, 5], 5);
        add(&[0x82, 0x80 | 3], 4 + 3);
        add(&[0x82, 126, 1, 0], 256);
        add(&[0x02, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 1], 4 + 65537);
        (stream, ends)
    }

    #[test]
    fn frames_end_where_they_end_however_they_are_cut() {
        let (stream, ends) = stream();
        for size in [1, 2, 7, 300, stream.len()] {
            let mut frames = Frames::default();
            let mut at = 0;
            for piece in stream.chunks(size) {
                frames.pass(piece);
                at += piece.len();
                assert_eq!(
                    frames.is_open(),
                    ends.contains(&at),
                    "{at} in pieces of {size}"
                );
                frames = Frames::at(&frames.place());
            }
        }
    }

    #[test]
    fn after_a_goodbye_there_is_no_other() {
        for goodbye in [&GOODBYE[..], &MASKED_GOODBYE] {
            let mut frames = Frames::default();
            frames.pass(goodbye);
            assert!(frames.left == 0 && frames.known == 0 && !frames.is_open());
        }
    }
}
