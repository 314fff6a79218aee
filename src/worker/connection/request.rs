//! One request of a connection: what the worker does around `http::Service::answer`.

use std::convert::Infallible;
use std::rc::Rc;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::Incoming;

use crate::http::body::RequestBody;
use crate::http::in_flight::InFlight;
use crate::http::service::Connection;
use crate::metrics::counters::{Global, Recorder};
use crate::worker::activity::Activity;
use crate::worker::file_window::FileQueue;
use crate::worker::thread::Thread;
use crate::worker::wire_body::WireBody;

/// What the requests of a connection share.
#[derive(Clone)]
pub struct Context {
    pub thread: Rc<Thread>,
    pub connection: Rc<Connection>,
    pub activity: Rc<Activity>,
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
    request: Request<Incoming>,
) -> Result<Response<WireBody>, Infallible> {
    let Context {
        thread,
        connection,
        activity,
        files,
    } = context;
    activity.note_request();
    let in_flight = InFlight::new(&activity.in_flight);
    let version = request.version();
    let limit = thread.process.config.security.max_request_size;
    let request = request.map(|incoming| {
        RequestBody::new(incoming, limit, in_flight.clone())
            .reporting_to(activity.awaiting_body.clone())
    });
    let guard = RequestInFlight::new(in_flight, thread.recorder);
    let mut response = thread
        .service
        .clone()
        .answer(request, connection.clone())
        .await;
    let last = thread.draining.get() && !thread.hands_over(&connection);
    if last && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| WireBody::new(body, files, guard)))
}
