use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding as _};

use super::Api;
use crate::client::wire::Head;
use crate::harness::bws::Bws;
use crate::harness::{fetch, free_address, listener};

fn page(address: SocketAddr) -> (Head, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (head, body) = fetch(address, &request);
    (head, String::from_utf8(body).unwrap())
}

/// What stands between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap();
    rest.split_once(end).unwrap().0
}

#[test]
fn the_page_shows_how_it_is_and_loads_nothing() {
    let api = Api::start("");
    let (head, page) = page(api.address);
    assert_eq!(
        head.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(head.header(name), Some(value), "{name}");
    }
    let policy = head.header("content-security-policy").unwrap();
    for (part, mark) in [("style", "style-src"), ("script", "script-src")] {
        let text = between(&page, &format!("<{part}>"), &format!("</{part}>"));
        let hash = Base64::encode_string(digest(&SHA256, text.as_bytes()).as_ref());
        assert!(
            policy.contains(&format!("{mark} 'sha256-{hash}';")),
            "{policy}"
        );
    }
    for shown in [
        "<h1><bdi>BWS</bdi>",
        ">serving</b>",
        "<h2>Workers</h2>",
        "<h2>Events</h2>",
        ">started</b>",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let worker = api.server.workers()[0];
    assert!(page.contains(&format!("PID {worker}")), "{page}");
    assert_eq!(api.server.control("HEAD", "/"), (200, String::new()));
    assert_eq!(api.server.control("POST", "/").0, 405);
}

#[test]
fn errors_of_a_reload_and_upstreams_that_are_down_are_shown_as_text() {
    let (folder, (socket, address), dead) =
        (tempfile::tempdir().unwrap(), listener(), free_address());
    let text = format!(
        "[server]\nname = \"<i>edge</i>\"\n[[sites]]\nname = \"<b>\"\nlisten = \"{address}\"\nhostname = \"localhost\"\n\
         [sites.proxy]\nenabled = true\nupstreams = [{{ name = \"pool\", url = \"http://{dead}\" }}]\n\
         [sites.proxy.health_check]\npath = \"/up\"\ninterval = \"200ms\"\nretries = 1\n"
    );
    let server = Bws::start(folder.path(), &text, vec![socket]);
    let mut stream = super::stream::Stream::open(folder.path(), "Last-Event-ID: 0\r\n");
    stream.find("upstream-down", &mut Vec::new());
    server.configure(&text.replace("[[sites]]", "[[sites]]\n\"<u>\" = 1"));
    assert!(!server.reload().status.success());
    let (status, page) = server.control("GET", "/");
    assert_eq!(status, 200);
    let errors = between(&page, "<ul class=\"errors\">", "</ul>");
    assert!(
        errors.contains("unknown key &#39;&lt;u&gt;&#39;"),
        "{errors}"
    );
    assert_eq!(errors.matches("<li>").count(), 1);
    assert!(
        page.contains("<h1><bdi>&lt;i&gt;edge&lt;/i&gt;</bdi>"),
        "{page}"
    );
    let upstream = between(&page, "id=\"upstreams\"", "</section>");
    assert!(upstream.contains("<b class=\"bad\">down</b>"), "{upstream}");
    assert!(upstream.contains("<bdi>&lt;b&gt;</bdi>"), "{upstream}");
}
