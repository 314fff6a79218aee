//! Redirects of an upstream to itself, led back to the site: `rewrite_redirects`.

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Uri};

use super::route::public_path;
use crate::config::types::Route;

/// Where an upstream is, as it knows it itself. With another scheme it is another place (RFC 9110 section 4.3.1): who is
/// sent from `http` to `https` and led back to a path would be sent for ever.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) secure: bool,
    /// It is spoken to without TLS, whatever its clients speak.
    pub(super) unaware: bool,
    /// Host, and port unless it is the scheme's own; empty for none.
    pub(super) authority: &'a [u8],
}

impl Origin<'_> {
    fn is(&self, scheme: &str, authority: &str) -> bool {
        let own = if self.secure { "https" } else { "http" };
        // An application that does not know that its clients come by https.
        let unaware = self.secure && self.unaware && scheme.eq_ignore_ascii_case("http");
        !self.authority.is_empty()
            && (scheme.eq_ignore_ascii_case(own) || unaware)
            && authority.as_bytes().eq_ignore_ascii_case(self.authority)
    }
}

/// Makes a `Location` that points to the upstream one that points to the site: a path, as the client knows it
/// (RFC 9110 section 10.2.2). `ours` are the names by which the upstream may call itself.
pub(super) fn rewrite(
    headers: &mut HeaderMap,
    ours: [Origin<'_>; 2],
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
fn own_target<'a>(location: &'a str, ours: [Origin<'_>; 2]) -> Option<&'a str> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(location);
    }
    let (scheme, rest) = location.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if !ours.iter().any(|own| own.is(scheme, authority)) {
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
        let origin = |secure, authority: &'static str| Origin {
            secure,
            unaware: secure,
            authority: authority.as_bytes(),
        };
        let ours = [origin(false, "10.0.0.1:3000"), origin(true, "shop.example")];
        rewrite(&mut headers, ours, route, base);
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
            max_request_size: None,
        }
    }

    #[test]
    fn locations_lead_back_to_the_site() {
        let stripped = route("/app", true, None);
        let moved = route("/old/", false, Some("/new/"));
        for (location, route, base, expected) in [
            ("http://10.0.0.1:3000/x?y#z", None, "", "/x?y#z"),
            ("HTTPS://SHOP.example", None, "", "/"),
            ("http://shop.example/x", None, "", "/x"),
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
            ("https://10.0.0.1:3000/x", None, ""),
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
