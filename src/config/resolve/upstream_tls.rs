//! `[sites.proxy.tls]`: how the https upstreams of a site are checked.

use super::super::raw::upstream_tls::UpstreamTls as Raw;
use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::{Upstream, UpstreamProtocol};
use super::global::is_on;
use super::{Context, hostnames};

/// Says of an https upstream how it is checked. False when that is not known.
pub(super) fn complete(upstream: &mut Upstream, raw: Option<&Raw>, context: &Context<'_>) -> bool {
    let UpstreamProtocol::Tls(tls) = &mut upstream.protocol else {
        return true;
    };
    if let Some(named) = raw.and_then(|raw| raw.server_name.as_ref()) {
        tls.server_name = bare(&named.value).to_owned();
    }
    tls.http2 = is_on(raw.and_then(|raw| raw.http2.as_ref()), false);
    tls.verify = is_on(raw.and_then(|raw| raw.verify.as_ref()), true);
    if !tls.verify {
        return true;
    }
    let ca_file = raw.and_then(|raw| raw.ca_file.as_ref());
    let found = context.authorities.find(ca_file);
    let known = found.is_some();
    // Without any authority nobody is believed.
    tls.trust = found.unwrap_or_default();
    known
}

/// Complains of a table that cannot do what it seems to.
pub(super) fn check(raw: &Raw, has_https: bool, findings: &Findings) {
    if let Some(name) = &raw.server_name {
        check_name(name, findings);
    }
    if let Some(verify) = raw.verify.as_ref().filter(|verify| !verify.value) {
        findings.push(match &raw.ca_file {
            Some(file) => Finding::error("'ca_file' has no effect beside 'verify = false'")
                .at(file.place, "")
                .at(verify.place, "")
                .help("remove one of them"),
            None => Finding::warning("certificates of upstreams are not checked")
                .at(verify.place, "")
                .help("name the upstreams' authority with 'ca_file': without a check anybody on the way can read and change what is sent"),
        });
    }
    if !has_https {
        findings.push(
            Finding::warning("no upstream of this site is spoken to by https")
                .at(raw.place, "this has no effect")
                .help("write \"https://…\" in the upstream's url, or remove the table"),
        );
    }
}

fn check_name(name: &Located<String>, findings: &Findings) {
    let bare = bare(&name.value);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return;
    }
    if let Err(hostnames::Invalid(what, help)) = hostnames::check(bare) {
        let message = format!("server name '{}' {what}", name.value);
        findings.push(Finding::error(message).at(name.place, "").help(help));
    }
}

/// An IPv6 address without its brackets.
fn bare(name: &str) -> &str {
    name.trim_start_matches('[').trim_end_matches(']')
}
