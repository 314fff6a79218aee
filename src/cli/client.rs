//! Asks a running master over its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::core::management::socket_path;

/// What the master answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// One request, at most this long.
pub(super) fn ask(
    control: Option<&Path>,
    method: Method,
    path: &str,
    timeout: Duration,
) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (stream, socket) = connect(control).await?;
        let answer = exchange(stream, method, path);
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer.with_context(|| {
                format!("the BWS master at '{}' broke off", socket.display())
            }),
            Err(_) => bail!(
                "the BWS master at '{}' did not answer within {} s: 'bws status' shows what it does, --timeout waits longer",
                socket.display(),
                timeout.as_secs_f64()
            ),
        }
    })
}

async fn connect(control: Option<&Path>) -> anyhow::Result<(UnixStream, PathBuf)> {
    let places = control.map_or_else(socket_path::places, |path| vec![path.to_path_buf()]);
    for place in &places {
        match UnixStream::connect(place).await {
            Ok(stream) => return Ok((stream, place.clone())),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(anyhow!(
                    "'{}' may not be used by this user: try 'sudo bws', or join the group of that file",
                    place.display()
                ));
            }
            Err(_) => {}
        }
    }
    let names: Vec<String> = places
        .iter()
        .map(|place| format!("'{}'", place.display()))
        .collect();
    bail!(
        "no BWS master answers at {}: is it running? (systemctl status bws)",
        names.join(" or ")
    )
}

async fn exchange(stream: UnixStream, method: Method, path: &str) -> anyhow::Result<Answer> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, body })
}
