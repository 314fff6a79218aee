//! What stands between a site's requests and its content.

use super::super::raw::middleware as raw;
use super::super::types::{AddressRules, Middleware};
use super::{Context, cors, networks, rate_limit, redirects};

pub(super) fn resolve(raw: raw::Middleware, context: &mut Context<'_>) -> Middleware {
    Middleware {
        addresses: raw
            .access
            .as_ref()
            .and_then(|access| address_rules(access, context)),
        rate_limit: raw
            .rate_limit
            .as_ref()
            .and_then(|limit| rate_limit::resolve(limit, context.findings)),
        // Known when all sites are.
        https_port: None,
        redirects: redirects::resolve(raw.redirects, context.findings),
        cors: raw
            .access_control
            .as_ref()
            .and_then(|control| cors::resolve(control, context.findings)),
    }
}

fn address_rules(access: &raw::Access, context: &Context<'_>) -> Option<AddressRules> {
    let [allow, deny] =
        [&access.allow_ips, &access.deny_ips].map(|list| networks::resolve(list, context.findings));
    let is_empty = allow.is_empty() && deny.is_empty();
    (!is_empty).then_some(AddressRules { allow, deny })
}
