//! A connection that takes a request: it alone (HTTP/1.1), or one among many (HTTP/2).

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};

use super::headers;
use super::http1::{self, Broken, Link, Message};
use super::http2::{self, Call, Lease};
use super::server::Server;
use super::upload::Upload;
use crate::http::body::BodyError;
use crate::http::fields;

pub(super) enum Sender {
    Http1(Link),
    /// A place on a connection that others use, too.
    Http2(Lease),
}

/// A response body, on the connection that it comes by.
pub(super) enum Incoming {
    Http1(http1::Incoming),
    Http2(http2::Incoming),
}

/// Why a request has no response.
pub(super) enum SendError {
    /// Nothing of it was sent: here it is.
    Unsent(Upload),
    /// The upstream did not look at it.
    Refused,
    /// The connection ended before a response.
    Silent,
    /// Its stream was reset before a response.
    GivenUp,
    /// What came is no sound response, or the request's body broke off.
    Unsound,
}

impl Sender {
    /// Sends a request that is made for HTTP/1.1 and has no body.
    pub(super) async fn ask(self, message: &Message<'_>) -> Result<Response<Incoming>, SendError> {
        let upload = Upload::empty();
        match self {
            Self::Http1(link) => match http1::send(link, message, upload, &|_| ()).await {
                Ok(response) => Ok(response.map(Incoming::Http1)),
                Err(broken) => Err(broken.into()),
            },
            Self::Http2(lease) => {
                let call = Call::new(lease, message, upload, None, &|_| ());
                let mut call = call.map_err(SendError::Unsent)?;
                let outcome = poll_fn(|context| call.poll_head(context)).await;
                Ok(call.finish(outcome)?.map(Incoming::Http2))
            }
        }
    }
}

impl From<Broken> for SendError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unsent(upload) => Self::Unsent(upload),
            Broken::Silent(error) => {
                tracing::debug!(%error, "no response from the upstream");
                Self::Silent
            }
            Broken::Unsound(error) => {
                tracing::debug!(%error, "no sound response from the upstream");
                Self::Unsound
            }
        }
    }
}

impl Incoming {
    /// Takes hop-by-hop fields away; false when `headers` say more than one thing about where the body ends, or nothing
    /// that we can undo, or have what is no name.
    pub(super) fn is_clear(&self, headers: &mut HeaderMap) -> bool {
        match self {
            // Seen to when it was read.
            Self::Http1(_) => true,
            Self::Http2(_) => {
                let clear = fields::tidy(headers) && !headers::is_misframed(headers);
                headers::strip_hop_by_hop(headers);
                clear
            }
        }
    }

    /// The whole body, when that is here.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        match self {
            Self::Http1(incoming) => incoming.take_whole(),
            Self::Http2(incoming) => incoming.take_whole(),
        }
    }

    /// The response is over: keeps the connection for the next request of `server`, if it may serve one.
    pub(super) fn give_back(self, server: &Rc<Server>) {
        match self {
            Self::Http1(incoming) => incoming.give_back(server),
            Self::Http2(incoming) => incoming.give_back(),
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Http1(incoming) => incoming.poll_frame(context),
            Self::Http2(incoming) => incoming.poll_frame(context),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }
}
