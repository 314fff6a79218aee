//! An upstream that notes every byte, and objects to whatever a second parser could read differently.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What came: whole messages, and objections.
#[derive(Default)]
pub struct Record {
    pub messages: Vec<Vec<u8>>,
    pub objections: Vec<String>,
}

pub fn start() -> (SocketAddr, Arc<Mutex<Record>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let record = Arc::<Mutex<Record>>::default();
    let shared = record.clone();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let record = shared.clone();
            std::thread::spawn(move || serve(stream, &record));
        }
    });
    (address, record)
}

fn serve(mut stream: TcpStream, record: &Mutex<Record>) {
    let mut bytes = Vec::new();
    let mut space = [0; 4096];
    loop {
        match message(&bytes) {
            Ok(Some(length)) => {
                let whole = bytes.drain(..length).collect();
                record.lock().unwrap().messages.push(whole);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                if stream.write_all(answer).is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(objection) => {
                let text = format!("{objection}: {}", bytes.escape_ascii());
                record.lock().unwrap().objections.push(text);
                return;
            }
        }
        match stream.read(&mut space) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&space[..count]),
            _ => return,
        }
    }
}

/// The length of the message that `bytes` begin with, None when it is not whole.
fn message(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "not ASCII")?;
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return Err("request line");
    };
    if method.is_empty() || !target.starts_with('/') {
        return Err("request line");
    }
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("no colon")?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err("name");
        }
        if value
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t')
            || value.trim_ascii() != value
        {
            return Err("control character, or blanks around a value");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            _ => {}
        }
    }
    let body = &bytes[end + 4..];
    let length = match (hosts, lengths.as_slice(), codings.as_slice()) {
        (1, [], []) => Some(0),
        (1, [length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| "length")?;
            (body.len() >= length).then_some(length)
        }
        (1, [], ["chunked"]) => chunks(body)?,
        (1, ..) => return Err("framing"),
        _ => return Err("not one Host"),
    };
    Ok(length.map(|length| end + 4 + length))
}

/// The length of a chunked body, without any extension or trailer.
fn chunks(body: &[u8]) -> Result<Option<usize>, &'static str> {
    let mut at = 0;
    loop {
        let Some(length) = memchr::memmem::find(&body[at..], b"\r\n") else {
            return Ok(None);
        };
        let line = std::str::from_utf8(&body[at..at + length]).map_err(|_| "chunk size")?;
        if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("chunk size");
        }
        let size = usize::from_str_radix(line, 16).map_err(|_| "chunk size")?;
        at += length + 2 + size;
        match body.get(at..at + 2) {
            Some(b"\r\n") if size == 0 => return Ok(Some(at + 2)),
            Some(b"\r\n") => at += 2,
            Some(_) => return Err("chunk end"),
            None => return Ok(None),
        }
    }
}
