//! Which pool a path belongs to, and the path that its servers see.

use http::Uri;
use http::uri::PathAndQuery;

use crate::config::types::{Proxy, Route};
use crate::http::request_path;

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Target {
    /// Index into [`Proxy::routes`].
    Route(usize),
    /// Index into [`Proxy::pools`].
    Pool(usize),
}

impl Target {
    pub(in crate::http) fn route(self, proxy: &Proxy) -> Option<&Route> {
        match self {
            Self::Route(index) => proxy.routes.get(index),
            Self::Pool(_) => None,
        }
    }

    pub(super) fn pool(self, proxy: &Proxy) -> usize {
        match self {
            Self::Route(index) => proxy
                .routes
                .get(index)
                .map_or(usize::MAX, |route| route.pool as usize),
            Self::Pool(pool) => pool,
        }
    }
}

/// The first of `routes` (longest prefix first) that `path` lies under.
pub(in crate::http) fn find_route(routes: &[Route], path: &str) -> Option<usize> {
    routes
        .iter()
        .position(|route| lies_under(path, &route.path))
}

fn lies_under(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'),
        None => false,
    }
}

/// The request target for an upstream: the client's own bytes, but for the prefix that `route` strips or rewrites, the
/// `base_path` of the server, and dot segments. None when nothing valid comes of it.
pub(super) fn upstream_target(uri: &Uri, route: Option<&Route>, base_path: &str) -> Option<Uri> {
    let clean = request_path::without_dot_segments(uri.path()).ok()?;
    let (front, rest) = match route {
        Some(route) => upstream_path(&clean, route),
        None => ("", &*clean),
    };
    if base_path.is_empty() && front.is_empty() && rest == uri.path() {
        return uri.path_and_query().cloned().map(Uri::from);
    }
    let slash = if rest.starts_with('/') || (rest.is_empty() && !front.is_empty()) {
        ""
    } else {
        "/"
    };
    let target = match uri.query() {
        Some(query) => format!("{base_path}{front}{slash}{rest}?{query}"),
        None => format!("{base_path}{front}{slash}{rest}"),
    };
    PathAndQuery::try_from(target).ok().map(Uri::from)
}

/// What stands instead of the route's path, without its last slash where more follows, and the rest of the path.
fn upstream_path<'a>(path: &'a str, route: &'a Route) -> (&'a str, &'a str) {
    if let Some(target) = &route.rewrite_target {
        let prefix = route.path.strip_suffix('/').unwrap_or(&route.path);
        let rest = path.strip_prefix(prefix).unwrap_or(path);
        return match rest {
            "" => (target, ""),
            rest => (target.strip_suffix('/').unwrap_or(target), rest),
        };
    }
    let stripped = route.strip_prefix.then(|| route.path.trim_end_matches('/'));
    let rest = stripped.and_then(|prefix| path.strip_prefix(prefix));
    ("", rest.unwrap_or(path))
}

/// The way back: what a client calls `target`, a path (and more) of the upstream. None when it calls it nothing.
pub(super) fn public_path(target: &str, route: Option<&Route>, base_path: &str) -> Option<String> {
    let inner = under(target, base_path)?;
    let Some(route) = route else {
        return Some(join("", inner));
    };
    match &route.rewrite_target {
        Some(rewritten) => {
            let rest = under(inner, rewritten.trim_end_matches('/'))?;
            Some(join(route.path.trim_end_matches('/'), rest))
        }
        None if route.strip_prefix => Some(join(route.path.trim_end_matches('/'), inner)),
        None => Some(join("", inner)),
    }
}

/// The rest of `target` when it lies under `prefix`, a path without a slash at its end.
fn under<'a>(target: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = target.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
}

fn join(front: &str, rest: &str) -> String {
    let slash = if rest.starts_with('/') { "" } else { "/" };
    format!("{front}{slash}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, strip_prefix: bool) -> Route {
        Route {
            path: path.into(),
            pool: 0,
            strip_prefix,
            rewrite_target: None,
            timeout: None,
            websocket: true,
            max_request_size: None,
        }
    }

    fn target(uri: &str, route: Option<&Route>, base: &str) -> String {
        upstream_target(&uri.parse().unwrap(), route, base)
            .unwrap()
            .to_string()
    }

    #[test]
    fn prefixes_end_at_segments() {
        let routes = [route("/api/v1/", false), route("/api", false)];
        for (path, found) in [
            ("/api/v1/x", Some(0)),
            ("/api/v1/", Some(0)),
            ("/api/v1", Some(1)),
            ("/api", Some(1)),
            ("/apis", None),
            ("/API", None),
            ("/", None),
        ] {
            assert_eq!(find_route(&routes, path), found, "{path}");
        }
        assert_eq!(find_route(&[route("/", false)], "/any"), Some(0));
    }

    #[test]
    fn the_clients_bytes_are_kept() {
        for uri in ["/a%2fb//c?x=%20&&y", "/?", "/%C3%BC?q=/../"] {
            assert_eq!(target(uri, None, ""), uri);
        }
        assert_eq!(target("http://h/a?b", None, ""), "/a?b");
    }

    #[test]
    fn prefix_and_base_path() {
        let api = route("/api", true);
        assert_eq!(target("/api/x?q=1", Some(&api), ""), "/x?q=1");
        assert_eq!(target("/api", Some(&api), ""), "/");
        assert_eq!(target("/api?q", Some(&api), "/base"), "/base/?q");
        assert_eq!(target("/api/x", Some(&route("/api/", true)), ""), "/x");
        assert_eq!(target("/x", None, "/base"), "/base/x");
        assert_eq!(target("/x", Some(&route("/", true)), ""), "/x");
    }

    #[test]
    fn a_path_is_rewritten_at_its_beginning_alone() {
        for (path, rewritten, uri, expected) in [
            ("/old/", "/new/", "/old/x/old/?q=%20", "/new/x/old/?q=%20"),
            ("/old/", "/new", "/old/x", "/new/x"),
            ("/old", "/new/", "/old/x", "/new/x"),
            ("/old", "/new", "/old", "/new"),
            ("/old", "/new/", "/old", "/new/"),
            ("/old/", "/new", "/old/", "/new/"),
            ("/old/", "/", "/old/x%2Fy", "/x%2Fy"),
            ("/old/", "/", "/old//x", "//x"),
            ("/", "/v2/", "/x", "/v2/x"),
        ] {
            let mut route = route(path, false);
            route.rewrite_target = Some(rewritten.into());
            assert_eq!(
                target(uri, Some(&route), ""),
                expected,
                "{path} {rewritten}"
            );
            assert_eq!(
                target(uri, Some(&route), "/base"),
                format!("/base{expected}")
            );
        }
    }

    #[test]
    fn dot_segments_cannot_climb_over_a_prefix() {
        assert_eq!(target("/public/%2e%2e/admin?x", None, ""), "/admin?x");
        assert_eq!(upstream_target(&"/..".parse().unwrap(), None, ""), None);
    }
}
