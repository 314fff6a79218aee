//! One request sent to an upstream, again where that is safe, and its response.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};

use super::balance::{self, Member, Pools};
use super::body::{Download, Progress, Upload, UploadFailure};
use super::connect::connect;
use super::route::{Target, upstream_target};
use super::sender::Sender;
use super::upgrade::Upgrade;
use super::{headers, http2};
use crate::config::types::{Proxy, Route};
use crate::http::admission;
use crate::http::body::{Body, RequestBody};
use crate::http::service::Connection;

/// How often a request is sent at most, and how many servers are asked for a connection.
const MAX_ATTEMPTS: usize = 3;

/// What is the same for all attempts.
pub(super) struct Exchange<'a> {
    route: Option<&'a Route>,
    method: Method,
    /// As the client sent it.
    uri: Uri,
    /// For the upstream, `Host` and framing excepted.
    headers: HeaderMap,
    /// The client's, when it is to be preserved.
    host: Option<HeaderValue>,
    pub(super) connect: Duration,
    read: Duration,
    write: Duration,
    /// Of a tunnel.
    pub(super) idle: Duration,
    /// What the client wants to speak instead of HTTP.
    upgrade: Option<Upgrade>,
    sent: Cell<usize>,
}

/// Why an attempt gave no response.
pub(super) enum Failure {
    /// Nothing was sent, or it does no harm to send it again.
    Again {
        upload: Upload,
        status: StatusCode,
    },
    Final(StatusCode),
}

/// The answer of one of the servers that `target` names; else 502, 504, or what is wrong with the request.
pub(in crate::http) async fn forward(
    proxy: &Proxy,
    pools: &Pools,
    target: Target,
    request: Request<RequestBody>,
    connection: &Connection,
) -> Result<Response<Body>, StatusCode> {
    let members = pools.members(target.pool(proxy));
    let host = admission::requested_authority(&request)
        .unwrap_or_default()
        .to_owned();
    let route = target.route(proxy);
    let upgrade = Upgrade::wanted(&request, route)?;
    let (parts, body) = request.into_parts();
    let exchange = Exchange::new(proxy, route, parts, &host, connection, upgrade);
    let mut upload = Upload::new(body);
    let mut tried = Vec::new();
    let mut outcome = StatusCode::BAD_GATEWAY;
    while tried.len() < MAX_ATTEMPTS && exchange.may_send() {
        let Some((index, member)) = balance::next(members, &tried) else {
            break;
        };
        tried.push(index);
        match exchange.attempt(member, upload).await {
            Ok(response) => return Ok(response),
            Err(Failure::Final(status)) => return Err(status),
            Err(Failure::Again {
                upload: unsent,
                status,
            }) => (upload, outcome) = (unsent, status),
        }
    }
    Err(outcome)
}

impl<'a> Exchange<'a> {
    fn new(
        proxy: &Proxy,
        route: Option<&'a Route>,
        parts: Parts,
        host: &str,
        connection: &Connection,
        upgrade: Option<Upgrade>,
    ) -> Self {
        let (mut method, mut headers) = (parts.method, parts.headers);
        headers.remove(HOST);
        headers::rewrite_request(
            &mut headers,
            parts.version,
            host,
            connection,
            &proxy.headers,
        );
        if let Some(upgrade) = &upgrade {
            upgrade.ask(&mut method, &mut headers);
        }
        let preserved = proxy.headers.preserve_host && !host.is_empty();
        Self {
            route,
            method,
            uri: parts.uri,
            headers,
            host: preserved
                .then(|| HeaderValue::from_str(host).ok())
                .flatten(),
            connect: proxy.timeout.connect,
            read: route
                .and_then(|route| route.timeout)
                .unwrap_or(proxy.timeout.read),
            write: proxy.timeout.write,
            idle: proxy.timeout.tunnel,
            upgrade,
            sent: Cell::new(0),
        }
    }

    pub(super) fn note_sent(&self) {
        self.sent.set(self.sent.get() + 1);
    }

    fn may_send(&self) -> bool {
        self.sent.get() < MAX_ATTEMPTS
    }

    /// By an idle connection first; it may be closed already, so a new one is next.
    async fn attempt(&self, member: &Member, upload: Upload) -> Result<Response<Body>, Failure> {
        if let Some(upgrade) = &self.upgrade {
            return Box::pin(self.switch(member, upgrade)).await;
        }
        let mut upload = upload;
        if let Some(sender) = member.server.take_idle() {
            match self.send(member, sender, upload).await {
                Err(Failure::Again { upload: unsent, .. }) if self.may_send() => upload = unsent,
                result => return result,
            }
        }
        loop {
            // A request on a connection that stands needs none of this room.
            let sender = match Box::pin(connect(&member.server, self.connect)).await {
                Ok(sender) => sender,
                Err(error) => {
                    member.server.avoid();
                    let status = error.status();
                    return Err(Failure::Again { upload, status });
                }
            };
            let shared = sender.is_shared();
            match self.send(member, sender, upload).await {
                // Refused, perhaps on a connection that was about to end.
                Err(Failure::Again { upload: unsent, .. }) if shared && self.may_send() => {
                    upload = unsent;
                }
                result => return result,
            }
        }
    }

