//! What stands between a site's requests and its content.

use super::super::defaults;
use super::super::raw::middleware as raw;
use super::super::report::Finding;
use super::super::types::{AddressRules, BasicAuth, Middleware};
use super::global::is_on;
use super::{Context, cors, networks, rate_limit, redirects};

pub(super) fn resolve(raw: raw::Middleware, context: &mut Context<'_>) -> Middleware {
    Middleware {
        addresses: raw
            .access
            .as_ref()
            .and_then(|access| address_rules(access, context))
            .map(Box::new),
        rate_limit: raw
            .rate_limit
            .as_ref()
            .and_then(|limit| rate_limit::resolve(limit, context.findings))
            .map(Box::new),
        // Known when all sites are.
        https_port: None,
        redirects: redirects::resolve(raw.redirects, context.findings),
        cors: raw
            .access_control
            .as_ref()
            .and_then(|control| cors::resolve(control, context.findings))
            .map(Box::new),
        basic_auth: raw
            .access
            .as_ref()
            .and_then(|access| basic_auth(access, context))
            .map(Box::new),
    }
}

fn address_rules(access: &raw::Access, context: &Context<'_>) -> Option<AddressRules> {
    let [allow, deny] =
        [&access.allow_ips, &access.deny_ips].map(|list| networks::resolve(list, context.findings));
    let is_empty = allow.is_empty() && deny.is_empty();
    (!is_empty).then_some(AddressRules { allow, deny })
}

/// None when it is not wanted, or when its file was refused.
fn basic_auth(access: &raw::Access, context: &Context<'_>) -> Option<BasicAuth> {
    let findings = context.findings;
    let Some(file) = &access.auth_file else {
        let wanted = access.require_auth.as_ref().filter(|wanted| wanted.value);
        if let (Some(wanted), false) = (wanted, access.damaged) {
            findings.push(
                Finding::error("'require_auth' without 'auth_file': nobody could come in")
                    .at(wanted.place, "")
                    .help(
                        "make a file with 'htpasswd -B -c FILE NAME', and name it in 'auth_file'",
                    ),
            );
        }
        return None;
    };
    if access.require_auth.is_none() {
        findings.push(
            Finding::error("'auth_file' without 'require_auth' protects nothing")
                .at(file.place, "nobody is asked for a password")
                .help("add 'require_auth = true', or say that you mean it: 'require_auth = false'"),
        );
    }
    let realm = access.auth_realm.as_ref();
    if let Some(realm) = realm.filter(|realm| realm.value.contains(char::is_control)) {
        findings.push(
            Finding::error("'auth_realm' has a control character")
                .at(realm.place, "")
                .help("write it in one line: browsers show it"),
        );
    }
    if !is_on(access.require_auth.as_ref(), false) {
        return None;
    }
    Some(BasicAuth {
        realm: realm.map_or_else(
            || defaults::AUTH_REALM.to_owned(),
            |realm| realm.value.clone(),
        ),
        file: context.passwords.index(file.place)?,
    })
}
