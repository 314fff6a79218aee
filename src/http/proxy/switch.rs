//! A request for another protocol: on a connection of its own, sent once, and a tunnel when the upstream agrees.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use http::header::UPGRADE;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::connect::{keep_driving, open};
use super::exchange::{Answer, Exchange, Failure, Trouble};
use super::pool::Place;
use super::sender::Sender;
use super::upgrade::{Upgrade, is_websocket};
use super::upload::Upload;
use super::{Stream, Tunnel, headers};

const BROKEN: Failure = Failure {
    trouble: Trouble::Reset,
    unsent: None,
};

type Connection = http1::Connection<TokioIo<Stream>, Upload>;

impl Exchange<'_> {
    /// Asks the server at `place` for the switch. Once the request is on its way there is no other try.
    pub(super) async fn switch(&self, place: &Place, upgrade: &Upgrade) -> Result<Answer, Failure> {
        let stream = open(place.server(), Instant::now() + self.connect, false).await;
        let stream = stream.map_err(|error| Trouble::from(error).spares(Upload::empty()))?;
        let request = self.request(place.member(), Upload::empty())?;
        let (mut sender, mut connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| BROKEN)?;
        self.note_sent();
        let sending = answer(sender.send_request(request), &mut connection);
        let Some(answered) = self.in_time(sending, None).await else {
            return Err(Trouble::Late.ends());
        };
        let (response, ended) = answered.map_err(|error| {
            tracing::debug!(%error, "no answer to an upgrade from the upstream");
            BROKEN
        })?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return match ended {
                true => self
                    .tunnel(upgrade, response, connection)
                    .map(Answer::Switch),
                false => Err(BROKEN),
            };
        }
        if !upgrade.may_decline_with(response.status()) {
            return Err(BROKEN);
        }
        if !ended {
            keep_driving(connection);
        }
        Ok(Answer::Response(Sender::Http1(sender), response))
    }

    fn tunnel(
        &self,
        upgrade: &Upgrade,
        response: Response<Incoming>,
        connection: Connection,
    ) -> Result<Response<Tunnel>, Failure> {
        let mut headers = response.headers().clone();
        if !upgrade.is_answered_by(&headers) {
            return Err(BROKEN);
        }
        let chosen = headers.get(UPGRADE).cloned();
        let parts = connection.into_parts();
        let tunnel = Tunnel {
            upstream: parts.io.into_inner(),
            early: parts.read_buf,
            idle: self.idle,
            websocket: is_websocket(&headers),
            occupancy: None,
        };
        headers::rewrite_response(&mut headers, response.version());
        let status = upgrade.answer(chosen, &mut headers);
        let mut response = Response::new(tunnel);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Drives `connection` until `sending` has its answer; says whether the connection ended with it, as it does when
/// the protocol was switched.
async fn answer<F>(
    sending: F,
    connection: &mut Connection,
) -> hyper::Result<(Response<Incoming>, bool)>
where
    F: Future<Output = hyper::Result<Response<Incoming>>>,
{
    let mut sending = pin!(sending);
    let mut ended = false;
    poll_fn(|context| {
        if !ended {
            ended = Pin::new(&mut *connection).poll(context).is_ready();
        }
        match sending.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(answer.map(|response| (response, ended))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
