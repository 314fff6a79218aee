//! One request sent to one upstream server, and its response.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, Version};
use tokio::time::{Instant, sleep};

use super::Tunnel;
use super::body::Download;
use super::connect::connect;
use super::expectation::{self, Expectation};
use super::headers;
use super::http1::Message;
use super::pool::{Member, Place};
use super::redirect;
use super::route::upstream_target;
use super::sender::{Incoming, SendError, Sender};
pub(super) use super::trouble::{Failure, Trouble};
use super::trouble::{failure, refusal};
use super::upgrade::Upgrade;
use super::upload::{Progress, Upload};
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
    Response(Response<Incoming>),
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
                    Answer::Response(response) => self.receive(place, response),
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
        sender: Sender,
        mut upload: Upload,
    ) -> Result<Answer, Failure> {
        let source = upload.source();
        let progress = source.as_ref().map(|source| &source.progress);
        let empty = upload.is_empty();
        let repeatable = empty && self.method.is_idempotent();
        if sender.is_shared() {
            upload.keep();
        }
        let waits = self.expects && !empty && !sender.is_shared();
        let expectation = waits.then(Rc::<Expectation>::default);
        if let Some(expectation) = &expectation {
            upload.wait_for(expectation.clone());
        }
        let target = self.target(member)?;
        let message = self.message(member, &target, waits);
        self.note_sent();
        let sending = sender.send(&message, upload, expectation);
        let Some(sent) = self.in_time(sending, progress).await else {
            return Err(if repeatable {
                Trouble::Late.spares(Upload::empty())
            } else {
                Trouble::Late.ends()
            });
        };
        match sent {
            Ok(response) => Ok(Answer::Response(response)),
            Err(SendError::Unsent(upload)) => Err(Trouble::Reset.spares(upload)),
            Err(SendError::Refused) => Err(refusal(source.as_deref())),
            Err(SendError::Silent) => Err(failure(progress, repeatable)),
            Err(SendError::Unsound) => Err(failure(progress, false)),
        }
    }

    /// What the upstream is asked for.
    pub(super) fn target(&self, member: &Member) -> Result<Uri, Failure> {
        upstream_target(&self.uri, self.route, &member.base_path)
            .ok_or_else(|| Trouble::Request(StatusCode::BAD_REQUEST).ends())
    }

    pub(super) fn message<'m>(
        &'m self,
        member: &'m Member,
        target: &'m Uri,
        expects: bool,
    ) -> Message<'m> {
        Message {
            method: &self.method,
            target,
            host: self.host.as_ref().unwrap_or(&member.authority),
            headers: &self.headers,
            expects,
        }
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
        response: Response<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let (mut parts, mut incoming) = response.into_parts();
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
        let body = match incoming.take_whole() {
            Some(whole) => {
                incoming.give_back(place.server());
                match whole.is_empty() {
                    true => Body::Empty,
                    false => Body::Full(whole),
                }
            }
            None => Body::Stream(Box::pin(Download::new(incoming, place, self.read))),
        };
        parts.version = Version::HTTP_11;
        parts.extensions = http::Extensions::new();
        Ok(Response::from_parts(parts, body))
    }
}
