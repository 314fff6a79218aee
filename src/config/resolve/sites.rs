//! One site.

use super::super::defaults;
use super::super::raw;
use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place};
use super::super::types::{HostPattern, ListenAddress, Site, SiteTls, StaticFiles};
use super::global::is_on;
use super::{
    Context, acme, certificates, clients, files, headers, hostnames, listeners, middleware, proxy,
};

/// A site before its listener is known, with the places that later findings point to.
pub(super) struct Draft {
    pub(super) site: Site,
    pub(super) place: Place,
    /// Where each of the site's hostnames stands.
    pub(super) hostname_places: Vec<Place>,
    /// None when there is no usable address; the finding is made.
    pub(super) listen: Option<(ListenAddress, Place)>,
    pub(super) default: Option<Place>,
    /// `[sites.ssl]` is there and enabled.
    pub(super) tls: bool,
}

pub(super) fn resolve(raw: raw::Site, context: &mut Context<'_>) -> Draft {
    let name = raw
        .name
        .as_ref()
        .map_or_else(String::new, |name| name.value.clone());
    let title = match &raw.name {
        Some(name) => format!("site '{}'", name.value),
        None => "this site".to_owned(),
    };
    let at = raw.name.as_ref().map_or(raw.place, |name| name.place);
    check_purpose(&raw, &title, at, context.findings);
    let listen = listeners::address(&raw, &title, at, context.findings);
    let hostnames = hostname_patterns(&raw, &title, at, context.findings);
    let tls = raw
        .ssl
        .as_ref()
        .is_some_and(|ssl| is_on(ssl.enabled.as_ref(), true));
    let certificate = raw
        .ssl
        .as_ref()
        .and_then(|ssl| resolve_tls(ssl, &name, &hostnames, context));
    let default = raw
        .default
        .as_ref()
        .filter(|default| default.value)
        .map(|it| it.place);
    let api_only = is_on(raw.api_only.as_ref(), false);
    let (hostnames, hostname_places) = hostnames.into_iter().map(|it| (it.value, it.place)).unzip();
    let static_files = static_files(&raw, context);
    let root = static_files.as_ref().map(|files| files.root.as_path());
    let error_pages = files::error_pages(&raw.error_pages, root, context);
    let content = context.for_all_sites;
    let compression = content.compression(raw.compression.map(|raw| *raw), context.findings);
    let caching = content.caching(raw.caching.map(|raw| *raw), context.findings);
    let site = Site {
        name,
        hostnames,
        listen: listen
            .as_ref()
            .map_or(ListenAddress::Port(0), |(address, _)| address.clone()),
        default: false,
        static_files: static_files.filter(|_| !api_only),
        headers: headers::resolve(raw.headers, context.findings),
        middleware: middleware::resolve(raw.middleware, context),
        proxy: raw
            .proxy
            .and_then(|raw| proxy::resolve(*raw, context))
            .map(Box::new),
        tls: certificate,
        compression: compression.map(Box::new),
        cache: caching,
        error_pages,
        max_request_size: raw.max_request_size,
        request_timeout: raw.request_timeout,
        api_only,
        hash: String::new(),
    };
    Draft {
        site,
        place: at,
        hostname_places,
        listen,
        default,
        tls,
    }
}

/// A site should have something to answer with. A warning, as a documented example has a site with a certificate only.
fn check_purpose(raw: &raw::Site, title: &str, at: Place, findings: &Findings) {
    let has_proxy = raw
        .proxy
        .as_ref()
        .is_some_and(|it| is_on(it.enabled.as_ref(), true));
    let api_only = is_on(raw.api_only.as_ref(), false);
    if raw.static_dir.is_none() && !has_proxy && !api_only && !raw.damaged {
        findings.push(
            Finding::warning(format!("{title} has nothing to serve"))
                .at(at, "answers 404 to all but health checks")
                .help("add 'static_dir', [sites.proxy], or 'api_only = true'"),
        );
    }
    if let (Some(folder), true) = (&raw.static_dir, api_only) {
        findings.push(
            Finding::warning(format!("{title} is api_only: its static_dir has no effect"))
                .at(folder.place, "")
                .help("remove one of both"),
        );
    }
}

