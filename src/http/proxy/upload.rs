//! Bodies on their way from the client to an upstream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

use super::expectation::{Expectation, Outcome};
use super::guarded::Guarded;
use crate::http::body::{BodyError, RequestBody, TooLarge};
use crate::http::leftover;

/// How long an upstream may say nothing before it gets the body that it was to ask for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that are kept until it is clear that the upstream looks at the request.
const KEPT: usize = 64 * 1024;

/// A request body for an upstream. (In a box, as most requests have none.)
pub(super) struct Upload(Option<Box<Sending>>);

struct Sending {
    source: Rc<Source>,
    /// Sent before, to an upstream that did not look at it.
    again: VecDeque<Piece>,
    /// The upstream is to ask for it; else it gets it when the time is over.
    expectation: Option<(Rc<Expectation>, Pin<Box<Sleep>>)>,
}

/// Where a body comes from, seen from outside of its upload.
pub(super) struct Source {
    /// None when another upload has it.
    body: RefCell<Option<RequestBody>>,
    kept: RefCell<Option<Kept>>,
    pub(super) progress: Progress,
    guarded: Rc<Guarded>,
}

/// The beginning of a body.
#[derive(Default)]
struct Kept {
    pieces: VecDeque<Piece>,
    length: usize,
}

#[derive(Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// The body goes to another server by now.
#[derive(Debug, thiserror::Error)]
#[error("the request is sent elsewhere")]
struct Elsewhere;

/// The upstream answered without the body.
#[derive(Debug, thiserror::Error)]
#[error("the upstream does not want the body")]
struct Unwanted;

impl Upload {
    /// Of what comes after the body only what is not `guarded` goes to the upstream.
    pub(super) fn new(body: RequestBody, guarded: &Rc<Guarded>) -> Self {
        if body.is_end_stream() {
            Self::empty()
        } else {
            Self::of(body, VecDeque::new(), guarded.clone())
        }
    }

    pub(super) fn empty() -> Self {
        Self(None)
    }

    fn of(body: RequestBody, again: VecDeque<Piece>, guarded: Rc<Guarded>) -> Self {
        let source = Rc::new(Source {
            body: RefCell::new(Some(body)),
            kept: RefCell::new(None),
            progress: Progress::new(),
            guarded,
        });
        Self(Some(Box::new(Sending {
            source,
            again,
            expectation: None,
        })))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn source(&self) -> Option<Rc<Source>> {
        self.0.as_ref().map(|sending| sending.source.clone())
    }

    /// Reads the rest of it for nobody: many a client looks at no answer before it has sent everything. Needs a `LocalSet`.
    pub(super) fn let_go(self) {
        if !self.is_end_stream() {
            tokio::task::spawn_local(self.read_on());
        }
    }

    /// As [`Self::let_go`].
    pub(super) async fn read_on(self) {
        if let Some(source) = self.source() {
            source
                .body
                .borrow()
                .as_ref()
                .inspect(|body| body.be_patient());
        }
        leftover::read_on(self).await;
    }

    /// Keeps the beginning, so that [`Source::recover`] can have it sent again.
    pub(super) fn keep(&self) {
        if let Some(sending) = &self.0 {
            *sending.source.kept.borrow_mut() = Some(Kept::default());
        }
    }

    /// Keeps the body back until `expectation` is settled.
    pub(super) fn wait_for(&mut self, expectation: Rc<Expectation>) {
        if let Some(sending) = &mut self.0 {
            sending.source.progress.enter(Phase::Upstream);
            sending.expectation = Some((expectation, Box::pin(sleep(PATIENCE))));
        }
    }

    /// Takes back what was not sent.
    pub(super) fn put_back(&mut self, data: Bytes) {
        if let Some(sending) = self.0.as_mut().filter(|_| !data.is_empty()) {
            sending.again.push_front(Piece::Data(data));
        }
    }
}

impl Sending {
    /// Ready when the upstream wants the body, or may.
    fn poll_wanted(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Unwanted>> {
        let Some((expectation, timer)) = &mut self.expectation else {
            return Poll::Ready(Ok(()));
        };
        if timer.as_mut().poll(context).is_ready() {
            expectation.settle(Outcome::Wanted);
        }
        let outcome = ready!(expectation.poll(context));
        self.expectation = None;
        Poll::Ready(match outcome {
            Outcome::Wanted => Ok(()),
            Outcome::Over => Err(Unwanted),
        })
    }

    fn poll_source(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(piece) = self.again.pop_front() {
            return Poll::Ready(Some(Ok(piece.into_frame())));
        }
        let mut body = self.source.body.borrow_mut();
        match body.as_mut() {
            Some(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map(|frame| self.source.withhold(frame))))
            }
            None => Poll::Ready(Some(Err(Elsewhere.into()))),
        }
    }
}

