//! What the workers found out about upstream servers, for operators.

use serde::{Deserialize, Serialize};

use super::Master;
use crate::config::types::{Proxy, Site, UpstreamAddress};
use crate::core::report::{UpstreamCounts, UpstreamStatus};
use crate::dns::Target;
use crate::metrics::prometheus::{Exposition, Kind};
use crate::metrics::upstreams::{Condition, Identity, Slot, State, Word};

/// A server as the configuration names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpstreamOutline {
    pool: String,
    address: String,
    weight: u32,
    /// Its health is checked.
    checked: bool,
    /// Its address is the name of a service.
    #[serde(default)]
    service: bool,
}

impl UpstreamOutline {
    /// The servers of a site.
    pub(super) fn all(site: &Site) -> Vec<Self> {
        let of_proxy = |proxy: &Proxy| {
            let checked = proxy.health_check.is_some();
            let pools = proxy.pools.iter();
            let outlines = pools.flat_map(|pool| {
                pool.servers.iter().map(move |server| Self {
                    pool: pool.name.clone(),
                    address: server.address.to_string(),
                    weight: server.weight,
                    checked,
                    service: matches!(server.address, UpstreamAddress::Service(_)),
                })
            });
            outlines.collect()
        };
        site.proxy.as_deref().map(of_proxy).unwrap_or_default()
    }

    /// The name that is resolved, or an address.
    pub(super) fn host(&self) -> &str {
        match self.address.rsplit_once(':') {
            Some((host, _)) if !self.service => host,
            _ => &self.address,
        }
    }
}

impl Master {
    /// Of the configuration in force, in its order.
    pub(super) fn upstreams(&self) -> Vec<UpstreamStatus> {
        let sites = self.active().map(|active| &active.outline.sites);
        let sites = sites.into_iter().flatten();
        sites
            .flat_map(|site| {
                let statuses = |upstream| self.upstream_or_targets(&site.name, upstream);
                site.upstreams.iter().flat_map(statuses)
            })
            .collect()
    }

    pub(super) fn upstream_counts(&self) -> UpstreamCounts {
        let all = self.upstreams();
        UpstreamCounts {
            total: all.len(),
            down: all.iter().filter(|upstream| !upstream.healthy).count(),
        }
    }

    /// Itself, or each server of a service.
    fn upstream_or_targets(&self, site: &str, upstream: &UpstreamOutline) -> Vec<UpstreamStatus> {
        let none = &[][..];
        let targets = match upstream.service {
            true => self.names.targets(&upstream.address),
            false => none,
        };
        if targets.is_empty() {
            return vec![self.upstream(site, upstream, upstream.host())];
        }
        let status = |target: &Target| {
            let outline = UpstreamOutline {
                address: format!("{}:{}", target.host.trim_end_matches('.'), target.port),
                weight: target.weight.into(),
                ..upstream.clone()
            };
            UpstreamStatus {
                service: Some(upstream.address.clone()),
                priority: Some(target.priority),
                ..self.upstream(site, &outline, &target.host)
            }
        };
        targets.iter().map(status).collect()
    }

    fn upstream(&self, site: &str, upstream: &UpstreamOutline, host: &str) -> UpstreamStatus {
        let UpstreamOutline {
            pool,
            address,
            weight,
            checked,
            service: _,
        } = upstream;
        let identity = Identity::new(site, pool, address);
        // Nobody asked for it yet: then nothing bad is known.
        let slot = Slot::find(self.lasting.upstreams(), identity);
        let value = |word| slot.map_or(0, |slot| slot.value(word));
        let state = slot.map(|slot| slot.state()).unwrap_or_default();
        let state = State {
            failed_checks: state.failed_checks && *checked,
            ..state
        };
        let reason = slot.filter(|_| !state.is_healthy());
        UpstreamStatus {
            site: site.to_owned(),
            pool: pool.clone(),
            upstream: address.clone(),
            weight: *weight,
            healthy: state.is_healthy(),
            state: name(state).to_owned(),
            reason: reason
                .and_then(|slot| slot.cause())
                .map(|cause| cause.text().to_owned()),
            changed_at: Some(value(Word::Changed) / 1000).filter(|at| *at > 0),
            requests: value(Word::Requests),
            failures: value(Word::Failures),
            retries: value(Word::Retries),
            ejections: value(Word::Ejections),
            addresses: self.names.addresses(host),
            service: None,
            priority: None,
        }
    }

    pub(super) fn write_upstreams(&self, page: &mut Exposition) {
        let all = self.upstreams();
        if all.is_empty() {
            return;
        }
        for (name, kind, help, value) in FAMILIES {
            let mut family = page.family(name, kind, help);
            for upstream in &all {
                let labels = [
                    ("site", &*upstream.site),
                    ("pool", &*upstream.pool),
                    ("upstream", &*upstream.upstream),
                ];
                family.sample(&labels, value(upstream));
            }
        }
    }
}

type Value = fn(&UpstreamStatus) -> u64;

const FAMILIES: [(&str, Kind, &str, Value); 5] = [
    (
        "bws_upstream_healthy",
        Kind::Gauge,
        "Whether requests go to the upstream server.",
        |upstream| upstream.healthy.into(),
    ),
    (
        "bws_upstream_requests_total",
        Kind::Counter,
        "Requests that were given to the upstream server.",
        |upstream| upstream.requests,
    ),
    (
        "bws_upstream_failures_total",
        Kind::Counter,
        "Requests that the upstream server did not answer.",
        |upstream| upstream.failures,
    ),
    (
        "bws_upstream_retries_total",
        Kind::Counter,
        "Requests that the upstream server got because another one failed.",
        |upstream| upstream.retries,
    ),
    (
        "bws_upstream_ejections_total",
        Kind::Counter,
        "How often the upstream server was taken out.",
        |upstream| upstream.ejections,
    ),
];

fn name(state: State) -> &'static str {
    match state.condition {
        _ if state.failed_checks => "down",
        Condition::Up => "up",
        Condition::Out => "down",
        Condition::Rising => "rising",
    }
}
