//! A chunked body (RFC 9112 section 7.1).

use super::{Line, Lines, Refusal, advance, extension, field};
use crate::http::trailers::{self, Verdict};

/// Most digits of a chunk's size: a 64-bit number.
const MAX_DIGITS: usize = 16;
/// Most bytes of chunk extensions in one body. Nobody needs any; they are not forwarded.
const MAX_EXTENSIONS: usize = 256;
/// Most bytes of trailers, and most fields: as many as hyper takes.
const MAX_TRAILERS: usize = 8 * 1024;
const MAX_FIELDS: u32 = 100;

/// Where in the body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    part: Part,
    extensions: usize,
    trailers: usize,
    fields: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

impl Place {
    pub fn is_end(&self) -> bool {
        self.part == Part::End
    }

    /// The length of the next complete part, or None when more bytes are needed.
    pub fn read(&mut self, lines: &mut Lines, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        match &mut self.part {
            Part::Size => self.read_size(lines, bytes),
            Part::Data(left) => {
                let count = advance(left, bytes.len());
                if *left == 0 {
                    self.part = Part::DataEnd;
                }
                Ok((count > 0).then_some(count))
            }
            Part::DataEnd => match bytes {
                [] | [b'\r'] => Ok(None),
                [b'\r', b'\n', ..] => {
                    self.part = Part::Size;
                    Ok(Some(2))
                }
                _ => Err(Refusal::Malformed),
            },
            Part::Trailers => self.read_trailer(lines, bytes),
            Part::End => Ok(None),
        }
    }

    fn read_size(&mut self, lines: &mut Lines, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let limit = MAX_DIGITS + MAX_EXTENSIONS;
        let Line::Whole(line) = lines.next(bytes, limit, Refusal::Malformed)? else {
            return Ok(None);
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (size, extension) = line.split_at(digits.count());
        self.extensions += extension.len();
        if self.extensions > MAX_EXTENSIONS || !extension::is_sound(extension) {
            return Err(Refusal::Malformed);
        }
        self.part = match hexadecimal(size)? {
            0 => Part::Trailers,
            size => Part::Data(size),
        };
        Ok(Some(lines.end()))
    }

    fn read_trailer(&mut self, lines: &mut Lines, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let room = MAX_TRAILERS - self.trailers;
        match lines.next(bytes, room, Refusal::FieldsTooLarge)? {
            Line::Part => return Ok(None),
            Line::Whole([]) => self.part = Part::End,
            Line::Whole(line) => {
                let field = field::parse(line)?;
                self.fields += 1;
                if self.fields > MAX_FIELDS {
                    return Err(Refusal::FieldsTooLarge);
                }
                if trailers::judge(field.name) == Verdict::Refused {
                    return Err(Refusal::Malformed);
                }
                self.trailers += line.len();
            }
        }
        Ok(Some(lines.end()))
    }
}

fn hexadecimal(digits: &[u8]) -> Result<u64, Refusal> {
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Refusal::Malformed)?;
    u64::from_str_radix(text, 16).map_err(|_| Refusal::Malformed)
}
