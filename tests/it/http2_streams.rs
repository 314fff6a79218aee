//! What becomes of single streams of an HTTP/2 connection: bodies that break off, clients that give up, small windows.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::client::content::marker;
use crate::client::storm::LARGE;
use crate::client::transport::Endpoint;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::switching::read_head;
use crate::harness::{PATIENCE, listener, runtime};
use crate::http2_wire::frames::{self, *};

/// A proxy, and an upstream that does as it is told on each of its connections.
struct House {
    plain: SocketAddr,
    _server: Bws,
    _folder: tempfile::TempDir,
}

fn house(serve: impl Fn(TcpStream) + Send + 'static) -> House {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, address) = listener();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = upstream.accept() {
            serve(stream);
        }
    });
    let (socket, plain) = listener();
    let config = format!(
        "[[sites]]\nname = \"site\"\nhostname = \"{HOST}\"\nlisten = \"{plain}\"\n\
         [sites.proxy]\nupstreams = [{{ name = \"up\", url = \"http://{address}\" }}]\n\
         retry = {{ attempts = 1 }}\n"
    );
    let server = Bws::start(folder.path(), &config, vec![socket]);
    House {
        plain,
        _server: server,
        _folder: folder,
    }
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

async fn sender(address: SocketAddr, builder: &Builder) -> SendRequest<Bytes> {
    let stream = Endpoint::plain(address).connect().await.unwrap();
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://{HOST}{path}"))
}

type Asked = (h2::client::ResponseFuture, SendStream<Bytes>);

async fn ask(sender: &SendRequest<Bytes>, request: http::request::Builder, ends: bool) -> Asked {
    let mut sender = sender.clone().ready().await.unwrap();
    sender
        .send_request(request.body(()).unwrap(), ends)
        .unwrap()
}

