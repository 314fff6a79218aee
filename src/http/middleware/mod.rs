//! What stands between a request and its content, and what happens to the response after it. One file each, always in
//! this order; what refuses a request is over before anything that costs more:
//!
//! 1. `address_rules`: who may come at all (403)
//! 2. `rate_limit`: all sites' limit, then the site's own (403, 429)
//! 3. `https`: not without TLS (308)
//! 4. `redirects`: paths that moved (301, 302, 303, 307, 308)
//! 5. `cors`: preflights of other origins (204)
//!
//! A site that has none of it has no [`Chain`].

mod address_rules;
mod cors;
mod https;
mod networks;
mod rate_limit;
mod redirects;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};

use self::address_rules::AddressRules;
use self::cors::{Cors, Grant};
use self::rate_limit::RateLimit;
use self::redirects::Redirects;
use super::service::Connection;
use crate::config::types::{self, Config};
use crate::metrics::lasting::Lasting;

/// What the chains of all sites and threads share.
pub(super) struct Common {
    lasting: Lasting<'static>,
    /// Of all sites together.
    rate_limit: Option<Arc<RateLimit>>,
}

impl Common {
    pub(super) fn new(config: &Config, lasting: Lasting<'static>) -> Self {
        let limit = config.security.rate_limiting.as_ref();
        Self {
            rate_limit: limit.map(|limit| Arc::new(RateLimit::new(limit, "", &lasting))),
            lasting,
        }
    }
}

/// The middleware of one site, prepared by one thread.
pub(super) struct Chain {
    addresses: Option<AddressRules>,
    rate_limits: Box<[Arc<RateLimit>]>,
    https_port: Option<u16>,
    redirects: Option<Redirects>,
    cors: Option<Cors>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// On to the content.
    Pass,
    Refuse(Refusal),
    /// 204 with these headers.
    Preflight(cors::Headers),
}

/// What is to be done to the response, whoever gives it.
#[derive(Debug)]
pub(super) struct Return {
    grant: Option<Grant>,
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
        let own = wanted.rate_limit.as_ref();
        let own = own.map(|limit| Arc::new(RateLimit::new(limit, &site.name, &common.lasting)));
        let chain = Self {
            addresses: wanted.addresses.as_ref().map(AddressRules::new),
            rate_limits: common.rate_limit.iter().cloned().chain(own).collect(),
            https_port: wanted.https_port,
            redirects: Redirects::new(&wanted.redirects),
            cors: wanted.cors.as_ref().map(Cors::new),
        };
        let is_empty = chain.rate_limits.is_empty()
            && matches!(
                chain,
                Self {
                    addresses: None,
                    https_port: None,
                    redirects: None,
                    cors: None,
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
        }
    }

    /// The way of a request to its content.
    pub(super) fn enter<B>(
        &self,
        request: &mut Request<B>,
        connection: &Connection,
        back: &Return,
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
        Verdict::Pass
    }

    /// The way of a response back to its client.
    pub(super) fn leave(&self, back: &Return, response: &mut HeaderMap) {
        if let (Some(cors), Some(grant)) = (&self.cors, &back.grant) {
            cors.replace(grant, response);
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
