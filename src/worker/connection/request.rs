//! One request of a connection: what the worker does around `http::Service::answer`.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::http::body::RequestBody;
use crate::http::in_flight::InFlight;
use crate::http::interim::Interim;
use crate::http::service::{Answered, Connection};
use crate::http::uploads::Claim;
use crate::metrics::counters::{Global, Recorder, SITE_CONNECTIONS};
use crate::worker::access_log::Exchange;
use crate::worker::activity::Activity;
use crate::worker::file_window::FileQueue;
use crate::worker::thread::Thread;
use crate::worker::tunnel;
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

/// Answers a request.
pub async fn answer(
    context: Context,
    mut request: Request<Incoming>,
) -> Result<Response<WireBody>, Infallible> {
    let Context {
        thread,
        connection,
        activity,
        counted,
        files,
    } = context;
    activity.note_request();
    let in_flight = InFlight::new(&activity.in_flight);
    let version = request.version();
    let asks_to_switch = asks_to_switch(&request);
    let http2_tunnel =
        (request.method() == Method::CONNECT).then(|| hyper::upgrade::on(&mut request));
    let shown = thread.service.identify(&mut request, &connection);
    let exchange = Exchange::begin(&thread, &shown, &activity, &request);
    let claim = claim(&activity, request.body());
    let open_ended = claim.clone().filter(|_| is_open_ended(&request));
    let limit = thread.process.config.security.max_request_size;
    let request = request
        .map(|incoming| RequestBody::new(incoming, limit, in_flight.clone()).reporting_to(claim));
    let guard = RequestInFlight::new(in_flight, thread.recorder);
    let interim = (version == Version::HTTP_11).then(|| activity.clone() as Rc<dyn Interim>);
    let answer = thread.service.clone().answer(request, shown, interim);
    let Answered { mut response, site } = answer.await;
    activity.interim.close();
    exchange.answered(response.status().as_u16(), site);
    if let Some(user) = response.extensions_mut().remove() {
        exchange.known_as(user);
    }
    activity.responding.set(true);
    if let Some(claim) = open_ended {
        claim.release();
    }
    if let (false, Some(site)) = (counted.replace(true), site) {
        thread.recorder.site(site, SITE_CONNECTIONS, 1);
    }
    match (response.body_mut().take_tunnel(), http2_tunnel) {
        (Some(tunnel), Some(client)) => {
            let in_flight = InFlight::new(&activity.in_flight);
            tunnel::over_http2(thread.clone(), client, tunnel, in_flight);
        }
        (Some(tunnel), None) => {
            *activity.tunnel.borrow_mut() = Some(tunnel);
            return Ok(response.map(|body| WireBody::new(body, files, exchange, guard)));
        }
        (None, _) if asks_to_switch => activity.decline(),
        (None, _) => {}
    }
    let last = thread.draining.get() && !thread.hands_over(&connection);
    if last && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| WireBody::new(body, files, exchange, guard)))
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
fn asks_to_switch(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11
        && request.headers().contains_key(UPGRADE)
        && request.body().is_end_stream()
}