    async fn send(
        &self,
        member: &Member,
        mut sender: Sender,
        upload: Upload,
    ) -> Result<Response<Body>, Failure> {
        let progress = upload.progress();
        let empty = upload.is_empty();
        let request = self.request(member, upload)?;
        self.note_sent();
        let sending = sender.try_send_request(request);
        let Some(sent) = self.in_time(sending, progress.as_deref()).await else {
            return Err(Failure::Final(StatusCode::GATEWAY_TIMEOUT));
        };
        match sent {
            Ok(response) => self.receive(member, sender, response),
            Err(mut error) => match error.take_message() {
                Some(unsent) => {
                    let upload = unsent.into_body();
                    Err(Failure::Again {
                        upload,
                        status: StatusCode::BAD_GATEWAY,
                    })
                }
                None => {
                    let error = error.into_error();
                    let idempotent = self.method.is_idempotent() && !error.is_parse();
                    let repeatable = empty && (idempotent || http2::was_refused(&error));
                    Err(failure(&error, progress.as_deref(), repeatable))
                }
            },
        }
    }

    pub(super) fn request(
        &self,
        member: &Member,
        upload: Upload,
    ) -> Result<Request<Upload>, Failure> {
        let uri = upstream_target(&self.uri, self.route, &member.base_path)
            .ok_or(Failure::Final(StatusCode::BAD_REQUEST))?;
        let mut headers = self.headers.clone();
        if !headers.contains_key(HOST) {
            headers.insert(
                HOST,
                self.host
                    .clone()
                    .unwrap_or_else(|| member.authority.clone()),
            );
        }
        frame(&mut headers, &self.method, &upload);
        let mut request = Request::new(upload);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// What `sending` comes to; None when the upstream was silent for too long.
    pub(super) async fn in_time<F: Future>(
        &self,
        sending: F,
        progress: Option<&Progress>,
    ) -> Option<F::Output> {
        let mut sending = pin!(sending);
        let first = if progress.is_some() {
            self.read.min(self.write)
        } else {
            self.read
        };
        let mut timer = pin!(sleep(first));
        loop {
            tokio::select! {
                biased;
                output = &mut sending => return Some(output),
                () = &mut timer => {
                    let deadline = progress?.deadline(self.read, self.write);
                    if deadline <= Instant::now() {
                        return None;
                    }
                    timer.as_mut().reset(deadline);
                }
            }
        }
    }

    pub(super) fn receive(
        &self,
        member: &Member,
        sender: Sender,
        response: Response<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let (mut parts, incoming) = response.into_parts();
        if parts.status.is_informational() || headers::is_misframed(&parts.headers) {
            return Err(Failure::Final(StatusCode::BAD_GATEWAY));
        }
        headers::rewrite_response(&mut parts.headers, parts.version);
        if matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        ) {
            parts.headers.remove(CONTENT_LENGTH);
        }
        let server: Rc<_> = member.server.clone();
        let body = if incoming.is_end_stream() {
            server.give_back(sender);
            Body::Empty
        } else {
            Body::Stream(Box::pin(Download::new(incoming, sender, server, self.read)))
        };
        parts.version = Version::HTTP_11;
        parts.extensions = http::Extensions::new();
        Ok(Response::from_parts(parts, body))
    }
}

/// Says how long the body is, as far as it is known; hyper would take a GET of unknown length for an empty one.
fn frame(headers: &mut HeaderMap, method: &Method, upload: &Upload) {
    if upload.is_empty() {
        let meaningful = [Method::POST, Method::PUT, Method::PATCH].contains(method);
        headers.remove(CONTENT_LENGTH);
        if meaningful {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        return;
    }
    match upload.size_hint().exact() {
        Some(length) => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from(length))),
        None => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// The client's fault, a reason to try again, or the upstream's fault.
fn failure(error: &hyper::Error, progress: Option<&Progress>, repeatable: bool) -> Failure {
    tracing::debug!(%error, "no response from the upstream");
    match progress.and_then(Progress::failure) {
        Some(UploadFailure::TooLarge) => Failure::Final(StatusCode::PAYLOAD_TOO_LARGE),
        Some(UploadFailure::ClientGone) => Failure::Final(StatusCode::BAD_REQUEST),
        None if repeatable => Failure::Again {
            upload: Upload::empty(),
            status: StatusCode::BAD_GATEWAY,
        },
        None => Failure::Final(StatusCode::BAD_GATEWAY),
    }
}
