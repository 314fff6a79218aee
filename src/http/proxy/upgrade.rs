//! Requests that ask for another protocol (RFC 9110 section 7.8), or for a WebSocket over HTTP/2 (RFC 8441).
//!
//! Either becomes an HTTP/1.1 `Upgrade` request on an upstream connection of its own, or, where the upstream speaks HTTP/2,
//! an extended CONNECT of RFC 8441. Only a 101 that names what was
//! asked for makes a tunnel; any other answer is an answer, and what the client sends next is HTTP again.

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use http_body::Body as _;

use super::websocket_key::Key;
use crate::config::types::Route;
use crate::http::body::RequestBody;

/// What a client wants to speak instead of HTTP.
#[derive(Debug)]
pub(super) enum Upgrade {
    /// HTTP/1.1: these protocols, of which the upstream may choose.
    Protocols(HeaderValue),
    /// HTTP/2: a WebSocket. The key is ours, as the client of the upstream.
    WebSocket(Key),
}

/// Protocols that would only change how this connection speaks HTTP: that is not the upstream's affair, and who
/// passed them on would no longer see the requests.
const OF_ONE_HOP: [&str; 3] = ["h2c", "http", "tls"];

impl Upgrade {
    /// None when the request asks for nothing else than HTTP, or for what we do not care for: an offer may be ignored.
    /// `Err` when it must not have what it asks for.
    pub(super) fn wanted(
        request: &Request<RequestBody>,
        route: Option<&Route>,
    ) -> Result<Option<Self>, StatusCode> {
        let allowed = route.is_none_or(|route| route.websocket);
        if request.method() == Method::CONNECT {
            return match request.extensions().get::<h2::ext::Protocol>() {
                Some(protocol) if protocol.as_str() != "websocket" => {
                    Err(StatusCode::NOT_IMPLEMENTED)
                }
                Some(_) if allowed => Ok(Some(Self::WebSocket(Key::random()))),
                Some(_) => Err(StatusCode::FORBIDDEN),
                None => Err(StatusCode::METHOD_NOT_ALLOWED),
            };
        }
        if !request.headers().contains_key(UPGRADE)
            || request.version() != Version::HTTP_11
            || !lists(request.headers(), "upgrade")
            || !request.body().is_end_stream()
        {
            return Ok(None);
        }
        let offered = offered(request.headers());
        match HeaderValue::from_str(&offered.join(", ")) {
            Ok(protocols) if allowed && !offered.is_empty() => Ok(Some(Self::Protocols(protocols))),
            // Without the switch a WebSocket client has no use for any answer.
            _ if offered.iter().any(|it| is_name_of_websocket(it)) => Err(StatusCode::FORBIDDEN),
            _ => Ok(None),
        }
    }

    /// Whether a WebSocket would do.
    pub(super) fn offers_websocket(&self) -> bool {
        match self {
            Self::Protocols(protocols) => {
                let protocols = protocols.to_str().unwrap_or_default();
                protocols.split(", ").any(is_name_of_websocket)
            }
            Self::WebSocket(_) => true,
        }
    }

    /// Makes a request, as it would go to an upstream, one for the switch.
    pub(super) fn ask(&self, method: &mut Method, headers: &mut HeaderMap) {
        headers.remove(TE);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        match self {
            Self::Protocols(protocols) => {
                headers.insert(UPGRADE, protocols.clone());
            }
            Self::WebSocket(key) => {
                *method = Method::GET;
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(SEC_WEBSOCKET_KEY, key.value());
            }
        }
    }

    /// Whether an upstream's 101 with these headers is an answer to what was asked.
    pub(super) fn is_answered_by(&self, headers: &HeaderMap) -> bool {
        let chosen = tokens(headers, UPGRADE);
        let known = |wanted: &[&str]| {
            !chosen.is_empty()
                && chosen
                    .iter()
                    .all(|it| wanted.iter().any(|name| name.eq_ignore_ascii_case(it)))
        };
        match self {
            Self::Protocols(protocols) => {
                let protocols = protocols.to_str().unwrap_or_default();
                known(&protocols.split(", ").collect::<Vec<_>>())
            }
            Self::WebSocket(key) => {
                known(&["websocket"])
                    && headers
                        .get(SEC_WEBSOCKET_ACCEPT)
                        .is_some_and(|accept| key.is_accepted_by(accept))
            }
        }
    }

