//! One request sent to one upstream server, and its response.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, Version};
use tokio::time::Instant;

use super::Tunnel;
use super::body::Download;
use super::complaints;
use super::connect::connect;
use super::expectation::{self, Expectation};
use super::headers::{self, Rules};
use super::http1::{Call, Link, Message, keep_headers};
use super::http2::{self, Lease};
use super::interim::Relay;
use super::patience::Patience;
use super::pool::{Member, Place};
use super::redirect::{self, Origin};
use super::route::upstream_target;
use super::sender::{Incoming, SendError, Sender};
pub(super) use super::trouble::{Failure, Trouble};
use super::trouble::{failure, given_up, refusal};
use super::upgrade::Upgrade;
use super::upload::{Progress, Source, Upload};
use crate::config::types::{Proxy, Route, UpstreamProtocol};
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
    version: Version,
    /// For the upstream, `Host` and framing excepted.
    headers: HeaderMap,
    /// The client's, when it is to be preserved.
    host: Option<HeaderValue>,
    pub(super) connect: Duration,
    read: Duration,
    write: Duration,
    rewrite_redirects: bool,
    /// The client speaks TLS.
    secure: bool,
    /// Of a tunnel.
    pub(super) idle: Duration,
    /// What the client wants to speak instead of HTTP.
    upgrade: Option<Upgrade>,
    /// The client waits to be told that its body is wanted.
    expects: bool,
    interim: Relay,
    sent: Cell<usize>,
    may_send: usize,
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        keep_headers(std::mem::take(&mut self.headers));
    }
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
        upgrade: Option<Upgrade>,
        interim: Relay,
    ) -> Self {
        let expects = expectation::is_expected(&parts.headers);
        Self {
            route,
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
            host: None,
            connect: proxy.timeout.connect,
            read: route
                .and_then(|route| route.timeout)
                .unwrap_or(proxy.timeout.read),
            write: proxy.timeout.write,
            rewrite_redirects: proxy.rewrite_redirects,
            secure: false,
            idle: proxy.timeout.tunnel,
            upgrade,
            expects,
            interim,
            sent: Cell::new(0),
            may_send: proxy.retry.attempts as usize + 1 + STALE_CONNECTIONS,
        }
    }

    /// Makes the client's head one for an upstream; `host` is what the client named.
    pub(super) fn prepare(
        &mut self,
        host: Option<HeaderValue>,
        rules: &Rules,
        connection: &Connection,
    ) {
        let headers = &mut self.headers;
        headers.remove(HOST);
        headers::rewrite_request(headers, self.version, host.as_ref(), connection, rules);
        if let Some(upgrade) = &self.upgrade {
            upgrade.ask(&mut self.method, headers);
        }
        self.host = host.filter(|_| rules.preserve_host);
        self.secure = connection.secure;
    }

    pub(super) fn note_sent(&self) {
        self.sent.set(self.sent.get() + 1);
    }

    fn may_send(&self) -> bool {
        self.sent.get() < self.may_send
    }

    /// Sends the request to the server at `place`; [`Self::settle`] has the last word. (Futures that only wait for another
    /// are left out on this way: each of them is copied into the one above it.)
    pub(super) async fn attempt(
        &self,
        place: &Place,
        mut upload: Upload,
    ) -> Result<Answer, Failure> {
        if let Some(upgrade) = &self.upgrade {
            return Box::pin(self.switch(place, upgrade)).await;
        }
        let member = place.member();
        // An idle connection first; it may be closed already, so a new one is next.
        let mut idle = member.server.take_idle();
        loop {
            let stale = idle.is_some();
            let sender = match idle.take() {
                Some(sender) => sender,
                // A request on a connection that stands needs none of this room.
                None => match Box::pin(connect(&member.server, self.connect)).await {
                    Ok(sender) => sender,
                    Err(error) => return Err(Trouble::from(error).spares(upload)),
                },
            };
            let sent = match sender {
                Sender::Http1(link) => self.send_alone(member, link, upload).await,
                // Rarer, and larger.
                Sender::Http2(lease) => {
                    Box::pin(self.send_multiplexed(member, lease, upload)).await
                }
            };
            match sent {
                Err(Failure {
                    trouble: Trouble::Reset,
                    unsent: Some(unsent),
                    seen,
                }) if seen.allows_another(stale) && self.may_send() => upload = unsent,
                result => return result.map(Answer::Response),
            }
        }
    }

    /// What an attempt means for the server at `place`, and for the client.
    pub(super) fn settle(
        &self,
        place: Place,
        outcome: Result<Answer, Failure>,
    ) -> Result<Response<Body>, Failure> {
        match outcome {
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

    async fn send_alone(
        &self,
        member: &Member,
        mut link: Link,
        mut upload: Upload,
    ) -> Result<Response<Incoming>, Failure> {
        let source = upload.source();
        let progress = source.as_ref().map(|source| &source.progress);
        let expectation = self.expect(&mut upload);
        let mut patience = std::mem::take(&mut link.patience);
        let hear = |interim| self.pass(interim, member);
        let mut call = {
            let target = self.target(member)?;
            let message = self.message(member, &target, expectation.is_some());
            Call::new(link, &message, upload, expectation, &hear)
        };
        self.note_sent();
        let outcome = self.in_time(|context| call.poll_head(context), &mut patience, progress);
        let sent = outcome.await.map(|outcome| call.finish(outcome, patience));
        let sent = sent.map(|sent| match sent {
            Ok(response) => Ok(response.map(Incoming::Http1)),
            Err(broken) => {
                complaints::tell(&member.server, &broken);
                Err(broken.into())
            }
        });
        self.judge(sent, source)
    }

    async fn send_multiplexed(
        &self,
        member: &Member,
        lease: Lease,
        mut upload: Upload,
    ) -> Result<Response<Incoming>, Failure> {
        let source = upload.source();
        let progress = source.as_ref().map(|source| &source.progress);
        upload.keep();
        let expectation = self.expect(&mut upload);
        let hear = |interim| self.pass(interim, member);
        let call = {
            let target = self.target(member)?;
            let message = self.message(member, &target, expectation.is_some());
            http2::Call::new(lease, &message, upload, expectation, &hear)
        };
        self.note_sent();
        let mut call = call.map_err(Trouble::unsent)?;
        let mut patience = Patience::default();
        let outcome = self.in_time(|context| call.poll_head(context), &mut patience, progress);
        let outcome = outcome.await;
        if let Some(Err(ended)) = &outcome {
            complaints::tell_of_stream(&member.server, ended);
        }
        let sent = outcome.map(|outcome| call.finish(outcome));
        let sent = sent.map(|sent| sent.map(|response| response.map(Incoming::Http2)));
        self.judge(sent, source)
    }

    /// Keeps back a body whose client waits to be told that it is wanted.
    fn expect(&self, upload: &mut Upload) -> Option<Rc<Expectation>> {
        let expectation = (self.expects && !upload.is_empty()).then(Rc::<Expectation>::default)?;
        upload.wait_for(expectation.clone());
        Some(expectation)
    }

    /// What `sent` means for the request, whose body comes from `source`; None: it took too long.
    fn judge(
        &self,
        sent: Option<Result<Response<Incoming>, SendError>>,
        source: Option<Rc<Source>>,
    ) -> Result<Response<Incoming>, Failure> {
        let progress = source.as_ref().map(|source| &source.progress);
        let repeatable = source.is_none() && self.method.is_idempotent();
        match sent {
            None if repeatable => Err(Trouble::Late.spares(Upload::empty())),
            None => Err(Trouble::Late.ends()),
            Some(Ok(response)) => Ok(response),
            Some(Err(SendError::Unsent(upload))) => Err(Trouble::unsent(upload)),
            Some(Err(SendError::Refused)) => Err(refusal(source.as_deref())),
            Some(Err(SendError::Silent)) => Err(failure(progress, repeatable)),
            Some(Err(SendError::GivenUp)) => Err(given_up(progress, repeatable)),
            Some(Err(SendError::Unsound)) => Err(failure(progress, false)),
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

    /// What `poll` comes to; None when the upstream was silent for too long.
    pub(super) fn in_time<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
        patience: &mut Patience,
        progress: Option<&Progress>,
    ) -> impl Future<Output = Option<T>> {
        let first = match progress {
            Some(_) => self.read.min(self.write),
            None => self.read,
        };
        let mut deadline = Instant::now() + first;
        poll_fn(move |context| {
            if let Poll::Ready(output) = poll(context) {
                return Poll::Ready(Some(output));
            }
            loop {
                ready!(patience.poll(deadline, context));
                let heard = self.interim.heard().map(|at| at + self.read);
                let later = progress.map(|it| it.deadline(self.read, self.write));
                match later.max(heard).filter(|later| *later > Instant::now()) {
                    Some(later) => deadline = later,
                    None => return Poll::Ready(None),
                }
            }
        })
    }

    /// Passes on what comes before the answer of `member`.
    pub(super) fn pass(&self, interim: Response<()>, member: &Member) {
        self.interim
            .pass(interim, |headers| self.rewrite_redirect(headers, member));
    }

    fn rewrite_redirect(&self, headers: &mut HeaderMap, member: &Member) {
        if !self.rewrite_redirects {
            return;
        }
        let host = self.host.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        let secure = matches!(member.server.protocol, UpstreamProtocol::Tls(_));
        let ours = [
            Origin {
                secure,
                unaware: false,
                authority: member.authority.as_bytes(),
            },
            Origin {
                secure: self.secure,
                unaware: !secure,
                authority: host,
            },
        ];
        redirect::rewrite(headers, ours, self.route, &member.base_path);
    }

    fn receive(
        &self,
        place: Place,
        response: Response<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let (mut parts, mut incoming) = response.into_parts();
        if parts.status.is_informational() || !incoming.is_clear(&mut parts.headers) {
            return Err(Trouble::Reset.ends());
        }
        headers::rewrite_response(&mut parts.headers, parts.version);
        self.rewrite_redirect(&mut parts.headers, place.member());
        // Whatever an upstream of HTTP/2 sends with it (RFC 9110 section 6.4.1).
        let bare = matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        if bare {
            parts.headers.remove(CONTENT_LENGTH);
        }
        let body = match incoming.take_whole() {
            Some(whole) => {
                incoming.give_back(place.server());
                match whole.is_empty() || bare {
                    true => Body::Empty,
                    false => Body::Full(whole),
                }
            }
            None if bare => Body::Empty,
            None => Body::Stream(Box::pin(Download::new(incoming, place, self.read))),
        };
        parts.version = Version::HTTP_11;
        parts.extensions = http::Extensions::new();
        Ok(Response::from_parts(parts, body))
    }
}
