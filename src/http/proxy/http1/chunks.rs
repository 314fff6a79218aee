//! A chunked body as it comes (RFC 9112 section 7.1).

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::fault::Fault;

/// Most bytes of a line with a chunk's size. Of its extensions nothing is passed on.
const MAX_SIZE_LINE: usize = 16 + 1024;
/// Most bytes of all chunk extensions of a body.
const MAX_EXTENSIONS: usize = 16 * 1024;
/// Most digits of a chunk's size.
const MAX_DIGITS: usize = 16;
/// Most bytes of trailers, and most fields.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_FIELDS: usize = 100;

/// Where in a body the next byte stands.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// The beginning of a line.
    line: Vec<u8>,
    extensions: usize,
    /// Bytes of trailers.
    trailing: usize,
    trailers: HeaderMap,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    Data(u64),
    /// The line end after data.
    DataEnd,
    Trailers,
    End,
}

impl Chunks {
    pub(super) fn is_end(&self) -> bool {
        self.place == Place::End
    }

    pub(super) fn has_trailers(&self) -> bool {
        !self.trailers.is_empty()
    }

    /// What came after the last chunk; to be asked at the end.
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        let trailers = std::mem::take(&mut self.trailers);
        (!trailers.is_empty()).then_some(trailers)
    }

    /// Takes the next data off `bytes`; None when they hold no more.
    pub(super) fn take_data(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, Fault> {
        self.advance(bytes)?;
        let Place::Data(left) = self.place else {
            return Ok(None);
        };
        let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if count == 0 {
            return Ok(None);
        }
        let data = bytes.split_to(count);
        let left = left - count as u64;
        self.place = match left {
            0 => Place::DataEnd,
            left => Place::Data(left),
        };
        // The end may be there already, and then it should be known.
        self.advance(bytes)?;
        Ok(Some(data))
    }

    /// Reads lines until there is data, or the end, or no whole line.
    fn advance(&mut self, bytes: &mut Bytes) -> Result<(), Fault> {
        while !matches!(self.place, Place::Data(_) | Place::End) {
            let most = match self.place {
                Place::Trailers => MAX_TRAILERS - self.trailing.min(MAX_TRAILERS),
                Place::DataEnd => 0,
                _ => MAX_SIZE_LINE,
            };
            if !self.take_line(bytes, most)? {
                return Ok(());
            }
            let line = std::mem::take(&mut self.line);
            self.place = match self.place {
                Place::Trailers => self.note_trailer(&line)?,
                Place::DataEnd => Place::Size,
                _ => self.note_size(&line)?,
            };
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    /// Completes a line of at most so many bytes, its end not counted; false when more bytes are needed.
    fn take_line(&mut self, bytes: &mut Bytes, most: usize) -> Result<bool, Fault> {
        let found = memchr::memchr(b'\n', bytes);
        let part = &bytes[..found.unwrap_or(bytes.len())];
        if self.line.len() + part.len() > most + 1 {
            return Err(self.fault());
        }
        self.line.extend_from_slice(part);
        bytes.advance(found.map_or(bytes.len(), |at| at + 1));
        if found.is_none() {
            return Ok(false);
        }
        // A bare LF ends no line here: what is taken for one smuggles.
        match self.line.pop() {
            Some(b'\r') => Ok(true),
            _ => Err(self.fault()),
        }
    }

    fn fault(&self) -> Fault {
        match self.place {
            Place::Trailers => Fault::Trailers,
            _ => Fault::Chunk,
        }
    }

    fn note_size(&mut self, line: &[u8]) -> Result<Place, Fault> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (size, rest) = line.split_at(digits.count());
        self.extensions += rest.len();
        let blank = rest.trim_ascii_start();
        let separate = blank.is_empty() || blank[0] == b';';
        let visible = rest
            .iter()
            .all(|byte| !byte.is_ascii_control() || *byte == b'\t');
        if !separate || !visible || self.extensions > MAX_EXTENSIONS {
            return Err(Fault::Chunk);
        }
        Ok(match hexadecimal(size)? {
            0 => Place::Trailers,
            size => Place::Data(size),
        })
    }

    fn note_trailer(&mut self, line: &[u8]) -> Result<Place, Fault> {
        if line.is_empty() {
            return Ok(Place::End);
        }
        let colon = memchr::memchr(b':', line).ok_or(Fault::Trailers)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Fault::Trailers)?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        self.trailing += line.len();
        if self.trailers.len() >= MAX_FIELDS {
            return Err(Fault::Trailers);
        }
        self.trailers
            .append(name, value.map_err(|_| Fault::Trailers)?);
        Ok(Place::Trailers)
    }
}

