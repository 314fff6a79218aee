//! What a configuration means: defaults filled in, references resolved, everything checked that can be checked before
//! a worker runs it.

mod balancing;
mod certificates;
mod credentials;
mod global;
mod headers;
mod hostnames;
mod listeners;
mod names;
mod paths;
mod proxy;
mod sites;
mod upstreams;

pub(super) use listeners::show as show_address;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::Options;
use super::connectivity::Target;
use super::hash;
use super::raw::{self, Raw};
use super::report::Findings;
use super::source::Source;
use super::types::{Config, ListenAddress};

/// What resolving needs to know, and what it learns on the way.
struct Context<'a> {
    sources: &'a [Arc<Source>],
    findings: &'a Findings,
    folders: paths::Folders,
    certificates: certificates::Store,
    credentials: credentials::Credentials<'a>,
    targets: Vec<Target>,
}

/// A configuration, worth something only when no error was found.
pub(super) struct Resolved {
    pub(super) config: Config,
    /// The upstreams, for a test of their connectivity.
    pub(super) targets: Vec<Target>,
}

/// What a site listens on, if that is told rightly.
pub(super) fn address(site: &raw::Site) -> Option<ListenAddress> {
    listeners::told(site)
}

/// Resolves `raw`; `watched` are the paths beside the certificates that it came from.
pub(super) fn resolve(
    raw: Raw,
    sources: &[Arc<Source>],
    findings: &Findings,
    watched: Vec<PathBuf>,
    options: &Options,
) -> Resolved {
    let mut context = Context {
        sources,
        findings,
        folders: paths::Folders::default(),
        certificates: certificates::Store::new(SystemTime::now()),
        credentials: credentials::Credentials {
            folder: options.credentials.as_deref(),
            serving: options.serving,
        },
        targets: Vec::new(),
    };
    names::check(&raw.sites, findings);
    let management = global::management(&raw.management, findings);
    let logging = global::logging(raw.logging, &mut context);
    let drafts: Vec<_> = raw
        .sites
        .into_iter()
        .map(|site| sites::resolve(site, &mut context))
        .collect();
    let listeners = listeners::gather(&drafts, &management, findings);
    let sites = listeners::with_defaults(drafts, &listeners);
    let (certificates, certificate_files) = context.certificates.finish();
    let mut config = Config {
        server: global::server(raw.server, findings),
        performance: global::performance(&raw.performance),
        logging,
        security: global::security(raw.security, findings),
        management,
        monitoring: global::monitoring(raw.monitoring, findings),
        sites,
        listeners,
        certificates,
        sources: watched,
        hash: String::new(),
    };
    config.sources.extend(certificate_files);
    hash::fill(&mut config);
    Resolved {
        config,
        targets: context.targets,
    }
}
