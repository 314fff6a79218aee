//! What a configuration means: defaults filled in, references resolved, everything checked that can be checked before
//! a worker runs it.

mod acme;
mod balancing;
mod certificates;
mod clients;
mod content;
mod cors;
mod credentials;
mod files;
mod global;
mod headers;
mod hostnames;
mod htpasswd;
mod https;
mod listeners;
mod middleware;
mod names;
mod networks;
mod passwords;
mod paths;
mod proxy;
mod rate_limit;
mod redirects;
mod resolver;
mod sites;
mod trust;
mod upstream_tls;
mod upstreams;

pub(super) use acme::refresh as refresh_certificates;
pub(super) use listeners::show as show_address;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::Options;
use super::connectivity::Target;
use super::defaults::STATE_FOLDER;
use super::hash;
use super::parallel;
use super::raw::{self, Raw};
use super::report::Findings;
use super::source::Source;
use super::types::{Certificates, Config, ListenAddress};
use sites::Draft;

/// What resolving needs to know.
#[derive(Clone, Copy)]
struct Knowledge<'a> {
    sources: &'a [Arc<Source>],
    credentials: credentials::Credentials<'a>,
    certificates: &'a certificates::Store,
    /// Those of the configuration in force.
    earlier: Option<&'a Certificates>,
    authorities: &'a trust::Authorities,
    passwords: &'a passwords::Store,
    for_all_sites: &'a content::ForAllSites,
    /// The folder for what BWS keeps.
    state: &'a Path,
}

/// What resolving needs to know, and what it learns on the way. Sites are resolved in parts, several at once: what one
/// of them learns the others do not know, so nothing that it says may depend on it.
struct Context<'a> {
    sources: &'a [Arc<Source>],
    findings: &'a Findings,
    folders: paths::Folders,
    certificates: &'a certificates::Store,
    /// Those of the configuration in force.
    earlier: Option<&'a Certificates>,
    authorities: &'a trust::Authorities,
    passwords: &'a passwords::Store,
    for_all_sites: &'a content::ForAllSites,
    credentials: credentials::Credentials<'a>,
    state: &'a Path,
    targets: Vec<Target>,
}

impl<'a> Context<'a> {
    fn new(knowledge: Knowledge<'a>, findings: &'a Findings) -> Self {
        Self {
            sources: knowledge.sources,
            findings,
            folders: paths::Folders::default(),
            certificates: knowledge.certificates,
            earlier: knowledge.earlier,
            authorities: knowledge.authorities,
            passwords: knowledge.passwords,
            for_all_sites: knowledge.for_all_sites,
            credentials: knowledge.credentials,
            state: knowledge.state,
            targets: Vec::new(),
        }
    }
}

/// A configuration, worth something only when no error was found.
pub(super) struct Resolved {
    pub(super) config: Config,
    /// The upstreams, for a test of their connectivity.
    pub(super) targets: Vec<Target>,
    /// How many certificates were parsed.
    pub(super) parsed: usize,
}

/// What a site listens on, if that is told rightly.
pub(super) fn address(site: &raw::Site) -> Option<ListenAddress> {
    listeners::told(site)
}

/// Resolves `raw`; `watched` are the paths beside the certificates that it came from. `earlier` are certificates that
/// were checked before.
pub(super) fn resolve(
    raw: Raw,
    sources: &[Arc<Source>],
    findings: &Findings,
    watched: Vec<PathBuf>,
    options: &Options,
    earlier: Option<&Certificates>,
) -> Resolved {
    let state = state_folder(sources, options);
    let none_yet = (
        certificates::Store::default(),
        passwords::Store::default(),
        trust::Authorities::default(),
    );
    let (compression, caching) = (raw.compression.clone(), raw.caching.clone());
    let for_all_sites = content::ForAllSites::new(compression, caching, findings);
    let knowledge = Knowledge {
        sources,
        credentials: credentials::Credentials {
            folder: options.credentials.as_deref(),
            serving: options.serving,
        },
        certificates: &none_yet.0,
        earlier,
        passwords: &none_yet.1,
        authorities: &none_yet.2,
        for_all_sites: &for_all_sites,
        state: &state,
    };
    let store = certificates::read(&raw, &Context::new(knowledge, findings), SystemTime::now());
    let passwords = passwords::read(&raw, &Context::new(knowledge, findings));
    let authorities = trust::read(&raw, &Context::new(knowledge, findings));
    let knowledge = Knowledge {
        certificates: &store,
        passwords: &passwords,
        authorities: &authorities,
        ..knowledge
    };
    names::check(raw.sites(), findings);
    let wishes = https_wishes(raw.sites());
    let by_http = acme::first_by_http(raw.sites());
    let management = global::management(&raw.management, findings);
    let resolver = resolver::resolve(&raw.resolver, findings);
    let logging = global::logging(raw.logging, &Context::new(knowledge, findings));
    let (drafts, targets) = drafts(raw.sites, knowledge, findings);
    let listeners = listeners::gather(&drafts, &management, findings);
    let sites = listeners::with_defaults(drafts, &listeners);
    let parsed = store.parsed;
    let (certificates, certificate_files) = store.finish();
    let (trusts, revocations, trust_files) = authorities.finish();
    let (password_files, password_paths) = passwords.finish();
    let mut config = Config {
        server: global::server(raw.server, findings),
        performance: global::performance(&raw.performance, findings),
        logging,
        security: global::security(raw.security, findings),
        management,
        monitoring: global::monitoring(raw.monitoring, findings),
        resolver,
        sites,
        listeners,
        certificates,
        trusts,
        revocations,
        password_files,
        sources: watched,
        hash: String::new(),
    };
    config.sources.extend(certificate_files);
    config.sources.extend(trust_files);
    config.sources.extend(password_paths);
    https::resolve(&mut config, &wishes, findings);
    clients::guard(&mut config);
    acme::check_answer(&config, by_http, findings);
    hash::fill(&mut config);
    Resolved {
        config,
        targets,
        parsed,
    }
}

/// Where BWS keeps what it gets by itself: what systemd says, else a folder beside the configuration.
fn state_folder(sources: &[Arc<Source>], options: &Options) -> PathBuf {
    match (&options.state, sources.first()) {
        (Some(folder), _) => folder.clone(),
        (None, Some(source)) => source.folder.join(STATE_FOLDER),
        (None, None) => PathBuf::from(STATE_FOLDER),
    }
}

/// The sites with all that can be said without looking at another, and the upstreams.
fn drafts(
    parts: Vec<Vec<raw::Site>>,
    knowledge: Knowledge<'_>,
    findings: &Findings,
) -> (Vec<Draft>, Vec<Target>) {
    let resolved = parallel::map(parts, |sites| {
        let own = Findings::default();
        let mut context = Context::new(knowledge, &own);
        let sites = sites.into_iter();
        let drafts: Vec<Draft> = sites
            .map(|site| sites::resolve(site, &mut context))
            .collect();
        (drafts, context.targets, own)
    });
    let (mut all, mut targets) = (Vec::new(), Vec::new());
    for (drafts, more, own) in resolved {
        all.extend(drafts);
        targets.extend(more);
        findings.append(own);
    }
    (all, targets)
}

/// The sites that send their clients to https.
fn https_wishes<'a>(sites: impl Iterator<Item = &'a raw::Site>) -> Vec<https::Wish> {
    let wish = |(index, site): (usize, &raw::Site)| {
        let switch = site.middleware.redirect_to_https.as_ref();
        let switch = switch.filter(|switch| switch.value)?;
        Some((u32::try_from(index).ok()?, switch.place))
    };
    sites.enumerate().filter_map(wish).collect()
}
