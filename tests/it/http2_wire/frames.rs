//! Frames by hand (RFC 9113 section 4.1), and header blocks without compression (RFC 7541 section 6.2.2).

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITIZED: u8 = 32;

/// What makes up a GET of `/`.
pub const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "localhost"),
];

/// A POST whose body goes through the proxy.
pub const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/echo"),
    (":authority", "localhost"),
];

/// A frame that came.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            flags,
            stream,
            payload,
        } = self;
        let start = &payload[..payload.len().min(40)];
        write!(
            formatter,
            "[type {kind}, flags {flags}, stream {stream}, {} bytes: {}]",
            payload.len(),
            start.escape_ascii()
        )
    }
}

impl Frame {
    /// The first whole frame of `bytes`.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let length =
            u32::from_be_bytes([0, *bytes.first()?, *bytes.get(1)?, *bytes.get(2)?]) as usize;
        if bytes.len() < 9 + length {
            return None;
        }
        let rest = bytes.split_off(9 + length);
        let frame = std::mem::replace(bytes, rest);
        let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
        Some(Self {
            kind: frame[3],
            flags: frame[4],
            stream,
            payload: frame[9..].to_vec(),
        })
    }

    pub fn is(&self, kind: u8) -> bool {
        self.kind == kind
    }

    /// Four bytes of the payload as a number.
    pub fn word(&self, at: usize) -> u32 {
        let bytes = self
            .payload
            .get(at..at + 4)
            .map(|bytes| bytes.try_into().unwrap());
        bytes.map_or(u32::MAX, u32::from_be_bytes)
    }

    /// The status, which every server puts first in its header block.
    pub fn status(&self) -> Option<u16> {
        match *self.payload.first()? {
            indexed @ 0x88..=0x8e => {
                Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)])
            }
            0x08 | 0x18 | 0x48 => {
                let length = self.payload.get(1)?;
                let text = self.payload.get(2..2 + usize::from(length & 0x7f))?;
                let digits = if length & 0x80 == 0 {
                    text.to_vec()
                } else {
                    unpack_digits(text)
                };
                std::str::from_utf8(&digits).ok()?.parse().ok()
            }
            _ => None,
        }
    }
}

/// Three digits in the Huffman code (RFC 7541 appendix B): five bits for 0 to 2, six for 3 to 9.
fn unpack_digits(bytes: &[u8]) -> Vec<u8> {
    let bits = bytes
        .iter()
        .fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte))
        << (64 - 8 * bytes.len());
    let mut at = 0;
    let mut next = |bits: u64| {
        let five = (bits << at) >> 59;
        let (digit, length) = if five < 3 {
            (five, 5)
        } else {
            (((bits << at) >> 58) - 22, 6)
        };
        at += length;
        b'0' + u8::try_from(digit).unwrap_or(0)
    };
    (0..3).map(|_| next(bits)).collect()
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// Preface and SETTINGS.
pub fn hello(settings: &[(u16, u32)]) -> Vec<u8> {
    [preface(), frame(SETTINGS, 0, 0, &entries(settings))].concat()
}

pub fn preface() -> Vec<u8> {
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
}

pub fn settings(entries_of: &[(u16, u32)]) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &entries(entries_of))
}

fn entries(settings: &[(u16, u32)]) -> Vec<u8> {
    let entry = |(key, value): &(u16, u32)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat();
    settings.iter().flat_map(entry).collect()
}

/// A header block: literal fields that are not indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let field = |(name, value): &(&str, &str)| [&[0][..], &text(name), &text(value)].concat();
    fields.iter().flat_map(field).collect()
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = number(0, 7, text.len());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// An integer with a prefix of `bits` (RFC 7541 section 5.1).
pub fn number(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![first | u8::try_from(most).unwrap()];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// HEADERS with a whole block.
pub fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(fields))
}

/// A whole request.
pub fn request(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    headers(END_STREAM, stream, fields)
}

pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let mut fields = GET;
    fields[2].1 = path;
    request(stream, &fields)
}

/// A GET with more fields.
pub fn get_with(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    request(stream, &[&GET[..], more].concat())
}

/// A POST that is not finished.
pub fn post(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    headers(0, stream, &[&POST[..], more].concat())
}

pub fn data(flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// PRIORITY that depends on stream `on`.
pub fn priority(stream: u32, on: u32) -> Vec<u8> {
    frame(
        PRIORITY,
        0,
        stream,
        &[&on.to_be_bytes()[..], &[15]].concat(),
    )
}

/// The head of a frame that says more than there is.
pub fn head(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    [
        &length.to_be_bytes()[1..],
        &[kind, flags],
        &stream.to_be_bytes(),
    ]
    .concat()
}
