//! Redirects of an upstream to itself, led back to the site: `rewrite_redirects`.

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Uri};

use super::route::public_path;
use crate::config::types::Route;

/// Makes a `Location` that points to the upstream one that points to the site: a path, as the client knows it
/// (RFC 9110 section 10.2.2). `ours` are the names by which the upstream may call itself.
pub(super) fn rewrite(
    headers: &mut HeaderMap,
    ours: [&[u8]; 2],
    route: Option<&Route>,
    base_path: &str,
) {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(target) = location.and_then(|location| own_target(location, ours)) else {
        return;
    };
    let public = public_path(target, route, base_path);
    if let Some(value) = public.and_then(|path| HeaderValue::try_from(path).ok()) {
        headers.insert(LOCATION, value);
    }
}

/// Path, query and fragment of a location that is the upstream's own.
fn own_target<'a>(location: &'a str, ours: [&[u8]; 2]) -> Option<&'a str> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(location);
    }
    let (scheme, rest) = location.split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let named = |name: &[u8]| !name.is_empty() && authority.as_bytes().eq_ignore_ascii_case(name);
    if !ours.into_iter().any(named) {
        return None;
    }
    // What cannot be a URI is passed on as it is.
    location.parse::<Uri>().ok()?;
    match target {
        "" => Some("/"),
        target if target.starts_with('/') => Some(target),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(location: &str, route: Option<&Route>, base: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().unwrap());
        rewrite(
            &mut headers,
            [b"10.0.0.1:3000", b"shop.example"],
            route,
            base,
        );
        headers[LOCATION].to_str().unwrap().to_owned()
    }

    fn route(path: &str, strip_prefix: bool, rewrite_target: Option<&str>) -> Route {
        Route {
            path: path.into(),
            pool: 0,
            strip_prefix,
            rewrite_target: rewrite_target.map(str::to_owned),
            timeout: None,
            websocket: true,
        }
    }

    #[test]
    fn locations_lead_back_to_the_site() {
        let stripped = route("/app", true, None);
        let moved = route("/old/", false, Some("/new/"));
        for (location, route, base, expected) in [
            ("http://10.0.0.1:3000/x?y#z", None, "", "/x?y#z"),
            ("http://SHOP.example", None, "", "/"),
            ("http://10.0.0.1:3000/x", Some(&stripped), "", "/app/x"),
            ("/login", Some(&stripped), "", "/app/login"),
            ("/", Some(&stripped), "", "/app/"),
            ("http://10.0.0.1:3000/base/x", None, "/base", "/x"),
            ("/base", Some(&stripped), "/base", "/app/"),
            ("/new/a", Some(&moved), "", "/old/a"),
        ] {
            assert_eq!(rewritten(location, route, base), expected, "{location}");
        }
    }

    #[test]
    fn other_places_stay_as_they_are() {
        let moved = route("/old/", false, Some("/new/"));
        for (location, route, base) in [
            ("http://elsewhere.example/x", None, ""),
            ("//10.0.0.1:3000/x", None, ""),
            ("ftp://10.0.0.1:3000/x", None, ""),
            ("relative", None, ""),
            ("http://10.0.0.1:3000?x", None, ""),
            ("/other", None, "/base"),
            ("/based", None, "/base"),
            ("/newer", Some(&moved), ""),
        ] {
            assert_eq!(rewritten(location, route, base), location);
        }
    }
}
