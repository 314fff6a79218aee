//! `Expect: 100-continue` between a client and its upstream.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::upstream::*;
use crate::http::testing::*;

const HEAD: &[u8] =
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n";
const BODY: &[u8] = b"ab\r\n\r\n";

#[test]
fn the_upstream_says_whether_it_wants_the_body() {
    run(async {
        let (port, seen) = serve(&["HTTP/1.1 100 Continue\r\n\r\n", OK]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client.write_all(HEAD).await.unwrap();
        let mut answer = [0; 25];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        let request = seen.borrow()[0].clone();
        assert_eq!(header(&request, "expect"), Some("100-continue"));
        assert!(request.ends_with("\r\n\r\n"), "{request}");
        client.write_all(BODY).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        assert!(seen.borrow()[0].ends_with("\r\n\r\nab\r\n\r\n"));
    });
}

#[test]
fn a_body_that_is_not_wanted_is_not_asked_for() {
    run(async {
        const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let (port, seen) = serve(&[DENIED]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client.write_all(HEAD).await.unwrap();
        let mut answer = vec![0; 512];
        let count = client.read(&mut answer).await.unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 403 "));
        // The connection that waited for it is of no use any more.
        eventually(async || seen.borrow()[0].contains("[closed]")).await;
        assert_eq!(
            body(&exchange(&service, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await),
            "no"
        );
    });
}

#[test]
fn an_upstream_that_says_nothing_gets_it_after_a_moment() {
    run(async {
        // It answers when the body is there: the second empty line.
        let (port, _) = serve(&["HTTP/1.1 102 Processing\r\n\r\n", OK]).await;
        let service = service(through(proxy(&[port])));
        let mut client = connect(&service);
        client.write_all(HEAD).await.unwrap();
        let mut answer = [0; 25];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(BODY).await.unwrap();
        let mut answer = vec![0; 512];
        let count = client.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
    });
}
