//! What a thread keeps for one site: prepared headers, the root folder, the upstream pools.

use std::rc::Rc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, Entry, SERVER, SET_COOKIE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::body::Body;
use super::compression::{Compression, Compressors};
use super::error_page::{self, Audience};
use super::error_pages::ErrorPages;
use super::middleware::Chain;
use super::proxy::{Pools, Servers};
use super::static_files::{Root, Rules};
use crate::config::types::{self, Config, SiteIndex};

pub(super) struct Site {
    pub(super) index: SiteIndex,
    /// On every response that BWS makes itself.
    pub(super) base: HeaderMap,
    /// None when nothing stands before the content; `service` puts it here.
    pub(super) chain: Option<Rc<Chain>>,
    pub(super) root: Option<Root>,
    pub(super) pools: Option<Pools>,
    pub(super) compression: Option<Rc<Compression>>,
    /// What caches are told of proxied responses that say nothing.
    pub(super) cache_proxied: Option<HeaderValue>,
    /// None when it has none of its own.
    error_pages: Option<ErrorPages>,
    /// The site's `headers`: these replace what an upstream sent, cookies excepted.
    own: Vec<(HeaderName, HeaderValue)>,
    /// `security_headers` and `Server`: these do not.
    missing: Vec<(HeaderName, HeaderValue)>,
}

impl Site {
    pub(super) fn new(
        config: &Config,
        index: SiteIndex,
        servers: &Servers,
        compressors: &Compressors,
    ) -> Option<Self> {
        let site = config.sites.get(index as usize)?;
        let own = parse_headers(&site.headers);
        let mut missing = parse_headers(&config.security.security_headers);
        if !config.security.hide_server_header {
            missing.push((SERVER, server_value(&config.server.name)));
        }
        let mut prepared = Self {
            index,
            base: HeaderMap::new(),
            chain: None,
            root: None,
            pools: Pools::new(config, index, servers),
            cache_proxied: site
                .cache
                .proxied
                .as_deref()
                .and_then(|told| HeaderValue::from_str(told).ok()),
            error_pages: ErrorPages::new(site),
            compression: site
                .compression
                .as_ref()
                .map(|rules| Rc::new(Compression::new(rules, compressors))),
            own,
            missing,
        };
        let mut base = HeaderMap::new();
        prepared.finish_headers(&mut base);
        let files = site.static_files.as_ref().filter(|_| !site.api_only);
        prepared.root = files.map(|files| {
            let rules = Rules::new(files, &base, &site.cache, prepared.compression.clone());
            Root::new(files, rules)
        });
        prepared.base = base;
        Some(prepared)
    }

    /// A response that has all the site's headers and nothing else yet.
    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        response.headers_mut().clone_from(&self.base);
        response
    }

    /// Makes `response` an error's, keeping its other headers.
    pub(super) fn write_error(
        &self,
        response: &mut Response<Body>,
        status: StatusCode,
        audience: Audience,
    ) {
        match self
            .error_pages
            .as_ref()
            .and_then(|pages| pages.find(status))
        {
            Some(page) => error_page::write_page(response, status, &page, audience),
            None => error_page::write_error(response, status, audience),
        }
    }

    /// Puts the site's headers on a response that came from elsewhere; once, for cookies are added.
    pub(super) fn finish_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.own {
            // Each is a cookie of its own (RFC 6265 section 3).
            if name == SET_COOKIE {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
        for (name, value) in &self.missing {
            if let Entry::Vacant(place) = headers.entry(name) {
                place.insert(value.clone());
            }
        }
    }
}

/// The headers that may be set by configuration: not those which frame a message.
pub(super) fn parse_headers(headers: &[types::Header]) -> Vec<(HeaderName, HeaderValue)> {
    let framing = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE];
    headers
        .iter()
        .filter_map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(header.value.as_bytes()).ok()?;
            Some((name, value))
        })
        .filter(|(name, _)| !framing.contains(name))
        .collect()
}

fn server_value(name: &str) -> HeaderValue {
    match HeaderValue::from_str(name.trim()) {
        Ok(value) if !value.is_empty() && name.is_ascii() => value,
        _ => HeaderValue::from_static("BWS"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing;

    fn header(name: &str, value: &str) -> types::Header {
        types::Header {
            name: name.into(),
            value: value.into(),
        }
    }

    fn prepared(change: impl FnOnce(&mut Config)) -> Site {
        let mut site = testing::site();
        site.headers = vec![
            header("x-frame-options", "SAMEORIGIN"),
            header("content-length", "7"),
        ];
        let mut config = testing::config(vec![site]);
        config.security.security_headers =
            vec![header("x-frame-options", "DENY"), header("x-a", "b")];
        change(&mut config);
        Site::new(&config, 0, &Servers::default(), &Compressors::default()).unwrap()
    }

    #[test]
    fn the_site_wins_over_security_headers_and_framing_is_ours() {
        let site = prepared(|_| {});
        assert_eq!(site.base["x-frame-options"], "SAMEORIGIN");
        assert_eq!(site.base["x-a"], "b");
        assert!(!site.base.contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn an_upstream_keeps_its_server_and_security_headers() {
        let site = prepared(|_| {});
        let mut headers = HeaderMap::new();
        headers.insert(SERVER, HeaderValue::from_static("app"));
        headers.insert("x-a", HeaderValue::from_static("its own"));
        headers.insert("x-frame-options", HeaderValue::from_static("its own"));
        site.finish_headers(&mut headers);
        assert_eq!(headers[SERVER], "app");
        assert_eq!(headers["x-a"], "its own");
        assert_eq!(headers["x-frame-options"], "SAMEORIGIN");
    }

    #[test]
    fn a_cookie_of_the_site_comes_beside_those_of_the_application() {
        let site = prepared(|config| config.sites[0].headers = vec![header("set-cookie", "s=1")]);
        assert_eq!(site.base["set-cookie"], "s=1");
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        site.finish_headers(&mut headers);
        let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2", "s=1"]);
    }

    #[test]
    fn the_server_header_shows_the_name_or_nothing() {
        assert_eq!(
            prepared(|config| config.server.name = "Shop".into()).base[SERVER],
            "Shop"
        );
        assert_eq!(
            prepared(|config| config.server.name = "ü\n".into()).base[SERVER],
            "BWS"
        );
        let hidden = prepared(|config| config.security.hide_server_header = true);
        assert!(!hidden.base.contains_key(SERVER));
    }
}
