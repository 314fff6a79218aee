//! The endpoints of the management API, and who may use them.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::Presence;
use crate::core::master::{Caller, Input};
use crate::core::report::{CheckReport, ReloadReport, Status};
use crate::core::supervisor::event::Cause;
use crate::metrics::prometheus;

/// Bytes of a request body.
const BODY_LIMIT: usize = 64 * 1024;
/// For a request body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

type Answer = Response<Full<Bytes>>;

/// Who may use a connection.
pub(super) enum Access {
    /// The Unix socket: its mode says who.
    Trusted,
    /// A loopback address without a key: programs of this host, but no web page in its browsers.
    Local,
    /// Who knows the key.
    Key(String),
}

impl Access {
    fn allows(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Trusted => true,
            Self::Local => is_local(headers),
            Self::Key(key) => {
                presented_key(headers).is_some_and(|shown| is_same(shown, key.as_bytes()))
            }
        }
    }
}

pub(super) async fn answer(
    request: Request<Incoming>,
    access: &Access,
    presence: &Presence,
    inputs: &mpsc::Sender<Input>,
) -> Answer {
    if !access.allows(request.headers()) {
        return refuse(access);
    }
    let (head, body) = request.into_parts();
    if let Err(answer) = read(body).await {
        return *answer;
    }
    match route(head.uri.path(), &head.method) {
        Ok(endpoint) => endpoint.answer(presence, inputs).await,
        Err(answer) => *answer,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Status,
    Workers,
    Upstreams,
    Reload,
    Check,
    Certificates,
    Metrics,
    Health,
}

fn route(path: &str, method: &Method) -> Result<Endpoint, Box<Answer>> {
    let (endpoint, allowed) = match path {
        "/api/status" => (Endpoint::Status, "GET, HEAD"),
        "/api/workers" => (Endpoint::Workers, "GET, HEAD"),
        "/api/certificates" => (Endpoint::Certificates, "GET, HEAD"),
        "/api/upstreams" => (Endpoint::Upstreams, "GET, HEAD"),
        "/metrics" => (Endpoint::Metrics, "GET, HEAD"),
        "/health" | "/api/health" => (Endpoint::Health, "GET, HEAD"),
        "/api/config/reload" => (Endpoint::Reload, "POST"),
        "/api/config/check" => (Endpoint::Check, "POST"),
        _ => {
            return Err(Box::new(error(
                StatusCode::NOT_FOUND,
                "there is no such endpoint",
            )));
        }
    };
    if allowed.split(", ").any(|name| name == method.as_str()) {
        return Ok(endpoint);
    }
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, &format!("use {allowed}"));
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    Err(Box::new(answer))
}

