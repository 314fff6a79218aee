//! One request sent to one upstream server, and its response.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};

use super::Tunnel;
use super::body::Download;
use super::connect::connect;
use super::expectation::{self, Expectation, Outcome};
use super::pool::{Member, Place};
use super::redirect;
use super::route::upstream_target;
use super::sender::Sender;
pub(super) use super::trouble::{Failure, Trouble};
use super::trouble::{failure, refusal};
use super::upgrade::Upgrade;
use super::upload::{Progress, Upload};
use super::{headers, http2};
use crate::config::types::{Proxy, Route};
use crate::http::body::Body;
use crate::http::service::Connection;

/// How often a request is sent at most, beyond the configured attempts: idle connections may be closed already.
const STALE_CONNECTIONS: usize = 2;

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
    rewrite_redirects: bool,
    /// Of a tunnel.
    pub(super) idle: Duration,
    /// What the client wants to speak instead of HTTP.
    upgrade: Option<Upgrade>,
    /// The client waits to be told that its body is wanted.
    expects: bool,
    sent: Cell<usize>,
    may_send: usize,
}

/// What an upstream said.
pub(super) enum Answer {
    Response(Sender, Response<Incoming>),
    /// The same, without the body that it waited for.
    Early(Sender, Response<Incoming>, Arc<Expectation>),
    /// Another protocol, from here on.
    Switch(Response<Tunnel>),
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        proxy: &Proxy,
        route: Option<&'a Route>,
        parts: Parts,
        host: &str,
        connection: &Connection,
        upgrade: Option<Upgrade>,
    ) -> Self {
        let (mut method, mut headers) = (parts.method, parts.headers);
        headers.remove(HOST);
        let expects = expectation::is_expected(&headers);
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
            rewrite_redirects: proxy.rewrite_redirects,
            idle: proxy.timeout.tunnel,
            upgrade,
            expects,
            sent: Cell::new(0),
            may_send: proxy.retry.attempts as usize + 1 + STALE_CONNECTIONS,
        }
    }

    pub(super) fn note_sent(&self) {
        self.sent.set(self.sent.get() + 1);
    }

    fn may_send(&self) -> bool {
        self.sent.get() < self.may_send
    }

    /// Sends the request to the server at `place`.
    pub(super) async fn attempt(
        &self,
        place: Place,
        upload: Upload,
    ) -> Result<Response<Body>, Failure> {
        let answer = match &self.upgrade {
            Some(upgrade) => Box::pin(self.switch(&place, upgrade)).await,
            None => self.reach(&place, upload).await,
        };
        match answer {
            Ok(answer) => {
                place.note_answer();
                match answer {
                    Answer::Response(sender, response) => {
                        self.receive(place, sender, response, None)
                    }
                    Answer::Early(sender, response, unmet) => {
                        self.receive(place, sender, response, Some(unmet))
                    }
                    Answer::Switch(response) => Ok(response.map(|tunnel| tunnel.at(place))),
                }
            }
            Err(failure) => {
                if let Some(cause) = failure.trouble.cause() {
                    place.note_failure(cause);
                }
                Err(failure)
            }
        }
    }

    /// By an idle connection first; it may be closed already, so a new one is next.
    async fn reach(&self, place: &Place, upload: Upload) -> Result<Answer, Failure> {
        let (mut upload, member) = (upload, place.member());
        if let Some(sender) = member.server.take_idle() {
            match self.send(member, sender, upload).await {
                Err(Failure {
                    trouble: Trouble::Reset,
                    unsent: Some(unsent),
                }) if self.may_send() => upload = unsent,
                result => return result,
            }
        }
        loop {
            // A request on a connection that stands needs none of this room.
            let sender = match Box::pin(connect(&member.server, self.connect)).await {
                Ok(sender) => sender,
                Err(error) => return Err(Trouble::from(error).spares(upload)),
            };
            let shared = sender.is_shared();
            match self.send(member, sender, upload).await {
                // Refused, perhaps on a connection that was about to end.
                Err(Failure {
                    trouble: Trouble::Reset,
                    unsent: Some(unsent),
                }) if shared && self.may_send() => upload = unsent,
                result => return result,
            }
        }
    }

    async fn send(
        &self,
        member: &Member,
        mut sender: Sender,
        upload: Upload,
    ) -> Result<Answer, Failure> {
        let source = upload.source();
        let progress = source.as_ref().map(|source| &source.progress);
        let empty = upload.is_empty();
        let repeatable = empty && self.method.is_idempotent();
        if sender.is_shared() {
            upload.keep();
        }
        let mut request = self.request(member, upload)?;
        let waits = self.expects && !empty && !sender.is_shared();
        let expectation = waits.then(|| Expectation::attach(&mut request));
        self.note_sent();
        let sending = sender.try_send_request(request);
        let Some(sent) = self.in_time(sending, progress).await else {
            return Err(if repeatable {
                Trouble::Late.spares(Upload::empty())
            } else {
                Trouble::Late.ends()
            });
        };
        match sent {
            Ok(response) => Ok(match expectation.filter(|it| !it.is_settled()) {
                Some(unmet) => Answer::Early(sender, response, unmet),
                None => Answer::Response(sender, response),
            }),
            Err(mut error) => match error.take_message() {
                Some(unsent) => Err(Trouble::Reset.spares(unsent.into_body())),
                None => {
                    let error = error.into_error();
                    if http2::was_refused(&error) {
                        return Err(refusal(source.as_deref()));
                    }
                    let repeatable = repeatable && !error.is_parse();
                    Err(failure(&error, progress, repeatable))
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
            .ok_or_else(|| Trouble::Request(StatusCode::BAD_REQUEST).ends())?;
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

    fn rewrite_redirect(&self, headers: &mut HeaderMap, member: &Member) {
        let host = self.host.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        let ours = [member.authority.as_bytes(), host];
        redirect::rewrite(headers, ours, self.route, &member.base_path);
    }

    fn receive(
        &self,
        place: Place,
        sender: Sender,
        response: Response<Incoming>,
        unmet: Option<Arc<Expectation>>,
    ) -> Result<Response<Body>, Failure> {
        let (mut parts, incoming) = response.into_parts();
        if parts.status.is_informational() || headers::is_misframed(&parts.headers) {
            return Err(Trouble::Reset.ends());
        }
        headers::rewrite_response(&mut parts.headers, parts.version);
        if self.rewrite_redirects {
            self.rewrite_redirect(&mut parts.headers, place.member());
        }
        if matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        ) {
            parts.headers.remove(CONTENT_LENGTH);
        }
        let body = if incoming.is_end_stream() {
            if let Some(unmet) = unmet {
                unmet.settle(Outcome::Over);
            }
            place.server().give_back(sender);
            Body::Empty
        } else {
            let download = Download::new(incoming, sender, place, self.read);
            Body::Stream(Box::pin(download.without_upload(unmet)))
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
