//! One request on a connection, until the head of its response is there.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::{Method, Response, StatusCode};

use super::super::expectation::{Expectation, Outcome};
use super::super::interim::Hear;
use super::super::patience::Patience;
use super::super::upload::Upload;
use super::fault::{Broken, Fault};
use super::incoming::Incoming;
use super::link::Link;
use super::outgoing::{Outgoing, Stop};
use super::request::Message;
use super::response::{self, Head};
use super::rest::Rest;
use crate::http::body::BodyError;

/// Most bytes of heads before the final one.
const MAX_INTERIM: usize = 256 * 1024;

/// Sends a request, and gives its response: a final one, or 101. What comes before it goes to `hear`.
pub(in crate::http::proxy) async fn send(
    link: Link,
    message: &Message<'_>,
    upload: Upload,
    hear: Hear<'_>,
) -> Result<Response<Incoming>, Broken> {
    let mut call = Call::new(link, message, upload, None, hear);
    let outcome = poll_fn(|context| call.poll_head(context)).await;
    call.finish(outcome, Patience::default())
}

/// A request that has no response yet. (In a box, as it is too big to be moved about.)
pub(in crate::http::proxy) struct Call<'a> {
    link: Link,
    outgoing: Outgoing,
    method: Method,
    /// There is more to send, as far as is known.
    sending: bool,
    /// Why the upstream takes no more. It may have answered all the same.
    broken: Option<io::Error>,
    /// What came and is no head yet.
    unread: BytesMut,
    /// How much of it was searched for the end of a head.
    searched: usize,
    /// When `unread` is a head and nothing else: what came behind it.
    behind: Option<BytesMut>,
    /// Nothing came.
    silent: bool,
    expectation: Option<Rc<Expectation>>,
    hear: Hear<'a>,
    /// Bytes of heads that it was told.
    interim: usize,
}

/// Why there will be no head.
pub(in crate::http::proxy) enum Ended {
    Unsent,
    Silent(io::Error),
    Fault(Fault),
    Body(BodyError),
}

impl<'a> Call<'a> {
    /// With an `expectation` the upstream's 100 settles it.
    pub(in crate::http::proxy) fn new(
        mut link: Link,
        message: &Message<'_>,
        upload: Upload,
        expectation: Option<Rc<Expectation>>,
        hear: Hear<'a>,
    ) -> Box<Self> {
        let front = std::mem::take(&mut link.head);
        Box::new(Self {
            outgoing: Outgoing::new(front, message, upload),
            link,
            method: message.method.clone(),
            sending: true,
            broken: None,
            unread: BytesMut::new(),
            searched: 0,
            behind: None,
            silent: true,
            expectation,
            hear,
            interim: 0,
        })
    }

    /// Ready once: [`Self::finish`] makes the response of it.
    pub(in crate::http::proxy) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Head, Ended>> {
        self.send(context)?;
        loop {
            if let Some(head) = self.take_head().map_err(Ended::Fault)? {
                return Poll::Ready(Ok(head));
            }
            if let Err(error) = ready!(self.poll_read(context)) {
                return Poll::Ready(Err(self.closed(error)));
            }
            self.silent = false;
        }
    }

    fn send(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        if !self.sending {
            return Ok(());
        }
        match self.outgoing.poll(&self.link.stream, context) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(Stop::Body(error))) => return Err(Ended::Body(error)),
            Poll::Ready(Err(Stop::Write(_))) if self.outgoing.is_untouched() => {
                return Err(Ended::Unsent);
            }
            Poll::Ready(Err(Stop::Write(error))) => self.broken = Some(error),
        }
        self.sending = false;
        Ok(())
    }

    /// The error is none when there is no more to come.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Option<io::Error>>> {
        if !self.unread.is_empty() {
            let bytes = ready!(self.link.poll_read(context))?;
            self.unread.extend_from_slice(&bytes);
            return Poll::Ready(if bytes.is_empty() { Err(None) } else { Ok(()) });
        }
        let mut end = None;
        let cut = |bytes: &[u8]| {
            end = response::end(bytes, 0);
            end.unwrap_or(bytes.len())
        };
        let (first, rest) = ready!(self.link.poll_read_cut(context, cut))?;
        self.behind = end.map(|_| rest);
        self.unread = first;
        Poll::Ready(if self.unread.is_empty() {
            Err(None)
        } else {
            Ok(())
        })
    }

    fn closed(&mut self, error: Option<io::Error>) -> Ended {
        if !self.silent {
            return Ended::Fault(Fault::Truncated);
        }
        let error = self.broken.take().or(error);
        Ended::Silent(error.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))
    }

    /// The head of the final response; interim ones on the way to it are told.
    fn take_head(&mut self) -> Result<Option<Head>, Fault> {
        loop {
            let end = match self.behind {
                Some(_) => Some(self.unread.len()),
                None => response::end(&self.unread, self.searched),
            };
            if end.unwrap_or(self.unread.len()) > response::MAX_HEAD {
                return Err(Fault::HeadTooLarge);
            }
            let Some(end) = end else {
                self.searched = self.unread.len();
                return Ok(None);
            };
            self.searched = 0;
            let head = match self.behind.take() {
                Some(behind) => std::mem::replace(&mut self.unread, behind),
                None => self.unread.split_to(end),
            };
            let head = response::parse(&head.freeze(), &self.method)?;
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Some(head));
            }
            self.interim += end;
            if self.interim > MAX_INTERIM {
                return Err(Fault::Interim);
            }
            self.note(head);
        }
    }

    fn note(&self, head: Head) {
        match &self.expectation {
            _ if head.status != StatusCode::CONTINUE => (self.hear)(head.into_interim()),
            Some(expectation) => expectation.settle(Outcome::Wanted),
            // Nobody has asked.
            None => {}
        }
    }

    /// `patience` goes back to where it came from, the connection.
    pub(in crate::http::proxy) fn finish(
        mut self: Box<Self>,
        outcome: Result<Head, Ended>,
        patience: Patience,
    ) -> Result<Response<Incoming>, Broken> {
        self.link.patience = patience;
        match outcome {
            Ok(head) => Ok(self.respond(head)),
            Err(ended) => Err(self.fail(ended)),
        }
    }

    fn respond(self: Box<Self>, head: Head) -> Response<Incoming> {
        let Self {
            mut link,
            outgoing,
            sending,
            broken,
            unread,
            expectation,
            ..
        } = *self;
        let unmet = expectation.filter(|it| !it.is_settled());
        let rest = match (sending, unmet) {
            (true, Some(unmet)) => Some(Rest::withhold(outgoing, unmet)),
            (true, None) => Some(Rest::send(outgoing, link.stream.clone())),
            (false, _) if broken.is_some() => {
                outgoing.into_upload().let_go();
                None
            }
            (false, _) => {
                link.head = outgoing.into_front();
                None
            }
        };
        let persistent = head.persistent && broken.is_none();
        let incoming = Incoming::new(link, head.body, persistent, unread.freeze(), rest);
        let mut response = Response::new(incoming);
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers;
        response
    }

    fn fail(self: Box<Self>, ended: Ended) -> Broken {
        match ended {
            Ended::Unsent => match self.outgoing.into_unsent() {
                Some(upload) => Broken::Unsent(upload),
                None => Broken::Silent(io::ErrorKind::BrokenPipe.into()),
            },
            Ended::Silent(error) => Broken::Silent(error),
            Ended::Fault(fault) => fault.into(),
            Ended::Body(error) => Broken::Unsound(error),
        }
    }
}
