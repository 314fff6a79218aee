//! One client's loop over HTTP/2: one connection, one request at a time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Request, Response};

use super::content::{HEADER, Inspector};
use super::frames::{Farewell, Watched};
use super::storm::{Job, REQUEST_TIMEOUT};
use super::tally::{Event, Outcome, Tally};
use super::transport::{Endpoint, Idle, peek};

/// One connection, driven by a task of its own.
pub struct Connection {
    sender: SendRequest<Bytes>,
    farewell: Arc<Farewell>,
    socket: OwnedFd,
    end: Arc<AtomicU8>,
    /// Something went wrong on it: the next request takes another.
    spent: bool,
}

/// What an error means for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Of(Outcome),
    /// The client knows that the server did nothing with it.
    NotProcessed(Event),
}

const OPEN: u8 = 0;
const ENDED: u8 = 1;
const RESET: u8 = 2;

impl Connection {
    pub async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let stream = endpoint.connect().await?;
        let socket = stream.handle()?;
        let (watched, farewell) = Watched::new(stream);
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(4 << 20)
            .initial_connection_window_size(4 << 20);
        let (sender, connection) = builder.handshake(watched).await.map_err(io::Error::other)?;
        let end = Arc::new(AtomicU8::new(OPEN));
        let seen = end.clone();
        tokio::spawn(async move {
            let reset = connection.await.is_err_and(|error| is_reset(&error));
            seen.store(if reset { RESET } else { ENDED }, Ordering::Relaxed);
        });
        Ok(Self {
            sender,
            farewell,
            socket,
            end,
            spent: false,
        })
    }

    /// Sends a request and hands on its response, whose body is still to come.
    pub async fn request(
        &mut self,
        request: Request<()>,
        body: Option<Bytes>,
    ) -> Result<Response<RecvStream>, (Fate, String)> {
        let ready = self.sender.clone().ready().await;
        let mut sender =
            ready.map_err(|error| (self.fate(None, &error, false), error.to_string()))?;
        let (response, mut stream) = sender
            .send_request(request, body.is_none())
            .map_err(|error| (self.fate(None, &error, false), error.to_string()))?;
        let id = response.stream_id().as_u32();
        if let Some(body) = body {
            // An error here is told by the response as well.
            let _ = stream.send_data(body, true);
        }
        response
            .await
            .map_err(|error| (self.fate(Some(id), &error, false), error.to_string()))
    }

    /// Whether the server will have no further request, and why.
    async fn farewell(&self) -> Option<Event> {
        if peek(self.socket.as_fd()) != Idle::Quiet {
            // Let the connection's task read what is there.
            tokio::task::yield_now().await;
        }
        match self.end.load(Ordering::Relaxed) {
            _ if self.farewell.seen() => Some(Event::GracefulClose),
            OPEN => None,
            RESET => Some(Event::ResetWhileIdle),
            _ => Some(Event::ClosedWhileIdle),
        }
    }

    /// What an error means for the request on stream `id`.
    fn fate(&self, id: Option<u32>, error: &h2::Error, begun: bool) -> Fate {
        match id {
            Some(id) if self.disowned(id, error) => {
                Fate::NotProcessed(match self.farewell.came_before(id) {
                    true => Event::SentTooLate,
                    false => Event::Unprocessed,
                })
            }
            _ if begun => Fate::Of(Outcome::Truncated),
            _ if is_reset(error) || error.is_reset() => Fate::Of(Outcome::Reset),
            _ => Fate::Of(Outcome::Lost),
        }
    }

    fn disowned(&self, id: u32, error: &h2::Error) -> bool {
        self.farewell.disowns(id) || error.reason() == Some(Reason::REFUSED_STREAM)
    }
}

fn is_reset(error: &h2::Error) -> bool {
    let reset = [io::ErrorKind::ConnectionReset];
    error
        .get_io()
        .is_some_and(|error| reset.contains(&error.kind()))
}

pub async fn run(job: Job) -> Tally {
    let mut tally = Tally::default();
    let mut inspector = Inspector::default();
    let mut kept: Option<Connection> = None;
    let mut turn = 0;
    while !job.is_over() {
        if let Some(connection) = &kept {
            if let Some(event) = connection.farewell().await {
                tally.event(event);
                kept = None;
            }
        }
        let begun = Instant::now();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match open(&job, &mut tally, begun).await {
                Some(connection) => connection,
                None => continue,
            },
        };
        match exchange(&job, turn, &mut connection, &mut inspector, &mut tally).await {
            Fate::NotProcessed(event) => tally.event(event),
            Fate::Of(outcome) => {
                tally.record(outcome, begun.elapsed());
                job.note_done();
            }
        }
        if !connection.spent {
            kept = Some(connection);
        }
        turn += 1;
        job.think().await;
    }
    tally
}

async fn open(job: &Job, tally: &mut Tally, begun: Instant) -> Option<Connection> {
    let connected = tokio::time::timeout(REQUEST_TIMEOUT, Connection::open(&job.endpoint)).await;
    let (outcome, reason) = match connected {
        Ok(Ok(connection)) => {
            tally.event(Event::ConnectionOpened);
            return Some(connection);
        }
        Ok(Err(error)) => (Outcome::Refused, error.to_string()),
        Err(_) => (Outcome::Unanswered, "connect timed out".into()),
    };
    tally.record(outcome, begun.elapsed());
    tally.note(|| format!("connect: {reason}"));
    tokio::time::sleep(Duration::from_millis(10)).await;
    None
}

async fn exchange(
    job: &Job,
    turn: usize,
    connection: &mut Connection,
    inspector: &mut Inspector,
    tally: &mut Tally,
) -> Fate {
    let wanted = &job.requests[turn % job.requests.len()];
    inspector.begin();
    let mut begun = false;
    let talk = async {
        let request = Request::get(wanted.uri.clone())
            .body(())
            .expect("a checked URI");
        let response = connection.request(request, None).await?;
        begun = true;
        let (head, mut body) = response.into_parts();
        let id = body.stream_id().as_u32();
        while let Some(part) = body.data().await {
            let part =
                part.map_err(|error| (connection.fate(Some(id), &error, true), error.to_string()))?;
            let _ = body.flow_control().release_capacity(part.len());
            inspector.see(&part);
        }
        let config = head
            .headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok());
        let (outcome, reason) = inspector.judge(&wanted.expected, head.status.as_u16(), config);
        Ok((Fate::Of(outcome), reason))
    };
    let (fate, reason) = match tokio::time::timeout(REQUEST_TIMEOUT, talk).await {
        Ok(Ok(judged)) | Ok(Err(judged)) => judged,
        Err(_) if begun => (
            Fate::Of(Outcome::TimedOut),
            "in the middle of a response".to_owned(),
        ),
        Err(_) => (Fate::Of(Outcome::Unanswered), "no response".to_owned()),
    };
    connection.spent = fate != Fate::Of(Outcome::Answered);
    if matches!(fate, Fate::Of(outcome) if outcome != Outcome::Answered) {
        tally.note(|| format!("{fate:?} on turn {turn}: {reason}"));
    }
    fate
}
