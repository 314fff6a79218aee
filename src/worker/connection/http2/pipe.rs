//! A response body on its way into a stream, as fast as the client's windows allow (RFC 9113 section 5.2).

use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Buf as _;
use h2::{Reason, SendStream};
use http_body::Body as _;

use super::departure::Departure;
use super::piece::Piece;
use crate::http::body::BodyError;
use crate::worker::activity::Activity;
use crate::worker::waiting::Place;
use crate::worker::wire_body::{BLOCK, WireBody, WireChunk};

/// The rest of a response. What is not sent when it is dropped the client hears of by RST_STREAM.
pub struct Pipe {
    stream: SendStream<Piece>,
    body: WireBody,
    /// Taken from the body, which may end with it, and not sent yet.
    held: Option<(WireChunk, bool)>,
    activity: Rc<Activity>,
    begun: bool,
    /// The body broke off: what came before it is to leave before the client is told.
    breaking: Option<(Departure, Reason)>,
    /// The client had no room for all of the last chunk.
    short: bool,
    /// All was sent, and the client has no room for the end of it.
    leaving: Option<Departure>,
    /// Among those that wait for the client, once it had to.
    place: Option<Place>,
}

/// Whether there is more to send.
enum Step {
    More,
    Over,
}

impl Pipe {
    pub fn new(stream: SendStream<Piece>, body: WireBody, activity: Rc<Activity>) -> Self {
        Self {
            stream,
            body,
            held: None,
            activity,
            begun: false,
            breaking: None,
            short: false,
            leaving: None,
            place: None,
        }
    }

    /// The same, with a place among those that wait for the client.
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// Whether the body is there, and not longer than `most`.
    pub fn is_within(&self, most: u64) -> bool {
        let length = self.body.size_hint().exact();
        self.body.is_at_hand() && length.is_some_and(|length| length <= most)
    }

    /// Ready when nothing is left to be sent, or the client does not want it any more.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            let step = if let Some(departure) = &self.leaving {
                ready!(departure.poll(context));
                Step::Over
            } else if self.breaking.is_some() {
                ready!(self.poll_break_off(context))?
            } else if let Some((chunk, last)) = self.held.take() {
                let length = chunk.remaining().max(1);
                if self.poll_window(length as u64, context)?.is_pending() {
                    self.held = Some((chunk, last));
                    return Poll::Pending;
                }
                self.send(chunk, last)?
            } else {
                ready!(self.poll_body(context))?
            };
            if let Step::Over = step {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Ready when the client takes a byte more, better `wanted`. Only for what is there: a part of the connection's
    /// window that nothing is sent for is lost to the other streams.
    fn poll_window(
        &mut self,
        wanted: u64,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), h2::Error>> {
        if self.stream.capacity() > 0 {
            return Poll::Ready(Ok(()));
        }
        self.stream.reserve_capacity(wanted as usize);
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                // The stream is over.
                None => return Poll::Ready(Err(Reason::CANCEL.into())),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, h2::Error>> {
        // A file is not read for a client that takes nothing.
        if self.body.is_at_hand() && !self.body.is_end_stream() {
            let rest = self.body.size_hint().lower();
            ready!(self.poll_window(rest.clamp(1, BLOCK), context))?;
            self.body.make_room(self.stream.capacity());
        }
        let Poll::Ready(frame) = self.body.poll_part(context) else {
            let reset = ready!(self.stream.poll_reset(context));
            return Poll::Ready(reset.and_then(|reason| Err(reason.into())));
        };
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tracing::debug!(%error, "a response body broke off");
                let (departure, mark) = Departure::new();
                self.stream.send_data(mark, false)?;
                self.breaking = Some((departure, reason(&error)));
                // As long as the client takes its time.
                self.body.owe(true);
                return Poll::Ready(Ok(Step::More));
            }
            None if self.short => {
                let (departure, mark) = Departure::new();
                self.body.owe(true);
                return Poll::Ready(self.send_last(mark, departure));
            }
            None => {
                self.stream.send_data(Piece::nothing(), true)?;
                return Poll::Ready(Ok(Step::Over));
            }
        };
        Poll::Ready(match frame.into_data() {
            Ok(chunk) => {
                // The first one came with the request; and what is at hand is cut as the client's windows allow.
                if std::mem::replace(&mut self.begun, true) && !self.body.is_at_hand() {
                    self.activity.note_piece();
                }
                self.held = Some((chunk, self.body.is_end_stream()));
                Ok(Step::More)
            }
            Err(other) => self.send_trailers(other.into_trailers().unwrap_or_default()),
        })
    }

    /// Ready when the client was told that no more will come.
    fn poll_break_off(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, h2::Error>> {
        if let Some((departure, reason)) = &self.breaking {
            if departure.poll(context).is_pending() {
                let reset = ready!(self.stream.poll_reset(context));
                return Poll::Ready(reset.and_then(|reason| Err(reason.into())));
            }
            self.stream.send_reset(*reason);
        }
        Poll::Ready(Ok(Step::Over))
    }

    /// Ready when the client was too slow, and was told so.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.place.is_none() && self.body.is_owed() {
            self.place = Some(Place::new(&self.activity, self.body.exchange(), None));
        }
        let Some(place) = &self.place else {
            return Poll::Pending;
        };
        ready!(place.poll_too_slow(context));
        tracing::debug!("a response was taken too slowly");
        self.stream.send_reset(Reason::CANCEL);
        Poll::Ready(())
    }

    fn send(&mut self, chunk: WireChunk, last: bool) -> Result<Step, h2::Error> {
        self.short = chunk.remaining() > self.stream.capacity();
        if last && self.short {
            let (departure, _tells) = Departure::with_mark();
            return self.send_last(Piece::Last { chunk, _tells }, departure);
        }
        self.stream.send_data(Piece::Body(chunk), last)?;
        Ok(if last { Step::Over } else { Step::More })
    }

    /// Sends the end, and waits until it has left: who has no room for it is waited for.
    fn send_last(&mut self, piece: Piece, departure: Departure) -> Result<Step, h2::Error> {
        self.stream.send_data(piece, true)?;
        self.leaving = Some(departure);
        Ok(Step::More)
    }

    fn send_trailers(&mut self, trailers: http::HeaderMap) -> Result<Step, h2::Error> {
        self.stream.reserve_capacity(0);
        self.stream.send_trailers(trailers)?;
        Ok(Step::Over)
    }
}

impl Future for Pipe {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(sent) = self.poll_send(context) else {
            return self.poll_too_slow(context);
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a response was not taken");
        }
        Poll::Ready(())
    }
}

/// What the client is told of a body that breaks off: what an upstream told us, where it did.
fn reason(error: &BodyError) -> Reason {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            // What is cut off must not look whole.
            let told = error.reason().filter(|told| *told != Reason::NO_ERROR);
            return told.unwrap_or(Reason::INTERNAL_ERROR);
        }
        cause = error.source();
    }
    Reason::INTERNAL_ERROR
}
