use std::net::SocketAddr;

use super::{Api, KEY};
use crate::harness::fetch;

fn status(address: SocketAddr, method: &str, path: &str, fields: &str) -> u16 {
    ask(address, method, path, fields).0
}

/// Status and what it asks credentials for.
fn ask(address: SocketAddr, method: &str, path: &str, fields: &str) -> (u16, Vec<String>) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let (head, _) = fetch(address, &request);
    let challenges = head
        .headers()
        .filter(|(name, _)| *name == "www-authenticate");
    (
        head.status,
        challenges.map(|(_, value)| value.to_owned()).collect(),
    )
}

fn basic() -> String {
    use base64ct::{Base64, Encoding as _};
    let pair = Base64::encode_string(format!("anyone:{KEY}").as_bytes());
    format!("Authorization: Basic {pair}\r\n")
}

#[test]
fn a_browser_may_read_with_the_key_as_password_and_no_more() {
    let api = Api::with_key();
    let address = api.address;
    let (refused, challenges) = ask(address, "GET", "/api/status", "");
    assert_eq!(refused, 401);
    assert_eq!(
        challenges,
        ["Bearer", r#"Basic realm="BWS", charset="UTF-8""#]
    );
    let (basic, reload) = (basic(), "/api/config/reload");
    assert_eq!(status(address, "GET", "/api/status", &basic), 200);
    let (refused, challenges) = ask(address, "POST", reload, &basic);
    assert_eq!((refused, challenges), (401, vec!["Bearer".to_owned()]));
    let key = format!("X-API-Key: {KEY}\r\n");
    assert_eq!(status(address, "POST", reload, &key), 200);
    for path in ["/", "/api/events"] {
        assert_eq!(status(address, "GET", path, ""), 401);
    }
    assert_eq!(status(address, "GET", "/", &basic), 200);
    let foreign = format!("{basic}Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(status(address, "GET", "/api/status", &foreign), 401);
    // A page of others that leads its own name to this host does not even get to ask for the password.
    for shown in ["", &*basic] {
        let request = format!(
            "GET /api/status HTTP/1.1\r\nHost: evil.example\r\n{shown}Connection: close\r\n\r\n"
        );
        let (head, body) = fetch(address, &request);
        assert_eq!((head.status, head.header("www-authenticate")), (403, None));
        let body = String::from_utf8(body).unwrap();
        assert!(
            body.contains("ask for '127.0.0.1' or 'localhost'"),
            "{body}"
        );
    }
}

#[test]
fn without_a_key_pages_of_others_are_kept_out() {
    let api = Api::start("");
    assert_eq!(status(api.address, "GET", "/api/status", ""), 200);
    for foreign in [
        "Origin: https://evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        assert_eq!(status(api.address, "GET", "/api/status", foreign), 403);
        assert_eq!(
            status(api.address, "POST", "/api/config/reload", foreign),
            403
        );
    }
}
