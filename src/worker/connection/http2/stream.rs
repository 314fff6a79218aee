//! A request on a stream, until its response is on the way.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use h2::RecvStream;
use h2::server::SendResponse;
use http::header::CONTENT_LENGTH;
use http::{Method, Request};
use http_body::Body as _;

use super::client_stream::ClientStream;
use super::head;
use super::piece::Piece;
use super::pipe::Pipe;
use super::reply::Reply;
use crate::http::body::Incoming;
use crate::http::in_flight::InFlight;
use crate::http::interim::Interim;
use crate::http::service::{Answered, Answering, Later};
use crate::worker::connection::request::{self, UnderWay};
use crate::worker::tunnel;
use crate::worker::waiting::Place;

/// Bytes of a response body that goes out without a task of its own.
const SMALL: u64 = 16 * 1024;

/// Answers a request; what has to be waited for becomes a task.
pub fn answer(
    context: &request::Context,
    request: Request<RecvStream>,
    sender: SendResponse<Piece>,
) {
    let reply = Rc::new(Reply::new(sender));
    let client: Rc<dyn Interim> = reply.clone();
    let (request, from_client) = receive(request, &client);
    let (under_way, answering) = request::begin(context.clone(), request, Some(client));
    let stream = Stream {
        context: context.clone(),
        reply,
        under_way,
        from_client,
    };
    match answering {
        Answering::Now(answered) => stream.respond_now(answered),
        Answering::Later(later) => drop(tokio::task::spawn_local(stream.wait(later))),
    }
}

/// Takes the body out of a request; what follows CONNECT is none, and comes apart.
fn receive(
    request: Request<RecvStream>,
    client: &Rc<dyn Interim>,
) -> (Request<Incoming>, Option<RecvStream>) {
    let (mut parts, received) = request.into_parts();
    if parts.method == Method::CONNECT {
        return (Request::from_parts(parts, Incoming::Empty), Some(received));
    }
    let body = Incoming::over_http2(received, &mut parts.headers, client);
    (Request::from_parts(parts, body), None)
}

fn is_too_slow(place: Option<&Place>, context: &Context<'_>) -> bool {
    place.is_some_and(|place| place.poll_too_slow(context).is_ready())
}

/// A stream whose response has not begun.
struct Stream {
    context: request::Context,
    reply: Rc<Reply>,
    under_way: UnderWay,
    /// After CONNECT.
    from_client: Option<RecvStream>,
}

impl Stream {
    /// Waits for the answer as long as the client does.
    async fn wait(self, later: Later) {
        let (site, place) = (later.site(), self.under_way.place());
        let answered = {
            let mut answered = pin!(later.answered());
            poll_fn(|context| match answered.as_mut().poll(context) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending if is_too_slow(place.as_ref(), context) => {
                    Poll::Ready(Some(self.under_way.time_out(site)))
                }
                Poll::Pending => self.reply.poll_given_up(context).map(|()| None),
            })
            .await
        };
        if let Some(answered) = answered {
            if let Some(pipe) = self.respond(answered) {
                pipe.at(place).await;
            }
        }
    }

    /// Sends what is there in one go, and has a task for what is not.
    fn respond_now(self, answered: Answered) {
        let Some(mut pipe) = self.respond(answered) else {
            return;
        };
        let mut at_once = Context::from_waker(Waker::noop());
        if !pipe.is_within(SMALL) || Pin::new(&mut pipe).poll(&mut at_once).is_pending() {
            tokio::task::spawn_local(pipe);
        }
    }

    /// Sends the head; what is left is the body.
    fn respond(self, answered: Answered) -> Option<Pipe> {
        let responses = &self.context.activity.responses;
        responses.set(responses.get() + 1);
        let (response, tunnel) = self.under_way.finish(answered);
        let (mut parts, body) = response.into_parts();
        head::strip_connection_fields(&mut parts.headers);
        head::date(&mut parts.headers, self.context.activity.now());
        if let (Some(tunnel), Some(from_client)) = (tunnel, self.from_client) {
            parts.headers.remove(CONTENT_LENGTH);
            let to_client = self.reply.respond(parts, false)?;
            let busy = InFlight::new(&self.context.activity.in_flight);
            let activity = self.context.activity;
            let client = ClientStream::new(to_client, from_client, activity);
            tunnel::over_http2(self.context.thread, client, *tunnel, busy);
            return None;
        }
        let ends = body.is_end_stream();
        if let (false, Some(length)) = (ends, body.size_hint().exact()) {
            head::announce_length(&mut parts.headers, length);
        }
        let to_client = self.reply.respond(parts, ends)?;
        (!ends).then(|| Pipe::new(to_client, body, self.context.activity))
    }
}
