//! How large the head of a request may be: the same over HTTP/1.1 and HTTP/2, on files and proxied paths, to the byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};

use crate::client::transport::Endpoint;
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::switching::read_head;
use crate::harness::{PATIENCE, listener, runtime};

const SIZE: usize = 20_000;
const FIELDS: usize = 150;
const TARGET: usize = 9_000;

fn serve(limits: &str) -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let config = demo.bws(0).replace("worker_threads = 2", limits);
    assert!(config.contains(limits));
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    (demo, server)
}

/// A request for a path of this length, with so many fields (`Host` is one), whose head HTTP/1.1 writes in so many bytes.
#[derive(Clone, Copy)]
struct Size {
    target: usize,
    fields: usize,
    bytes: usize,
}

const USUAL: Size = Size {
    target: 100,
    fields: 4,
    bytes: 500,
};

impl Size {
    fn path(self, path: &str) -> String {
        format!("{path}?{}", "q".repeat(self.target - path.len() - 1))
    }

    /// All but `Host`.
    fn fields(self) -> Vec<(String, String)> {
        let mut fields: Vec<_> = (2..self.fields)
            .map(|number| (format!("x-{number:03}"), String::new()))
            .collect();
        let line = "GET  HTTP/1.1\r\n".len() + self.target;
        let host = format!("host: {HOST}\r\n").len();
        let others = fields.len() * "x-000: \r\n".len();
        let last = "x: \r\n\r\n".len();
        let rest = self.bytes - line - host - others - last;
        fields.push(("x".to_owned(), "v".repeat(rest)));
        fields
    }
}

/// The status that HTTP/1.1 says.
fn by_http1(address: SocketAddr, path: &str, size: Size) -> u16 {
    let fields = size.fields().into_iter();
    let fields: String = fields
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let path = size.path(path);
    let head = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n");
    assert_eq!(head.len(), size.bytes);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Whom we are refused by may read no more.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

async fn sender(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = Endpoint::plain(address).connect().await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The answer of HTTP/2, which the connection survives.
async fn by_http2(sender: &SendRequest<Bytes>, path: &str, size: Size) -> Response<()> {
    let uri = format!("http://{HOST}{}", size.path(path));
    let mut request = Request::get(uri);
    for (name, value) in size.fields() {
        request = request.header(name, value);
    }
    let request = request.body(()).unwrap();
    let answer = async {
        let mut sender = sender.clone().ready().await.unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        response.await.unwrap().map(drop)
    };
    tokio::time::timeout(PATIENCE, answer)
        .await
        .expect("in time")
}

#[test]
fn limits_hold_alike_and_to_the_byte() {
    let limits = format!(
        "worker_threads = 1\nmax_header_size = {SIZE}\nmax_headers = {FIELDS}\nmax_uri_length = {TARGET}"
    );
    let (demo, server) = serve(&limits);
    let size = |bytes| Size { bytes, ..USUAL };
    // Over HTTP/2 `:authority` is no field.
    let fields = |fields| Size {
        fields,
        bytes: 5_000,
        ..USUAL
    };
    let target = |target| Size {
        target,
        bytes: 10_000,
        ..USUAL
    };
    let cases = [
        (size(SIZE), size(SIZE + 1), 431),
        (fields(FIELDS), fields(FIELDS + 2), 431),
        (target(TARGET), target(TARGET + 1), 414),
    ];
    runtime().block_on(async {
        let sender = sender(demo.plain).await;
        for path in ["/small.bin", "/echo/head"] {
            for (within, beyond, refused) in cases {
                assert_eq!(by_http1(demo.plain, path, within), 200);
                assert_eq!(by_http1(demo.plain, path, beyond), refused);
                assert_eq!(by_http2(&sender, path, within).await.status(), 200);
                let response = by_http2(&sender, path, beyond).await;
                assert_eq!(response.status(), refused);
                assert!(response.headers().contains_key("content-type"), "a page");
            }
        }
        // Beyond all measure, and the connection goes on.
        let much = by_http2(&sender, "/small.bin", size(5 * SIZE)).await;
        assert_eq!(much.status(), 431);
        assert_eq!(by_http2(&sender, "/small.bin", USUAL).await.status(), 200);
    });
    let refused = |status: &str| {
        server.metric(&format!(
            "bws_request_heads_refused_total{{status=\"{status}\"}}"
        ))
    };
    assert_eq!((refused("414"), refused("431")), (4.0, 8.0));
}

#[test]
fn an_upstream_that_says_too_much_is_named() {
    let (upstream, address) = listener();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = upstream.accept() {
            let _ = read_head(&mut stream);
            let much = "v".repeat(70 << 10);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: {much}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        }
    });
    let (socket, plain) = listener();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[sites]]\nname = \"site\"\nhostname = \"{HOST}\"\nlisten = \"{plain}\"\n\
         [sites.proxy]\nupstreams = [{{ name = \"up\", url = \"http://{address}\" }}]\n"
    );
    let server = Bws::start(folder.path(), &config, vec![socket]);
    for _ in 0..2 {
        assert_eq!(by_http1(plain, "/", USUAL), 502);
    }
    let expected = format!(
        "no sound response from upstream '{address}': the head of its response is larger than 64KB"
    );
    let said = server.process.output();
    assert_eq!(said.matches(&expected).count(), 1, "{said}");
}

#[test]
fn the_largest_limits_can_be_used() {
    let limits = "worker_threads = 1\nmax_header_size = \"256KB\"\nmax_headers = 1000\nmax_uri_length = \"60KB\"";
    let (demo, _server) = serve(limits);
    let most = Size {
        target: 60 << 10,
        fields: 1000,
        bytes: 256 << 10,
    };
    runtime().block_on(async {
        let sender = sender(demo.plain).await;
        for path in ["/small.bin", "/echo/head"] {
            assert_eq!(by_http1(demo.plain, path, most), 200);
            assert_eq!(by_http2(&sender, path, most).await.status(), 200);
        }
    });
}
