//! HTTP on one connection of the management API: one request, one answer, and limits that no client can stretch.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::access::Access;
use super::patient::Patient;
use super::presence::{ASKS_WITHIN, Guard, Presence};
use super::routes;
use crate::core::master::Input;

/// Connections at once; more wait in the kernel's queue.
pub(super) const CONNECTIONS: usize = 64;
/// For the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// For everything but a stream of events, also a reload that waits for another one.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Whether an answer has become one without an end.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Who has read nothing for so long is given up.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// `present` was made when the connection was accepted. When `revoked` ends, `access` is no longer what holds.
pub(super) async fn serve<S>(
    stream: S,
    present: (Presence, Guard),
    access: Rc<Access>,
    inputs: mpsc::Sender<Input>,
    revoked: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (presence, _guard) = present;
    let late = presence.clone();
    let service = service_fn(move |request| {
        presence.asks();
        let (access, inputs) = (access.clone(), inputs.clone());
        let presence = presence.clone();
        async move { Ok::<_, Infallible>(routes::answer(request, &access, &presence, &inputs).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024)
        .keep_alive(false)
        .serve_connection(TokioIo::new(Patient::new(stream, READS_WITHIN)), service);
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!("a management connection broke: {error}");
        },
        () = overdue(&late) => tracing::debug!("a management connection took too long"),
        () = locked_out(&late, revoked) => tracing::debug!("a management connection lost its right"),
    }
}

/// Ends when the connection has to because of its age.
async fn overdue(presence: &Presence) {
    tokio::time::sleep(ASKS_WITHIN).await;
    presence.is_late();
    tokio::time::sleep(TIMEOUT).await;
    if presence.is_streaming() {
        std::future::pending().await
    }
}

/// Out of descriptors, accept would fail again and again without pause.
pub(super) async fn pause_after(error: &io::Error) {
    tracing::debug!("no management connection could be accepted: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// The same because of its right. An answer that is being given is still given, but not one without an end.
async fn locked_out(presence: &Presence, revoked: impl Future<Output = ()>) {
    revoked.await;
    while presence.has_asked() && !presence.is_streaming() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
