//! What stands between a request and its content, and what happens to the response after it. One file each, always in
//! this order; what refuses a request is over before anything that costs more:
//!
//! 1. `request_id`: a name for the request; on its way back the response shows it
//! 2. `client`: who is behind a trusted proxy; everything after works with that address
//! 3. `address_rules`: who may come at all (403)
//! 4. `rate_limit`: all sites' limit, then the site's own (403, 429)
//! 5. `https`: not without TLS (308)
//! 6. `redirects`: paths that moved (301, 302, 303, 307, 308)
//! 7. `cors`: preflights of other origins (204); on the way back every response tells them what they may
//! 8. `basic_auth`: names and passwords (401)
//! 9. the size of the request body (413, in `http::body`), then the content
//!
//! (The PROXY protocol comes before all of it, in `worker`; a site's own headers are put on by `http::site`.)
//! A site that has none of it has no [`Chain`].

mod address_rules;
mod basic_auth;
mod client;
mod cors;
mod https;
mod networks;
mod rate_limit;
mod redirects;
mod request_id;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use self::address_rules::AddressRules;
use self::basic_auth::{BasicAuth, Entry, Question, Registry};
use self::cors::{Cors, Grant};
use self::networks::Networks;
use self::rate_limit::RateLimit;
use self::redirects::Redirects;
use super::connection::{Connection, User, Visit};
use crate::config::types::{self, Config};
use crate::metrics::lasting::Lasting;

/// What the chains of all sites and threads share.
pub(super) struct Common {
    lasting: Lasting<'static>,
    /// Of all sites together.
    rate_limit: Option<Arc<RateLimit>>,
    trusted: Networks,
    request_id: bool,
    auth: Registry,
}

impl Common {
    pub(super) fn new(config: &Config, lasting: Lasting<'static>) -> Self {
        let limit = config.security.rate_limiting.as_ref();
        Self {
            rate_limit: limit.map(|limit| Arc::new(RateLimit::new(limit, "", &lasting))),
            trusted: Networks::new(&config.security.trusted_proxies),
            request_id: config.security.request_id,
            auth: Registry::new(config, &lasting),
            lasting,
        }
    }

    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.contain(peer)
    }

    /// What `request` shows of its connection; the connection itself where nobody wants to know more.
    pub(super) fn identify<B>(
        &self,
        request: &mut Request<B>,
        connection: &Rc<Connection>,
    ) -> Rc<Connection> {
        if self.trusted.is_empty() && !self.request_id {
            return connection.clone();
        }
        let peer = connection.peer.map(|peer| peer.ip());
        let proxy = peer.filter(|peer| self.trusted.contain(*peer));
        let headers = request.headers_mut();
        let request_id = self
            .request_id
            .then(|| request_id::name(headers, proxy.is_some()));
        let mut shown = Connection::clone(connection);
        let mut by_forwarded = false;
        if let Some(proxy) = proxy {
            let claim = client::believe(headers, proxy, &self.trusted);
            shown.peer = Some(SocketAddr::new(claim.client, 0));
            shown.secure = claim.secure.unwrap_or(connection.secure);
            by_forwarded = claim.by_forwarded;
        }
        shown.visit = Some(Rc::new(Visit {
            through: proxy,
            by_forwarded,
            request_id,
        }));
        Rc::new(shown)
    }
}

/// Names the request to the client.
pub(super) fn show_request_id(visit: &Visit, response: &mut HeaderMap) {
    if let Some(id) = &visit.request_id {
        response.insert(request_id::X_REQUEST_ID, id.clone());
    }
}

/// The middleware of one site, prepared by one thread.
pub(super) struct Chain {
    addresses: Option<AddressRules>,
    rate_limits: Box<[Arc<RateLimit>]>,
    https_port: Option<u16>,
    redirects: Option<Redirects>,
    cors: Option<Cors>,
    auth: Option<BasicAuth>,
}

