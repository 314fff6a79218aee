//! Which site answers: by host name, by default, by the server name of TLS.

use std::fmt::Write as _;

use crate::client::storm::tls;
use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::bws::Bws;
use crate::harness::demo::Demo;
use crate::harness::{fetch, get, listener, runtime};

const SITES: [(&str, &str, bool); 4] = [
    ("exact", "www.example.test", false),
    ("wildcard", "*.example.test", false),
    ("first", "first.test", false),
    ("rest", "rest.test", true),
];

fn serve() -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let mut config = String::new();
    for (name, host, default) in SITES {
        let _ = write!(
            config,
            "[[sites]]\nname = \"{name}\"\nhostname = \"{host}\"\nlisten = \"{}\"\ndefault = {default}\n\
             static_dir = \"{}\"\nheaders = {{ x-site = \"{name}\" }}\n\n",
            demo.plain,
            demo.root(0).display(),
        );
    }
    for name in ["one", "two"] {
        let host = format!("{name}.test");
        let pair = demo.authority.issue(demo.path(), name, &[&host]);
        let _ = write!(
            config,
            "[[sites]]\nname = \"{name}\"\nhostname = \"{host}\"\nlisten = \"{}\"\nstatic_dir = \"{}\"\n\
             headers = {{ x-site = \"{name}\" }}\n[sites.ssl]\nenabled = true\ncert_file = \"{}\"\nkey_file = \"{}\"\n\n",
            demo.secure,
            demo.root(0).display(),
            pair.cert_file.display(),
            pair.key_file.display(),
        );
    }
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    (demo, server)
}

#[test]
fn the_host_header_chooses() {
    let (demo, _server) = serve();
    for (host, site) in [
        ("www.example.test", "exact"),
        ("WWW.Example.TEST", "exact"),
        ("www.example.test:12345", "exact"),
        ("www.example.test.", "exact"),
        ("other.example.test", "wildcard"),
        ("a.b.example.test", "wildcard"),
        ("example.test", "rest"),
        ("first.test", "first"),
        ("unknown.test", "rest"),
        ("127.0.0.1", "rest"),
    ] {
        let (head, _) = get(demo.plain, host, "/small.bin");
        assert_eq!(
            (head.status, head.header("x-site")),
            (200, Some(site)),
            "Host: {host}"
        );
    }
}

#[test]
fn an_absolute_target_chooses_the_site() {
    let (demo, _server) = serve();
    let request =
        "GET http://first.test/small.bin HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n";
    assert_eq!(fetch(demo.plain, request).0.header("x-site"), Some("first"));
}

#[test]
fn a_request_without_one_host_is_refused() {
    let (demo, _server) = serve();
    let none = "GET /small.bin HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(fetch(demo.plain, none).0.status, 400);
    let two =
        "GET /small.bin HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\nConnection: close\r\n\r\n";
    assert_eq!(fetch(demo.plain, two).0.status, 400);
    let old = "GET /small.bin HTTP/1.0\r\n\r\n";
    assert_eq!(fetch(demo.plain, old).0.header("x-site"), Some("rest"));
}

#[test]
fn the_server_name_of_tls_chooses_the_certificate() {
    let (demo, _server) = serve();
    for host in ["one.test", "two.test"] {
        // The client checks the name: another site's certificate would end the handshake.
        let tls = tls(&demo.authority.der(), host, b"http/1.1");
        let endpoint = Endpoint {
            address: demo.secure,
            from: None,
            tls: Some(tls),
        };
        let site = runtime().block_on(async {
            let mut wire = Wire::new(endpoint.connect().await.unwrap());
            let request = format!("GET /small.bin HTTP/1.1\r\nHost: {host}\r\n\r\n");
            wire.send(request.as_bytes()).await.unwrap();
            wire.response()
                .await
                .unwrap()
                .0
                .header("x-site")
                .map(String::from)
        });
        assert_eq!(site.as_deref(), host.strip_suffix(".test"));
    }
}

#[test]
fn a_site_is_not_reachable_through_another_sites_socket() {
    let (demo, _server) = serve();
    let (head, _) = get(demo.plain, "one.test", "/small.bin");
    assert_eq!(head.header("x-site"), Some("rest"));
}
