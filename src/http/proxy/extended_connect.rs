//! A WebSocket as a stream of an HTTP/2 upstream: extended CONNECT (RFC 8441), whatever HTTP its client speaks.

use std::future::Future as _;
use std::pin::pin;
use std::task::Context;

use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use super::exchange::{Answer, Exchange, Failure, Trouble};
use super::http2::Lease;
use super::patience::Patience;
use super::pool::Place;
use super::sender::{Incoming, SendError, for_http2, send_request};
use super::switch::{BROKEN, open_tunnel};
use super::upgrade::Upgrade;
use super::upload::Upload;
use super::websocket_key::Key;
use super::{Stream, Tunnel};

const NAME: &str = "websocket";

/// The bytes of a stream.
pub struct WebSocket {
    io: TokioIo<Upgraded>,
    /// Its place on the connection.
    _lease: Lease,
}

impl WebSocket {
    pub(super) fn io(&mut self) -> &mut TokioIo<Upgraded> {
        &mut self.io
    }
}

impl Exchange<'_> {
    /// Asks the server at `place` for a WebSocket. Once the request is on its way there is no other try, unless the
    /// server has not looked at it.
    pub(super) async fn connect_websocket(
        &self,
        place: &Place,
        upgrade: &Upgrade,
        lease: Lease,
    ) -> Result<Answer, Failure> {
        let target = self.target(place.member())?;
        let message = self.message(place.member(), &target, false);
        // By HTTP/2 no key is needed; a client of HTTP/1.1 waits for the answer to its own.
        let key = match upgrade {
            Upgrade::Protocols(_) => match Key::of_client(message.headers) {
                Some(key) => Some(key),
                None => return Err(Trouble::Request(StatusCode::BAD_REQUEST).ends()),
            },
            Upgrade::WebSocket(_) => None,
        };
        let request = ask(for_http2(&message, Upload::empty(), lease.scheme()));
        self.note_sent();
        let mut sending = pin!(send_request(lease, request));
        let mut patience = Patience::default();
        let poll = |context: &mut Context<'_>| sending.as_mut().poll(context);
        match self.in_time(poll, &mut patience, None).await {
            None => Err(Trouble::Late.ends()),
            Some(Ok(response)) => self.accept_websocket(upgrade, key, response).await,
            Some(Err(SendError::Unsent(_) | SendError::Refused)) => {
                Err(Trouble::Reset.spares(Upload::empty()))
            }
            Some(Err(SendError::Silent | SendError::Unsound)) => Err(BROKEN),
        }
    }

    async fn accept_websocket(
        &self,
        upgrade: &Upgrade,
        key: Option<Key>,
        response: Response<Incoming>,
    ) -> Result<Answer, Failure> {
        if !response.status().is_success() {
            return Ok(Answer::Response(response));
        }
        let (mut parts, incoming) = response.into_parts();
        let opened = parts.extensions.remove::<OnUpgrade>();
        let (Some(opened), Incoming::Http2(_, lease)) = (opened, incoming) else {
            return Err(BROKEN);
        };
        let io = TokioIo::new(opened.await.map_err(|_| BROKEN)?);
        let tunnel = Tunnel {
            upstream: Stream::WebSocket(Box::new(WebSocket { io, _lease: lease })),
            early: bytes::Bytes::new(),
            idle: self.idle,
            websocket: true,
            occupancy: None,
        };
        let chosen = Some(HeaderValue::from_static(NAME));
        let mut response = open_tunnel(upgrade, chosen, tunnel, parts);
        if let Some(key) = key {
            let headers = response.headers_mut();
            headers.insert(SEC_WEBSOCKET_ACCEPT, key.acceptance());
        }
        Ok(Answer::Switch(response))
    }
}

/// Makes an HTTP/1.1 upgrade an extended CONNECT.
fn ask(mut request: Request<Upload>) -> Request<Upload> {
    *request.method_mut() = Method::CONNECT;
    let protocol = Protocol::from_static(NAME);
    request.extensions_mut().insert(protocol);
    for name in [UPGRADE, SEC_WEBSOCKET_KEY] {
        request.headers_mut().remove(name);
    }
    request
}
