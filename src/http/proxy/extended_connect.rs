//! A WebSocket as a stream of an HTTP/2 upstream: extended CONNECT (RFC 8441), whatever HTTP its client speaks.

use bytes::Bytes;
use h2::ext::Protocol;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::exchange::{Answer, Exchange, Failure, Trouble};
use super::http1::Extent;
use super::http2::{self, Call, Lease};
use super::patience::Patience;
use super::pool::Place;
use super::sender::{Incoming, SendError};
use super::switch::{BROKEN, open_tunnel};
use super::upgrade::Upgrade;
use super::upload::Upload;
use super::websocket_key::Key;
use super::{Stream, Tunnel};
use crate::http::byte_stream::ByteStream;

const NAME: &str = "websocket";

/// The bytes of a stream.
pub struct WebSocket {
    bytes: ByteStream<Bytes>,
    /// Its place on the connection.
    _lease: Lease,
}

impl WebSocket {
    pub(super) fn bytes(&mut self) -> &mut ByteStream<Bytes> {
        &mut self.bytes
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
        let request = ask(http2::head(&message, Extent::None, lease.scheme()));
        let hear = |interim| self.pass(interim, place.member());
        self.note_sent();
        let Some(mut call) = Call::connect(lease, request, &hear) else {
            return Err(Trouble::Reset.spares(Upload::empty()));
        };
        let mut patience = Patience::default();
        let outcome = self.in_time(|context| call.poll_head(context), &mut patience, None);
        match outcome.await.map(|outcome| call.finish(outcome)) {
            None => Err(Trouble::Late.ends()),
            Some(Ok(response)) => self.accept_websocket(upgrade, key, response),
            Some(Err(SendError::Unsent(_) | SendError::Refused)) => {
                Err(Trouble::Reset.spares(Upload::empty()))
            }
            Some(Err(SendError::Silent | SendError::GivenUp | SendError::Unsound)) => Err(BROKEN),
        }
    }

    fn accept_websocket(
        &self,
        upgrade: &Upgrade,
        key: Option<Key>,
        response: Response<http2::Incoming>,
    ) -> Result<Answer, Failure> {
        if !response.status().is_success() {
            return Ok(Answer::Response(response.map(Incoming::Http2)));
        }
        let (parts, incoming) = response.into_parts();
        let (bytes, lease) = incoming.into_bytes().ok_or(BROKEN)?;
        let websocket = WebSocket {
            bytes,
            _lease: lease,
        };
        let tunnel = Tunnel {
            upstream: Stream::WebSocket(Box::new(websocket)),
            early: Bytes::new(),
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
fn ask(mut request: Request<()>) -> Request<()> {
    *request.method_mut() = Method::CONNECT;
    let protocol = Protocol::from_static(NAME);
    request.extensions_mut().insert(protocol);
    request.headers_mut().remove(SEC_WEBSOCKET_KEY);
    request
}
