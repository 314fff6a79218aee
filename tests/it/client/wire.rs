//! HTTP/1 as it is on the wire: bytes out, a response parsed from the bytes in.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why there is no response.
#[derive(Debug)]
pub enum Failure {
    /// The connection ended in order before a byte of it.
    Silence,
    /// The connection ended in order in the middle of it.
    Short,
    Broken(io::Error),
    Malformed(String),
}

/// A response's head.
#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    text: Bytes,
}

impl Head {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        let pair = |line: &'_ str| -> Option<(usize, usize)> {
            line.find(':').map(|colon| (colon, line.len()))
        };
        text.lines().skip(1).filter_map(move |line| {
            pair(line).map(|(colon, _)| (&line[..colon], line[colon + 1..].trim()))
        })
    }

    /// Whether the server wants no further request on this connection.
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn parse(text: Bytes) -> Result<Self, Failure> {
        let line = text.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| line.strip_prefix("HTTP/1.0 "))
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| digits.parse().ok());
        match status {
            Some(status) => Ok(Self { status, text }),
            None => Err(Failure::Malformed(format!("not a status line: '{line}'"))),
        }
    }

    fn framing(&self, answers_head: bool) -> Result<Framing, Failure> {
        if answers_head || self.status < 200 || matches!(self.status, 204 | 304) {
            return Ok(Framing::Length(0));
        }
        let encoding = self.header("transfer-encoding").unwrap_or_default();
        if encoding.eq_ignore_ascii_case("chunked") {
            return Ok(Framing::Chunked);
        }
        match self.header("content-length").map(str::parse) {
            None => Ok(Framing::UntilClose),
            Some(Ok(length)) => Ok(Framing::Length(length)),
            Some(Err(_)) => Err(Failure::Malformed("content-length is no number".into())),
        }
    }
}

enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// One connection. Bytes beyond the response read last stay for the next (pipelining).
pub struct Wire<S> {
    pub stream: S,
    buffer: BytesMut,
    /// Bytes received since the last request was sent.
    pub received: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            received: 0,
        }
    }

    pub async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.received = self.buffer.len() as u64;
        self.stream.write_all(request).await?;
        self.stream.flush().await
    }

    /// Whether bytes wait that no request asked for.
    pub fn has_leftovers(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads one response; its body goes to `sink` as it comes. Interim responses are passed over.
    pub async fn receive(
        &mut self,
        answers_head: bool,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Head, Failure> {
        loop {
            let head = self.head().await?;
            match head.framing(answers_head)? {
                _ if head.status < 200 && head.status != 101 => continue,
                Framing::Length(length) => self.exactly(length, &mut sink).await?,
                Framing::Chunked => self.chunks(&mut sink).await?,
                Framing::UntilClose => self.rest(&mut sink).await?,
            }
            return Ok(head);
        }
    }

    /// A response with its whole body.
    pub async fn response(&mut self) -> Result<(Head, Vec<u8>), Failure> {
        let mut body = Vec::new();
        let head = self
            .receive(false, |part| body.extend_from_slice(part))
            .await?;
        Ok((head, body))
    }

    /// Waits for the end of the connection; anything else that comes is returned.
    pub async fn end(&mut self) -> Result<Bytes, Failure> {
        while self.fill().await? > 0 {}
        Ok(self.buffer.split().freeze())
    }

    async fn head(&mut self) -> Result<Head, Failure> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                return Head::parse(self.buffer.split_to(at + 4).freeze());
            }
            self.more().await?;
        }
    }

    async fn exactly(
        &mut self,
        mut length: u64,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        while length > 0 {
            if self.buffer.is_empty() {
                self.more().await?;
            }
            let part = self
                .buffer
                .len()
                .min(usize::try_from(length).unwrap_or(usize::MAX));
            sink(&self.buffer[..part]);
            self.buffer.advance(part);
            length -= part as u64;
        }
        Ok(())
    }

    async fn chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| Failure::Malformed(format!("not a chunk size: '{line}'")))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.exactly(size, sink).await?;
            self.line().await?;
        }
    }

    async fn rest(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        loop {
            sink(&self.buffer.split());
            if self.fill().await? == 0 {
                return Ok(());
            }
        }
    }

    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(at + 2);
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Failure> {
        match self.fill().await? {
            0 if self.received == 0 => Err(Failure::Silence),
            0 => Err(Failure::Short),
            _ => Ok(()),
        }
    }

    async fn fill(&mut self) -> Result<usize, Failure> {
        self.buffer.reserve(64 * 1024);
        let read = match self.stream.read_buf(&mut self.buffer).await {
            // A TLS peer that ends without close_notify has ended all the same; the framing says whether too early.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            other => other.map_err(Failure::Broken)?,
        };
        self.received += read as u64;
        Ok(read)
    }
}

#[tokio::test]
async fn responses_are_told_from_their_ruins() {
    async fn reads(bytes: &str) -> Result<(Head, Vec<u8>), Failure> {
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(bytes.as_bytes()).await.unwrap();
        drop(far);
        Wire::new(near).response().await
    }
    let (head, body) = reads("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok")
        .await
        .unwrap();
    assert_eq!(
        (head.status, head.header("x-a"), body.as_slice()),
        (200, Some("1"), &b"ok"[..])
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(reads(chunked).await.unwrap().1, b"abc");
    assert!(matches!(reads("").await, Err(Failure::Silence)));
    assert!(matches!(reads("HTTP/1.1 200 O").await, Err(Failure::Short)));
    assert!(matches!(
        reads(&chunked[..chunked.len() - 5]).await,
        Err(Failure::Short)
    ));
    assert!(matches!(
        reads("SSH-2.0\r\n\r\n").await,
        Err(Failure::Malformed(_))
    ));
}
