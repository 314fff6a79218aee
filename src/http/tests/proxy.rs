//! The proxy between a raw client and a raw upstream.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::upstream::*;
use crate::config::types::*;
use crate::http::testing::*;

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
            rewrite_target: None,
            timeout: None,
            websocket: true,
            max_request_size: None,
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
fn the_nearest_limit_of_a_body_holds() {
    run(async {
        let (port, _) = serve(&[OK]).await;
        let mut proxied = proxy(&[port]);
        proxied.routes = [("/large/", Some(3000)), ("/none/", Some(0)), ("/", None)]
            .map(|(path, max_request_size)| Route {
                path: path.into(),
                pool: 0,
                strip_prefix: false,
                rewrite_target: None,
                timeout: None,
                websocket: true,
                max_request_size,
            })
            .into();
        let mut config = through(proxied);
        config.security.max_request_size = 1000;
        config.sites[0].max_request_size = Some(2000);
        let service = service(config);
        for (path, limit) in [("/large/", 3000), ("/none/", 0), ("/", 2000)] {
            for (length, expected) in [(limit, 200), (limit + 1, 413)] {
                let sent = "x".repeat(length);
                let whole = format!("Content-Length: {length}\r\n\r\n{sent}");
                let chunk = format!("{length:x}\r\n{sent}\r\n");
                let chunk = if length > 0 { &*chunk } else { "" };
                let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
                for rest in [whole, chunked] {
                    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
                    let answer = exchange(&service, &(head + &rest)).await;
                    assert_eq!(status(&answer), expected, "{path} {length}");
                }
            }
        }
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

#[test]
fn only_what_was_believed_of_a_trusted_proxy_is_continued() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let mut proxy = proxy(&[port]);
        proxy.headers.add_forwarded = true;
        let mut config = through(proxy);
        config.security.trusted_proxies = vec![Network {
            address: "192.0.2.7".parse().unwrap(),
            prefix: 32,
        }];
        let service = service(config);
        let lines = "Forwarded: for=6.6.6.6\r\nForwarded: for=3.3.3.3\r\n";
        ask(&service, "GET /", lines).await;
        let beside = "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 3.3.3.3\r\n";
        ask(&service, "GET /", beside).await;
        let seen = seen.borrow().concat();
        let told: Vec<&str> = seen
            .lines()
            .filter_map(|line| line.strip_prefix("forwarded: "))
            .collect();
        let expected = [
            "for=6.6.6.6, for=3.3.3.3, for=192.0.2.7",
            "for=3.3.3.3;proto=http;host=\"a\", for=192.0.2.7",
        ];
        assert_eq!(told, expected);
    });
}

const TRAILING: &str = "x-sum, x-forwarded-for, x_client_cert_verify, via, x-secret, x_added";

#[test]
fn what_comes_after_a_body_says_nothing_of_the_client() {
    run(async {
        let (port, seen) = serve(&[OK]).await;
        let mut proxy = proxy(&[port]);
        proxy.headers.remove = vec!["x-secret".into()];
        proxy.headers.add = vec![Header {
            name: "x-added".into(),
            value: "1".into(),
        }];
        let service = service(through(proxy));
        let trailers: String = TRAILING
            .split(", ")
            .map(|name| format!("{name}: forged\r\n"))
            .collect();
        let head =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTrailer: {TRAILING}\r\nConnection: close\r\n");
        let chunked =
            format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailers}\r\n");
        assert_eq!(status(&exchange(&service, &chunked).await), 200);
        let response = ask_http2(&service, trailed(TRAILING.split(", "))).await;
        assert_eq!(response.status().as_u16(), 200);
        let arrived = || seen.borrow().concat().matches("x-sum: forged\r\n").count();
        eventually(async || arrived() == 2 && seen.borrow().concat().ends_with("\r\n\r\n")).await;
        for request in &*seen.borrow() {
            let ends: Vec<&str> = request.split("0\r\nx-sum: forged\r\n").collect();
            assert!(ends.len() > 1, "{request}");
            assert!(
                ends[1..].iter().all(|rest| rest.starts_with("\r\n")),
                "{request}"
            );
        }
    });
}

#[test]
fn what_comes_after_a_body_does_not_change_the_request() {
    run(async {
        for name in ["content-length", "cookie", "expect", "content_type"] {
            // It says nothing before the request is whole.
            let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = upstream.local_addr().unwrap().port();
            let service = service(through(proxy(&[port])));
            let response = ask_http2(&service, trailed([name].into_iter())).await;
            assert_eq!(response.status().as_u16(), 400, "{name}");
        }
    });
}

/// A request of unknown length with trailers of these names.
fn trailed<'a>(
    names: impl Iterator<Item = &'a str>,
) -> http::Request<
    impl http_body::Body<Data = bytes::Bytes, Error = std::convert::Infallible> + Unpin,
> {
    let mut trailers = http::HeaderMap::new();
    for name in names {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        trailers.insert(name, http::HeaderValue::from_static("forged"));
    }
    let body = Full::<bytes::Bytes>::from("body").with_trailers(async { Some(Ok(trailers)) });
    http::Request::post("http://a/")
        .header("trailer", TRAILING)
        .body(Box::pin(body.map_frame(|frame| frame)))
        .unwrap()
}
