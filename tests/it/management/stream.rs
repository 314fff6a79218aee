//! A client of `GET /api/events` that reads as the standard says.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::harness::PATIENCE;

/// An event as it arrived.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) data: Value,
}

pub(super) struct Stream {
    pub(super) head: String,
    reader: BufReader<Box<dyn Read>>,
    /// Read, but not a whole event yet.
    text: String,
    pub(super) last_id: u64,
}

impl Stream {
    /// Over the control socket; `fields` are lines of the head.
    pub(super) fn open(folder: &Path, fields: &str) -> Self {
        let mut stream = UnixStream::connect(folder.join("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(&mut stream, "GET", fields);
        Self::read_head(Box::new(stream))
    }

    pub(super) fn open_tcp(address: SocketAddr, method: &str, fields: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(&mut stream, method, fields);
        Self::read_head(Box::new(stream))
    }

    fn read_head(stream: Box<dyn Read>) -> Self {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "no head: {head}");
        }
        Self {
            head,
            reader,
            text: String::new(),
            last_id: 0,
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// What comes after the head of an answer that ends.
    pub(super) fn rest(mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        rest
    }

    /// What it says of where it is, before the first event.
    pub(super) fn position(&mut self) -> u64 {
        while self.last_id == 0 {
            let opening = self.chunk().expect("a stream that begins");
            assert!(self.take(&opening).is_none());
        }
        self.last_id
    }

    /// None: the stream has ended as it should, with its last chunk.
    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(event) = self.take(&block) {
                    return Some(event);
                }
            }
            let chunk = self.chunk()?;
            self.text += &chunk;
        }
    }

    /// The next event of this name; those before it are in `passed`.
    pub(super) fn find(&mut self, name: &str, passed: &mut Vec<Event>) -> Event {
        loop {
            let event = self.next();
            let event = event.unwrap_or_else(|| panic!("no '{name}' after {passed:#?}"));
            if event.name == name {
                return event;
            }
            passed.push(event);
        }
    }

    /// Reads until the connection ends, without a last chunk.
    pub(super) fn expect_broken(mut self) {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
    }

    fn take(&mut self, block: &str) -> Option<Event> {
        let (mut name, mut data) = (None, None);
        for line in block.lines().filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.last_id = value.parse().unwrap(),
                "event" => name = Some(value.to_owned()),
                "data" => data = Some(serde_json::from_str(value).unwrap()),
                "retry" | "" => {}
                _ => panic!("what is '{line}'?"),
            }
        }
        let (name, data): (String, Value) = (name?, data?);
        assert_eq!(data["event"], *name);
        Some(Event {
            id: self.last_id,
            name,
            data,
        })
    }

    fn chunk(&mut self) -> Option<String> {
        let mut length = String::new();
        self.reader.read_line(&mut length).unwrap();
        let length = usize::from_str_radix(length.trim_end(), 16)
            .unwrap_or_else(|_| panic!("the stream broke off: '{length}'"));
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).unwrap();
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }
}

fn ask(stream: &mut impl Write, method: &str, fields: &str) {
    write!(
        stream,
        "{method} /api/events HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
    )
    .unwrap();
}
