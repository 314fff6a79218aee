//! `[sites.access_control]`: CORS, as the Fetch standard has it (fetch.spec.whatwg.org, section 3.2).

use http::{HeaderName, Method};

use super::super::raw::middleware as raw;
use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::{Cors, OriginPattern};
use super::global::is_on;
use super::hostnames;

/// What stands for all.
const ANY: &str = "*";
/// What forms may do without asking.
const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

/// What is wrong, and what to do.
type Wrong = (&'static str, &'static str);

/// None when it is switched off, or no origin is named.
pub(super) fn resolve(raw: &raw::AccessControl, findings: &Findings) -> Option<Cors> {
    if !is_on(raw.enabled.as_ref(), true) {
        return None;
    }
    let Some(origins) = &raw.allow_origins else {
        if !raw.damaged {
            findings.push(
                Finding::error("'sites.access_control' has no 'allow_origins'")
                    .at(raw.place, "")
                    .help("name the origins that may read answers, as \"https://app.example.com\""),
            );
        }
        return None;
    };
    let credentials = is_on(raw.allow_credentials.as_ref(), false);
    let any = origins.iter().find(|origin| origin.value == ANY);
    if let (Some(any), true) = (any, credentials) {
        findings.push(credentials_for_all(any, raw));
    }
    let parsed: Vec<_> = origins
        .iter()
        .filter_map(|origin| checked(origin, pattern, findings))
        .collect();
    (!parsed.is_empty()).then(|| Cors {
        origins: parsed,
        methods: words(raw.allow_methods.as_deref(), &METHODS, method, findings),
        headers: words(raw.allow_headers.as_deref(), &[], header, findings),
        credentials,
        max_age: raw.max_age,
    })
}

fn credentials_for_all(any: &Located<String>, raw: &raw::AccessControl) -> Finding {
    let finding = Finding::error("credentials cannot be allowed to all origins")
        .at(any.place, "any site that a user visits")
        .help("name the origins, or write 'allow_credentials = false'");
    match &raw.allow_credentials {
        Some(switch) => finding.at(switch.place, "could read what only the user may see"),
        None => finding,
    }
}

fn words(
    list: Option<&[Located<String>]>,
    default: &[&str],
    check: fn(&str) -> Result<String, Wrong>,
    findings: &Findings,
) -> Vec<String> {
    match list {
        None => default.iter().map(|&word| word.to_owned()).collect(),
        Some(list) => list
            .iter()
            .filter_map(|word| checked(word, check, findings))
            .collect(),
    }
}

fn checked<T>(
    text: &Located<String>,
    check: fn(&str) -> Result<T, Wrong>,
    findings: &Findings,
) -> Option<T> {
    let refuse = |(wrong, help)| {
        let message = format!("\"{}\" {wrong}", text.value);
        findings.push(Finding::error(message).at(text.place, "").help(help));
    };
    check(&text.value).map_err(refuse).ok()
}

fn method(text: &str) -> Result<String, Wrong> {
    let is_method = text == ANY || Method::from_bytes(text.as_bytes()).is_ok();
    let wrong = (
        "is not a method",
        "write, for example: [\"GET\", \"POST\", \"DELETE\"]",
    );
    is_method.then(|| text.to_owned()).ok_or(wrong)
}

fn header(text: &str) -> Result<String, Wrong> {
    let wrong = (
        "is not a header name",
        "write, for example: [\"Content-Type\", \"Authorization\"]",
    );
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| wrong)?;
    Ok(name.as_str().to_owned())
}

/// `*`, `https://app.example.com`, `https://*.example.com` or `*.example.com` (http and https).
fn pattern(text: &str) -> Result<OriginPattern, Wrong> {
    const SCHEME: Wrong = (
        "is not an origin",
        "write it with its scheme, as \"https://app.example.com\"",
    );
    if text == ANY {
        return Ok(OriginPattern::Any);
    }
    let text = text.to_ascii_lowercase();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, &*text),
    };
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    if !scheme.is_none_or(is_scheme) {
        return Err(SCHEME);
    }
    if rest.contains(['/', '?', '#']) {
        return Err((
            "has more than an origin has",
            "write scheme, host and port alone, without a slash behind them",
        ));
    }
    match (scheme, rest.strip_prefix("*.")) {
        (scheme, Some(domain)) => Ok(OriginPattern::Subdomains {
            scheme: scheme.map(str::to_owned),
            domain: authority(domain, scheme)?,
        }),
        (Some(scheme), None) => Ok(OriginPattern::Exact(format!(
            "{scheme}://{}",
            authority(rest, Some(scheme))?
        ))),
        (None, None) => Err(SCHEME),
    }
}

/// Host and port as browsers write them: a scheme's own port is left out.
fn authority(text: &str, scheme: Option<&str>) -> Result<String, Wrong> {
    const WRONG: Wrong = (
        "has a host that is none",
        "write a host name, and a port if it has one",
    );
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.contains('*') || hostnames::pattern(host).is_err() || host == "_" {
        return Err(WRONG);
    }
    match (port, scheme) {
        (None, _) | (Some("443"), Some("https")) | (Some("80"), Some("http")) => {
            Ok(host.to_owned())
        }
        (Some(port), _) => match port.parse::<u16>() {
            Ok(number) if number.to_string() == port => Ok(text.to_owned()),
            _ => Err(WRONG),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(origin: &str) -> OriginPattern {
        OriginPattern::Exact(origin.into())
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        for (text, origin) in [
            ("https://App.example:443", "https://app.example"),
            ("http://app.example:8080", "http://app.example:8080"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(pattern(text), Ok(exact(origin)), "{text}");
        }
        let subdomains = |scheme: Option<&str>, domain: &str| OriginPattern::Subdomains {
            scheme: scheme.map(str::to_owned),
            domain: domain.into(),
        };
        assert_eq!(
            pattern("*.example.com"),
            Ok(subdomains(None, "example.com"))
        );
        assert_eq!(
            pattern("https://*.example.com:81"),
            Ok(subdomains(Some("https"), "example.com:81"))
        );
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "",
            "app.example",
            "https://",
            "https://app.example/",
            "https://a b",
            "https://a*.example",
            "https://*",
            "null",
            "https://app.example:x",
            "https://app.example:99999",
            "*.*.example",
            "https://u@app.example",
            "://app.example",
        ] {
            assert!(pattern(text).is_err(), "{text}");
        }
    }
}