/// What becomes of a request.
pub(super) enum Verdict {
    /// On to the content.
    Pass,
    Refuse(Refusal),
    /// On, when the password is right.
    Ask(Question),
    /// 204 with these headers.
    Preflight(cors::Headers),
}

/// What is to be done to the response, whoever gives it.
#[derive(Debug)]
pub(super) struct Return {
    grant: Option<Grant>,
    user: Option<User>,
}

/// A status instead of the content, told by an error page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            header: None,
        }
    }
}

impl Chain {
    /// None when the site wants nothing of it.
    pub(super) fn new(site: &types::Site, common: &Common) -> Option<Rc<Self>> {
        let wanted = &site.middleware;
        let auth = wanted.basic_auth.as_ref();
        let own = wanted.rate_limit.as_ref();
        let own = own.map(|limit| Arc::new(RateLimit::new(limit, &site.name, &common.lasting)));
        let chain = Self {
            addresses: wanted.addresses.as_deref().map(AddressRules::new),
            rate_limits: common.rate_limit.iter().cloned().chain(own).collect(),
            https_port: wanted.https_port,
            redirects: Redirects::new(&wanted.redirects),
            cors: wanted.cors.as_deref().map(Cors::new),
            auth: auth.map(|auth| BasicAuth::new(auth, &common.auth)),
        };
        let is_empty = chain.rate_limits.is_empty()
            && matches!(
                chain,
                Self {
                    addresses: None,
                    https_port: None,
                    redirects: None,
                    cors: None,
                    auth: None,
                    ..
                }
            );
        (!is_empty).then(|| Rc::new(chain))
    }

    /// What the response to `request` will need.
    pub(super) fn expect<B>(&self, request: &Request<B>) -> Return {
        let cors = self.cors.as_ref();
        Return {
            grant: cors.map(|cors| cors.judge(request.headers())),
            user: None,
        }
    }

    /// The way of a request to its content.
    pub(super) fn enter<B>(
        &self,
        request: &mut Request<B>,
        connection: &Connection,
        back: &mut Return,
    ) -> Verdict {
        let client = connection.peer.map(|peer| peer.ip());
        if let Some(rules) = &self.addresses {
            if !rules.admit(client) {
                return Verdict::Refuse(StatusCode::FORBIDDEN.into());
            }
        }
        if let Some(client) = client {
            if let Err(refusal) = self.limit(client) {
                return Verdict::Refuse(refusal);
            }
        }
        if let Some(refusal) = self.redirect(request, connection) {
            return Verdict::Refuse(refusal);
        }
        if let (Some(cors), Some(grant)) = (&self.cors, &back.grant) {
            if let Some(headers) = cors.preflight(request, grant) {
                return Verdict::Preflight(headers);
            }
        }
        match &self.auth {
            None => Verdict::Pass,
            Some(auth) => match auth.check(request.headers_mut()) {
                Entry::Known(user) => {
                    request.extensions_mut().insert(user.clone());
                    back.user = Some(user);
                    Verdict::Pass
                }
                Entry::Refused(refusal) => Verdict::Refuse(refusal),
                Entry::Ask(question) => Verdict::Ask(question),
            },
        }
    }

    /// The way of a response back to its client.
    pub(super) fn leave<B>(&self, back: Return, response: &mut Response<B>) {
        if let (Some(cors), Some(grant)) = (&self.cors, &back.grant) {
            cors.replace(grant, response.headers_mut());
        }
        if let Some(user) = back.user {
            response.extensions_mut().insert(user);
        }
    }

    /// Clients on a Unix socket cannot be told apart, and are not limited.
    fn limit(&self, client: IpAddr) -> Result<(), Refusal> {
        self.rate_limits
            .iter()
            .try_for_each(|limit| limit.check(client))
    }

    fn redirect<B>(&self, request: &Request<B>, connection: &Connection) -> Option<Refusal> {
        let port = self.https_port.filter(|_| !connection.secure);
        let elsewhere = port.and_then(|port| https::redirect(request, port));
        elsewhere.or_else(|| self.redirects.as_ref()?.find(request.uri()))
    }
}
