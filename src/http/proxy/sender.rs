//! A connection that takes requests: one after the other (HTTP/1.1), or many at a time (HTTP/2).

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};

use super::http2::Lease;
use super::upload::Upload;

type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

pub(super) enum Sender {
    Http1(http1::SendRequest<Upload>),
    /// A place on a connection that others use, too.
    Http2(Lease),
}

impl Sender {
    /// Whether others send on the same connection.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends `request`, which is made for HTTP/1.1.
    pub(super) async fn try_send_request(&mut self, request: Request<Upload>) -> Sent {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(lease) => {
                let request = for_http2(request, lease.scheme());
                lease.sender().try_send_request(request).await
            }
        }
    }
}

/// The same request as HTTP/2 has it (RFC 9113 section 8.3.1).
fn for_http2(mut request: Request<Upload>, scheme: Scheme) -> Request<Upload> {
    let headers = request.headers_mut();
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    let host = headers.remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(HeaderValue::as_bytes(&host)).ok());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = authority.or(Some(Authority::from_static("localhost")));
    let target = request.uri().path_and_query().cloned();
    parts.path_and_query = target.or(Some(PathAndQuery::from_static("/")));
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    request
}
