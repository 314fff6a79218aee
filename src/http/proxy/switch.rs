//! A request for another protocol: on a connection of its own, sent once, and a tunnel when the upstream agrees.

use std::future::Future as _;
use std::pin::pin;
use std::task::Context;

use http::header::UPGRADE;
use http::response::Parts;
use http::{HeaderValue, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::complaints;
use super::connect::{ConnectError, connect, open, scheme_of_http2};
use super::exchange::{Answer, Exchange, Failure, Trouble};
use super::http1::{self, Broken, Link};
use super::http2::Lease;
use super::patience::Patience;
use super::pool::Place;
use super::sender::{Incoming, Sender};
use super::trouble::Seen;
use super::upgrade::{Upgrade, is_websocket};
use super::upload::Upload;
use super::{Tunnel, headers};

pub(super) const BROKEN: Failure = Failure {
    trouble: Trouble::Reset,
    unsent: None,
    seen: Seen::Perhaps,
};

/// Where a protocol may be switched.
enum Way {
    Connection(Link),
    Stream(Lease),
}

impl Exchange<'_> {
    /// Asks the server at `place` for the switch. Once the request is on its way there is no other try.
    pub(super) async fn switch(&self, place: &Place, upgrade: &Upgrade) -> Result<Answer, Failure> {
        let link = match self.way_to_switch(place, upgrade).await {
            Ok(Way::Stream(lease)) => return self.connect_websocket(place, upgrade, lease).await,
            Ok(Way::Connection(link)) => link,
            Err(error) => return Err(Trouble::from(error).spares(Upload::empty())),
        };
        let target = self.target(place.member())?;
        let message = self.message(place.member(), &target, false);
        self.note_sent();
        let hear = |interim| self.pass(interim, place.member());
        let mut sending = pin!(http1::send(link, &message, Upload::empty(), &hear));
        let mut patience = Patience::default();
        let poll = |context: &mut Context<'_>| sending.as_mut().poll(context);
        let Some(answered) = self.in_time(poll, &mut patience, None).await else {
            return Err(Trouble::Late.ends());
        };
        let response = answered.map_err(|broken| {
            complaints::tell(place.server(), &broken);
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

    /// A connection of its own; or a stream, for a WebSocket to an upstream that has them on HTTP/2.
    async fn way_to_switch(&self, place: &Place, upgrade: &Upgrade) -> Result<Way, ConnectError> {
        let (server, deadline) = (place.server(), Instant::now() + self.connect);
        if scheme_of_http2(&server.protocol).is_some() && upgrade.offers_websocket() {
            match connect(server, self.connect).await? {
                Sender::Http1(link) => return Ok(Way::Connection(link)),
                Sender::Http2(lease) => {
                    let settings = timeout_at(deadline, lease.takes_extended_connect());
                    if settings.await.unwrap_or_default() {
                        return Ok(Way::Stream(lease));
                    }
                }
            }
        }
        let opened = open(server, deadline, false).await?;
        Ok(Way::Connection(opened.link()))
    }

    fn tunnel(
        &self,
        upgrade: &Upgrade,
        response: Response<http1::Incoming>,
    ) -> Result<Response<Tunnel>, Failure> {
        let (parts, incoming) = response.into_parts();
        if !upgrade.is_answered_by(&parts.headers) {
            return Err(BROKEN);
        }
        let chosen = parts.headers.get(UPGRADE).cloned();
        let (upstream, early) = incoming.into_stream().ok_or(BROKEN)?;
        let tunnel = Tunnel {
            upstream,
            early,
            idle: self.idle,
            websocket: is_websocket(&parts.headers),
            occupancy: None,
        };
        Ok(open_tunnel(upgrade, chosen, tunnel, parts))
    }
}

/// What the client is answered by when the upstream has agreed to `chosen`; `parts` are its words.
pub(super) fn open_tunnel(
    upgrade: &Upgrade,
    chosen: Option<HeaderValue>,
    tunnel: Tunnel,
    parts: Parts,
) -> Response<Tunnel> {
    let mut headers = parts.headers;
    headers::strip_hop_by_hop(&mut headers);
    headers::rewrite_response(&mut headers, parts.version);
    let status = upgrade.answer(chosen, &mut headers);
    let mut response = Response::new(tunnel);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
