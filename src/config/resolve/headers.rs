//! Header names and values, valid in HTTP.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue};

use super::super::raw::Pairs;
use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::Header;

/// Headers that frame messages or name connections: BWS writes them itself (RFC 9110 section 7.6.1).
const RESERVED: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks each pair; what is wrong becomes a finding and is left out.
pub(super) fn resolve(pairs: Pairs, findings: &Findings) -> Vec<Header> {
    let mut first = HashMap::new();
    let mut headers = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let place = name.place;
        let Some(header) = header(name, &value, findings) else {
            continue;
        };
        if let Some(earlier) = first.insert(header.name.clone(), place) {
            findings.push(
                Finding::error(format!("header '{}' is set twice", header.name))
                    .at(place, "the second")
                    .at(earlier, "the first")
                    .help("remove one; upper and lower case make no difference"),
            );
        }
        headers.push(header);
    }
    headers
}

/// A header name in lower case.
pub(super) fn name(name: &Located<String>, findings: &Findings) -> Option<String> {
    let Ok(valid) = HeaderName::from_bytes(name.value.as_bytes()) else {
        findings.push(
            Finding::error(format!("'{}' is not a header name", name.value))
                .at(name.place, "")
                .help("use letters, digits and hyphens"),
        );
        return None;
    };
    if RESERVED.contains(&valid.as_str()) {
        findings.push(
            Finding::error(format!("header '{valid}' cannot be set"))
                .at(name.place, "")
                .help("remove it: it belongs to the connection, and BWS writes it itself"),
        );
        return None;
    }
    Some(valid.as_str().to_owned())
}

/// The name of a header that upstreams are not to get.
pub(super) fn removed(name: &Located<String>, findings: &Findings) -> Option<String> {
    let valid = self::name(name, findings)?;
    if valid == "host" {
        findings.push(
            Finding::error("header 'host' cannot be removed")
                .at(name.place, "")
                .help("write 'preserve_host = false': the upstream gets the host of its 'url'"),
        );
        return None;
    }
    Some(valid)
}

fn header(named: Located<String>, value: &Located<String>, findings: &Findings) -> Option<Header> {
    let name = name(&named, findings)?;
    if HeaderValue::from_bytes(value.value.as_bytes()).is_err() {
        findings.push(
            Finding::error(format!(
                "the value of header '{}' has a control character",
                named.value
            ))
            .at(value.place, "")
            .help("write it in one line, without control characters"),
        );
        return None;
    }
    Some(Header {
        name,
        value: value.value.trim().to_owned(),
    })
}
