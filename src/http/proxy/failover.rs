//! A request finds a server, and another one where the first does not answer and no harm is done.

use http::header::{COOKIE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

use super::client::Client;
use super::exchange::{Exchange, Failure, Trouble};
use super::follower::Follower;
use super::interim::Relay;
use super::pool::{Choice, Place, Pool};
use super::pools::Pools;
use super::route::Target;
use super::upgrade::Upgrade;
use super::upload::Upload;
use crate::config::types::{Proxy, Retry};
use crate::http::admission;
use crate::http::body::{Body, RequestBody};
use crate::http::error_page::Audience;
use crate::http::interim::Interim;
use crate::http::service::Connection;
use crate::http::site::Site;
use crate::metrics::upstreams::now;
use std::rc::Rc;

/// Seconds after which a request that found no room may come again.
const RETRY_AFTER_CROWD: u32 = 1;

/// Why no upstream answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Unanswered {
    status: StatusCode,
    /// Seconds.
    retry_after: Option<u32>,
}

impl Unanswered {
    fn unavailable(retry_after: u32) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(retry_after),
        }
    }

    /// As a client of `site` sees it.
    pub(in crate::http) fn respond(self, site: &Site, audience: Audience) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        site.write_error(&mut response, self.status, audience);
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StatusCode> for Unanswered {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            retry_after: None,
        }
    }
}

/// Prepares `request` for the servers that `target` names. What comes of it is the answer of one of them, else 502 (no
/// sound answer), 503 (none serves), 504 (too late), or what is wrong with the request.
pub(in crate::http) fn forward<'a>(
    proxy: &'a Proxy,
    pools: &'a Pools,
    target: Target,
    request: Request<RequestBody>,
    connection: &Connection,
    interim: Option<Rc<dyn Interim>>,
) -> Result<Forwarding<'a>, Unanswered> {
    let (pool, unknown) = pools
        .pool(target.pool(proxy))
        .ok_or(StatusCode::BAD_GATEWAY)?;
    let arrival = unknown.map(|follower| Arrival::new(follower, request.headers()));
    let client = pool.client(request.headers(), connection);
    let host = admission::named_authority(&request);
    let route = target.route(proxy);
    let upgrade = Upgrade::wanted(&request, route)?;
    let (parts, body) = request.into_parts();
    let upload = Upload::new(body, &pools.rules.guarded);
    let repeatable = upload.is_empty() && parts.method.is_idempotent();
    let search = Search {
        pool,
        client,
        retry: &proxy.retry,
        repeatable,
        secure: connection.secure,
    };
    let relay = Relay::new(interim, proxy.interim_responses, parts.version);
    let mut exchange = Exchange::new(proxy, route, parts, upgrade, relay);
    exchange.prepare(host, &pools.rules, connection);
    Ok(Forwarding {
        arrival,
        search,
        exchange,
        upload,
    })
}

/// A request on its way to a server.
pub(in crate::http) struct Forwarding<'a> {
    arrival: Option<Box<Arrival>>,
    search: Search<'a>,
    exchange: Exchange<'a>,
    upload: Upload,
}

impl Forwarding<'_> {
    /// The answer of a server.
    pub(in crate::http) async fn answer(&mut self) -> Result<Response<Body>, Unanswered> {
        if let Some(arrival) = self.arrival.take() {
            Box::pin(self.search.arrive(*arrival)).await;
        }
        let place = match self.search.first() {
            Some(first) => first?,
            None => self.search.wait().await?,
        };
        let upload = std::mem::replace(&mut self.upload, Upload::empty());
        self.search.run(&self.exchange, place, upload).await
    }
}

/// A request to a service whose servers nobody knows yet.
struct Arrival {
    follower: Rc<Follower>,
    cookies: HeaderMap,
}

impl Arrival {
    fn new(follower: &Rc<Follower>, headers: &HeaderMap) -> Box<Self> {
        let cookies = headers.get_all(COOKIE).iter();
        Box::new(Self {
            follower: follower.clone(),
            cookies: cookies.map(|value| (COOKIE, value.clone())).collect(),
        })
    }
}

/// The way of one request through its pool.
struct Search<'a> {
    pool: Rc<Pool>,
    client: Client,
    retry: &'a Retry,
    /// It may be sent twice.
    repeatable: bool,
    secure: bool,
}

impl Search<'_> {
    async fn arrive(&mut self, arrival: Arrival) {
        self.pool = arrival.follower.first().await;
        self.client.arrive(&self.pool, &arrival.cookies);
    }

    /// None: the request has to wait.
    fn first(&self) -> Option<Result<Place, Unanswered>> {
        if self.pool.has_queue() {
            return None;
        }
        match self.pool.choose(&self.client, &[], self.repeatable) {
            Choice::Place(place) => Some(Ok(place)),
            Choice::Down { retry_after } => Some(Err(Unanswered::unavailable(retry_after))),
            Choice::Full => None,
        }
    }

    async fn wait(&self) -> Result<Place, Unanswered> {
        let place = self.pool.wait().await;
        place.ok_or(Unanswered::unavailable(RETRY_AFTER_CROWD))
    }

    async fn run(
        &self,
        exchange: &Exchange<'_>,
        place: Place,
        upload: Upload,
    ) -> Result<Response<Body>, Unanswered> {
        let (mut place, mut upload) = (place, upload);
        let mut tried = Vec::new();
        loop {
            let index = place.index;
            place.count_request(!tried.is_empty());
            let outcome = exchange.attempt(&place, upload).await;
            let failure = match exchange.settle(place, outcome) {
                Ok(response) => {
                    if !self.wants_another(response.status()) {
                        return Ok(self.finish(response, index));
                    }
                    tried.push(index);
                    match self.next(&tried) {
                        Some(next) => (place, upload) = (next, Upload::empty()),
                        None => return Ok(self.finish(response, index)),
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            tried.push(index);
            let Failure {
                trouble, unsent, ..
            } = failure;
            let next = match unsent {
                Some(unsent) if self.allows(trouble) => self.next(&tried).zip(Some(unsent)),
                _ => None,
            };
            match next {
                Some(next) => (place, upload) = next,
                None => return Err(trouble.status().into()),
            }
        }
    }

    /// Another server, as long as attempts and the pool's budget last.
    fn next(&self, tried: &[usize]) -> Option<Place> {
        if tried.len() > self.retry.attempts as usize {
            return None;
        }
        let standing = &self.pool.standing;
        if !standing.budget.take(now(), standing.requests()) {
            return None;
        }
        match self.pool.choose(&self.client, tried, self.repeatable) {
            Choice::Place(place) => Some(place),
            Choice::Full | Choice::Down { .. } => None,
        }
    }

    fn allows(&self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Refused | Trouble::ConnectTimeout => self.retry.on_connect,
            Trouble::Reset => self.retry.on_reset,
            Trouble::Late => self.retry.on_timeout,
            Trouble::Request(_) => false,
        }
    }

    fn wants_another(&self, status: StatusCode) -> bool {
        self.repeatable && self.retry.on_status.contains(&status.as_u16())
    }

    fn finish(&self, mut response: Response<Body>, index: usize) -> Response<Body> {
        let headers = response.headers_mut();
        self.pool
            .remember(headers, &self.client, index, self.secure);
        response
    }
}