impl Endpoint {
    async fn answer(self, presence: &Presence, inputs: &mpsc::Sender<Input>) -> Answer {
        let reload = |reply| Input::Reload(Caller::Task(reply, Some(presence.clone())));
        let answer = match self {
            Self::Status => ask(inputs, Input::Status)
                .await
                .map(|status| json(StatusCode::OK, &status)),
            Self::Workers => ask(inputs, Input::Status).await.map(|status: Status| {
                json(
                    StatusCode::OK,
                    &json!({ "generations": status.generations }),
                )
            }),
            Self::Upstreams => ask(inputs, Input::Upstreams)
                .await
                .map(|upstreams| json(StatusCode::OK, &json!({ "upstreams": upstreams }))),
            Self::Reload => ask(inputs, reload)
                .await
                .map(|report| reload_report(&report)),
            Self::Check => ask(inputs, Input::Check).await.map(|report| check(&report)),
            Self::Certificates => ask(inputs, Input::Certificates)
                .await
                .map(|certificates| json(StatusCode::OK, &certificates)),
            Self::Metrics => ask(inputs, Input::Metrics).await.map(metrics),
            Self::Health => ask(inputs, Input::Status)
                .await
                .map(|status| health(&status)),
        };
        answer.unwrap_or_else(|| error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"))
    }
}

/// None: the master has ended.
async fn ask<T>(
    inputs: &mpsc::Sender<Input>,
    question: impl FnOnce(oneshot::Sender<T>) -> Input,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    inputs.send(question(reply)).await.ok()?;
    answer.await.ok()
}

/// The answer to a request for a reload, as bytes of HTTP/1.1.
pub(super) fn reload_answer(report: &ReloadReport) -> Vec<u8> {
    let (head, body) = reload_report(report).into_parts();
    let reason = head.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_str()).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let body = body.into_inner().unwrap_or_default();
    let rest = format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn reload_report(report: &ReloadReport) -> Answer {
    let status = match report.cause {
        None => StatusCode::OK,
        Some(Cause::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    json(status, report)
}

fn check(report: &CheckReport) -> Answer {
    match report.valid {
        true => json(StatusCode::OK, report),
        false => json(StatusCode::UNPROCESSABLE_ENTITY, report),
    }
}

fn health(status: &Status) -> Answer {
    let serves = status.config_version > 0 && status.state != "stopping";
    let (code, word) = match serves {
        true => (StatusCode::OK, "healthy"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let version = status.config_version;
    json(
        code,
        &json!({ "status": word, "state": status.state, "config_version": version }),
    )
}

fn metrics(page: String) -> Answer {
    respond(StatusCode::OK, prometheus::CONTENT_TYPE, page.into())
}

fn error(status: StatusCode, text: &str) -> Answer {
    json(status, &json!({ "error": text }))
}

fn refuse(access: &Access) -> Answer {
    let Access::Key(_) = access else {
        let text = "without a management.api_key only programs of this machine are answered, that ask for 'localhost': \
                    configure a key for others";
        return error(StatusCode::FORBIDDEN, text);
    };
    let text = "send the configured management.api_key as 'X-API-Key' or 'Authorization: Bearer'";
    let mut answer = error(StatusCode::UNAUTHORIZED, text);
    answer
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    respond(status, "application/json", text.into())
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// No endpoint reads a body yet; it is taken in so that the client can finish sending.
async fn read(body: Incoming) -> Result<(), Box<Answer>> {
    let (status, text) =
        match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(_)) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request body is longer than 64 KiB",
            ),
            Err(_) => (
                StatusCode::REQUEST_TIMEOUT,
                "the request body took too long",
            ),
        };
    Err(Box::new(error(status, text)))
}

fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("x-api-key") {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(key.trim().as_bytes())
}

/// Takes the same time wherever they differ.
fn is_same(shown: &[u8], key: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(shown, key).is_ok()
}

/// A page of some web site that a browser on this host shows names that site in `Origin`, or its own name in `Host`.
fn is_local(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
    };
    let Some(host) = text(HOST) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let named_here =
        name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok();
    let own_page = text(ORIGIN).is_none_or(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
    });
    named_here && own_page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_the_key_opens() {
        let access = Access::Key("secret".into());
        assert!(access.allows(&headers(&[("x-api-key", "secret")])));
        assert!(access.allows(&headers(&[("authorization", "bearer secret")])));
        assert!(!access.allows(&headers(&[("authorization", "Basic secret")])));
        assert!(!access.allows(&headers(&[("x-api-key", "secre")])));
        assert!(!access.allows(&headers(&[])));
    }

    #[test]
    fn web_pages_of_others_are_kept_out() {
        let local = |pairs| Access::Local.allows(&headers(pairs));
        assert!(local(&[("host", "127.0.0.1:7654")]));
        assert!(local(&[("host", "[::1]:7654")]));
        assert!(local(&[
            ("host", "localhost:7654"),
            ("origin", "http://localhost:7654")
        ]));
        assert!(!local(&[
            ("host", "127.0.0.1:7654"),
            ("origin", "https://evil.example")
        ]));
        assert!(!local(&[("host", "rebound.evil.example:7654")]));
    }

    #[test]
    fn a_wrong_method_names_the_right_one() {
        let answer = route("/api/config/reload", &Method::GET).unwrap_err();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[ALLOW], "POST");
        assert_eq!(route("/metrics", &Method::HEAD).unwrap(), Endpoint::Metrics);
        assert_eq!(
            route("/x", &Method::GET).unwrap_err().status(),
            StatusCode::NOT_FOUND
        );
    }
}
