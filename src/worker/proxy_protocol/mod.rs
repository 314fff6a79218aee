//! The PROXY protocol: a trusted proxy says who its client is before that client's first byte, TLS or not. Whoever is
//! trusted has to say it; nobody else may.
//!
//! - `header`: what is said

mod header;

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

pub use self::header::Source;
use self::header::{LONGEST_LINE, Preamble, SIGNATURE, WORD, parse_line};

/// Bytes that version 2 may have behind its preamble: addresses, and what else a proxy tells, certificates included.
const LONGEST: u16 = 16 * 1024;

/// Takes the header off `stream`, and not a byte more.
pub async fn read(stream: &mut TcpStream) -> io::Result<Source> {
    // Both versions are longer than this.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    let source = if start == SIGNATURE {
        read_binary(stream).await?
    } else if start.starts_with(WORD) {
        parse_line(&read_line(stream, &start).await?)
    } else {
        None
    };
    source.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

async fn read_binary(stream: &mut TcpStream) -> io::Result<Option<Source>> {
    let mut preamble = [0; 4];
    stream.read_exact(&mut preamble).await?;
    let preamble = Preamble::parse(preamble).filter(|preamble| preamble.length <= LONGEST);
    let Some(preamble) = preamble else {
        return Ok(None);
    };
    let mut rest = vec![0; usize::from(preamble.length)];
    stream.read_exact(&mut rest).await?;
    Ok(preamble.source(&rest))
}

/// The whole line; what follows it stays in the socket.
async fn read_line(stream: &mut TcpStream, start: &[u8]) -> io::Result<Vec<u8>> {
    let mut line = start.to_vec();
    let mut ahead = [0; LONGEST_LINE];
    while !line.ends_with(b"\n") && line.len() < LONGEST_LINE {
        let room = LONGEST_LINE - line.len();
        let count = stream.peek(&mut ahead[..room]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = ahead[..count].iter().position(|byte| *byte == b'\n');
        let take = end.map_or(count, |end| end + 1);
        stream.read_exact(&mut ahead[..take]).await?;
        line.extend_from_slice(&ahead[..take]);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// What is read of `parts`, each sent for itself, and what is left in the socket.
    fn exchange(parts: &[&[u8]]) -> (io::Result<Source>, String) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut proxy = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let send = async {
                for part in parts {
                    proxy.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
                proxy.shutdown().await.unwrap();
            };
            let (source, ()) = tokio::join!(read(&mut stream), send);
            let mut left = String::new();
            stream.read_to_string(&mut left).await.unwrap();
            (source, left)
        })
    }

    #[test]
    fn the_request_stays_where_it_is() {
        let line = b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n";
        let client = Source::Client("192.0.2.1:1".parse().unwrap());
        let request = &b"GET / HTTP/1.1\r\n\r\n"[..];
        let (source, left) = exchange(&[&[&line[..], request].concat()]);
        assert_eq!((source.unwrap(), left.as_bytes()), (client, request));
        let slowly: Vec<&[u8]> = line.chunks(1).chain([request]).collect();
        let (source, left) = exchange(&slowly);
        assert_eq!((source.unwrap(), left.as_bytes()), (client, request));
        let binary = [
            &SIGNATURE[..],
            &[0x21, 0x11, 0, 13, 192, 0, 2, 1, 10, 0, 0, 1, 0, 1, 0, 2, 9],
        ]
        .concat();
        let (source, left) = exchange(&[&binary, request]);
        assert_eq!((source.unwrap(), left.as_bytes()), (client, request));
    }

    #[test]
    fn what_is_no_header_ends_it() {
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        let too_long = [&SIGNATURE[..], &[0x20, 0, 0xff, 0xff]].concat();
        for wrong in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1 10.0.0.1",
            b"PROXY TCP4 x\r\n",
            b"",
            &SIGNATURE,
            &endless,
            &too_long,
        ] {
            assert!(exchange(&[wrong]).0.is_err(), "{wrong:?}");
        }
    }
}
