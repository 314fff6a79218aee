//! One request of a connection: what the worker does around `http::Service::answer`.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;

use crate::config::types::SiteIndex;
use crate::http::body::{Body, Incoming, RequestBody};
use crate::http::in_flight::InFlight;
use crate::http::interim::Interim;
use crate::http::proxy::Tunnel;
use crate::http::service::{Answered, Answering, Connection};
use crate::http::uploads::{Claim, Fate};
use crate::metrics::counters::{Global, Recorder, SITE_CONNECTIONS};
use crate::worker::access_log::Exchange;
use crate::worker::activity::Activity;
use crate::worker::file_window::FileQueue;
use crate::worker::thread::Thread;
use crate::worker::waiting::Place;
use crate::worker::wire_body::WireBody;

/// What the requests of a connection share.
#[derive(Clone)]
pub struct Context {
    pub thread: Rc<Thread>,
    pub connection: Rc<Connection>,
    pub activity: Rc<Activity>,
    /// A request was answered on it, so it is counted for a site.
    pub counted: Rc<Cell<bool>>,
    /// Where the connection can sendfile.
    pub files: Option<Rc<FileQueue>>,
}

/// Lives from a request's head to the end of its response.
pub struct RequestInFlight {
    _in_flight: InFlight,
    recorder: Recorder,
}

impl RequestInFlight {
    fn new(in_flight: InFlight, recorder: Recorder) -> Self {
        recorder.add(Global::RequestsInFlight, 1);
        Self {
            _in_flight: in_flight,
            recorder,
        }
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.recorder.subtract(Global::RequestsInFlight, 1);
    }
}

/// A request while it is answered. Dropped before, it has no answer, and is logged so.
pub struct UnderWay {
    context: Context,
    exchange: Rc<Exchange>,
    /// Of its body, where it has one.
    claim: Option<Rc<Claim>>,
    /// The client may wait to be told that the body is wanted (RFC 9110 section 10.1.1).
    expects: bool,
    /// The client may go on with the body.
    open_ended: bool,
    guard: RequestInFlight,
}

/// Begins to answer a request. What comes before its response goes to `interim`.
pub fn begin(
    context: Context,
    mut request: Request<Incoming>,
    interim: Option<Rc<dyn Interim>>,
) -> (UnderWay, Answering) {
    let (thread, activity) = (&context.thread, &context.activity);
    activity.note_request();
    let in_flight = InFlight::new(&activity.in_flight);
    let shown = thread.service.identify(&mut request, &context.connection);
    let exchange = Exchange::begin(thread, &shown, activity, &request);
    let claim = claim(activity, request.body());
    let expects = claim.is_some() && request.headers().contains_key(EXPECT);
    let open_ended = is_open_ended(&request);
    let limit = thread.process.config.security.max_request_size;
    let request = request.map(|incoming| {
        RequestBody::new(incoming, limit, in_flight.clone()).reporting_to(claim.clone())
    });
    let guard = RequestInFlight::new(in_flight, thread.recorder);
    let answering = thread.service.clone().answer(request, shown, interim);
    exchange.concerns(answering.site());
    let under_way = UnderWay {
        context,
        exchange,
        claim,
        expects,
        open_ended,
        guard,
    };
    (under_way, answering)
}

impl UnderWay {
    /// HTTP/2: its place among the streams that may have to wait for their client, where it has a body.
    pub fn place(&self) -> Option<Place> {
        let claim = self.claim.as_ref()?;
        let (activity, exchange) = (&self.context.activity, &self.exchange);
        Some(Place::new(activity, exchange, Some(claim.clone())))
    }

    /// The answer to a client that is too slow with its body (408, RFC 9110 section 15.5.9).
    pub fn time_out(&self, site: Option<SiteIndex>) -> Answered {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
        if let Some(site) = site {
            let status = response.status().as_u16();
            self.context.thread.recorder.request(site, status);
        }
        Answered { response, site }
    }

    /// Whether the rest of the request's body is in the way of the next request (HTTP/1).
    fn leaves_body(&self) -> bool {
        let claim = self.claim.as_deref();
        claim.is_some_and(|claim| match claim.fate() {
            // After the answer nobody tells it to go on.
            Fate::Open => self.expects && !claim.is_asked_for(),
            Fate::Whole => false,
            Fate::Abandoned | Fate::ClientLeft => true,
        })
    }

