//! What stands between a request and its content, and what happens to the response after it. One file each, always in
//! this order; what refuses a request is over before anything that costs more:
//!
//! 1. `address_rules`: who may come at all (403)
//!
//! A site that has none of it has no [`Chain`].

mod address_rules;
mod networks;

use http::{HeaderName, HeaderValue, Request, StatusCode};

use self::address_rules::AddressRules;
use super::service::Connection;
use crate::config::types;

/// The middleware of one site, prepared by one thread.
#[derive(Debug)]
pub(super) struct Chain {
    addresses: Option<AddressRules>,
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
        let types::Middleware { addresses } = &site.middleware;
        let chain = Self {
            addresses: addresses.as_ref().map(AddressRules::new),
        };
        let is_empty = matches!(chain, Self { addresses: None });
        (!is_empty).then(|| Box::new(chain))
    }

    /// The way of a request to its content.
    pub(super) fn enter<B>(&self, _request: &mut Request<B>, connection: &Connection) -> Verdict {
        let client = connection.peer.map(|peer| peer.ip());
        if let Some(rules) = &self.addresses {
            if !rules.admit(client) {
                return Verdict::Refuse(StatusCode::FORBIDDEN.into());
            }
        }
        Verdict::Pass
    }
}
