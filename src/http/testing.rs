//! What the tests of this room share: configurations, and a service behind a wire.

use std::cell::Cell;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::body::{Body, BodyError, Chunk, RequestBody};
use super::in_flight::InFlight;
use super::interim::Interim;
use super::service::{Connection, Identity, Service, Shared};
use crate::config::types::*;
use crate::metrics::counters::Recorder;
use crate::metrics::lasting::Lasting;

pub(super) fn site() -> Site {
    Site {
        name: "site".into(),
        hostnames: vec![HostPattern::Any],
        listen: ListenAddress::Port(80),
        default: false,
        static_files: None,
        headers: vec![],
        middleware: Middleware::default(),
        proxy: None,
        tls: None,
        compression: None,
        cache: Caching::default(),
        error_pages: vec![],
        max_request_size: None,
        request_timeout: None,
        api_only: false,
        hash: String::new(),
    }
}

pub(super) fn static_files(root: &Path) -> StaticFiles {
    let index_files = vec!["index.html".into(), "index.htm".into()];
    StaticFiles {
        root: root.into(),
        index_files,
        follow_symlinks: false,
        directory_listing: false,
        media_types: vec![],
    }
}

pub(super) fn config(sites: Vec<Site>) -> Config {
    let seconds = Duration::from_secs;
    Config {
        server: Server {
            name: "BWS".into(),
            version: None,
            description: None,
            workers: 1,
            shutdown_timeout: seconds(30),
            ready_timeout: seconds(10),
            watch_config: false,
        },
        performance: Performance {
            worker_threads: 1,
            max_connections: 100,
            keep_alive_timeout: seconds(60),
            request_timeout: seconds(30),
            header_timeout: seconds(10),
            min_rate: 240,
            max_header_size: 32768,
            max_headers: 100,
            max_uri_length: 32768,
            read_buffer_size: 32768,
            write_buffer_size: 32768,
        },
        logging: Logging {
            level: LogLevel::Info,
            output: LogOutput::Stderr,
            format: AccessLogFormat::Combined,
            access_log: None,
            error_log: None,
            file_path: "log".into(),
            log_requests: false,
        },
        security: Security {
            hide_server_header: false,
            max_request_size: 1000,
            security_headers: vec![],
            rate_limiting: None,
            trusted_proxies: vec![],
            proxy_protocol: false,
            request_id: false,
        },
        management: Management {
            enabled: false,
            host: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 7654,
            api_key: None,
        },
        monitoring: Monitoring {
            enabled: true,
            health_endpoint: "/health".into(),
            detailed_endpoint: "/health/detailed".into(),
            metrics_endpoint: None,
        },
        listeners: vec![Listener {
            address: ListenAddress::Port(80),
            tls: false,
            sites: (0..sites.len() as u32).collect(),
            default_site: 0,
        }],
        sites,
        certificates: vec![].into(),
        trusts: vec![],
        revocations: vec![],
        password_files: vec![],
        resolver: vec![],
        sources: vec![],
        hash: "feed".into(),
    }
}

/// Waits for what happens by itself, 3 seconds at most.
pub(super) fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As [`wait_until`], while the other tasks go on.
pub(super) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    while !condition().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a test as a worker's thread runs: one thread, local tasks.
pub(super) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(20), test)
            .await
            .expect("the test hangs")
    })
}

/// A service for tests.
pub(super) fn service(config: Config) -> Rc<Service> {
    let sites = config.sites.len();
    let identity = Identity {
        generation: 2,
        config_version: 3,
        started_at_ns: 0,
    };
    Service::new(
        Arc::new(Shared::new(
            Arc::new(config),
            identity,
            Lasting::detached(),
            |_| (),
        )),
        Recorder::detached(sites),
    )
}

/// A new client connection to `service`.
pub(super) fn connect(service: &Rc<Service>) -> DuplexStream {
    serve(service, Version::HTTP_11, false, None)
}

fn serve(
    service: &Rc<Service>,
    version: Version,
    half_close: bool,
    interim: Option<Rc<dyn Interim>>,
) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let peer = Some("192.0.2.7:1234".parse().unwrap());
    let connection = Rc::new(Connection::new(0, peer, false));
    let service = service.clone();
    let limit = service.shared.config.security.max_request_size;
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let in_flight = InFlight::new(&Rc::new(Cell::new(0)));
        let request = request.map(|body| RequestBody::new(body.into(), limit, in_flight));
        let mut request = request;
        let connection = service.identify(&mut request, &connection);
        let answer = service.clone().answer(request, connection, interim.clone());
        async move { Ok::<_, std::convert::Infallible>(answer.answered().await.response.map(Wire)) }
    });
    tokio::task::spawn_local(async move {
        if version == Version::HTTP_2 {
            let builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
            let _ = builder.serve_connection(TokioIo::new(server), answer).await;
            return;
        }
        let _ = hyper::server::conn::http1::Builder::new()
            .half_close(half_close)
            .serve_connection(TokioIo::new(server), answer)
            .await;
    });
    client
}

/// Sends `request` on a connection of its own, half-closes it, and gives all that comes back.
pub(super) async fn exchange(service: &Rc<Service>, request: &str) -> String {
    exchange_hearing(service, request, None).await
}

/// As [`exchange`]; what comes before the response goes to `interim`.
pub(super) async fn exchange_hearing(
    service: &Rc<Service>,
    request: &str,
    interim: Option<Rc<dyn Interim>>,
) -> String {
    let mut client = serve(service, Version::HTTP_11, true, interim);
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// As [`exchange`], for a request line and more header lines.
pub(super) async fn ask(service: &Rc<Service>, line: &str, headers: &str) -> String {
    exchange(
        service,
        &format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n"),
    )
    .await
}

/// Sends one request over HTTP/2.
pub(super) async fn ask_http2<B>(service: &Rc<Service>, request: Request<B>) -> Response<Incoming>
where
    B: HttpBody<Data = Bytes> + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let io = TokioIo::new(serve(service, Version::HTTP_2, false, None));
    let (mut sender, connection) = hyper::client::conn::http2::handshake(LocalExecutor, io)
        .await
        .unwrap();
    tokio::task::spawn_local(connection);
    sender.send_request(request).await.unwrap()
}

#[derive(Clone)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

/// The value of the header `name` (lower case) in a response as it came over the wire.
pub(super) fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let head = response.split("\r\n\r\n").next()?;
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.map(str::trim_end)
}

/// The status of a response as it came over the wire; 0 without one.
pub(super) fn status(response: &str) -> u16 {
    response
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

/// A response without the moment at which it was given.
pub(super) fn undated(response: &str) -> String {
    let date = header(response, "date").map(|date| format!("date: {date}\r\n"));
    response.replacen(&date.unwrap_or_default(), "", 1)
}

pub(super) fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A body as hyper wants it; file slices are read as they come.
struct Wire(Body);

impl HttpBody for Wire {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0
            .poll_chunk(context)
            .map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(read))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

fn read(chunk: Chunk) -> Bytes {
    match chunk {
        Chunk::Bytes(bytes) => bytes,
        Chunk::File(slice) => {
            let mut bytes = vec![0; slice.length as usize];
            let count = slice.file.read_at(&mut bytes, slice.offset).unwrap();
            assert_eq!(count, bytes.len());
            bytes.into()
        }
    }
}
