//! HTTP/2 on the wire, clause by clause (RFC 9113 sections 3 to 8, RFC 7541): raw frames in, and what has to come back.
//!
//! - this file: a connection of raw frames, and the judgement of what came
//! - `frames`: how frames are made
//! - `connection`, `streams`, `definitions`, `control`, `messages`, `compression`: the clauses

mod compression;
mod connection;
mod control;
mod definitions;
pub mod frames;
mod messages;
mod streams;

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use self::frames::{ACK, DATA, Frame, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, frame};
use crate::harness::PATIENCE;
use crate::harness::demo::Demo;

/// Error codes (RFC 9113 section 7).
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const COMPRESSION_ERROR: u32 = 9;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// What has to come of a case's frames.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// GOAWAY with this code, then the end.
    Connection(u32),
    /// RST_STREAM with this code on this stream; the connection goes on.
    Stream(u32, u32),
    /// The same, or a connection error with this code: section 5.4.1 leaves the choice.
    Either(u32, u32),
    /// This stream is answered with this status; the connection goes on.
    Answer(u32, u16),
    /// Nothing; the connection goes on.
    Nothing,
    /// The end, without a word of HTTP/1.
    End,
}

pub struct Case {
    pub clause: &'static str,
    pub what: &'static str,
    pub bytes: Vec<u8>,
    pub expected: Expected,
}

pub fn case(
    clause: &'static str,
    what: &'static str,
    frames: &[Vec<u8>],
    expected: Expected,
) -> Case {
    Case {
        clause,
        what,
        bytes: frames.concat(),
        expected,
    }
}

/// The PING that follows each case.
const MARK: [u8; 8] = *b"the mark";

/// All that came, frame by frame.
struct Peer {
    stream: TcpStream,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    ended: bool,
}

