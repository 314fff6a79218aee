//! What stands between a request and its content, and what happens to the response after it. One file each, always in
//! this order; what refuses a request is over before anything that costs more:
//!
//! 1. `address_rules`: who may come at all (403)
//! 2. `https`: not without TLS (308)
//! 3. `redirects`: paths that moved (301, 302, 303, 307, 308)
//!
//! A site that has none of it has no [`Chain`].

mod address_rules;
mod https;
mod networks;
mod redirects;

use http::{HeaderName, HeaderValue, Request, StatusCode};

use self::address_rules::AddressRules;
use self::redirects::Redirects;
use super::service::Connection;
use crate::config::types;

/// The middleware of one site, prepared by one thread.
#[derive(Debug)]
pub(super) struct Chain {
    addresses: Option<AddressRules>,
    https_port: Option<u16>,
    redirects: Option<Redirects>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// On to the content.
    Pass,
    Refuse(Refusal),
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
    pub(super) fn new(site: &types::Site) -> Option<Box<Self>> {
        let wanted = &site.middleware;
        let chain = Self {
            addresses: wanted.addresses.as_ref().map(AddressRules::new),
            https_port: wanted.https_port,
            redirects: Redirects::new(&wanted.redirects),
        };
        let is_empty = matches!(
            chain,
            Self {
                addresses: None,
                https_port: None,
                redirects: None,
            }
        );
        (!is_empty).then(|| Box::new(chain))
    }

    /// The way of a request to its content.
    pub(super) fn enter<B>(&self, request: &mut Request<B>, connection: &Connection) -> Verdict {
        let client = connection.peer.map(|peer| peer.ip());
        if let Some(rules) = &self.addresses {
            if !rules.admit(client) {
                return Verdict::Refuse(StatusCode::FORBIDDEN.into());
            }
        }
        match self.redirect(request, connection) {
            Some(refusal) => Verdict::Refuse(refusal),
            None => Verdict::Pass,
        }
    }

    fn redirect<B>(&self, request: &Request<B>, connection: &Connection) -> Option<Refusal> {
        let port = self.https_port.filter(|_| !connection.secure);
        let elsewhere = port.and_then(|port| https::redirect(request, port));
        elsewhere.or_else(|| self.redirects.as_ref()?.find(request.uri()))
    }
}