    /// The response for the wire, and the tunnel that it opens.
    pub fn finish(self, answered: Answered) -> (Response<WireBody>, Option<Box<Tunnel>>) {
        let Self {
            context,
            exchange,
            claim,
            expects: _,
            open_ended,
            guard,
        } = self;
        let Answered { mut response, site } = answered;
        exchange.answered(response.status().as_u16(), site);
        let fate = claim.as_deref().map(Claim::fate);
        if fate == Some(Fate::ClientLeft) {
            exchange.client_left();
        }
        if let Some(user) = response.extensions_mut().remove() {
            exchange.known_as(user);
        }
        context.activity.responding.set(true);
        if let Some(claim) = claim.filter(|_| open_ended) {
            claim.release();
        }
        if let (false, Some(site)) = (context.counted.replace(true), site) {
            context.thread.recorder.site(site, SITE_CONNECTIONS, 1);
        }
        let tunnel = response.body_mut().take_tunnel();
        let files = context.files;
        (
            response.map(|body| WireBody::new(body, files, exchange, guard)),
            tunnel,
        )
    }
}

/// Answers a request that came by HTTP/1.
pub async fn answer(
    context: Context,
    mut request: Request<hyper::body::Incoming>,
) -> Result<Response<WireBody>, Infallible> {
    forget_idle_expectation(&mut request, &context.activity);
    let (thread, connection) = (context.thread.clone(), context.connection.clone());
    let activity = context.activity.clone();
    let asks_to_switch = asks_to_switch(&request);
    let version = request.version();
    let takes_interim = version == Version::HTTP_11;
    let interim = takes_interim.then(|| activity.clone() as Rc<dyn Interim>);
    let (under_way, answering) = begin(context, request.map(Incoming::from), interim);
    activity.site.set(answering.site());
    let answered = answering.answered().await;
    activity.interim.close();
    let leaves_body = under_way.leaves_body();
    let (mut response, tunnel) = under_way.finish(answered);
    if tunnel.is_some() {
        *activity.tunnel.borrow_mut() = tunnel;
        return Ok(response);
    }
    if asks_to_switch {
        activity.decline();
    }
    if leaves_body {
        // hyper looks after the body once more.
        activity.wake();
    }
    if leaves_body || thread.draining.get() && !thread.hands_over(&connection) {
        say_close(&mut response);
    }
    if version == Version::HTTP_10 {
        activity.unframed.set(is_unframed(&response));
        suit_http10(&mut response, activity.unframed.get());
    }
    Ok(response)
}

/// A client whose body is there does not wait to be told to send it, and one of HTTP/1.0 knows nothing of that
/// (RFC 9110 section 10.1.1).
fn forget_idle_expectation<B: http_body::Body>(request: &mut Request<B>, activity: &Activity) {
    let old = request.version() == Version::HTTP_10;
    if !request.body().is_end_stream() && (old || !activity.in_body.get()) {
        request.headers_mut().remove(EXPECT);
    }
}

fn say_close(response: &mut Response<WireBody>) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Whether the length of a response can only be told by the end of the connection (HTTP/1.0, RFC 9112 section 6.3).
fn is_unframed(response: &Response<WireBody>) -> bool {
    let body = response.body();
    let length = response.headers().contains_key(CONTENT_LENGTH);
    !body.is_end_stream() && body.size_hint().exact().is_none() && !length
}

/// The end of the connection must be announced (RFC 9112 section 9.3). hyper says that it goes on, in every response that
/// it takes for one of HTTP/1.1.
fn suit_http10(response: &mut Response<WireBody>, unframed: bool) {
    if unframed {
        say_close(response);
    }
    let value = response.headers().get(CONNECTION);
    if value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close")) {
        *response.version_mut() = Version::HTTP_10;
    }
}

/// What a body that is still to come is waited for by.
fn claim(activity: &Activity, body: &Incoming) -> Option<Rc<Claim>> {
    (!body.is_end_stream()).then(|| Claim::new(&activity.uploads))
}

/// Whether the client may go on with `request` while it is answered, as gRPC does.
fn is_open_ended(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_2 && request.body().size_hint().exact().is_none()
}

/// Whether the bytes after `request` wait for its answer: exactly when `framing` says so.
fn asks_to_switch<B: http_body::Body>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11
        && request.headers().contains_key(UPGRADE)
        && request.body().is_end_stream()
}
