//! What becomes of single streams to upstreams that speak HTTP/2: hints, calls in both directions, codes.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::client::transport::Endpoint;
use crate::harness::bws::Bws;
use crate::harness::demo::HOST;
use crate::harness::upstream::accept_all;
use crate::harness::{PATIENCE, listener, runtime};

/// A site before an upstream that speaks HTTP/2 and nothing else.
struct House {
    plain: SocketAddr,
    server: Bws,
    config: String,
    /// Lets the upstream go on.
    go: Arc<Notify>,
    /// How its streams ended.
    ends: UnboundedReceiver<Option<Reason>>,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let ((upstream, address), (socket, plain)) = (listener(), listener());
    let (go, (tell, ends)) = (Arc::<Notify>::default(), unbounded_channel());
    let gone = go.clone();
    std::thread::spawn(move || {
        runtime().block_on(accept_all(upstream, move |stream| {
            let (gone, tell) = (gone.clone(), tell.clone());
            async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond, gone.clone(), tell.clone()));
                }
            }
        }));
    });
    let config = format!(
        "[performance]\nworker_threads = 1\n[[sites]]\nname = \"site\"\nhostname = \"{HOST}\"\nlisten = \"{plain}\"\n\
         [sites.proxy]\nupstreams = [{{ name = \"up\", url = \"h2c://{address}\" }}]\n"
    );
    let server = Bws::start(folder.path(), &config, vec![socket]);
    House {
        plain,
        server,
        config,
        go,
        ends,
        _folder: folder,
    }
}

/// `/hint` is hinted at and answered when the test says so; `/call` is echoed with a `!` and trailers behind, `/none` are
/// trailers only, `/code` breaks off within, `/wait` waits.
async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    go: Arc<Notify>,
    tell: UnboundedSender<Option<Reason>>,
) {
    let (parts, mut body) = request.into_parts();
    match parts.uri.path() {
        "/hint" => {
            let mut hint = Response::new(());
            *hint.status_mut() = http::StatusCode::EARLY_HINTS;
            let link = HeaderValue::from_static("</a.css>; rel=preload");
            hint.headers_mut().insert("link", link);
            respond.send_informational(hint).unwrap();
            go.notified().await;
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
        }
        "/call" => {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            while let Some(Ok(part)) = body.data().await {
                body.flow_control().release_capacity(part.len()).unwrap();
                if !part.is_empty() {
                    let answer = [&part[..], b"!"].concat();
                    stream.send_data(answer.into(), false).unwrap();
                }
            }
            stream.send_trailers(status("0")).unwrap();
        }
        "/none" => {
            let mut only = Response::new(());
            *only.headers_mut() = status("5");
            respond.send_response(only, true).unwrap();
        }
        "/code" => {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"ok"), false).unwrap();
            go.notified().await;
            stream.send_reset(Reason::ENHANCE_YOUR_CALM);
        }
        _ => {
            let ended = poll_fn(|context| respond.poll_reset(context)).await;
            tell.send(ended.ok()).unwrap();
        }
    }
}

fn status(code: &'static str) -> HeaderMap {
    let code = HeaderValue::from_static(code);
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), code)])
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

async fn client(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = Endpoint::plain(address).connect().await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn ask(
    sender: &mut SendRequest<Bytes>,
    path: &str,
    ends: bool,
) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://{HOST}{path}"));
    let request = request.header("te", "trailers").body(()).unwrap();
    sender.send_request(request, ends).unwrap()
}

async fn piece(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let piece = in_time(body.data()).await.expect("there is more")?;
    body.flow_control().release_capacity(piece.len()).unwrap();
    Ok(piece)
}

#[test]
fn hints_come_before_the_answer_and_go_on_through_a_reload() {
    let house = house();
    runtime().block_on(async {
        let mut sender = client(house.plain).await;
        for reloads in [false, true] {
            let (mut response, _) = ask(&mut sender, "/hint", true);
            let hint = poll_fn(|context| response.poll_informational(context));
            let hint = in_time(hint).await.expect("a hint").unwrap();
            assert_eq!(hint.status(), 103);
            assert_eq!(hint.headers()["link"], "</a.css>; rel=preload");
            if reloads {
                let name = "name = \"site\"";
                let headers = format!("{name}\nheaders = {{ X-New = \"1\" }}");
                house
                    .server
                    .reload_to(&house.config.replace(name, &headers));
            }
            house.go.notify_one();
            let response = in_time(response).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(piece(&mut response.into_body()).await.unwrap(), "ok");
        }
    });
}

#[test]
fn both_sides_of_a_call_speak_in_turns() {
    let house = house();
    runtime().block_on(async {
        let mut sender = client(house.plain).await;
        let (response, mut stream) = ask(&mut sender, "/call", false);
        let mut body = in_time(response).await.unwrap().into_body();
        for number in 0..100 {
            let question = Bytes::from(number.to_string());
            stream.send_data(question, false).unwrap();
            assert_eq!(piece(&mut body).await.unwrap(), format!("{number}!"));
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(in_time(body.data()).await.is_none());
        let trailers = in_time(body.trailers()).await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        let (response, _) = ask(&mut sender, "/none", true);
        let response = in_time(response).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "5");
        assert!(response.body().is_end_stream());
    });
}

#[test]
fn codes_pass_both_ways() {
    let mut house = house();
    runtime().block_on(async {
        let mut sender = client(house.plain).await;
        let (response, _stream) = ask(&mut sender, "/code", false);
        let mut body = in_time(response).await.unwrap().into_body();
        assert_eq!(piece(&mut body).await.unwrap(), "ok");
        house.go.notify_one();
        let broken = piece(&mut body).await.unwrap_err();
        assert_eq!(broken.reason(), Some(Reason::ENHANCE_YOUR_CALM));
        for ends in [true, false] {
            let (response, mut stream) = ask(&mut sender, "/wait", ends);
            if !ends {
                let begun = Bytes::from_static(b"begun");
                stream.send_data(begun, false).unwrap();
            }
            // The proxy has it, as it says.
            let asked = async {
                let (response, _) = ask(&mut sender, "/none", true);
                in_time(response).await.unwrap()
            };
            asked.await;
            stream.send_reset(Reason::CANCEL);
            drop(response);
            let ended = in_time(house.ends.recv()).await.unwrap();
            assert_eq!(ended, Some(Reason::CANCEL), "{ends}");
        }
    });
}
