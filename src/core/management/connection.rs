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

use super::presence::{ASKS_WITHIN, Guard, Presence};
use super::routes::{self, Access};
use crate::core::master::Input;

/// Connections at once; more wait in the kernel's queue.
pub(super) const CONNECTIONS: usize = 64;
/// For the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// For everything, also a reload that waits for another one.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// `present` was made when the connection was accepted.
pub(super) async fn serve<S>(
    stream: S,
    present: (Presence, Guard),
    access: Rc<Access>,
    inputs: mpsc::Sender<Input>,
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
        .serve_connection(TokioIo::new(stream), service);
    let late = async {
        tokio::time::sleep(ASKS_WITHIN).await;
        late.is_late();
        std::future::pending().await
    };
    let connection = async {
        tokio::select! {
            result = connection => result,
            result = late => result,
        }
    };
    match tokio::time::timeout(TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a management connection broke: {error}"),
        Err(_) => tracing::debug!("a management connection took too long"),
    }
}

/// Out of descriptors, accept would fail again and again without pause.
pub(super) async fn pause_after(error: &io::Error) {
    tracing::debug!("no management connection could be accepted: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
