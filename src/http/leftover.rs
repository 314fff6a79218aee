//! The rest of a request body after its answer. Many a client that sends does not look at the answer that it already has,
//! or loses it when its connection ends meanwhile; so the rest is read, within bounds. Over HTTP/2 the stream would
//! else be reset (RFC 9113 section 8.1), and over HTTP/1 the connection closed, which the response has to announce (RFC 9112
//! section 9.6): there the rest is read only where its length is known, as is then whether the connection stays.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body::Body;
use tokio::time::timeout;

use super::body::RequestBody;
use super::proxy::is_expected;

/// Bytes for which a client may go on.
const LIMIT: u64 = 16 << 20;
/// How long for all of them, and for one piece.
const LONGEST: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives up a request that was answered.
pub(super) fn finish(request: Request<RequestBody>) {
    if request.body().is_end_stream() || !is_readable(&request) {
        return;
    }
    let http2 = request.version() == Version::HTTP_2;
    let mut rest = request.into_body();
    rest.limit_to(LIMIT);
    rest.be_patient();
    // Over HTTP/2 reading asks for the body (100 Continue) until the answer is sent.
    if http2 || !is_over(&mut rest) {
        tokio::task::spawn_local(read_on(rest));
    }
}

/// Reads what is left of a body, within bounds.
pub(super) async fn read_on(body: impl Body<Data = Bytes> + Unpin) {
    drop(timeout(LONGEST, discard(body)).await);
}

/// Over HTTP/1 only what will come, whether its client was told to go on (100) or not, and what has an end.
fn is_readable(request: &Request<RequestBody>) -> bool {
    let length = request.body().size_hint().exact();
    request.version() == Version::HTTP_2
        || !is_expected(request.headers()) && length.is_some_and(|length| length <= LIMIT)
}

/// Takes what is there; small bodies mostly are.
fn is_over(body: &mut RequestBody) -> bool {
    let mut at_once = Context::from_waker(Waker::noop());
    while !body.is_end_stream() {
        match Pin::new(&mut *body).poll_frame(&mut at_once) {
            std::task::Poll::Pending => return false,
            std::task::Poll::Ready(Some(Ok(_))) => {}
            std::task::Poll::Ready(_) => return true,
        }
    }
    true
}

async fn discard(mut body: impl Body<Data = Bytes> + Unpin) {
    let mut next = async || poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
    let mut left = LIMIT;
    while let Ok(Some(Ok(frame))) = timeout(PATIENCE, next()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length as u64) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
