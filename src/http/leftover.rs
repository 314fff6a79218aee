//! The rest of a request body after its answer. HTTP/2 would reset the stream (RFC 9113 section 8.1), and many a client
//! that is reset while it sends does not look at the answer that it already has; so the rest is read, within bounds.
//! On HTTP/1 reading would ask for the body (100 Continue); there the connection is closed politely instead.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http::{Request, Version};
use http_body::Body as _;

use super::body::RequestBody;

/// Bytes, and time, for which a client may go on.
const LIMIT: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives up a request that was answered.
pub(super) fn finish(request: Request<RequestBody>) {
    if request.version() == Version::HTTP_2 && !request.body().is_end_stream() {
        let rest = discard(request.into_body().limited_to(LIMIT));
        tokio::task::spawn_local(async { drop(tokio::time::timeout(PATIENCE, rest).await) });
    }
}

async fn discard(mut body: RequestBody) {
    while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
}