impl Source {
    /// The body for another attempt, when all that was sent of it is still there.
    pub(super) fn recover(&self) -> Option<Upload> {
        let kept = self.kept.take()?;
        let body = self.body.take()?;
        Some(Upload::of(body, kept.pieces, self.guarded.clone()))
    }

    fn withhold(&self, mut frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_mut() {
            self.guarded.strip_trailers(trailers);
        }
        frame
    }

    fn note(&self, frame: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) {
        self.progress.note(frame);
        let mut kept = self.kept.borrow_mut();
        let (Some(keeping), Poll::Ready(Some(Ok(frame)))) = (kept.as_mut(), frame) else {
            return;
        };
        if let Some(data) = frame.data_ref() {
            keeping.length += data.len();
            keeping.pieces.push_back(Piece::Data(data.clone()));
        } else if let Some(trailers) = frame.trailers_ref() {
            keeping.pieces.push_back(Piece::Trailers(trailers.clone()));
        }
        if keeping.length > KEPT {
            *kept = None;
        }
    }

    fn is_end_stream(&self) -> bool {
        let body = self.body.borrow();
        body.as_ref().is_none_or(Body::is_end_stream)
    }
}

impl Piece {
    fn into_frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Trailers(_) => 0,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(sending) = &mut self.0 else {
            return Poll::Ready(None);
        };
        if let Err(unwanted) = ready!(sending.poll_wanted(context)) {
            return Poll::Ready(Some(Err(unwanted.into())));
        }
        let frame = sending.poll_source(context);
        sending.source.note(&frame);
        if matches!(frame, Poll::Ready(Some(Ok(_)))) && self.is_end_stream() {
            if let Some(sending) = &self.0 {
                sending.source.progress.enter(Phase::Upstream);
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        let ended = |sending: &Sending| sending.again.is_empty() && sending.source.is_end_stream();
        self.0.as_deref().is_none_or(ended)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(sending) = &self.0 else {
            return SizeHint::with_exact(0);
        };
        let body = sending.source.body.borrow();
        let rest = body.as_ref().map(Body::size_hint).unwrap_or_default();
        let again: u64 = sending.again.iter().map(Piece::length).sum();
        rest.exact()
            .map_or_else(SizeHint::new, |rest| SizeHint::with_exact(rest + again))
    }
}

/// Whom a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client has to send more: its limits are not ours.
    Client,
    /// The upstream has to take what it was given.
    Writing,
    /// All is sent; the upstream has to answer.
    Upstream,
}

/// Why an upload broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadFailure {
    TooLarge,
    ClientGone,
}

/// How far an upload has come, seen from outside of it.
pub(super) struct Progress {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    failure: Cell<Option<UploadFailure>>,
}

impl Progress {
    fn new() -> Self {
        Self {
            phase: Cell::new(Phase::Writing),
            since: Cell::new(Instant::now()),
            failure: Cell::new(None),
        }
    }

    pub(super) fn failure(&self) -> Option<UploadFailure> {
        self.failure.get()
    }

    /// When the upstream will have been silent for too long, as things stand.
    pub(super) fn deadline(&self, read: Duration, write: Duration) -> Instant {
        match self.phase.get() {
            Phase::Client => Instant::now() + read,
            Phase::Writing => self.since.get() + write,
            Phase::Upstream => self.since.get() + read,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
    }

    fn note(&self, frame: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) {
        match frame {
            Poll::Pending => self.phase.set(Phase::Client),
            Poll::Ready(Some(Ok(_))) => self.enter(Phase::Writing),
            Poll::Ready(None) => self.enter(Phase::Upstream),
            Poll::Ready(Some(Err(error))) => {
                let too_large = error.downcast_ref::<TooLarge>().is_some();
                let failure = if too_large {
                    UploadFailure::TooLarge
                } else {
                    UploadFailure::ClientGone
                };
                self.failure.set(Some(failure));
            }
        }
    }
}

/// Sends on with `poll` after the response has begun; says whether all was sent. Whoever holds the other end of `dismissed`
/// has it go on to its end by a word, and ends it by going without one.
pub(super) async fn send_on(
    dismissed: oneshot::Receiver<()>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<bool>,
) -> bool {
    let mut dismissed = Some(dismissed);
    poll_fn(|context| {
        match dismissed.as_mut().map(|it| Pin::new(it).poll(context)) {
            Some(Poll::Ready(Err(_))) => return Poll::Ready(false),
            Some(Poll::Ready(Ok(()))) => dismissed = None,
            Some(Poll::Pending) | None => {}
        }
        poll(context)
    })
    .await
}