fn hexadecimal(digits: &[u8]) -> Result<u64, Fault> {
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(Fault::Chunk);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Fault::Chunk)?;
    u64::from_str_radix(text, 16).map_err(|_| Fault::Chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, the trailers, and what follows the body.
    type Decoded = Result<(Vec<u8>, Vec<String>, usize), Fault>;

    fn decode(body: &str, piece: usize) -> Decoded {
        let (mut chunks, mut data) = (Chunks::default(), Vec::new());
        let mut rest = 0;
        for piece in body.as_bytes().chunks(piece) {
            let mut bytes = Bytes::copy_from_slice(piece);
            while let Some(more) = chunks.take_data(&mut bytes)? {
                data.extend_from_slice(&more);
            }
            rest += bytes.len();
        }
        assert!(chunks.is_end(), "{body:?}");
        let trailers = chunks.take_trailers().unwrap_or_default();
        let names = trailers
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"));
        Ok((data, names.collect(), rest))
    }

    #[test]
    fn any_cut_gives_the_same() {
        let body = "3\r\nabc\r\n00A ; x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        for piece in 1..body.len() {
            let (data, trailers, rest) = decode(body, piece).unwrap();
            assert_eq!(data, b"abc0123456789");
            assert_eq!(trailers, ["x-sum=\"1\""]);
            assert_eq!(rest, 3);
        }
    }

    #[test]
    fn the_end_is_known_with_the_last_data() {
        let mut bytes = Bytes::from_static(b"3\r\nabc\r\n0\r\n\r\n");
        let mut chunks = Chunks::default();
        assert_eq!(&chunks.take_data(&mut bytes).unwrap().unwrap()[..], b"abc");
        assert!(chunks.is_end());
    }

    #[test]
    fn what_is_no_chunk() {
        for body in [
            "\r\n",
            "g\r\n",
            "3\nabc",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "3 3\r\n",
            "3;\x01\r\n",
            "-3\r\n",
            "0x3\r\n",
            "11111111111111111\r\n",
        ] {
            assert_eq!(decode(body, 100).unwrap_err(), Fault::Chunk, "{body:?}");
        }
        for body in ["0\r\nx\r\n", "0\r\nx y: z\r\n", "0\r\n a: b\r\n", "0\r\n\n"] {
            assert_eq!(decode(body, 1).unwrap_err(), Fault::Trailers, "{body:?}");
        }
    }

    #[test]
    fn there_are_bounds() {
        let line = format!("1;{}\r\n", "a".repeat(MAX_SIZE_LINE));
        assert_eq!(decode(&line, 100).unwrap_err(), Fault::Chunk);
        let lines = format!("1;{}\r\nx\r\n", "a".repeat(1000)).repeat(20);
        assert_eq!(decode(&lines, 100).unwrap_err(), Fault::Chunk);
        let trailer = format!("0\r\na: {}\r\n", "b".repeat(MAX_TRAILERS));
        assert_eq!(decode(&trailer, 100).unwrap_err(), Fault::Trailers);
        let trailers = format!("0\r\n{}", "a:\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(decode(&trailers, 100).unwrap_err(), Fault::Trailers);
    }
}