    /// Makes a 101 without its hop-by-hop fields the answer for the client. `chosen` is the upstream's `Upgrade`.
    pub(super) fn answer(
        &self,
        chosen: Option<HeaderValue>,
        headers: &mut HeaderMap,
    ) -> StatusCode {
        headers.remove(CONTENT_LENGTH);
        match self {
            Self::Protocols(_) => {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                if let Some(chosen) = chosen {
                    headers.insert(UPGRADE, chosen);
                }
                StatusCode::SWITCHING_PROTOCOLS
            }
            Self::WebSocket(_) => {
                headers.remove(SEC_WEBSOCKET_ACCEPT);
                StatusCode::OK
            }
        }
    }

    /// Whether an answer that is no 101 may be passed on: over HTTP/2 any 2xx would say that the tunnel stands.
    pub(super) fn may_decline_with(&self, status: StatusCode) -> bool {
        matches!(self, Self::Protocols(_)) || !status.is_success()
    }
}

/// Whether `headers` choose WebSocket.
pub(super) fn is_websocket(headers: &HeaderMap) -> bool {
    tokens(headers, UPGRADE)
        .iter()
        .any(|it| is_name_of_websocket(it))
}

fn is_name_of_websocket(protocol: &str) -> bool {
    protocol.eq_ignore_ascii_case("websocket")
}

/// The protocols that may be offered to an upstream.
fn offered(headers: &HeaderMap) -> Vec<&str> {
    let of_one_hop = |protocol: &str| {
        let name = protocol.split('/').next().unwrap_or_default();
        OF_ONE_HOP.iter().any(|it| it.eq_ignore_ascii_case(name))
    };
    let mut offered = tokens(headers, UPGRADE);
    offered.retain(|protocol| !of_one_hop(protocol));
    offered
}

/// The members of a comma-separated field.
fn tokens(headers: &HeaderMap, name: http::HeaderName) -> Vec<&str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.trim_matches([' ', '\t']))
        .filter(|token| !token.is_empty())
        .collect()
}

/// Whether `Connection` lists `option`.
fn lists(headers: &HeaderMap, option: &str) -> bool {
    tokens(headers, CONNECTION)
        .iter()
        .any(|it| it.eq_ignore_ascii_case(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(upgrade: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(UPGRADE, HeaderValue::from_static(upgrade))])
    }

    #[test]
    fn what_concerns_one_hop_is_not_offered() {
        for (asked, offered_on) in [
            ("websocket", "websocket"),
            ("h2c", ""),
            ("HTTP/2.0, TLS/1.0, H2C", ""),
            ("h2c,IRC/6.9 ,, RTA/x11", "IRC/6.9, RTA/x11"),
        ] {
            assert_eq!(offered(&headers(asked)).join(", "), offered_on, "{asked}");
        }
    }

    #[test]
    fn only_what_was_offered_is_an_answer() {
        let asked = Upgrade::Protocols(HeaderValue::from_static("chat/2, websocket"));
        for (answered, sound) in [
            ("websocket", true),
            ("WebSocket", true),
            ("chat/2", true),
            ("chat", false),
            ("h2c", false),
            ("websocket, h2c", false),
            ("", false),
        ] {
            let answer = headers(answered);
            assert_eq!(asked.is_answered_by(&answer), sound, "{answered}");
        }
        assert!(!asked.is_answered_by(&HeaderMap::new()));
    }

    #[test]
    fn http_2_is_not_told_of_a_tunnel_that_is_none() {
        let websocket = Upgrade::WebSocket(Key::random());
        assert!(!websocket.is_answered_by(&headers("websocket")));
        assert!(!websocket.may_decline_with(StatusCode::OK));
        assert!(websocket.may_decline_with(StatusCode::FORBIDDEN));
    }
}
