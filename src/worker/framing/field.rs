//! Names, values and lengths as RFC 9110 section 5 has them.

use super::Refusal;

/// A field line, taken apart.
pub struct Field<'a> {
    pub name: &'a [u8],
    /// Without the blanks around it.
    pub value: &'a [u8],
}

/// Takes a line apart. A blank at its start (obs-fold) or before the colon makes the name no token.
pub fn parse(line: &[u8]) -> Result<Field<'_>, Refusal> {
    let length = line.iter().take_while(|byte| is_token_byte(**byte)).count();
    let (name, rest) = line.split_at(length);
    match rest.split_first() {
        Some((b':', value)) if !name.is_empty() && is_value(value) => Ok(Field {
            name,
            value: trim(value),
        }),
        _ => Err(Refusal::Malformed),
    }
}

pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

const TOKEN: [bool; 256] = {
    let signs = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < signs.len() {
        table[signs[index] as usize] = true;
        index += 1;
    }
    table
};

/// No control character but the tab. No early exit, so that it is a few vector instructions.
fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |valid, byte| {
        valid & ((*byte >= b' ') | (*byte == b'\t')) & (*byte != 0x7f)
    })
}

pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A length that every parser reads alike: decimal digits without a leading zero (which some take for octal), and no
/// more than a signed number holds.
pub fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let zeros = value.len() > 1 && value[0] == b'0';
    if value.is_empty() || value.len() > 19 || zeros || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let length = value.iter().fold(0, |length: u64, digit| {
        length * 10 + u64::from(digit - b'0')
    });
    if i64::try_from(length).is_ok() {
        Ok(length)
    } else {
        Err(Refusal::Malformed)
    }
}

/// Accepts `chunked` alone. Of others it tells codings that one could have (501) from nonsense (400).
pub fn transfer_encoding(value: &[u8]) -> Result<(), Refusal> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut codings = value.split(|byte| *byte == b',').map(trim).peekable();
    while let Some(coding) = codings.next() {
        let last = codings.peek().is_none();
        let chunked = coding.eq_ignore_ascii_case(b"chunked");
        if !is_token(coding) || coding.eq_ignore_ascii_case(b"identity") || (chunked && !last) {
            return Err(Refusal::Malformed);
        }
    }
    Err(Refusal::UnknownCoding)
}
