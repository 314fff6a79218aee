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
    pub(super) fn route(self, proxy: &Proxy) -> Option<&Route> {
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

/// The request target for an upstream: the client's own bytes, but for the prefix that `route` strips, the
/// `base_path` of the server, and dot segments. None when nothing valid comes of it.
pub(super) fn upstream_target(uri: &Uri, route: Option<&Route>, base_path: &str) -> Option<Uri> {
    let clean = request_path::without_dot_segments(uri.path()).ok()?;
    let stripped = route
        .filter(|route| route.strip_prefix)
        .map(|route| route.path.trim_end_matches('/'));
    let rest = stripped
        .and_then(|prefix| clean.strip_prefix(prefix))
        .unwrap_or(&clean);
    if base_path.is_empty() && rest == uri.path() {
        return uri.path_and_query().cloned().map(Uri::from);
    }
    let slash = if rest.starts_with('/') { "" } else { "/" };
    let target = match uri.query() {
        Some(query) => format!("{base_path}{slash}{rest}?{query}"),
        None => format!("{base_path}{slash}{rest}"),
    };
    PathAndQuery::try_from(target).ok().map(Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, strip_prefix: bool) -> Route {
        Route {
            path: path.into(),
            pool: 0,
            strip_prefix,
            timeout: None,
            websocket: true,
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
    fn dot_segments_cannot_climb_over_a_prefix() {
        assert_eq!(target("/public/%2e%2e/admin?x", None, ""), "/admin?x");
        assert_eq!(upstream_target(&"/..".parse().unwrap(), None, ""), None);
    }
}
