//! An upstream that leaves HTTP, on threads that end with their connections.
//!
//! `…/switch` agrees to what is asked, says "hello" in the same breath, echoes, and says "bye" when its client has
//! finished. `…/decline` answers 200 and stays with HTTP, `…/other` switches to what nobody asked for, `…/greet`
//! switches and says what stands in `X-Say` (hexadecimal), and then echoes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

pub struct Switching {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Switching {
    pub fn start() -> Self {
        let (listener, address) = super::listener();
        Self::on(listener, address)
    }

    pub fn on(listener: TcpListener, address: SocketAddr) -> Self {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let log = heads.clone();
        std::thread::spawn(move || serve(&listener, &log));
        Self { address, heads }
    }

    /// The request heads that came, in order.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no thread panics").clone()
    }
}

fn serve(listener: &TcpListener, log: &Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept() {
        let log = log.clone();
        std::thread::spawn(move || {
            // How a connection ends is seen at the other end.
            let _ = talk(stream, &log);
        });
    }
}

fn talk(mut stream: TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let head = read_head(&mut stream)?;
        log.lock().expect("no thread panics").push(head.clone());
        let path = head.split(' ').nth(1).unwrap_or_default();
        match path.rsplit('/').next() {
            Some("switch") => {
                let protocol = field(&head, "upgrade").unwrap_or("none");
                let accept = field(&head, "sec-websocket-key")
                    .map(accept)
                    .unwrap_or_default();
                let answer = format!("{SWITCHING}Upgrade: {protocol}\r\n{accept}\r\nhello");
                stream.write_all(answer.as_bytes())?;
                echo(&mut stream)?;
                return stream.write_all(b"bye");
            }
            Some("greet") => {
                let protocol = field(&head, "upgrade").unwrap_or("none");
                let accept = field(&head, "sec-websocket-key")
                    .map(accept)
                    .unwrap_or_default();
                let answer = format!("{SWITCHING}Upgrade: {protocol}\r\n{accept}\r\n");
                stream.write_all(answer.as_bytes())?;
                stream.write_all(&bytes(field(&head, "x-say").unwrap_or_default()))?;
                return echo(&mut stream);
            }
            Some("other") => {
                return stream.write_all(format!("{SWITCHING}Upgrade: other\r\n\r\n").as_bytes());
            }
            _ => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")?,
        }
    }
}

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nX-From: upstream\r\n";

/// The answer to a key (RFC 6455 section 4.2.2).
fn accept(key: &str) -> String {
    let text = key.to_owned() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    format!("Sec-WebSocket-Accept: {}\r\n", base64(hash.as_ref()))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| {
        bytes
            .get(at / 8)
            .is_some_and(|byte| (byte >> (7 - at % 8)) & 1 == 1)
    };
    let sextets = (bytes.len() * 8).div_ceil(6);
    let sextet = |number: usize| {
        (0..6).fold(0, |wide, at| {
            (wide << 1) | usize::from(bit(number * 6 + at))
        })
    };
    let mut text: String = (0..sextets)
        .map(|number| char::from(ALPHABET[sextet(number)]))
        .collect();
    while text.len() % 4 != 0 {
        text.push('=');
    }
    text
}

fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

/// Reads to the end of a head, one byte after the other: what follows is not ours yet.
pub fn read_head(stream: &mut impl Read) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The first field of this (lower-case) name.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut values = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.trim())
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len() / 2)
        .filter_map(|at| u8::from_str_radix(&hexadecimal[2 * at..2 * at + 2], 16).ok())
        .collect()
}
