//! The endpoints of the management API.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::Presence;
use super::access::Access;
use super::event_stream::{EventStream, HEARTBEAT, last_event};
use super::page::{self, Snapshot};
use crate::core::master::{Caller, Input};
use crate::core::report::{CheckReport, ReloadReport, Status};
use crate::core::supervisor::event::Cause;
use crate::metrics::prometheus;

/// Bytes of a request body.
const BODY_LIMIT: usize = 64 * 1024;
/// For a request body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who follows events while others already are too many comes back after this.
const LATER: &str = "10";

type Answer = Response<Full<Bytes>>;
/// An answer, or one that goes on and on.
pub(super) type Content = Either<Full<Bytes>, EventStream>;

pub(super) async fn answer(
    request: Request<Incoming>,
    access: &Access,
    presence: &Presence,
    inputs: &mpsc::Sender<Input>,
) -> Response<Content> {
    let (head, body) = request.into_parts();
    if !access.allows(&head.method, &head.headers) {
        return refuse(access, &head).map(Either::Left);
    }
    if let Err(answer) = read(body).await {
        return answer.map(Either::Left);
    }
    match route(head.uri.path(), &head.method) {
        Ok(endpoint) => endpoint.answer(&head, access, presence, inputs).await,
        Err(answer) => answer.map(Either::Left),
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
    Events,
    Page,
    Metrics,
    Health,
}

fn route(path: &str, method: &Method) -> Result<Endpoint, Box<Answer>> {
    let (endpoint, allowed) = match path {
        "/api/status" => (Endpoint::Status, "GET, HEAD"),
        "/api/workers" => (Endpoint::Workers, "GET, HEAD"),
        "/api/certificates" => (Endpoint::Certificates, "GET, HEAD"),
        "/api/upstreams" => (Endpoint::Upstreams, "GET, HEAD"),
        "/api/events" => (Endpoint::Events, "GET, HEAD"),
        "/" => (Endpoint::Page, "GET, HEAD"),
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
    let answer = error(StatusCode::METHOD_NOT_ALLOWED, &format!("use {allowed}"));
    Err(Box::new(with(answer, ALLOW, allowed)))
}

impl Endpoint {
    async fn answer(
        self,
        head: &Parts,
        access: &Access,
        presence: &Presence,
        inputs: &mpsc::Sender<Input>,
    ) -> Response<Content> {
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
            Self::Page => page(inputs).await,
            Self::Events => return events(head, access, presence, inputs).await,
        };
        answer.unwrap_or_else(stopping).map(Either::Left)
    }
}

fn stopping() -> Answer {
    error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
}

async fn page(inputs: &mpsc::Sender<Input>) -> Option<Answer> {
    let snapshot = Snapshot {
        status: ask(inputs, Input::Status).await?,
        upstreams: ask(inputs, Input::Upstreams).await?,
        certificates: ask(inputs, Input::Certificates).await?,
        events: ask(inputs, Input::Chronicle).await?.latest(page::EVENTS),
    };
    let text = page::render(&snapshot).into();
    let answer = respond(StatusCode::OK, "text/html; charset=utf-8", text);
    let answer = with(answer, CONTENT_SECURITY_POLICY, page::policy());
    let answer = with(answer, X_FRAME_OPTIONS, "DENY");
    Some(with(answer, REFERRER_POLICY, "no-referrer"))
}

/// What happens, as it happens.
async fn events(
    head: &Parts,
    access: &Access,
    presence: &Presence,
    inputs: &mpsc::Sender<Input>,
) -> Response<Content> {
    let Some(chronicle) = ask(inputs, Input::Chronicle).await else {
        return stopping().map(Either::Left);
    };
    let Some(follower) = chronicle.follow(access.side(), last_event(&head.headers)) else {
        let text = "too many clients follow the events already: try again later";
        let answer = error(StatusCode::SERVICE_UNAVAILABLE, text);
        return with(answer, RETRY_AFTER, LATER).map(Either::Left);
    };
    if head.method == Method::GET {
        presence.streams();
    }
    let answer = respond(StatusCode::OK, "text/event-stream", Bytes::new());
    // A proxy such as nginx shall not collect them first.
    let answer = with(answer, HeaderName::from_static("x-accel-buffering"), "no");
    answer.map(|_| Either::Right(EventStream::new(follower, HEARTBEAT)))
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

fn refuse(access: &Access, head: &Parts) -> Answer {
    let Access::Key { .. } = access else {
        let text = "without a management.api_key only programs of this machine are answered, that ask for 'localhost': \
                    configure a key for others";
        return error(StatusCode::FORBIDDEN, text);
    };
    if access.is_misnamed(&head.method, &head.headers) {
        let text = "under this name no password is taken: ask for '127.0.0.1' or 'localhost', or send the configured \
                    management.api_key as 'X-API-Key' or 'Authorization: Bearer'";
        return error(StatusCode::FORBIDDEN, text);
    }
    let text = "send the configured management.api_key as 'X-API-Key' or 'Authorization: Bearer'";
    let mut answer = with(
        error(StatusCode::UNAUTHORIZED, text),
        WWW_AUTHENTICATE,
        "Bearer",
    );
    if access.takes_passwords(&head.method, &head.headers) {
        let basic = HeaderValue::from_static(r#"Basic realm="BWS", charset="UTF-8""#);
        answer.headers_mut().append(WWW_AUTHENTICATE, basic);
    }
    answer
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    let value = HeaderValue::from_static(value);
    answer.headers_mut().insert(name, value);
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
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        answer = with(answer, name, value);
    }
    // No page of others may show it.
    with(
        answer,
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    )
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

#[cfg(test)]
mod tests {
    use super::*;

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
