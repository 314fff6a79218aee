//! Content codings of what an upstream sends.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};

use super::encodings::{Answer, compression, fetch, text};
use super::upstream;
use crate::config::types::*;
use crate::http::compression::testing::decode;
use crate::http::testing::*;

fn proxying(port: u16) -> Config {
    let mut config = upstream::through(upstream::proxy(&[port]));
    config.sites[0].compression = Some(Box::new(compression()));
    config.sites[0].cache.proxied = Some("max-age=5".into());
    config
}

/// What an upstream sends with `headers`, to whom `asked` is asked.
async fn through(headers: &str, asked: &[(&str, &str)]) -> Answer {
    let body = text(2000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n{headers}\r\n{body}");
    let (port, _) = upstream::serve(vec![&*answer.leak()].leak()).await;
    fetch(&service(proxying(port)), "GET /", asked).await
}

#[test]
fn what_comes_from_an_upstream_is_compressed_too() {
    run(async {
        let gzip = [("accept-encoding", "gzip")];
        let answer = through(
            "Content-Type: text/plain\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\n",
            &gzip,
        )
        .await;
        assert_eq!(
            (answer.coding(), answer.decoded()),
            ("gzip", text(2000).into())
        );
        assert_eq!(answer.header("etag"), Some("W/\"x\""));
        assert_eq!(answer.header("content-length"), None);
        assert_eq!(answer.header("accept-ranges"), None);
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        let plain = through(
            "Content-Type: text/plain\r\nVary: Cookie, Accept-Encoding\r\n",
            &[],
        )
        .await;
        assert_eq!(
            (plain.coding(), plain.header("vary")),
            ("none", Some("Cookie, Accept-Encoding"))
        );
        for headers in [
            "Content-Type: text/event-stream\r\n",
            "Content-Type: image/png\r\n",
            "Content-Type: text/plain\r\nContent-Encoding: br\r\n",
            "Content-Type: text/plain\r\nCache-Control: max-age=1, no-transform\r\n",
            "Content-Type: text/plain\r\nContent-Range: bytes 0-1999/4000\r\n",
        ] {
            let answer = through(headers, &gzip).await;
            assert_eq!(answer.body, text(2000), "{headers}");
            assert_eq!(answer.header("vary"), None, "{headers}");
        }
        let untouched = [gzip[0], ("cache-control", "no-transform")];
        assert_eq!(
            through("Content-Type: text/plain\r\n", &untouched)
                .await
                .coding(),
            "none"
        );
    });
}

#[test]
fn caches_are_told_only_where_the_upstream_is_silent() {
    run(async {
        let cache_control = async |headers: &str, asked: &[(&str, &str)]| {
            let answer = through(headers, asked).await;
            answer.header("cache-control").map(str::to_owned)
        };
        assert_eq!(cache_control("", &[]).await.as_deref(), Some("max-age=5"));
        assert_eq!(cache_control("Set-Cookie: a=b\r\n", &[]).await, None);
        assert_eq!(cache_control("Expires: 0\r\n", &[]).await, None);
        assert_eq!(cache_control("", &[("authorization", "x")]).await, None);
        let own = cache_control("Cache-Control: private\r\n", &[]).await;
        assert_eq!(own.as_deref(), Some("private"));
    });
}

/// An upstream that pauses has said something that its client waits for.
#[test]
fn what_an_upstream_has_said_is_not_held_back() {
    run(async {
        let (port, _) = upstream::serve(&[
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        ])
        .await;
        let service = service(proxying(port));
        for (name, algorithm) in [
            ("gzip", Algorithm::Gzip),
            ("br", Algorithm::Br),
            ("zstd", Algorithm::Zstd),
        ] {
            let request = Request::get("http://a/")
                .header("accept-encoding", name)
                .body(Full::new(Bytes::new()))
                .unwrap();
            let mut body = ask_http2(&service, request).await.into_body();
            let mut got = Vec::new();
            while decode(algorithm, &got).0 != b"first" {
                let frame = body.frame().await.unwrap().unwrap();
                got.extend_from_slice(&frame.into_data().unwrap());
            }
        }
    });
}
