//! Name servers are asked: by UDP, and by TCP what does not fit (RFC 7766); one after the other, as resolv.conf(5) says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::base::iana::Rcode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::answer::{Answer, Reading, read};
use super::question::Question;

/// Bytes of a datagram that are looked at: more is never asked for.
const MAX_DATAGRAM: usize = 4096;

/// Name servers, and how to ask them.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) addresses: Vec<SocketAddr>,
    /// For one answer.
    pub(super) timeout: Duration,
    /// How often the list is gone through.
    pub(super) attempts: usize,
    /// Each question begins with another server.
    pub(super) rotate: bool,
    /// Never by UDP.
    pub(super) tcp: bool,
    /// Tell that long answers may come (RFC 6891).
    pub(super) large: bool,
    pub(super) turn: AtomicUsize,
}

impl Servers {
    /// The first answer that anybody gives.
    pub(super) async fn ask(&self, question: &Question) -> io::Result<Answer> {
        let first = match self.rotate {
            true => self.turn.fetch_add(1, Ordering::Relaxed),
            false => 0,
        };
        let mut failure = io::Error::other("there is no name server to ask");
        for _ in 0..self.attempts {
            for number in 0..self.addresses.len() {
                let server = self.addresses[(first.wrapping_add(number)) % self.addresses.len()];
                let answer = timeout(self.timeout, self.ask_one(server, question)).await;
                failure = match answer {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => io::Error::new(error.kind(), format!("{server}: {error}")),
                    Err(_) => {
                        let message = format!("{server} does not answer");
                        io::Error::new(io::ErrorKind::TimedOut, message)
                    }
                };
            }
        }
        Err(failure)
    }

    async fn ask_one(&self, server: SocketAddr, question: &Question) -> io::Result<Answer> {
        if !self.tcp {
            match by_udp(server, question, self.large).await? {
                Reading::Failed(Rcode::FORMERR | Rcode::NOTIMP) if self.large => {
                    let plain = by_udp(server, question, false).await?;
                    if !matches!(plain, Reading::Truncated) {
                        return settle(plain);
                    }
                }
                Reading::Truncated => {}
                reading => return settle(reading),
            }
        }
        settle(by_tcp(server, question).await?)
    }
}

fn settle(reading: Reading) -> io::Result<Answer> {
    match reading {
        Reading::Answer(answer) => Ok(answer),
        Reading::Failed(rcode) => Err(io::Error::other(format!("answered {rcode}"))),
        Reading::Truncated | Reading::Foreign => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no sound answer",
        )),
    }
}

/// Nobody who does not see the question can answer it: its number, and the port that it comes from, are random.
async fn by_udp(server: SocketAddr, question: &Question, large: bool) -> io::Result<Reading> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let number = random()?;
    socket.send(&question.message(number, large)?).await?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match read(&buffer[..length], question, number) {
            Reading::Foreign => {}
            reading => return Ok(reading),
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Question) -> io::Result<Reading> {
    let mut stream = TcpStream::connect(server).await?;
    let number = random()?;
    let message = question.message(number, false)?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], &message].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(read(&answer, question, number))
}

fn random() -> io::Result<u16> {
    let mut bytes = [0; 2];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u16::from_ne_bytes(bytes))
}
