//! The rest of an HTTP/2 request that was answered before its end.
//!
//! RFC 9113 section 8.1 lets a server reset such a stream (NO_ERROR), but there are clients that then lose the answer,
//! and mistakes in the rest would go unseen. So it is read for a moment, as HTTP/1 does with the rest of a body.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http_body::Body as _;
use hyper::body::Incoming;

/// Most bytes that are read for nothing: more than most uploads, as it is with these that an answer is lost.
const MOST: usize = 16 << 20;

/// How long the client may take to end its request.
const LONGEST: Duration = Duration::from_secs(5);

/// Reads `rest` to its end, or until it is too much.
pub fn drain(rest: Incoming) {
    // Who ends the stream first does not matter: an elapsed time, too many bytes and an error all drop the rest.
    tokio::task::spawn_local(tokio::time::timeout(LONGEST, read(rest)));
}

async fn read(mut rest: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut rest).poll_frame(context)).await {
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        match left.checked_sub(length) {
            Some(fewer) => left = fewer,
            None => return,
        }
    }
}
