//! What upstreams say before their answers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::upstream::*;
use crate::http::interim::{Interim, MAX_BYTES, MOST};
use crate::http::service::Service;
use crate::http::testing::*;

#[derive(Default)]
pub(super) struct Heard(pub(super) RefCell<Vec<(u16, HeaderMap)>>);

impl Interim for Heard {
    fn send(&self, status: StatusCode, headers: HeaderMap) {
        self.0.borrow_mut().push((status.as_u16(), headers));
    }
}

impl Heard {
    pub(super) fn statuses(&self) -> Vec<u16> {
        self.0.borrow().iter().map(|(status, _)| *status).collect()
    }
}

pub(super) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

pub(super) async fn ask_hearing(service: &Rc<Service>, request: &str) -> (String, Rc<Heard>) {
    let heard = Rc::<Heard>::default();
    let answer = exchange_hearing(service, request, Some(heard.clone())).await;
    (answer, heard)
}

/// Through an upstream that says this to every request.
async fn said(interim: String) -> (String, Rc<Heard>) {
    let answers = vec![&*Box::leak((interim + OK).into_boxed_str())];
    let (port, _) = serve(Box::leak(answers.into_boxed_slice())).await;
    ask_hearing(&service(through(proxy(&[port]))), GET).await
}

#[test]
fn hints_are_for_the_client_without_what_concerns_one_hop() {
    run(async {
        let (answer, heard) = said(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\nConnection: X-Hop\r\n\
             X-Hop: 1\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nTrailer: x\r\n\r\n\
             HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                .into(),
        )
        .await;
        assert_eq!((status(&answer), body(&answer)), (200, "ok"));
        // Nobody asked to be told to go on.
        assert_eq!(heard.statuses(), [103, 102]);
        let (_, headers) = &heard.0.borrow()[0];
        let links: Vec<_> = headers.get_all("link").iter().collect();
        assert_eq!(links, ["</a.css>; rel=preload", "</b.js>"]);
        let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["link", "via"]);
        assert_eq!(heard.0.borrow()[1].1["via"], "1.1 bws");
    });
}

#[test]
fn a_client_gets_so_many_and_so_much() {
    run(async {
        let (answer, heard) = said("HTTP/1.1 102 A\r\n\r\n".repeat(MOST + 9)).await;
        assert_eq!((status(&answer), heard.statuses().len()), (200, MOST));
        let large = format!(
            "HTTP/1.1 103 A\r\nLink: {}\r\n\r\n",
            "x".repeat(MAX_BYTES / 2)
        );
        let (answer, heard) = said(large.repeat(3) + "HTTP/1.1 102 A\r\n\r\n").await;
        assert_eq!((status(&answer), heard.statuses()), (200, vec![103, 102]));
    });
}

#[test]
fn what_has_no_end_or_is_no_response_is_502() {
    run(async {
        for interim in [
            "HTTP/1.1 102 A\r\n\r\n".repeat(20_000),
            format!("HTTP/1.1 103 A\r\nLink: {}\r\n\r\n", "x".repeat(70_000)),
            "HTTP/1.1 103 A\r\nLink : x\r\n\r\n".into(),
            // A hint has no body, whatever it says.
            "HTTP/1.1 103 A\r\nContent-Length: 2\r\n\r\nab".into(),
            "HTTP/1.1 103 A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            // Nobody asked for another protocol.
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".into(),
        ] {
            let start: String = interim.chars().take(60).collect();
            let (answer, _) = said(interim).await;
            assert_eq!(status(&answer), 502, "{start}");
        }
    });
}

#[test]
fn a_body_of_a_hint_is_the_response_and_its_connection_is_not_used_again() {
    run(async {
        const TWO: &str = "HTTP/1.1 103 A\r\nContent-Length: 40\r\n\r\nHTTP/1.1 204 Smuggled\r\n\r\n\
                           HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (port, seen) = serve(&[TWO]).await;
        let service = service(through(proxy(&[port])));
        for _ in 0..2 {
            let (answer, heard) = ask_hearing(&service, GET).await;
            assert_eq!((status(&answer), heard.statuses()), (204, vec![103]));
        }
        assert_eq!(seen.borrow().len(), 2);
    });
}

#[test]
fn locations_of_hints_lead_back_to_the_site_where_all_do() {
    run(async {
        // Draft of resumable uploads: the upload goes on there.
        const SUPPORTED: &str = "HTTP/1.1 104 \r\nLocation: /base/x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        for (rewrites, location) in [(true, "/x"), (false, "/base/x")] {
            let (port, _) = serve(&[SUPPORTED]).await;
            let mut proxy = proxy(&[port]);
            proxy.pools[0].servers[0].base_path = "/base".into();
            proxy.rewrite_redirects = rewrites;
            let (_, heard) = ask_hearing(&service(through(proxy)), GET).await;
            assert_eq!(heard.0.borrow()[0].1["location"], location);
        }
    });
}

#[test]
fn who_shall_not_have_hints_gets_none() {
    run(async {
        const HINTED: &str = "HTTP/1.1 103 A\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        use crate::config::types::InterimResponses::{All, Http2, None};
        for (wanted, hints) in [(All, 1), (Http2, 0), (None, 0)] {
            let (port, _) = serve(&[HINTED]).await;
            let mut proxy = proxy(&[port]);
            proxy.interim_responses = wanted;
            let (answer, heard) = ask_hearing(&service(through(proxy)), GET).await;
            assert_eq!((status(&answer), heard.statuses().len()), (200, hints));
        }
    });
}

#[test]
fn an_upstream_that_says_something_is_not_silent() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = proxy(&[listener.local_addr().unwrap().port()]);
        proxy.timeout.read = Duration::from_secs(1);
        let service = service(through(proxy));
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1000]).await;
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_millis(250)).await;
                let _ = stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await;
            }
            let _ = stream.write_all(OK.as_bytes()).await;
            // From here on it is.
            std::future::pending::<()>().await;
        });
        let (answer, heard) = ask_hearing(&service, GET).await;
        assert_eq!((status(&answer), heard.statuses().len()), (200, 6));
        assert_eq!(status(&ask_hearing(&service, GET).await.0), 504);
    });
}

#[test]
fn who_spoke_is_not_asked_again() {
    run(async {
        const BROKEN: &[&str] = &["HTTP/1.1 103 close\r\n\r\n"];
        let (first, second) = (serve(BROKEN).await, serve(BROKEN).await);
        let service = service(through(proxy(&[first.0, second.0])));
        let (answer, heard) = ask_hearing(&service, GET).await;
        assert_eq!((status(&answer), heard.statuses()), (502, vec![103]));
        assert_eq!(first.1.borrow().len() + second.1.borrow().len(), 1);
    });
}
