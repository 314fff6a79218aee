//! HTTP on one connection of the management API: one request, one answer, and limits that no client can stretch.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::Presence;
use super::routes::{self, Access};
use crate::core::master::Input;

/// Connections at once; more wait in the kernel's queue.
pub(super) const CONNECTIONS: usize = 64;
/// For the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// For everything, also a reload that waits for another one.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

pub(super) async fn serve<S>(stream: S, access: Rc<Access>, inputs: mpsc::Sender<Input>)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin + 'static,
{
    let (presence, _guard) = Presence::of(&stream);
    let service = service_fn(move |request| {
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