/// All of a body, as it is released; the reason when it breaks off.
async fn read(response: Response<RecvStream>) -> Result<Vec<u8>, Option<Reason>> {
    let mut body = response.into_body();
    let mut whole = Vec::new();
    while let Some(data) = in_time(body.data()).await {
        let data = data.map_err(|error| error.reason())?;
        body.flow_control().release_capacity(data.len()).unwrap();
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

async fn next<T>(from: &mut UnboundedReceiver<T>) -> T {
    in_time(from.recv()).await.expect("somebody speaks")
}

#[test]
fn who_waits_for_100_is_told_when_the_body_is_wanted() {
    let (demo, _server) = Demo::serve(0);
    runtime().block_on(async {
        let sender = sender(demo.plain, &Builder::new()).await;
        let expecting = |path| request("POST", path).header("expect", "100-continue");
        let (mut response, mut body) = ask(&sender, expecting("/echo/count"), false).await;
        let interim = std::future::poll_fn(|context| response.poll_informational(context));
        assert_eq!(in_time(interim).await.unwrap().unwrap().status(), 100);
        body.send_data(Bytes::from_static(b"\x01\x02\x03"), true)
            .unwrap();
        let response = in_time(response).await.unwrap();
        assert_eq!(read(response).await.unwrap(), b"3 6");
        // Nobody wants this one.
        let (mut response, _body) = ask(&sender, expecting("/small.bin"), false).await;
        let interim = std::future::poll_fn(|context| response.poll_informational(context));
        assert!(in_time(interim).await.is_none());
        assert_eq!(in_time(response).await.unwrap().status(), 405);
    });
}

#[test]
fn who_gives_up_is_not_worked_for_any_more() {
    let (said, mut hears) = unbounded_channel();
    let house = house(move |mut stream| {
        let said = said.clone();
        std::thread::spawn(move || {
            let head = read_head(&mut stream).unwrap();
            if head.starts_with("GET /begun") {
                let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
                stream.write_all(begun).unwrap();
            }
            said.send("asked").unwrap();
            let ended = matches!(stream.read(&mut [0]), Ok(0) | Err(_));
            said.send(if ended { "left" } else { "more" }).unwrap();
        });
    });
    runtime().block_on(async {
        let sender = sender(house.plain, &Builder::new()).await;
        for path in ["/waits", "/begun"] {
            let (response, mut stream) = ask(&sender, request("GET", path), true).await;
            assert_eq!(next(&mut hears).await, "asked");
            if path == "/begun" {
                assert_eq!(in_time(response).await.unwrap().status(), 200);
            }
            stream.send_reset(Reason::CANCEL);
            assert_eq!(next(&mut hears).await, "left", "{path}");
        }
    });
}

#[test]
fn a_response_that_breaks_off_does_not_look_whole() {
    const LONG: usize = 3_000_000;
    let house = house(|mut stream| {
        let head = read_head(&mut stream).unwrap();
        let long = format!("Content-Length: 9000000\r\n\r\n{}", "x".repeat(LONG));
        let framing = match head.split(' ').nth(1) {
            Some("/length") => "Content-Length: 9\r\n\r\nabc",
            Some("/long") => &long,
            _ => "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        };
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}").as_bytes());
    });
    runtime().block_on(async {
        let sender = sender(house.plain, &Builder::new()).await;
        for (path, length) in [("/length", 3), ("/chunks", 3), ("/long", LONG)] {
            let (response, _) = ask(&sender, request("GET", path), true).await;
            // All that came is heard before the reset is.
            let response = in_time(response).await.unwrap();
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let mut came = 0;
            let broken = loop {
                match in_time(body.data()).await.expect("no end") {
                    Ok(data) => {
                        came += data.len();
                        body.flow_control().release_capacity(data.len()).unwrap();
                    }
                    Err(error) => break error.reason(),
                }
            };
            assert_eq!(came, length, "{path}");
            assert_eq!(broken, Some(Reason::INTERNAL_ERROR), "{path}");
        }
    });
}

#[test]
fn a_request_that_breaks_off_does_not_look_whole() {
    let (said, mut hears) = unbounded_channel();
    let house = house(move |mut stream| {
        read_head(&mut stream).unwrap();
        said.send(b"head".to_vec()).unwrap();
        let mut body = Vec::new();
        // It may end in an error.
        let _ = stream.read_to_end(&mut body);
        said.send(body).unwrap();
    });
    runtime().block_on(async {
        let sender = sender(house.plain, &Builder::new()).await;
        for reason in [Reason::NO_ERROR, Reason::CANCEL] {
            let (_response, mut stream) = ask(&sender, request("POST", "/"), false).await;
            stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
            assert_eq!(next(&mut hears).await, b"head");
            stream.send_reset(reason);
            let body = next(&mut hears).await;
            assert!(!body.ends_with(b"0\r\n\r\n"), "{body:?}");
        }
    });
}

#[test]
fn an_upload_that_the_upstream_does_not_want_is_read_all_the_same() {
    const PIECE: usize = 60_000;
    let house = house(|mut stream| {
        read_head(&mut stream).unwrap();
        let answer = "HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // What is not read would have the end overtake the answer.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    runtime().block_on(async {
        let sender = sender(house.plain, &Builder::new()).await;
        let (response, mut stream) = ask(&sender, request("POST", "/"), false).await;
        let response = in_time(response).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(read(response).await.unwrap(), b"no");
        // The windows open as far as all of it is read.
        for piece in 1..=50 {
            stream.reserve_capacity(PIECE);
            while stream.capacity() < PIECE {
                let room = std::future::poll_fn(|context| stream.poll_capacity(context));
                in_time(room).await.expect("a stream that goes on").unwrap();
            }
            stream
                .send_data(vec![b'x'; PIECE].into(), piece == 50)
                .unwrap();
        }
    });
}

#[test]
fn small_windows_lose_nothing() {
    let (demo, _server) = Demo::serve(0);
    runtime().block_on(async {
        let mut builder = Builder::new();
        builder.initial_window_size(1000);
        let sender = sender(demo.plain, &builder).await;
        let mut asked = Vec::new();
        for path in ["/large.bin", "/small.bin", "/large.bin"] {
            asked.push(ask(&sender, request("GET", path), true).await.0);
        }
        let mut lengths = Vec::new();
        for response in asked {
            let body = read(in_time(response).await.unwrap()).await.unwrap();
            assert!(body.iter().all(|byte| *byte == marker(0)));
            lengths.push(body.len());
        }
        assert_eq!((lengths[0], lengths[2]), (LARGE as usize, LARGE as usize));
    });
}

/// As gRPC does: a stream of small messages, and for each the windows of stream and connection, and a PING.
#[test]
fn a_client_may_answer_small_pieces_frame_by_frame() {
    const PIECES: usize = 1500;
    let (next, wanted) = std::sync::mpsc::channel();
    let wanted = std::sync::Mutex::new(wanted);
    let house = house(move |mut stream| {
        read_head(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        for () in wanted.lock().unwrap().iter() {
            stream.write_all(b"piece").unwrap();
        }
    });
    let mut stream = TcpStream::connect(house.plain).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(&[frames::hello(&[]), frames::get(1, "/")].concat())
        .unwrap();
    next.send(()).unwrap();
    let room = 5_u32.to_be_bytes();
    let answer = [
        frame(WINDOW_UPDATE, 0, 0, &room),
        frame(WINDOW_UPDATE, 0, 1, &room),
        frame(PING, 0, 0, b"how far?"),
    ]
    .concat();
    let (mut bytes, mut space, mut pieces) = (Vec::new(), [0; 4096], 0);
    while pieces < PIECES {
        let count = stream.read(&mut space).unwrap();
        assert!(count > 0, "after {pieces} pieces");
        bytes.extend_from_slice(&space[..count]);
        while let Some(frame) = Frame::take(&mut bytes) {
            assert!(!frame.is(GOAWAY), "{frame:?} after {pieces} pieces");
            if frame.is(DATA) {
                pieces += 1;
                stream.write_all(&answer).unwrap();
                next.send(()).unwrap();
            }
        }
    }
}
