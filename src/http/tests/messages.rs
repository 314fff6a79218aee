//! Messages whatever answers them: methods, framing, versions.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{files, folder};
use crate::http::service::{Answered, Answering};
use crate::http::testing::*;

#[test]
fn methods_that_files_do_not_have() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let post = ask(&service, "POST /x.txt", "Content-Length: 1\r\n").await;
        assert_eq!(
            (status(&post), header(&post, "allow")),
            (405, Some("GET, HEAD, OPTIONS"))
        );
        let unknown = ask(&service, "PROPFIND /x.txt", "").await;
        assert_eq!((status(&unknown), header(&unknown, "allow")), (501, None));
        let options = ask(&service, "OPTIONS *", "").await;
        assert_eq!(
            (status(&options), header(&options, "content-length")),
            (204, None)
        );
        assert_eq!(status(&ask(&service, "TRACE /x.txt", "").await), 405);
        assert_eq!(status(&ask(&service, "CONNECT a:80", "").await), 405);
        let large = ask(&service, "POST /x.txt", "Content-Length: 1001\r\n").await;
        assert_eq!(status(&large), 413);
    });
}

#[test]
fn errors_speak_the_clients_language() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let plain = ask(&service, "GET /none", "").await;
        assert_eq!((status(&plain), body(&plain)), (404, "404 Not Found\n"));
        let html = ask(&service, "GET /none", "Accept: text/html\r\n").await;
        assert!(body(&html).starts_with("<!doctype html>"));
        assert_eq!(
            header(&html, "content-length").unwrap(),
            body(&html).len().to_string()
        );
        let head = ask(&service, "HEAD /none", "").await;
        assert_eq!(
            (status(&head), body(&head), header(&head, "content-length")),
            (404, "", Some("14"))
        );
    });
}

#[test]
fn malformed_requests_close_the_connection() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        for (request, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                501,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nab",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
                400,
            ),
        ] {
            let response = exchange(
                &service,
                &format!("{request}GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n"),
            )
            .await;
            assert_eq!(status(&response), expected, "{request}");
            assert!(
                !response.contains("0123456789"),
                "what follows is not answered: {request}"
            );
        }
    });
}

#[test]
fn a_length_beside_chunked_ends_the_connection() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        for framing in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
        ] {
            let request = format!("POST /x.txt HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n0\r\n\r\n");
            let response = exchange(
                &service,
                &format!("{request}GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n"),
            )
            .await;
            assert!(!response.contains("0123456789"), "{framing}");
            assert_eq!(header(&response, "connection"), Some("close"), "{framing}");
        }
    });
}

#[test]
fn http_2_says_the_same() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let request = |uri: &str| {
            http::Request::get(uri)
                .body(http_body_util::Full::default())
                .unwrap()
        };
        let response = ask_http2(&service, request("http://a/x.txt")).await;
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["content-length"]
            ),
            (200, &"10".parse().unwrap())
        );
        assert_eq!(response.headers().get_all("date").iter().count(), 1);
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(body, "0123456789");
        let mut mismatch = request("http://a/x.txt");
        mismatch.headers_mut().insert("host", "b".parse().unwrap());
        assert_eq!(ask_http2(&service, mismatch).await.status().as_u16(), 400);
    });
}

#[test]
fn keep_alive_answers_one_after_the_other() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        let mut client = connect(&service);
        for _ in 0..3 {
            client
                .write_all(b"GET /x.txt HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"0123456789") {
                assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0);
            }
        }
    });
}

#[test]
fn the_future_of_every_request_is_small() {
    let size = size_of_answer(Answering::answered);
    assert!(size < 1024, "{size} bytes");
}

fn size_of_answer<F, R>(_: F) -> usize
where
    F: Fn(Answering) -> R,
    R: Future<Output = Answered>,
{
    size_of::<R>()
}