/// The site's host patterns, each once; without any, every host is meant.
fn hostname_patterns(
    raw: &raw::Site,
    title: &str,
    at: Place,
    findings: &Findings,
) -> Vec<Located<HostPattern>> {
    let mut patterns: Vec<Located<HostPattern>> = Vec::with_capacity(raw.hostnames.len());
    let mut seen = std::collections::HashSet::new();
    for Located { value, place } in &raw.hostnames {
        match hostnames::pattern(value) {
            Ok(pattern) if raw.hostnames.len() == 1 || seen.insert(pattern.clone()) => {
                patterns.push(Located {
                    value: pattern,
                    place: *place,
                });
            }
            Ok(_) => findings.push(
                Finding::warning(format!("{title} lists hostname '{value}' twice"))
                    .at(*place, "")
                    .help("remove one"),
            ),
            Err(hostnames::Invalid(what, help)) => findings.push(
                Finding::error(format!("hostname '{value}' {what}"))
                    .at(*place, "")
                    .help(help),
            ),
        }
    }
    if raw.hostnames.is_empty() && !raw.damaged {
        patterns.push(Located {
            value: HostPattern::Any,
            place: at,
        });
    }
    patterns
}

fn static_files(raw: &raw::Site, context: &mut Context<'_>) -> Option<StaticFiles> {
    let index_files = raw.index_files.as_ref().map(|files| {
        files
            .iter()
            .for_each(|file| check_index_file(file, context.findings));
        files.iter().map(|file| file.value.clone()).collect()
    });
    let root = context.folder(raw.static_dir.as_ref()?, "static_dir");
    Some(StaticFiles {
        root,
        index_files: index_files.unwrap_or_else(defaults::index_files),
        follow_symlinks: is_on(raw.follow_symlinks.as_ref(), false),
        directory_listing: is_on(raw.directory_listing.as_ref(), false),
        media_types: files::media_types(&raw.mime_types, context.findings),
    })
}

fn check_index_file(file: &Located<String>, findings: &Findings) {
    if file.value.is_empty() || file.value.contains('/') || matches!(&*file.value, "." | "..") {
        findings.push(
            Finding::error(format!("index file '{}' is not a file name", file.value))
                .at(file.place, "")
                .help("write a name without slashes, as \"index.html\""),
        );
    }
}

fn resolve_tls(
    ssl: &raw::site::Ssl,
    site: &str,
    hostnames: &[Located<HostPattern>],
    context: &mut Context<'_>,
) -> Option<SiteTls> {
    for domain in &ssl.domains {
        if let Err(hostnames::Invalid(what, help)) = hostnames::pattern(&domain.value) {
            let message = format!("domain '{}' {what}", domain.value);
            context
                .findings
                .push(Finding::error(message).at(domain.place, "").help(help));
        }
    }
    if let Some(acme) = &ssl.acme {
        check_acme(acme, context.findings);
    }
    if !is_on(ssl.enabled.as_ref(), true) {
        return None;
    }
    let clients = clients::resolve(ssl, context);
    let tls = if acme::acts(ssl) {
        acme::resolve(ssl, site, hostnames, context)
    } else {
        with_files(ssl, hostnames, context)
    };
    Some(SiteTls {
        clients: clients?,
        ..tls?
    })
}

/// TLS with certificates of the operator's.
fn with_files(
    ssl: &raw::site::Ssl,
    hostnames: &[Located<HostPattern>],
    context: &Context<'_>,
) -> Option<SiteTls> {
    let (certificate, alternatives) = certificates::resolve(ssl, hostnames, context)?;
    Some(SiteTls {
        certificate,
        alternatives,
        min_version: ssl.min_version.unwrap_or(defaults::MIN_TLS_VERSION),
        clients: None,
        acme: None,
    })
}

fn check_acme(acme: &raw::site::Acme, findings: &Findings) {
    if let Some(email) = acme
        .email
        .as_ref()
        .filter(|email| !email.value.contains('@'))
    {
        findings.push(
            Finding::error(format!("'{}' is not an e-mail address", email.value))
                .at(email.place, "")
                .help("write the address that the certificate authority may write to"),
        );
    }
    let is_https = |url: &&Located<String>| !url.value.starts_with("https://");
    if let Some(url) = acme.directory_url.as_ref().filter(is_https) {
        findings.push(
            Finding::error(format!("'{}' is not an https URL", url.value))
                .at(url.place, "")
                .help("write the address of the authority's directory, https://…"),
        );
    }
}
