//! A connection that takes a request: it alone (HTTP/1.1), or one among many (HTTP/2).

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version};
use http_body::{Body as _, Frame, SizeHint};

use super::headers;
use super::http1::{self, Broken, Extent, Link, Message};
use super::http2::{self, Lease};
use super::server::Server;
use super::upload::Upload;
use crate::http::body::BodyError;

pub(super) enum Sender {
    Http1(Link),
    /// A place on a connection that others use, too.
    Http2(Lease),
}

/// A response body, on the connection that it comes by.
pub(super) enum Incoming {
    Http1(http1::Incoming),
    Http2(hyper::body::Incoming, Lease),
}

/// Why a request has no response.
pub(super) enum SendError {
    /// Nothing of it was sent: here it is.
    Unsent(Upload),
    /// The upstream says that it did not look at it.
    Refused,
    /// The connection ended before a response.
    Silent,
    /// What came is no sound response, or the request's body broke off.
    Unsound,
}

impl Sender {
    /// Whether others send on the same connection.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends a request that is made for HTTP/1.1 and has no body.
    pub(super) async fn ask(self, message: &Message<'_>) -> Result<Response<Incoming>, SendError> {
        let upload = Upload::empty();
        match self {
            Self::Http1(link) => match http1::send(link, message, upload, &|_| ()).await {
                Ok(response) => Ok(response.map(Incoming::Http1)),
                Err(broken) => Err(broken.into()),
            },
            Self::Http2(lease) => send_multiplexed(lease, message, upload).await,
        }
    }
}

/// Sends a request that is made for HTTP/1.1 among others.
pub(super) async fn send_multiplexed(
    lease: Lease,
    message: &Message<'_>,
    upload: Upload,
) -> Result<Response<Incoming>, SendError> {
    let request = for_http2(message, upload, lease.scheme());
    send_request(lease, request).await
}

/// Sends a request that is made for HTTP/2.
pub(super) async fn send_request(
    mut lease: Lease,
    request: Request<Upload>,
) -> Result<Response<Incoming>, SendError> {
    match lease.sender().try_send_request(request).await {
        Ok(response) => Ok(response.map(|incoming| Incoming::Http2(incoming, lease))),
        Err(mut error) => Err(match error.take_message() {
            Some(unsent) => SendError::Unsent(unsent.into_body()),
            None => {
                let error = error.into_error();
                tracing::debug!(%error, "no response from the upstream");
                if http2::was_refused(&error) {
                    SendError::Refused
                } else if error.is_parse() {
                    SendError::Unsound
                } else {
                    SendError::Silent
                }
            }
        }),
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
    /// that we can undo.
    pub(super) fn is_clear(&self, headers: &mut HeaderMap) -> bool {
        match self {
            // Seen to when it was read.
            Self::Http1(_) => true,
            Self::Http2(..) => {
                let clear = !headers::is_misframed(headers);
                headers::strip_hop_by_hop(headers);
                clear
            }
        }
    }

    /// The whole body, when that is here.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        match self {
            Self::Http1(incoming) => incoming.take_whole(),
            Self::Http2(incoming, _) => incoming.is_end_stream().then(Bytes::new),
        }
    }

    /// Keeps the connection for the next request of `server`, if it may serve one.
    pub(super) fn give_back(self, server: &Rc<Server>) {
        match self {
            Self::Http1(incoming) => incoming.give_back(server),
            Self::Http2(_, lease) => drop(lease),
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Http1(incoming) => incoming.poll_frame(context),
            Self::Http2(incoming, _) => Pin::new(incoming)
                .poll_frame(context)
                .map_err(BodyError::from),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(incoming, _) => incoming.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(incoming, _) => incoming.size_hint(),
        }
    }
}

/// The same request as HTTP/2 has it (RFC 9113 section 8.3.1).
pub(super) fn for_http2(message: &Message<'_>, upload: Upload, scheme: Scheme) -> Request<Upload> {
    let mut headers = message.headers.clone();
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    if let Extent::Length(length) = Extent::of(message.method, &upload) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let named = headers.remove(HOST);
    let host = named.as_ref().unwrap_or(message.host);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Authority::try_from(host.as_bytes())
        .ok()
        .or(Some(Authority::from_static("localhost")));
    let target = message.target.path_and_query().cloned();
    parts.path_and_query = target.or(Some(PathAndQuery::from_static("/")));
    let mut request = Request::new(upload);
    *request.method_mut() = message.method.clone();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    request
}
