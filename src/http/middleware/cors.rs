//! Which other origins may read answers: CORS (fetch.spec.whatwg.org, section 3.2).

use std::collections::HashSet;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use crate::config::types::{self, OriginPattern};

const ANY: &str = "*";

/// What an application may not say beside us.
const OURS: [HeaderName; 5] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

#[derive(Debug)]
pub(super) struct Cors {
    any: bool,
    exact: HashSet<Box<str>>,
    subdomains: Box<[Subdomains]>,
    methods: Listed,
    headers: Listed,
    credentials: bool,
    /// Seconds.
    max_age: Option<HeaderValue>,
}

/// All names under a domain.
#[derive(Debug)]
struct Subdomains {
    /// None: http and https.
    scheme: Option<Box<str>>,
    /// With a dot before it.
    domain: Box<str>,
}

/// What a preflight is told.
#[derive(Debug)]
enum Listed {
    /// What it asks for.
    Any,
    These(HeaderValue),
    None,
}

pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// What the origin of a request is allowed.
#[derive(Debug)]
pub(super) struct Grant {
    /// None: nothing.
    origin: Option<HeaderValue>,
}

impl Cors {
    pub(super) fn new(cors: &types::Cors) -> Self {
        let mut prepared = Self {
            any: cors.origins.contains(&OriginPattern::Any),
            exact: HashSet::new(),
            subdomains: Box::default(),
            methods: Listed::new(&cors.methods),
            headers: Listed::new(&cors.headers),
            credentials: cors.credentials,
            max_age: cors.max_age.map(|age| age.as_secs().into()),
        };
        let mut subdomains = Vec::new();
        for origin in &cors.origins {
            match origin {
                OriginPattern::Any => {}
                OriginPattern::Exact(origin) => drop(prepared.exact.insert(origin.as_str().into())),
                OriginPattern::Subdomains { scheme, domain } => {
                    subdomains.push(Subdomains {
                        scheme: scheme.as_deref().map(Into::into),
                        domain: format!(".{domain}").into(),
                    });
                }
            }
        }
        prepared.subdomains = subdomains.into();
        prepared
    }

    /// What a request with these headers is allowed.
    pub(super) fn judge(&self, request: &HeaderMap) -> Grant {
        let mut origins = request.get_all(ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (Some(_), None) if self.any => Some(HeaderValue::from_static(ANY)),
            (Some(origin), None) if self.knows(origin) => Some(origin.clone()),
            _ => None,
        };
        Grant { origin }
    }

    fn knows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        self.exact.contains(origin) || self.subdomains.iter().any(|it| it.contain(origin))
    }

    /// What the answer to a preflight has beside [`Self::replace`]; None when `request` is none.
    pub(super) fn preflight<B>(&self, request: &Request<B>, grant: &Grant) -> Option<Headers> {
        let asked = request.headers();
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if request.method() != Method::OPTIONS || !asked.contains_key(ORIGIN) {
            return None;
        }
        let varies = [
            ACCESS_CONTROL_REQUEST_METHOD,
            ACCESS_CONTROL_REQUEST_HEADERS,
        ];
        let mut answer: Headers = varies.map(|name| (VARY, name.into())).into();
        if grant.origin.is_some() {
            let headers = asked.get(ACCESS_CONTROL_REQUEST_HEADERS);
            let told = [
                (
                    ACCESS_CONTROL_ALLOW_METHODS,
                    self.methods.answer(Some(method)),
                ),
                (ACCESS_CONTROL_ALLOW_HEADERS, self.headers.answer(headers)),
                (ACCESS_CONTROL_MAX_AGE, self.max_age.clone()),
            ];
            answer.extend(
                told.into_iter()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        }
        Some(answer)
    }

    /// Says instead of the application what the origin may, and to caches that this depends on it.
    pub(super) fn replace(&self, grant: &Grant, response: &mut HeaderMap) {
        for name in OURS {
            response.remove(name);
        }
        if let Some(origin) = &grant.origin {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if self.credentials {
                let yes = HeaderValue::from_static("true");
                response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
        }
        if !varies(response) {
            response.append(VARY, HeaderValue::from_static("origin"));
        }
    }
}

impl Listed {
    fn new(words: &[String]) -> Self {
        if words.iter().any(|word| word == ANY) {
            return Self::Any;
        }
        match HeaderValue::try_from(words.join(", ")) {
            Ok(list) if !words.is_empty() => Self::These(list),
            _ => Self::None,
        }
    }

    fn answer(&self, asked: Option<&HeaderValue>) -> Option<HeaderValue> {
        match self {
            Self::Any => asked.filter(|asked| is_list_of_tokens(asked)).cloned(),
            Self::These(list) => Some(list.clone()),
            Self::None => None,
        }
    }
}

impl Subdomains {
    fn contain(&self, origin: &str) -> bool {
        let Some((scheme, host)) = origin.split_once("://") else {
            return false;
        };
        let fits = match &self.scheme {
            Some(wanted) => **wanted == *scheme,
            None => scheme == "https" || scheme == "http",
        };
        let labels = host.strip_suffix(&*self.domain).unwrap_or_default();
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(fit);
        fits && labels.split('.').all(is_label)
    }
}

/// RFC 9110 section 5.6: what may stand in lists of methods and field names.
fn is_list_of_tokens(value: &HeaderValue) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte);
    value.as_bytes().iter().all(fits)
}

