//! Paths that moved (RFC 9110 section 15.4).

use std::collections::HashMap;

use http::header::LOCATION;
use http::{HeaderValue, StatusCode, Uri};

use super::Refusal;
use crate::config::types::Redirect;
use crate::http::request_path;

#[derive(Debug)]
pub(super) struct Redirects {
    exact: HashMap<Box<str>, Target>,
    /// Longest first.
    prefixes: Box<[(Box<str>, Target)]>,
}

#[derive(Debug)]
struct Target {
    /// Up to its `*`, and what follows that.
    to: Box<str>,
    after: Option<Box<str>>,
    status: StatusCode,
}

impl Redirects {
    /// None without any.
    pub(super) fn new(redirects: &[Redirect]) -> Option<Self> {
        if redirects.is_empty() {
            return None;
        }
        let entry = |redirect: &Redirect| (redirect.from.as_str().into(), Target::new(redirect));
        let (prefixes, exact): (Vec<_>, Vec<_>) = redirects.iter().partition(|it| it.is_prefix);
        let mut prefixes: Vec<(Box<str>, Target)> = prefixes.into_iter().map(entry).collect();
        prefixes.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Some(Self {
            exact: exact.into_iter().map(entry).collect(),
            prefixes: prefixes.into(),
        })
    }

    /// Where the client is sent instead: an exact path wins, then the longest prefix.
    pub(super) fn find(&self, uri: &Uri) -> Option<Refusal> {
        let path = request_path::without_dot_segments(uri.path()).ok()?;
        let (target, rest) = match self.exact.get(&*path) {
            Some(target) => (target, ""),
            None => self
                .prefixes
                .iter()
                .find_map(|(from, target)| Some((target, path.strip_prefix(&**from)?)))?,
        };
        let location = HeaderValue::try_from(target.location(rest, uri.query())).ok()?;
        Some(Refusal {
            status: target.status,
            header: Some((LOCATION, location)),
        })
    }
}

impl Target {
    fn new(redirect: &Redirect) -> Self {
        let (to, after) = match redirect.to.split_once('*') {
            Some((to, after)) => (to, Some(after.into())),
            None => (redirect.to.as_str(), None),
        };
        Self {
            to: to.into(),
            after,
            status: StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::FOUND),
        }
    }

    fn location(&self, rest: &str, query: Option<&str>) -> String {
        let mut location = self.to.to_string();
        if let Some(after) = &self.after {
            location.push_str(rest);
            location.push_str(after);
        }
        if location.starts_with('/') {
            // Two slashes, for browsers also written with backslashes, would begin a host.
            let path = location.trim_start_matches(['/', '\\']);
            location = format!("/{path}");
        }
        if let Some(query) = query {
            add_query(&mut location, query);
        }
        location
    }
}

/// Adds the request's query to that of `location`, before its fragment.
fn add_query(location: &mut String, query: &str) {
    let fragment = location
        .find('#')
        .map(|at| location.split_off(at))
        .unwrap_or_default();
    location.push(if location.contains('?') { '&' } else { '?' });
    location.push_str(query);
    location.push_str(&fragment);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirects(list: &[(&str, &str, u16)]) -> Redirects {
        let redirect = |(from, to, status): &(&str, &str, u16)| Redirect {
            from: from.trim_end_matches('*').into(),
            is_prefix: from.ends_with('*'),
            to: (*to).into(),
            status: *status,
        };
        Redirects::new(&list.iter().map(redirect).collect::<Vec<_>>()).unwrap()
    }

    fn find(redirects: &Redirects, uri: &str) -> Option<(u16, String)> {
        let Refusal { status, header } = redirects.find(&uri.parse().unwrap())?;
        Some((status.as_u16(), header?.1.to_str().unwrap().to_owned()))
    }

    #[test]
    fn exact_then_longest_prefix_with_query() {
        let redirects = redirects(&[
            ("/old/*", "/new/*", 308),
            ("/old/deep/*", "https://b.example/*?from=old#x", 302),
            ("/old/page", "/page#top", 301),
            ("/gone*", "/", 307),
        ]);
        for (uri, status, location) in [
            ("/old/a/b?c=%20", 308, "/new/a/b?c=%20"),
            ("/old/", 308, "/new/"),
            ("/old/deep/x?y", 302, "https://b.example/x?from=old&y#x"),
            ("/old/page?q=1", 301, "/page?q=1#top"),
            ("/gone-for-good", 307, "/"),
            ("/x/../old/a", 308, "/new/a"),
        ] {
            assert_eq!(
                find(&redirects, uri),
                Some((status, location.into())),
                "{uri}"
            );
        }
        for uri in ["/", "/old", "/Old/a", "/new/a", "*"] {
            assert_eq!(find(&redirects, uri), None, "{uri}");
        }
    }

    #[test]
    fn nobody_is_sent_to_a_host_that_a_client_names() {
        let redirects = redirects(&[("/old/*", "/*", 301), ("/x*", "https://b.example/*", 301)]);
        for uri in [
            "/old//evil.example",
            "/old///evil.example",
            "/old/\\evil.example",
        ] {
            let Ok(uri) = uri.parse::<Uri>() else {
                continue;
            };
            let location = redirects.find(&uri).unwrap().header.unwrap().1;
            assert_eq!(location, "/evil.example", "{uri}");
        }
        assert_eq!(
            find(&redirects, "/x.evil.example").unwrap().1,
            "https://b.example/.evil.example"
        );
        assert_eq!(find(&redirects, "/old/%0d%0aX:1").unwrap().1, "/%0d%0aX:1");
    }
}
