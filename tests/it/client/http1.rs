//! One client's loop over HTTP/1: on a connection kept alive, or on a fresh one for each request.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use super::content::{HEADER, Inspector};
use super::storm::{Job, REQUEST_TIMEOUT};
use super::tally::{Event, Outcome, Tally};
use super::transport::{Idle, Transport};
use super::wire::{Failure, Head, Wire};

/// How long to look for what an idle TLS connection has to say: session tickets say nothing, close_notify ends it.
const TLS_LOOK: Duration = Duration::from_millis(5);

pub async fn run(job: Job) -> Tally {
    let mut tally = Tally::default();
    let mut inspector = Inspector::default();
    let mut kept: Option<Wire<Transport>> = None;
    let mut turn = 0;
    while !job.is_over() {
        if let Some(wire) = &mut kept {
            if let Some(event) = look(wire).await {
                tally.event(event);
                kept = None;
            }
        }
        let begun = Instant::now();
        let mut wire = match kept.take() {
            Some(wire) => wire,
            None => match open(&job, &mut tally, begun).await {
                Some(wire) => wire,
                None => continue,
            },
        };
        let outcome = exchange(&job, turn, &mut wire, &mut inspector, &mut tally).await;
        tally.record(outcome.0, begun.elapsed());
        job.note_done();
        if outcome.1 && !job.fresh {
            kept = Some(wire);
        }
        turn += 1;
        job.think().await;
    }
    tally
}

/// A new connection. Where there is none, the request that needed it was refused.
async fn open(job: &Job, tally: &mut Tally, begun: Instant) -> Option<Wire<Transport>> {
    let connected = tokio::time::timeout(REQUEST_TIMEOUT, job.endpoint.connect()).await;
    let (outcome, reason) = match connected {
        Ok(Ok(stream)) => {
            tally.event(Event::ConnectionOpened);
            return Some(Wire::new(stream));
        }
        Ok(Err(error)) => (Outcome::Refused, error.to_string()),
        Err(_) => (Outcome::Unanswered, "connect timed out".into()),
    };
    tally.record(outcome, begun.elapsed());
    tally.note(|| format!("connect: {reason}"));
    // A server that refuses does so at once: do not spin.
    tokio::time::sleep(Duration::from_millis(10)).await;
    None
}

/// Whether a connection has ended since its last response.
async fn look(wire: &mut Wire<Transport>) -> Option<Event> {
    if wire.has_leftovers() {
        return None;
    }
    match (wire.stream.idle(), &wire.stream) {
        (Idle::Quiet, _) | (Idle::Bytes, Transport::Plain(_)) => None,
        (Idle::Ended, _) => Some(Event::ClosedWhileIdle),
        (Idle::Reset, _) => Some(Event::ResetWhileIdle),
        (Idle::Bytes, Transport::Tls(_)) => {
            let mut byte = [0];
            match tokio::time::timeout(TLS_LOOK, wire.stream.read(&mut byte)).await {
                Err(_) => None,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    Some(Event::ResetWhileIdle)
                }
                Ok(_) => Some(Event::ClosedWhileIdle),
            }
        }
    }
}

/// Sends a request and reads its answer; says also whether the connection can be used again.
async fn exchange(
    job: &Job,
    turn: usize,
    wire: &mut Wire<Transport>,
    inspector: &mut Inspector,
    tally: &mut Tally,
) -> (Outcome, bool) {
    let request = &job.requests[turn % job.requests.len()];
    inspector.begin();
    let talk = async {
        wire.send(&request.bytes).await.map_err(Failure::Broken)?;
        wire.receive(false, |part| inspector.see(part)).await
    };
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, talk).await;
    let begun = wire.received > 0;
    let (outcome, reason, keeps) = match answer {
        Err(_) if begun => (
            Outcome::TimedOut,
            "in the middle of a response".to_owned(),
            false,
        ),
        Err(_) => (Outcome::Unanswered, "no response".to_owned(), false),
        Ok(Err(failure)) => (fate(&failure), format!("{failure:?}"), false),
        Ok(Ok(head)) => {
            let (outcome, reason) =
                inspector.judge(&request.expected, head.status, head.header(HEADER));
            (outcome, reason, keeps(&head, job, tally))
        }
    };
    if outcome != Outcome::Answered {
        let connections = tally.events(Event::ConnectionOpened);
        tally.note(|| format!("{outcome:?} on turn {turn}, connection {connections}: {reason}"));
    }
    (outcome, keeps)
}

fn keeps(head: &Head, job: &Job, tally: &mut Tally) -> bool {
    if head.closes() && !job.fresh {
        tally.event(Event::GracefulClose);
    }
    !head.closes()
}

fn fate(failure: &Failure) -> Outcome {
    match failure {
        Failure::Silence => Outcome::Lost,
        Failure::Short => Outcome::Truncated,
        Failure::Broken(_) => Outcome::Reset,
        Failure::Malformed(_) => Outcome::Wrong,
    }
}