impl Peer {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            bytes: Vec::new(),
            frames: Vec::new(),
            ended: false,
        }
    }

    /// A server may have closed already: what it said before counts.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads until `enough` is true of the frames, or the end.
    fn receive(&mut self, enough: impl Fn(&[Frame]) -> bool) -> Result<(), String> {
        while !self.ended && !enough(&self.frames) {
            let mut space = [0; 4096];
            match self.stream.read(&mut space) {
                Ok(0) => self.ended = true,
                Ok(count) => self.bytes.extend_from_slice(&space[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.ended = true,
                Err(error) => return Err(format!("{error}; so far: {:?}", self.frames)),
            }
            while let Some(frame) = Frame::take(&mut self.bytes) {
                self.frames.push(frame);
            }
        }
        Ok(())
    }

    fn judge(&mut self, expected: Expected) -> Result<(), String> {
        let marked = |frames: &[Frame]| {
            let pong =
                |frame: &Frame| frame.is(PING) && frame.flags == ACK && frame.payload == MARK;
            frames.iter().any(pong)
        };
        match expected {
            Expected::End => {
                self.receive(|_| false)?;
                let said = self.frames.is_empty() && self.bytes.is_empty();
                said.then_some(())
                    .ok_or_else(|| format!("it said {:?}", self.frames))
            }
            Expected::Connection(code) => {
                self.receive(|_| false)?;
                let goaway = self.frames.iter().rev().find(|frame| frame.is(GOAWAY));
                match goaway.map(|frame| frame.word(4)) {
                    Some(it) if it == code => Ok(()),
                    // hyper does not tell the two apart.
                    Some(PROTOCOL_ERROR) if code == COMPRESSION_ERROR => Ok(()),
                    other => Err(format!("GOAWAY of {other:?}; frames: {:?}", self.frames)),
                }
            }
            Expected::Nothing => {
                self.receive(marked)?;
                let words = [GOAWAY, RST_STREAM];
                let bad = self.frames.iter().find(|frame| words.contains(&frame.kind));
                match bad {
                    None if marked(&self.frames) => Ok(()),
                    _ => Err(format!("frames: {:?}", self.frames)),
                }
            }
            Expected::Stream(stream, code) => {
                let reset = |frame: &Frame| frame.is(RST_STREAM) && frame.stream == stream;
                self.receive(|frames| marked(frames) && frames.iter().any(reset))?;
                match self.frames.iter().find(|frame| reset(frame)) {
                    Some(frame) if frame.word(0) == code && marked(&self.frames) => Ok(()),
                    other => Err(format!("{other:?}; frames: {:?}", self.frames)),
                }
            }
            Expected::Either(stream, code) => {
                let reset = |frame: &Frame| frame.is(RST_STREAM) && frame.stream == stream;
                self.receive(|frames| frames.iter().any(reset))?;
                let expected = if self.ended {
                    Expected::Connection(code)
                } else {
                    Expected::Stream(stream, code)
                };
                self.judge(expected)
            }
            Expected::Answer(stream, status) => {
                let answer = |frame: &Frame| frame.is(HEADERS) && frame.stream == stream;
                self.receive(|frames| marked(frames) && frames.iter().any(answer))?;
                match self
                    .frames
                    .iter()
                    .find(|frame| answer(frame))
                    .and_then(Frame::status)
                {
                    Some(it) if it == status && marked(&self.frames) => Ok(()),
                    other => Err(format!("{other:?}; frames: {:?}", self.frames)),
                }
            }
        }
    }
}

fn run(address: SocketAddr, case: &Case) -> Result<(), String> {
    let mut peer = Peer::connect(address);
    let mut bytes = case.bytes.clone();
    if !matches!(case.expected, Expected::End) {
        bytes.extend(frame(PING, 0, 0, &MARK));
    }
    peer.send(&bytes);
    peer.judge(case.expected)
}

fn cases() -> Vec<Case> {
    [
        connection::cases(),
        streams::cases(),
        definitions::cases(),
        control::cases(),
        messages::cases(),
        compression::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_clause() {
    let (demo, _server) = Demo::serve(0);
    let cases = cases();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let error = run(demo.plain, case).err()?;
            Some(format!(
                "{} {}: expected {:?}, got {error}",
                case.clause, case.what, case.expected
            ))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let different: HashSet<_> = cases.iter().map(|case| (case.clause, case.what)).collect();
    assert!(
        different.len() >= 120 && different.len() == cases.len(),
        "{}",
        different.len()
    );
}

/// The first frame is SETTINGS, the settings of the client are acknowledged, and DATA keeps to the window.
#[test]
fn what_the_server_says_keeps_to_the_rules() {
    let (demo, _server) = Demo::serve(0);
    let mut peer = Peer::connect(demo.plain);
    // A window of 10 bytes for each stream, and a body of 1024.
    peer.send(&[frames::hello(&[(4, 10)]), frames::get(1, "/small.bin")].concat());
    let data = |frames: &[Frame]| {
        frames
            .iter()
            .filter(|frame| frame.is(DATA))
            .map(|frame| frame.payload.len())
            .sum::<usize>()
    };
    peer.receive(|frames| data(frames) >= 10).unwrap();
    peer.send(&frame(PING, 0, 0, &MARK));
    peer.receive(|frames| frames.iter().any(|frame| frame.is(PING)))
        .unwrap();
    assert_eq!(data(&peer.frames), 10);
    assert!(peer.frames[0].is(SETTINGS) && peer.frames[0].flags == 0);
    assert!(
        peer.frames
            .iter()
            .any(|frame| frame.is(SETTINGS) && frame.flags == ACK)
    );
    peer.send(&frames::window_update(1, 1014));
    peer.receive(|frames| data(frames) >= 1024).unwrap();
    let last = peer
        .frames
        .iter()
        .rev()
        .find(|frame| frame.is(DATA))
        .unwrap();
    assert_eq!((data(&peer.frames), last.flags), (1024, frames::END_STREAM));
}
