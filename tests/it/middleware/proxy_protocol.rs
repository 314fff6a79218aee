//! `proxy_protocol`: who connects is said by the proxy in front.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{Guarded, PROTOCOLS, curl};
use crate::harness::PATIENCE;
use crate::harness::demo::HOST;

const TRUSTED: &str = "[security]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n";
const RULES: &str = "access = { deny_ips = [\"192.0.2.1\", \"2001:db8::/32\"] }";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// All that comes back for `header` and a request behind it; empty when the connection is closed without a word.
fn answer(address: SocketAddr, header: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET /echo/head HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(&[header, request.as_bytes()].concat())
        .unwrap();
    let mut answer = Vec::new();
    // A connection that is closed with bytes unread is reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

#[test]
fn the_proxy_says_who_its_client_is() {
    let guarded = Guarded::serve_with(TRUSTED, RULES);
    let plain = guarded.demo.plain;
    let v4 = |last: u8| [192, 0, 2, last, 127, 0, 0, 1, 0x30, 0x39, 0, 80];
    let mut v6 = [0; 40];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    for (header, expected) in [
        (
            b"PROXY TCP4 192.0.2.7 127.0.0.1 12345 80\r\n".to_vec(),
            "x-forwarded-for: 192.0.2.7\n",
        ),
        (
            b"PROXY TCP4 192.0.2.1 127.0.0.1 12345 80\r\n".to_vec(),
            " 403 ",
        ),
        (
            b"PROXY UNKNOWN\r\n".to_vec(),
            "x-forwarded-for: 127.0.0.1\n",
        ),
        (v2(0x21, 0x11, &v4(7)), "x-forwarded-for: 192.0.2.7\n"),
        (v2(0x21, 0x11, &v4(1)), " 403 "),
        (v2(0x21, 0x21, &v6), " 403 "),
        (v2(0x20, 0, &[4, 0, 1, 0]), "x-forwarded-for: 127.0.0.1\n"),
    ] {
        let answer = answer(plain, &header);
        assert!(answer.contains(expected), "{header:?}: {answer}");
    }
}

#[test]
fn nothing_but_the_header_will_do() {
    let guarded = Guarded::serve_with(TRUSTED, RULES);
    let plain = guarded.demo.plain;
    for wrong in [
        &b""[..],
        b"PROXY TCP4 a b 1 2\r\n",
        b"PROXY TCP5 \r\n",
        &v2(0x31, 0x11, &[0; 12]),
        &v2(0x21, 0x21, &[0; 12]),
    ] {
        assert_eq!(answer(plain, wrong), "", "{wrong:?}");
    }
    // Who is not trusted must not send it, and needs not.
    assert_eq!(guarded.statuses(&["--interface", "127.0.0.2"]), [200; 4]);
    let arguments = ["--interface", "127.0.0.2", "--haproxy-protocol"];
    assert_eq!(guarded.ask("/", &arguments).status, 400);
}

#[test]
fn before_tls_and_http2_and_once_for_a_connection() {
    let guarded = Guarded::serve_with(TRUSTED, "");
    for protocol in PROTOCOLS {
        let answer = guarded.ask("/small.bin", &[protocol, "--haproxy-protocol"]);
        assert_eq!(answer.status, 200, "{protocol}");
    }
    let secure = guarded.demo.secure;
    let resolve = format!("{HOST}:{}:127.0.0.1", secure.port());
    let url = format!("https://{HOST}:{}/small.bin", secure.port());
    for protocol in ["--http1.1", "--http2"] {
        let arguments = [
            protocol,
            "--insecure",
            "--haproxy-protocol",
            "--resolve",
            &resolve,
            &url,
        ];
        assert_eq!(curl::curl(&arguments).status, 200, "{protocol}");
    }
    // Another request of a connection that a reload has handed over.
    let mut stream = TcpStream::connect(guarded.demo.plain).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"PROXY TCP4 192.0.2.7 127.0.0.1 12345 80\r\n")
        .unwrap();
    for reload in [false, true, true] {
        if reload {
            guarded.reload(TRUSTED, &format!("headers = {{ x-reload = \"{reload}\" }}"));
        }
        stream
            .write_all(format!("GET /echo/head HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
            .unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains("x-forwarded-for: 192.0.2.7\n") {
            let count = stream.read(&mut piece).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&piece[..count]);
        }
    }
}
