//! `[[sites.redirects]]`: from where to where, and nowhere else.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::super::raw::middleware as raw;
use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place};
use super::super::types::Redirect;

/// What a status may be that has a `Location` (RFC 9110 section 15.4).
const STATUSES: [u64; 5] = [301, 302, 303, 307, 308];
const STATUS: u16 = 301;

/// What is wrong, and what to do.
type Wrong = (&'static str, &'static str);

pub(super) fn resolve(raw: Vec<raw::Redirect>, findings: &Findings) -> Vec<Redirect> {
    let mut first: HashMap<String, Place> = HashMap::new();
    let mut redirects = Vec::with_capacity(raw.len());
    for redirect in raw {
        let place = redirect.place;
        let (Some(from), Some(to)) = (&redirect.from, &redirect.to) else {
            if !redirect.damaged {
                let missing = if redirect.from.is_none() {
                    "from"
                } else {
                    "to"
                };
                findings.push(
                    Finding::error(format!("a redirect has no '{missing}'"))
                        .at(place, "")
                        .help("write, for example: from = \"/old/*\", to = \"/new/*\""),
                );
            }
            continue;
        };
        if let Some(earlier) = first.insert(from.value.clone(), from.place) {
            findings.push(
                Finding::error(format!("two redirects are from '{}'", from.value))
                    .at(from.place, "the second")
                    .at(earlier, "the first")
                    .help("remove one"),
            );
        }
        redirects.extend(one(from, to, redirect.status.as_ref(), findings));
    }
    redirects
}

fn one(
    from: &Located<String>,
    to: &Located<String>,
    status: Option<&Located<u64>>,
    findings: &Findings,
) -> Option<Redirect> {
    let refuse = |what: &Located<String>, (wrong, help): Wrong| {
        let message = format!("\"{}\" {wrong}", what.value);
        findings.push(Finding::error(message).at(what.place, "").help(help));
    };
    // All three are looked at, so that all can be complained of.
    let source = source(&from.value)
        .map_err(|wrong| refuse(from, wrong))
        .ok();
    let target = target(&to.value).map_err(|wrong| refuse(to, wrong)).ok();
    let status = status_code(status, findings);
    let ((from_path, is_prefix), target) = (source?, target?);
    let wrong = if target.contains('*') && !is_prefix {
        Some((
            "has a '*' and its 'from' has none",
            "end 'from' in a '*', or write the target out",
        ))
    } else if leads_back(&from_path, is_prefix, &target) {
        Some((
            "leads back to where it is from",
            "browsers would go round for ever: name another target",
        ))
    } else {
        None
    };
    if let Some(wrong) = wrong {
        refuse(to, wrong);
        return None;
    }
    Some(Redirect {
        from: from_path,
        is_prefix,
        to: target,
        status: status?,
    })
}

fn status_code(status: Option<&Located<u64>>, findings: &Findings) -> Option<u16> {
    let Some(status) = status else {
        return Some(STATUS);
    };
    if STATUSES.contains(&status.value) {
        return u16::try_from(status.value).ok();
    }
    findings.push(
        Finding::error(format!("{} is not the status of a redirect", status.value))
            .at(status.place, "")
            .help("write 301 or 308 for ever, 302 or 307 for now (307 and 308 keep the method), or 303"),
    );
    None
}

/// The path, percent-encoded, and whether it ended in `*`.
fn source(text: &str) -> Result<(String, bool), Wrong> {
    let (path, is_prefix) = match text.strip_suffix('*') {
        Some(path) => (path, true),
        None => (text, false),
    };
    if !path.starts_with('/') {
        return Err(("is not a path", "begin with a slash, as in \"/old/*\""));
    }
    if path.contains('*') {
        return Err((
            "has a '*' that is not at its end",
            "one '*' at the end stands for the rest of the path",
        ));
    }
    if path.contains(['?', '#']) {
        return Err((
            "has more than a path",
            "write the path alone: every query is kept",
        ));
    }
    Ok((encode(path)?, is_prefix))
}

/// The target, percent-encoded, with at most one `*`, which cannot become a part of the host.
fn target(text: &str) -> Result<String, Wrong> {
    const STAR: Wrong = (
        "has a '*' in its host",
        "put the '*' behind the slash that ends the host",
    );
    if text.matches('*').count() > 1 {
        return Err((
            "has more than one '*'",
            "one '*' stands for the rest of the path",
        ));
    }
    if text.starts_with('/') {
        return match text.as_bytes() {
            [_, b'/' | b'\\', ..] => Err((
                "begins with two slashes",
                "write a path, or a whole URL with https://",
            )),
            _ => encode(text),
        };
    }
    let authority = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = authority else {
        return Err((
            "is neither a path nor a URL",
            "begin with a slash, or with https://",
        ));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host {
        "" => Err((
            "has no host",
            "write, for example: https://www.example.com/new",
        )),
        host if host.contains('*') => Err(STAR),
        host if !host
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\\@".contains(&byte)) =>
        {
            Err((
                "has a host that is none",
                "write a host name, and a port if it has one",
            ))
        }
        _ => encode(text),
    }
}

/// What is no visible ASCII is percent-encoded (RFC 3986 section 2.1), so that both sides read as a client writes them.
fn encode(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(("has a control character", "remove it"));
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' => encoded.push(char::from(byte)),
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    Ok(encoded)
}

/// Whether a path that came from there would be redirected once more.
fn leads_back(from: &str, is_prefix: bool, to: &str) -> bool {
    let path = to.split(['?', '#']).next().unwrap_or_default();
    if is_prefix {
        path.starts_with(from)
    } else {
        path == from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_paths() {
        assert_eq!(source("/a"), Ok(("/a".into(), false)));
        assert_eq!(source("/a/*"), Ok(("/a/".into(), true)));
        assert_eq!(source("/ü b"), Ok(("/%C3%BC%20b".into(), false)));
        for bad in ["", "a", "*", "/a*b", "/**", "/a?b", "/a\r\nb"] {
            assert!(source(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_target_leaves_the_host_open() {
        for good in [
            "/",
            "/*",
            "/a?x=*",
            "https://b.example/*",
            "http://b.example:81?q=*",
        ] {
            assert_eq!(target(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "a",
            "*",
            "//b.example/",
            "/\\b.example",
            "https://*",
            "https://b.example*",
            "https://*.example/",
            "https:///x",
            "https://a@b/",
            "ftp://b/",
            "/*/*",
            "/a\nb",
            "javascript:alert(1)",
            "https://b\\c/",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn circles_are_seen() {
        assert!(leads_back("/a", false, "/a?b"));
        assert!(leads_back("/", true, "/new/*"));
        assert!(!leads_back("/old/", true, "/new/*"));
        assert!(!leads_back("/a", false, "https://b.example/a"));
    }
}
