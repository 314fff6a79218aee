//! A request for another protocol: on a connection of its own, sent once, and a tunnel when the upstream agrees.

use std::future::Future as _;
use std::pin::pin;
use std::task::Context;

use http::header::UPGRADE;
use http::{Response, StatusCode};
use tokio::time::Instant;

use super::connect::open;
use super::exchange::{Answer, Exchange, Failure, Trouble};
use super::http1::{self, Broken, Link};
use super::patience::Patience;
use super::pool::Place;
use super::sender::Incoming;
use super::upgrade::{Upgrade, is_websocket};
use super::upload::Upload;
use super::{Tunnel, headers};

const BROKEN: Failure = Failure {
    trouble: Trouble::Reset,
    unsent: None,
};

impl Exchange<'_> {
    /// Asks the server at `place` for the switch. Once the request is on its way there is no other try.
    pub(super) async fn switch(&self, place: &Place, upgrade: &Upgrade) -> Result<Answer, Failure> {
        let stream = open(place.server(), Instant::now() + self.connect, false).await;
        let stream = stream.map_err(|error| Trouble::from(error).spares(Upload::empty()))?;
        let target = self.target(place.member())?;
        let message = self.message(place.member(), &target, false);
        self.note_sent();
        let hear = |interim| self.pass(interim, place.member());
        let link = Link::new(stream);
        let mut sending = pin!(http1::send(link, &message, Upload::empty(), &hear));
        let mut patience = Patience::default();
        let poll = |context: &mut Context<'_>| sending.as_mut().poll(context);
        let Some(answered) = self.in_time(poll, &mut patience, None).await else {
            return Err(Trouble::Late.ends());
        };
        let response = answered.map_err(|broken| {
            if let Broken::Silent(error) = broken {
                tracing::debug!(%error, "no answer to an upgrade from the upstream");
            }
            BROKEN
        })?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.tunnel(upgrade, response).map(Answer::Switch);
        }
        if !upgrade.may_decline_with(response.status()) {
            return Err(BROKEN);
        }
        Ok(Answer::Response(response.map(Incoming::Http1)))
    }

    fn tunnel(
        &self,
        upgrade: &Upgrade,
        response: Response<http1::Incoming>,
    ) -> Result<Response<Tunnel>, Failure> {
        let (parts, incoming) = response.into_parts();
        let mut headers = parts.headers;
        if !upgrade.is_answered_by(&headers) {
            return Err(BROKEN);
        }
        let chosen = headers.get(UPGRADE).cloned();
        let (upstream, early) = incoming.into_stream().ok_or(BROKEN)?;
        let tunnel = Tunnel {
            upstream,
            early,
            idle: self.idle,
            websocket: is_websocket(&headers),
            occupancy: None,
        };
        headers::strip_hop_by_hop(&mut headers);
        headers::rewrite_response(&mut headers, parts.version);
        let status = upgrade.answer(chosen, &mut headers);
        let mut response = Response::new(tunnel);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
