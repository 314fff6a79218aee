//! The status page of the management API: one document that needs nothing else. It is whole without its script; with it,
//! it follows `/api/events` and takes over what a fresh copy of itself says.
//!
//! - `glance`, `tables`: what it shows
//! - `html`, `time`: how that is written

mod glance;
mod html;
mod tables;
mod time;

use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding as _};

use self::html::{Html, Tone, badge};
use self::time::span;
use crate::core::chronicle::Entry;
use crate::core::report::{Certificates, Status, UpstreamStatus};
use crate::systemd::events;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// The dot of a light that is on.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle \
                    cx='8' cy='8' r='6' fill='%232e9e5b'/%3E%3C/svg%3E";

/// Everything that the page shows, at one moment.
pub(super) struct Snapshot {
    pub(super) status: Status,
    pub(super) upstreams: Vec<UpstreamStatus>,
    pub(super) certificates: Certificates,
    /// The newest first.
    pub(super) events: Vec<Arc<Entry>>,
}

/// Events that it shows.
pub(super) const EVENTS: usize = 20;

/// Its Content-Security-Policy (CSP level 3): its own style and script, which are known by their hashes, and its own
/// server.
pub(super) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = |text: &str| Base64::encode_string(digest(&SHA256, text.as_bytes()).as_ref());
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        )
    })
}

pub(super) fn render(snapshot: &Snapshot) -> String {
    let mut html = Html::default();
    let status = &snapshot.status;
    html.markup("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    html.text(&status.name).text(": ").text(&status.state);
    html.markup("</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.markup("<meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"");
    html.markup(ICON).markup("\"><style>").markup(STYLE);
    html.markup("</style></head><body data-events=\"events-lost");
    for event in events::ALL {
        html.markup(" ").markup(event.name);
    }
    html.markup("\"><p id=\"live\" role=\"status\"></p><main>");
    header(&mut html, status);
    sections(&mut html, snapshot, now());
    html.markup("</main><script>").markup(SCRIPT);
    html.markup("</script></body></html>\n");
    html.finish()
}

fn header(html: &mut Html, status: &Status) {
    html.markup("<header id=\"head\"><h1>")
        .name(&status.name)
        .markup(" ");
    let tone = match &*status.state {
        "serving" => Tone::Good,
        "stopping" => Tone::Bad,
        _ => Tone::Busy,
    };
    badge(html, tone, &status.state);
    html.markup("</h1><p>BWS ").text(&status.version);
    html.markup(" &middot; up ")
        .text(span(status.uptime_seconds));
    html.markup(" &middot; master PID ").text(status.pid);
    html.markup("</p><p>Configuration version <strong>")
        .text(status.config_version);
    html.markup("</strong> from <code>")
        .name(&status.config_file);
    html.markup("</code>, hash <code title=\"")
        .text(&status.config_hash);
    let beginning: String = status.config_hash.chars().take(12).collect();
    html.markup("\">")
        .text(beginning)
        .markup("</code></p></header>");
}

fn sections(html: &mut Html, snapshot: &Snapshot, now: u64) {
    let status = &snapshot.status;
    glance::figures(html, snapshot, now);
    glance::reload(html, status, now);
    tables::workers(html, &status.generations);
    tables::upstreams(html, &snapshot.upstreams, now);
    tables::certificates(html, &snapshot.certificates.certificates, now);
    tables::sites(html, &status.sites);
    tables::events(html, &snapshot.events, now);
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    const EVIL: &str = "\"><script>alert(1)</script>'&amp;\u{202e}";

    /// Every text in it is [`EVIL`], but where only one of a few words can be.
    fn snapshot() -> Snapshot {
        let worker = json!({
            "worker": 1, "pid": 2, "state": EVIL, "age_seconds": 3, "connections": 4, "connections_parked": 5,
            "requests_in_flight": 6, "requests": 7
        });
        let problem = json!({"message": EVIL, "file": EVIL, "line": 3, "column": 4, "help": EVIL});
        let status = json!({
            "name": EVIL, "version": EVIL, "pid": 1, "uptime_seconds": 1, "state": EVIL, "config_file": EVIL,
            "config_version": 1, "config_hash": EVIL, "listeners": [EVIL], "upstreams": {"total": 1, "down": 1},
            "sites": [{"name": EVIL, "listener": EVIL, "hostnames": [EVIL], "requests": 1}],
            "generations": [{"generation": 1, "config_version": 1, "state": EVIL, "workers": [worker]}],
            "reloads": {"success": 1, "failed": 1},
            "last_reload": {
                "at": 0, "success": false, "duration_ms": 1, "message": EVIL, "errors": [EVIL, problem]
            }
        });
        let upstream = json!({
            "site": EVIL, "pool": EVIL, "upstream": EVIL, "weight": 1, "healthy": false, "state": EVIL, "reason": EVIL,
            "changed_at": 1, "requests": 1, "failures": 1, "retries": 1, "ejections": 1
        });
        let certificate = json!({
            "site": EVIL, "source": EVIL, "state": EVIL, "names": [EVIL], "issuer": EVIL, "not_before": 1,
            "not_after": 1, "file": EVIL, "ordering": false, "failures": 1, "last_error": EVIL
        });
        let record = json!({"at": 1, "level": EVIL, "message": format!("{EVIL}\n{EVIL}")});
        let entry = Entry {
            id: 1,
            event: EVIL.to_owned(),
            record: record.to_string(),
        };
        Snapshot {
            status: serde_json::from_value(status).unwrap(),
            upstreams: vec![serde_json::from_value(upstream).unwrap()],
            certificates: serde_json::from_value(json!({"certificates": [certificate]})).unwrap(),
            events: vec![Arc::new(entry)],
        }
    }

    #[test]
    fn whatever_names_hold_is_text() {
        let page = render(&snapshot());
        assert!(
            page.matches("&lt;script&gt;alert(1)").count() >= 20,
            "{page}"
        );
        assert!(!page.contains("<script>alert"), "{page}");
        // The only script and style are those that the policy knows.
        assert_eq!(
            (
                page.matches("<script").count(),
                page.matches("<style").count()
            ),
            (1, 1)
        );
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(page.contains(&format!("<style>{STYLE}</style>")));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = render(&snapshot());
        for outside in [" src=", "@import", "url(", "style=\"", " onclick", "<form"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(!policy().contains("unsafe"), "{}", policy());
    }

    #[test]
    fn markup_is_closed() {
        let page = render(&snapshot());
        for tag in [
            "main", "section", "table", "tr", "td", "span", "b", "bdi", "code", "li", "ul", "p",
        ] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
