//! The proxy between a raw client and a raw upstream.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::testing::*;
use crate::config::types::*;

fn upstream(port: u16) -> Upstream {
    Upstream {
        address: UpstreamAddress::Http {
            host: "127.0.0.1".into(),
            port,
        },
        authority: format!("127.0.0.1:{port}"),
        base_path: String::new(),
        weight: 1,
    }
}

fn proxy(ports: &[u16]) -> Proxy {
    let seconds = Duration::from_secs;
    Proxy {
        pools: vec![Pool {
            name: "pool".into(),
            servers: ports.iter().map(|&port| upstream(port)).collect(),
        }],
        routes: vec![],
        fallback_pool: Some(0),
        timeout: ProxyTimeout {
            connect: seconds(2),
            read: seconds(5),
            write: seconds(5),
        },
        headers: ProxyHeaders {
            preserve_host: true,
            add_forwarded: false,
            add_x_forwarded: true,
            remove: vec![],
            add: vec![],
        },
    }
}

fn through(proxy: Proxy) -> Config {
    let mut site = site();
    site.proxy = Some(proxy);
    config(vec![site])
}

/// What an upstream saw: the bytes of each connection.
type Seen = Rc<RefCell<Vec<String>>>;

/// An upstream that answers each request head with the next of `answers` (the last for ever). After an answer that
/// has `close` in it, or an empty one, it closes.
async fn serve(answers: &'static [&'static str]) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let log = seen.clone();
    tokio::task::spawn_local(async move {
        let turn = Rc::new(RefCell::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            let number = log.borrow().len();
            log.borrow_mut().push(String::new());
            tokio::task::spawn_local(talk(stream, answers, turn.clone(), log.clone(), number));
        }
    });
    (port, seen)
}

async fn talk(
    mut stream: TcpStream,
    answers: &'static [&'static str],
    turn: Rc<RefCell<usize>>,
    log: Seen,
    number: usize,
) {
    let mut answered = 0;
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        log.borrow_mut()[number].push_str(&String::from_utf8_lossy(&buffer[..count]));
        let heads = log.borrow()[number].matches("\r\n\r\n").count();
        while answered < heads {
            let index = turn.replace_with(|turn| *turn + 1).min(answers.len() - 1);
            answered += 1;
            let answer = answers[index];
            if stream.write_all(answer.as_bytes()).await.is_err()
                || answer.is_empty()
                || answer.contains("close")
            {
                return;
            }
        }
    }
    log.borrow_mut()[number].push_str("[closed]");
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: app\r\nX-Hop: 1\r\nConnection: x-hop\r\n\r\nok";

fn status(response: &str) -> u16 {
    response
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

#[test]
fn both_heads_are_rewritten() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let service = service(through(proxy(&[port])));
        let headers = "X-Forwarded-For: 10.0.0.1\r\nX-Kept: 1\r\nKeep-Alive: 1\r\n";
        let response = ask(&service, "GET /a%20b//c?q=%20", headers).await;
        assert_eq!((status(&response), body(&response)), (200, "ok"));
        assert_eq!(header(&response, "server"), Some("app"));
        assert_eq!(header(&response, "via"), Some("1.1 bws"));
        assert_eq!(header(&response, "x-hop"), None);
        assert_eq!(response.matches("date: ").count(), 1);
        let request = seen.borrow()[0].clone();
        assert!(
            request.starts_with("GET /a%20b//c?q=%20 HTTP/1.1\r\n"),
            "{request}"
        );
        assert_eq!(header(&request, "host"), Some("a"));
        assert_eq!(header(&request, "x-forwarded-for"), Some("192.0.2.7"));
        assert_eq!(header(&request, "x-kept"), Some("1"));
        assert_eq!(
            (
                header(&request, "keep-alive"),
                header(&request, "connection")
            ),
            (None, None)
        );
    });
}

#[test]
fn a_connection_serves_the_next_request() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let service = service(through(proxy(&[port])));
        for _ in 0..5 {
            assert_eq!(body(&ask(&service, "GET /", "").await), "ok");
        }
        assert_eq!(seen.borrow().len(), 1);
    });
}

#[test]
fn a_stale_connection_costs_nobody_a_request() {
    run(async {
        // The second request of the connection is answered by closing it.
        let (port, seen) = serve(&[OK, "", OK]).await;
        let service = service(through(proxy(&[port])));
        assert_eq!(body(&ask(&service, "GET /1", "").await), "ok");
        assert_eq!(body(&ask(&service, "GET /2", "").await), "ok");
        assert_eq!(seen.borrow().len(), 2);
    });
}

