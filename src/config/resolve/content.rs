//! Compression and caching of a site: its own tables before those for all sites, and these before the defaults.

use std::time::Duration;

use http::HeaderValue;

use super::super::defaults;
use super::super::raw;
use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::{Caching, Compression};
use super::global::is_on;

/// `[compression]` and `[caching]`.
#[derive(Default)]
pub(super) struct ForAllSites {
    pub(super) compression: Option<raw::Compression>,
    pub(super) caching: Option<raw::Caching>,
}

impl ForAllSites {
    /// Checks what would otherwise be reported for each site again, or for none.
    pub(super) fn new(
        compression: Option<raw::Compression>,
        caching: Option<raw::Caching>,
        findings: &Findings,
    ) -> Self {
        if let Some(table) = &compression {
            check_compression(table, findings);
        }
        if let Some(table) = &caching {
            check_caching(table, findings);
        }
        Self {
            compression,
            caching,
        }
    }

    /// None when nothing is compressed, as without any table.
    pub(super) fn compression(
        &self,
        own: Option<raw::Compression>,
        findings: &Findings,
    ) -> Option<Compression> {
        if let Some(table) = &own {
            check_compression(table, findings);
        }
        let all = self.compression.as_ref();
        let (own, all) = match (own.as_ref(), all) {
            (None, None) => return None,
            (Some(own), all) => (own, all.unwrap_or(own)),
            (None, Some(all)) => (all, all),
        };
        if !is_on(own.enabled.as_ref().or(all.enabled.as_ref()), true) {
            return None;
        }
        let types = own.types.as_ref().or(all.types.as_ref());
        let algorithms = own.algorithms.as_ref().or(all.algorithms.as_ref());
        Some(Compression {
            types: types.map_or_else(defaults::compressed_types, |types| media_types(types)),
            level: own
                .level
                .or(all.level)
                .unwrap_or(defaults::COMPRESSION_LEVEL),
            min_size: own.min_size.or(all.min_size).unwrap_or(defaults::MIN_SIZE),
            algorithms: algorithms.map_or_else(
                || defaults::ALGORITHMS.to_vec(),
                |(_, algorithms)| algorithms.clone(),
            ),
        })
    }

    pub(super) fn caching(&self, own: Option<raw::Caching>, findings: &Findings) -> Caching {
        if let Some(table) = &own {
            check_caching(table, findings);
        }
        let (own, all) = match (own.as_ref(), self.caching.as_ref()) {
            (None, None) => return Caching::default(),
            (Some(own), all) => (own, all.unwrap_or(own)),
            (None, Some(all)) => (all, all),
        };
        if !is_on(own.enabled.as_ref().or(all.enabled.as_ref()), true) {
            return Caching::default();
        }
        let told = own.cache_control.as_ref().or(all.cache_control.as_ref());
        let told = told.map(|told| told.value.trim());
        let dynamic = own.max_age_dynamic.or(all.max_age_dynamic);
        Caching {
            files: cache_control(told, own.max_age_static.or(all.max_age_static)),
            proxied: dynamic.and_then(|age| cache_control(told, Some(age))),
            etag: is_on(
                own.etag_enabled.as_ref().or(all.etag_enabled.as_ref()),
                true,
            ),
            last_modified: is_on(
                own.last_modified_enabled
                    .as_ref()
                    .or(all.last_modified_enabled.as_ref()),
                true,
            ),
        }
    }
}

/// What is told, with `age` as its `max-age` unless it is not to be stored at all.
fn cache_control(told: Option<&str>, age: Option<Duration>) -> Option<String> {
    let told = told.filter(|told| !told.is_empty());
    let Some(age) = age else {
        return told.map(str::to_owned);
    };
    let directives = told.unwrap_or_default().split(',').map(str::trim);
    let is = |directive: &str, name: &str| {
        let own = directive.split('=').next().unwrap_or_default();
        own.trim().eq_ignore_ascii_case(name)
    };
    let mut kept: Vec<String> = directives
        .filter(|directive| !directive.is_empty() && !is(directive, "max-age"))
        .map(str::to_owned)
        .collect();
    if !kept.iter().any(|directive| is(directive, "no-store")) {
        kept.push(format!("max-age={}", age.as_secs()));
    }
    Some(kept.join(", "))
}

fn check_compression(table: &raw::Compression, findings: &Findings) {
    for named in table.types.iter().flatten() {
        if !is_media_type(&named.value) {
            findings.push(
                Finding::error(format!("'{}' is not a media type", named.value))
                    .at(named.place, "")
                    .help("write a type and a subtype, as \"text/html\", or \"text/*\""),
            );
        }
    }
    if let Some((place, algorithms)) = &table.algorithms {
        if algorithms.is_empty() {
            findings.push(
                Finding::error("'algorithms' names none")
                    .at(*place, "")
                    .help("name one of \"zstd\", \"br\", \"gzip\", or write 'enabled = false'"),
            );
        }
    }
}

fn check_caching(table: &raw::Caching, findings: &Findings) {
    if let Some(told) = &table.cache_control {
        if HeaderValue::from_str(&told.value).is_err() {
            findings.push(
                Finding::error("'cache_control' has a character that a header cannot have")
                    .at(told.place, "")
                    .help("write directives, as \"public, max-age=3600\""),
            );
        }
    }
}

fn media_types(types: &[Located<String>]) -> Vec<String> {
    let lower = |named: &Located<String>| named.value.trim().to_ascii_lowercase();
    types.iter().map(lower).collect()
}

/// `type/subtype`, both tokens (RFC 9110 section 8.3.1), the subtype perhaps `*`.
pub(super) fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(sign)
    };
    text.trim()
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_replaces_the_one_that_is_told() {
        let age = |seconds| Some(Duration::from_secs(seconds));
        for (told, age, expected) in [
            (None, None, None),
            (Some(""), None, None),
            (Some("no-cache"), None, Some("no-cache")),
            (None, age(60), Some("max-age=60")),
            (
                Some("public, Max-Age=5"),
                age(60),
                Some("public, max-age=60"),
            ),
            (Some("no-store"), age(60), Some("no-store")),
        ] {
            assert_eq!(cache_control(told, age).as_deref(), expected, "{told:?}");
        }
    }

    #[test]
    fn media_types_have_two_parts() {
        for good in ["text/html", "text/*", "application/ld+json"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in [
            "",
            "text",
            "text/",
            "/html",
            "text/html; q=1",
            "a/b/c",
            "html",
        ] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
