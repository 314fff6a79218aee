//! `redirect_to_https` and `redirects`.

use super::{Guarded, PATHS, PROTOCOLS, ask};
use crate::harness::demo::HOST;

#[test]
fn clients_without_tls_are_sent_to_the_https_site() {
    let guarded =
        Guarded::serve("redirect_to_https = true\nredirects = [{ from = \"/old\", to = \"/\" }]");
    let secure = guarded.demo.secure.port();
    for (path, protocol) in PATHS.iter().flat_map(|path| PROTOCOLS.map(|it| (path, it))) {
        let answer = guarded.ask(&format!("{path}?a=b%20c"), &[protocol, "--data", "x"]);
        let location = format!("https://{HOST}:{secure}{path}?a=b%20c");
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(&*location))
        );
    }
    // The same request goes through at the place that it is sent to.
    let mut arguments = vec!["--location", "--insecure", "--resolve"];
    let resolve = format!("{HOST}:{secure}:127.0.0.1");
    arguments.push(&resolve);
    let url = format!("http://{HOST}:{}/small.bin", guarded.demo.plain.port());
    let resolve_plain = format!("{HOST}:{}:127.0.0.1", guarded.demo.plain.port());
    arguments.extend([
        "--resolve",
        &resolve_plain,
        "--output",
        "-",
        "--write-out",
        "%{http_code} %{url_effective}",
    ]);
    arguments.push(&url);
    let followed = super::curl::output(&arguments);
    assert!(
        followed.ends_with(&format!("200 https://{HOST}:{secure}/small.bin")),
        "{followed}"
    );
}

#[test]
fn paths_that_moved() {
    let guarded = Guarded::serve(
        r#"redirects = [
            { from = "/old/*", to = "/echo/*", status = 307 },
            { from = "/echo/page", to = "https://www.example.com/page#top" },
        ]"#,
    );
    for protocol in PROTOCOLS {
        let answer = guarded.ask("/old//evil.example?x=1&y", &[protocol]);
        assert_eq!(
            (answer.status, answer.header("location")),
            (307, Some("/echo//evil.example?x=1&y"))
        );
        let answer = guarded.ask("/echo/page?x", &[protocol]);
        let location = "https://www.example.com/page?x#top";
        assert_eq!(
            (answer.status, answer.header("location")),
            (301, Some(location))
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(guarded.statuses(&[]), [200; 4]);
    // A redirect of the method POST that keeps it, to the upstream.
    let answer = ask(
        guarded.demo.plain,
        "/old/count",
        &["--location", "--data", "abc"],
    );
    assert_eq!((answer.status, &*answer.body), (200, "3 294"));
}