#[test]
fn a_post_is_not_sent_twice() {
    run(async {
        let (port, seen) = serve(&[""]).await;
        let service = service(through(proxy(&[port])));
        let response = ask(&service, "POST /", "Content-Length: 0\r\n").await;
        assert_eq!(status(&response), 502);
        assert_eq!(seen.borrow().len(), 1);
    });
}

#[test]
fn a_dead_server_is_passed_over() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let dead = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let service = service(through(proxy(&[dead, port])));
        for _ in 0..4 {
            assert_eq!(
                status(&ask(&service, "POST /", "Content-Length: 0\r\n").await),
                200
            );
        }
        assert_eq!(seen.borrow().len(), 1);
        let alone = super::testing::service(through(proxy(&[dead])));
        assert_eq!(status(&ask(&alone, "GET /", "").await), 502);
    });
}

#[test]
fn bodies_stream_up() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client
            .write_all(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            )
            .await
            .unwrap();
        while !seen
            .borrow()
            .first()
            .is_some_and(|seen| seen.contains("3\r\nabc\r\n"))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        assert_eq!(
            header(&seen.borrow()[0], "transfer-encoding"),
            Some("chunked")
        );
    });
}

#[test]
fn a_get_may_have_a_body() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let service = service(through(proxy(&[port])));
        let chunked =
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(status(&exchange(&service, chunked).await), 200);
        assert!(seen.borrow()[0].ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
    });
}

#[test]
fn a_body_beyond_the_limit_is_413_even_unannounced() {
    run(async {
        let (port, _) = serve(&["HTTP/1.1 100 Continue\r\n\r\n"]).await;
        let service = service(through(proxy(&[port])));
        let chunk = "a".repeat(600);
        let chunks = format!("258\r\n{chunk}\r\n258\r\n{chunk}\r\n0\r\n\r\n");
        let response = exchange(
            &service,
            &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        )
        .await;
        assert_eq!(status(&response), 413);
    });
}

#[test]
fn garbage_and_ambiguity_are_502() {
    run(async {
        for answer in [
            &["SSH-2.0-x\r\n\r\n"] as &'static [&'static str],
            &[
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ],
            &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nX: close\r\n\r\nabc"],
            &["HTTP/1.1 200 OK\r\nX y: z\r\n\r\n"],
        ] {
            let (port, _) = serve(answer).await;
            let service = service(through(proxy(&[port])));
            assert_eq!(status(&ask(&service, "GET /", "").await), 502, "{answer:?}");
        }
    });
}

#[test]
fn a_silent_upstream_is_504_and_a_stalled_body_breaks_off() {
    run(async {
        let (port, _) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ])
        .await;
        let mut proxy = proxy(&[port]);
        proxy.timeout.read = Duration::from_millis(100);
        let service = service(through(proxy));
        let stalled = ask(&service, "GET /", "").await;
        assert_eq!((status(&stalled), body(&stalled)), (200, "abc"));
        assert_eq!(status(&ask(&service, "GET /", "").await), 504);
    });
}

#[test]
fn a_client_that_leaves_ends_the_upstream_request() {
    run(async {
        let (port, seen) = serve(&["HTTP/1.1 100 Continue\r\n\r\n"]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        eventually(async || !seen.borrow().is_empty()).await;
        drop(client);
        eventually(async || seen.borrow()[0].ends_with("[closed]")).await;
    });
}

#[test]
fn head_and_not_modified_have_no_body() {
    run(async {
        let (port, _) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
            OK,
        ])
        .await;
        let service = service(through(proxy(&[port])));
        let head = ask(&service, "HEAD /", "").await;
        assert_eq!(
            (status(&head), header(&head, "content-length"), body(&head)),
            (200, Some("5"), "")
        );
        let unchanged = ask(&service, "GET /", "If-None-Match: \"a\"\r\n").await;
        assert_eq!(
            (
                status(&unchanged),
                header(&unchanged, "etag"),
                body(&unchanged)
            ),
            (304, Some("\"a\""), "")
        );
        assert_eq!(body(&ask(&service, "GET /", "").await), "ok");
    });
}

#[test]
fn chunked_and_close_delimited_bodies_come_whole() {
    run(async {
        let (port, _) = serve(&[
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nuntil the close",
        ])
        .await;
        let service = service(through(proxy(&[port])));
        assert_eq!(
            body(&ask(&service, "GET /", "").await),
            "3\r\nabc\r\n0\r\n\r\n"
        );
        let delimited = ask(&service, "GET /", "").await;
        assert!(body(&delimited).contains("until the close"), "{delimited}");
        let old = "GET / HTTP/1.0\r\n\r\n";
        assert_eq!(body(&exchange(&service, old).await), "until the close");
    });
}

