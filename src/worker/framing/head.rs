//! One request head (RFC 9112 sections 2 to 6).

use super::field::{self, Field};
use super::{Line, Lines, Refusal};
use crate::config::types::HeadLimits;
use crate::http::spelling::mimics_framing;

/// Bytes of a request line beside its target: the longest registered method has 17.
const METHOD_AND_VERSION: usize = 64;

/// What follows a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    None,
    /// None, and what follows is HTTP or not, as the answer says (RFC 9110 section 7.8).
    Undecided,
    Length(u64),
    Chunked,
}

/// A head that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    part: Part,
    /// HTTP/1.0.
    old: bool,
    fields: u32,
    length: Option<u64>,
    chunked: bool,
    /// Another protocol is asked for.
    upgrade: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Start,
    RequestLine,
    Fields,
}

impl Head {
    /// Goes on reading; `bytes` begin with the head. The body when the head is complete.
    pub fn read(
        &mut self,
        lines: &mut Lines,
        bytes: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<Body>, Refusal> {
        if matches!(self.part, Part::Start) && !self.skip_empty_line(lines, bytes)? {
            return Ok(None);
        }
        let longest = limits.target as usize;
        if matches!(self.part, Part::RequestLine)
            && !self.read_request_line(lines, bytes, longest)?
        {
            return Ok(None);
        }
        loop {
            let room = (limits.size as usize).checked_sub(lines.start + 2);
            let room = room.ok_or(Refusal::FieldsTooLarge)?;
            match lines.next(bytes, room, Refusal::FieldsTooLarge)? {
                Line::Part => return Ok(None),
                Line::Whole([]) => return Ok(Some(self.body())),
                Line::Whole(line) => self.note(&field::parse(line)?, limits.fields)?,
            }
        }
    }

    /// One empty line before a request is forgiven (RFC 9112 section 2.2). False when more bytes are needed.
    fn skip_empty_line(&mut self, lines: &mut Lines, bytes: &[u8]) -> Result<bool, Refusal> {
        match bytes {
            [] | [b'\r'] => return Ok(false),
            [b'\r', b'\n', ..] => (lines.start, lines.searched) = (2, 2),
            _ => {}
        }
        self.part = Part::RequestLine;
        Ok(true)
    }

    fn read_request_line(
        &mut self,
        lines: &mut Lines,
        bytes: &[u8],
        longest: usize,
    ) -> Result<bool, Refusal> {
        // Who speaks something else, TLS perhaps, may never end a line.
        if let Some(first) = bytes.get(lines.start) {
            if !field::is_token_byte(*first) {
                return Err(Refusal::Malformed);
            }
        }
        let room = longest + METHOD_AND_VERSION;
        let too_long = match begins_with_method(&bytes[lines.start..]) {
            true => Refusal::TargetTooLong,
            false => Refusal::Malformed,
        };
        let Line::Whole(line) = lines.next(bytes, room, too_long)? else {
            return Ok(false);
        };
        self.old = is_http_1_0(line, longest)?;
        self.part = Part::Fields;
        Ok(true)
    }

    fn note(&mut self, field: &Field<'_>, most: u32) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > most {
            return Err(Refusal::FieldsTooLarge);
        }
        match field.name.len() {
            7 if field.name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if field.name.eq_ignore_ascii_case(b"content-length") => {
                if self.chunked || self.length.is_some() {
                    return Err(Refusal::Malformed);
                }
                self.length = Some(field::content_length(field.value)?);
            }
            17 if field.name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.old || self.chunked || self.length.is_some() {
                    return Err(Refusal::Malformed);
                }
                field::transfer_encoding(field.value)?;
                self.chunked = true;
            }
            14 | 17 if mimics_framing(field.name) => return Err(Refusal::Malformed),
            _ => {}
        }
        Ok(())
    }

    fn body(&self) -> Body {
        match (self.chunked, self.length) {
            (true, _) => Body::Chunked,
            (false, None | Some(0)) if self.upgrade && !self.old => Body::Undecided,
            (false, None | Some(0)) => Body::None,
            (false, Some(length)) => Body::Length(length),
        }
    }
}

/// Whether what is too long begins with a method, so that the target is to blame.
fn begins_with_method(line: &[u8]) -> bool {
    let method = &line[..line.len().min(METHOD_AND_VERSION)];
    memchr::memchr(b' ', method).is_some()
}

/// Whether a request line says HTTP/1.0; it must be three words with one blank between each, the second not longer than
/// `longest`.
fn is_http_1_0(line: &[u8], longest: usize) -> Result<bool, Refusal> {
    let mut blanks = memchr::memchr_iter(b' ', line);
    let (Some(first), Some(second)) = (blanks.next(), blanks.next()) else {
        return Err(Refusal::Malformed);
    };
    let (method, target) = (&line[..first], &line[first + 1..second]);
    if !field::is_token(method) || !is_target(target) {
        return Err(Refusal::Malformed);
    }
    if target.len() > longest {
        return Err(Refusal::TargetTooLong);
    }
    match &line[second + 1..] {
        b"HTTP/1.1" => Ok(false),
        b"HTTP/1.0" => Ok(true),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Refusal::UnknownVersion)
        }
        [first, ..] if is_foreign(line, *first) => Err(Refusal::Foreign),
        _ => Err(Refusal::Malformed),
    }
}

/// Whether a line says nothing of HTTP although it has the shape: a misspelt HTTP/2 preface, a command of another protocol.
fn is_foreign(line: &[u8], first_of_version: u8) -> bool {
    let word = line.iter().rev().take_while(|byte| **byte != b' ');
    !first_of_version.eq_ignore_ascii_case(&b'H') && word.clone().all(u8::is_ascii_alphabetic)
}

/// Visible ASCII without a fragment. More than RFC 3986 has, for browsers send it: what remains hyper refuses.
fn is_target(target: &[u8]) -> bool {
    let valid = target.iter().fold(true, |valid, byte| {
        valid & (*byte > b' ') & (*byte < 0x7f) & (*byte != b'#')
    });
    valid && !target.is_empty()
}