fn varies(response: &HeaderMap) -> bool {
    let names = response.get_all(VARY).iter();
    let mut names = names.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    names.any(|name| {
        matches!(name.trim_ascii(), b"*") || name.trim_ascii().eq_ignore_ascii_case(b"origin")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[OriginPattern], headers: &str, credentials: bool) -> Cors {
        Cors::new(&types::Cors {
            origins: origins.to_vec(),
            methods: vec!["GET".into(), "DELETE".into()],
            headers: vec![headers.into()],
            credentials,
            max_age: Some(std::time::Duration::from_secs(600)),
        })
    }

    fn some() -> [OriginPattern; 3] {
        let subdomains = |scheme: Option<&str>, domain: &str| OriginPattern::Subdomains {
            scheme: scheme.map(str::to_owned),
            domain: domain.into(),
        };
        [
            OriginPattern::Exact("https://app.example".into()),
            subdomains(Some("https"), "example.com"),
            subdomains(None, "example.org:81"),
        ]
    }

    fn asked(headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::OPTIONS;
        for (name, value) in headers {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn origins_that_are_known() {
        let cors = cors(&some(), "*", false);
        for (origin, known) in [
            ("https://app.example", true),
            ("http://app.example", false),
            ("https://app.example:8443", false),
            ("https://a.example.com", true),
            ("https://a.b.example.com", true),
            ("https://example.com", false),
            ("https://.example.com", false),
            ("https://evil.com/.example.com", false),
            ("https://evil.com#.example.com", false),
            ("https://badexample.com", false),
            ("http://a.example.com", false),
            ("http://a.example.org:81", true),
            ("https://a.example.org", false),
            ("null", false),
            ("", false),
        ] {
            let grant = cors.judge(asked(&[("origin", origin)]).headers());
            assert_eq!(grant.origin.is_some(), known, "{origin}");
        }
        let twice = [
            ("origin", "https://app.example"),
            ("origin", "https://app.example"),
        ];
        assert!(cors.judge(asked(&twice).headers()).origin.is_none());
    }

    #[test]
    fn every_response_varies_and_only_ours_counts() {
        let cors = cors(&some(), "*", true);
        let mut response = HeaderMap::new();
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "x-sum"),
            ("vary", "accept-encoding"),
        ] {
            response.append(name, HeaderValue::from_static(value));
        }
        let mut allowed = response.clone();
        cors.replace(&cors.judge(&HeaderMap::new()), &mut response);
        assert_eq!(response.len(), 3, "{response:?}");
        assert_eq!(
            response.get_all("vary").iter().collect::<Vec<_>>(),
            ["accept-encoding", "origin"]
        );
        let request = asked(&[("origin", "https://app.example")]);
        cors.replace(&cors.judge(request.headers()), &mut allowed);
        assert_eq!(
            allowed["access-control-allow-origin"],
            "https://app.example"
        );
        assert_eq!(allowed["access-control-allow-credentials"], "true");
    }

    #[test]
    fn preflights() {
        let cors = cors(&some(), "*", false);
        let origin = ("origin", "https://app.example");
        let method = ("access-control-request-method", "DELETE");
        let answer = |headers: &[(&'static str, &'static str)]| {
            let request = asked(headers);
            cors.preflight(&request, &cors.judge(request.headers()))
        };
        assert!(answer(&[origin]).is_none());
        assert!(answer(&[method]).is_none());
        let allowed = answer(&[
            origin,
            method,
            ("access-control-request-headers", "x-a,x-b"),
        ]);
        let value = |answer: &Option<Headers>, name: &str| {
            let found = answer
                .as_ref()
                .unwrap()
                .iter()
                .find(|(known, _)| known == name);
            found.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        for (name, expected) in [("methods", "GET, DELETE"), ("headers", "x-a,x-b")] {
            let told = value(&allowed, &format!("access-control-allow-{name}"));
            assert_eq!(told.as_deref(), Some(expected));
        }
        assert_eq!(
            value(&allowed, "access-control-max-age").as_deref(),
            Some("600")
        );
        let bad = answer(&[origin, method, ("access-control-request-headers", "x\"")]);
        assert_eq!(value(&bad, "access-control-allow-headers"), None);
        let unknown = answer(&[("origin", "https://evil.example"), method]).unwrap();
        assert!(unknown.iter().all(|(name, _)| name == VARY));
    }

    #[test]
    fn all_origins_without_naming_them() {
        let cors = cors(&[OriginPattern::Any], "x-a", false);
        let grant = cors.judge(asked(&[("origin", "null")]).headers());
        assert_eq!(grant.origin.unwrap(), "*");
    }
}