#[test]
fn routes_win_over_files_and_exact_routes_over_endpoints() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("api")).unwrap();
        std::fs::write(folder.path().join("api/x"), "file").unwrap();
        std::fs::write(folder.path().join("y"), "file").unwrap();
        let (port, seen) = serve(&[OK]).await;
        let mut proxied = proxy(&[port]);
        proxied.fallback_pool = None;
        let route = |path: &str, strip_prefix| Route {
            path: path.into(),
            pool: 0,
            strip_prefix,
            timeout: None,
            websocket: true,
        };
        proxied.routes = vec![route("/health", false), route("/api/", true)];
        let mut config = through(proxied);
        config.sites[0].static_files = Some(static_files(folder.path()));
        let service = service(config);
        assert_eq!(body(&ask(&service, "GET /api/x?q", "").await), "ok");
        assert!(seen.borrow()[0].starts_with("GET /x?q HTTP/1.1\r\n"));
        assert_eq!(body(&ask(&service, "GET /y", "").await), "file");
        assert_eq!(body(&ask(&service, "GET /health", "").await), "ok");
        assert!(body(&ask(&service, "GET /api/health", "").await).contains("healthy"));
        assert_eq!(status(&ask(&service, "GET /none", "").await), 404);
    });
}

#[test]
fn files_come_before_the_pool_behind_them() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("y"), "file").unwrap();
        std::fs::create_dir(folder.path().join("bare")).unwrap();
        let (port, _) = serve(&[OK]).await;
        let mut config = through(proxy(&[port]));
        config.sites[0].static_files = Some(static_files(folder.path()));
        let service = service(config);
        assert_eq!(body(&ask(&service, "GET /y", "").await), "file");
        for line in ["GET /none", "GET /bare", "GET /bare/", "POST /y"] {
            assert_eq!(
                body(&ask(&service, line, "Content-Length: 0\r\n").await),
                "ok",
                "{line}"
            );
        }
        assert_eq!(status(&ask(&service, "GET /%zz", "").await), 400);
    });
}

#[test]
fn a_unix_socket_is_an_upstream() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1000];
            let _ = stream.read(&mut buffer).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        });
        let mut proxy = proxy(&[1]);
        proxy.pools[0].servers[0].address = UpstreamAddress::Unix(path);
        let service = service(through(proxy));
        assert_eq!(body(&ask(&service, "GET /", "").await), "ok");
    });
}

#[test]
fn an_upstream_that_takes_nothing_is_504() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = proxy(&[listener.local_addr().unwrap().port()]);
        proxy.timeout.write = Duration::from_millis(200);
        let mut config = through(proxy);
        config.security.max_request_size = u64::MAX;
        let service = service(config);
        let mut client = connect(&service);
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
            .await
            .unwrap();
        let (mut reader, mut writer) = tokio::io::split(client);
        tokio::task::spawn_local(async move {
            while writer.write_all(&[b'a'; 65_536]).await.is_ok() {}
        });
        let mut answer = [0; 12];
        reader.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 504");
    });
}

#[test]
fn a_slow_client_is_not_the_upstreams_fault() {
    run(async {
        // The upstream of this test answers at the second empty line, which is the end of the body.
        let (port, seen) = serve(&["HTTP/1.1 100 Continue\r\n\r\n", OK]).await;
        let mut proxy = proxy(&[port]);
        (proxy.timeout.read, proxy.timeout.write) =
            (Duration::from_millis(50), Duration::from_millis(50));
        let service = service(through(proxy));
        let mut client = connect(&service);
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await
            .unwrap();
        eventually(async || !seen.borrow().is_empty()).await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.write_all(b"1\r\na\r\n").await.unwrap();
        }
        client.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    });
}

#[test]
fn http_2_clients_reach_http_1_upstreams() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let service = service(through(proxy(&[port])));
        let request = http::Request::post("http://a:8080/x?y")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(http_body_util::Full::from("body"))
            .unwrap();
        let response = ask_http2(&service, request).await;
        assert_eq!(response.status().as_u16(), 200);
        let request = seen.borrow()[0].clone();
        assert!(
            request.starts_with("POST /x?y HTTP/1.1\r\n") && request.ends_with("body"),
            "{request}"
        );
        assert_eq!(header(&request, "host"), Some("a:8080"));
        assert_eq!(header(&request, "cookie"), Some("a=1; b=2"));
        assert_eq!(header(&request, "content-length"), Some("4"));
        assert_eq!(header(&request, "via"), Some("2 bws"));
    });
}
