//! Who answers a request.

use http::{Method, StatusCode};

use super::Service;
use crate::http::endpoints::{self, Endpoint};
use crate::http::proxy::{self, Target};
use crate::http::request_path;
use crate::http::site::Site;
use crate::http::static_files::Entry;

/// Who answers a request.
pub(super) enum Room {
    Endpoint(Endpoint),
    /// The page of all figures.
    Metrics,
    Static(Entry),
    /// OPTIONS, or a method that files do not have.
    Methods,
    Upstream(Target),
    Error(StatusCode),
}

impl Service {
    /// An exact route, a file that exists, an endpoint, a route by prefix, a file, the pool behind the files.
    pub(super) fn room(&self, site: &Site, method: &Method, path: &str) -> Room {
        let Ok(clean) = request_path::without_dot_segments(path) else {
            return Room::Error(StatusCode::BAD_REQUEST);
        };
        let proxy = self.shared.config.sites[site.index as usize].proxy.as_ref();
        let route = proxy.and_then(|proxy| proxy::find_route(&proxy.routes, &clean));
        let exact = |index: usize| proxy.is_some_and(|proxy| proxy.routes[index].path == clean);
        if let Some(index) = route.filter(|&index| exact(index)) {
            return Room::Upstream(Target::Route(index));
        }
        if let Some(endpoint) = endpoints::find(&self.shared.config.monitoring, &clean) {
            return match site.root.as_ref().map(|_| self.entry(site, path)) {
                Some(Some(Entry::File(file))) => Room::Static(Entry::File(file)),
                _ => Room::Endpoint(endpoint),
            };
        }
        if endpoints::is_metrics(&self.shared.config.monitoring, &clean) {
            return Room::Metrics;
        }
        match (route, proxy.and_then(|proxy| proxy.fallback_pool)) {
            (Some(index), _) => Room::Upstream(Target::Route(index)),
            (None, Some(pool)) => self.file_or_pool(site, method, path, pool),
            (None, None) => self.file(site, method, path),
        }
    }

    /// The largest body that is taken there, where it is not that of all sites.
    pub(super) fn max_request_size(&self, site: &Site, room: &Room) -> Option<u64> {
        let config = &self.shared.config.sites[site.index as usize];
        let route = match (room, &config.proxy) {
            (Room::Upstream(target), Some(proxy)) => target.route(proxy),
            _ => None,
        };
        let of_route = route.and_then(|route| route.max_request_size);
        of_route.or(config.max_request_size)
    }

    fn file(&self, site: &Site, method: &Method, path: &str) -> Room {
        if path == "*" {
            return Room::Methods;
        }
        match (site.root.is_some(), method) {
            (false, _) => Room::Error(StatusCode::NOT_FOUND),
            (true, &Method::GET | &Method::HEAD) => self
                .entry(site, path)
                .map_or(Room::Error(StatusCode::NOT_FOUND), Room::Static),
            (true, _) => Room::Methods,
        }
    }

    /// What the files do not hold, and every other method, is the upstream's.
    fn file_or_pool(&self, site: &Site, method: &Method, path: &str, pool: u32) -> Room {
        if path == "*" {
            return Room::Methods;
        }
        let readable = method == Method::GET || method == Method::HEAD;
        match readable.then(|| self.entry(site, path)).flatten() {
            Some(entry @ (Entry::File(_) | Entry::Folder { has_index: true })) => {
                Room::Static(entry)
            }
            Some(Entry::Missing(status))
                if status == StatusCode::BAD_REQUEST || status.is_server_error() =>
            {
                Room::Error(status)
            }
            _ => Room::Upstream(Target::Pool(pool as usize)),
        }
    }

    fn entry(&self, site: &Site, path: &str) -> Option<Entry> {
        let root = site.root.as_ref()?;
        Some(self.files.find(site.index, root, path))
    }
}
