//! `[sites.access_control]`.

use super::{Guarded, PATHS, PROTOCOLS};

const KEYS: &str = r#"headers = { Access-Control-Allow-Origin = "*" }
[sites.access_control]
allow_origins = ["https://app.example", "https://*.example.com"]
allow_methods = ["GET", "DELETE"]
allow_headers = ["X-Token"]
allow_credentials = true
max_age = 600
"#;

#[test]
fn only_known_origins_are_told() {
    let guarded = Guarded::serve(KEYS);
    for (origin, allowed) in [
        ("https://app.example", true),
        ("https://a.b.example.com", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        for answer in guarded.ask_all(&["--header", &format!("Origin: {origin}")]) {
            assert_eq!(answer.status, 200);
            let told = answer.header("access-control-allow-origin");
            assert_eq!(told, allowed.then_some(origin));
            let credentials = answer.header("access-control-allow-credentials");
            assert_eq!(credentials, allowed.then_some("true"));
            assert!(answer.all("vary").contains(&"origin"), "{answer:?}");
        }
    }
    let missing = guarded.ask("/none", &[]);
    assert_eq!(missing.status, 404);
    assert!(missing.all("vary").contains(&"origin"));
}

#[test]
fn preflights_are_answered_here() {
    let guarded = Guarded::serve(KEYS);
    let preflight = |path: &str, protocol: &str, origin: &str| {
        let origin = format!("Origin: {origin}");
        let arguments = [
            protocol,
            "--request",
            "OPTIONS",
            "--header",
            &origin,
            "--header",
            "Access-Control-Request-Method: DELETE",
            "--header",
            "Access-Control-Request-Headers: x-token",
        ];
        guarded.ask(path, &arguments)
    };
    for (path, protocol) in PATHS.iter().flat_map(|path| PROTOCOLS.map(|it| (path, it))) {
        let answer = preflight(path, protocol, "https://app.example");
        assert_eq!((answer.status, &*answer.body), (204, ""));
        for (name, value) in [
            ("access-control-allow-origin", "https://app.example"),
            ("access-control-allow-methods", "GET, DELETE"),
            ("access-control-allow-headers", "x-token"),
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        let answer = preflight(path, protocol, "https://evil.example");
        for name in ["origin", "methods", "headers", "credentials"] {
            let told = answer.header(&format!("access-control-allow-{name}"));
            assert_eq!(told, None, "{name}");
        }
        assert!(answer.all("vary").contains(&"origin"));
    }
    // Without an origin it is an OPTIONS request like any other: this upstream answers it.
    assert_eq!(
        guarded.ask("/echo/head", &["--request", "OPTIONS"]).status,
        200
    );
}
