//! Certificates that BWS gets by itself: for which sites, for which names, from whom, and where they are kept.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::defaults;
use super::super::hash;
use super::super::parallel;
use super::super::raw::{self, Raw};
use super::super::report::{Finding, Findings};
use super::super::source::{self, Located, Place};
use super::super::types::{
    Acme, AcmeChallenge, Certificate, CertificateEntry, Config, ExternalAccount, HostPattern,
    SiteTls,
};
use super::certificates::Earlier;
use super::global::is_on;
use super::{Context, hostnames, trust};

/// What stays as it is in a file's name.
const FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// Bytes of a file's name before its extension; longer ones are cut.
const LONGEST_NAME: usize = 200;

/// Whether ACME acts for this table. Where files are given they serve, unless `auto_cert` says otherwise.
pub(super) fn acts(ssl: &raw::site::Ssl) -> bool {
    let table = ssl.acme.as_ref();
    let enabled = table.is_none_or(|table| is_on(table.enabled.as_ref(), true));
    let without_files =
        ssl.cert_file.is_none() && ssl.key_file.is_none() && ssl.certificates.is_empty();
    let wanted = match &ssl.auto_cert {
        Some(told) => told.value,
        None => table.is_some() && without_files,
    };
    is_on(ssl.enabled.as_ref(), true) && enabled && wanted
}

/// Reads the certificates that were got before; a site without one gets a placeholder.
pub(super) fn read(
    raw: &Raw,
    context: &Context<'_>,
    earlier: &Earlier<'_>,
) -> Vec<(Place, CertificateEntry)> {
    let mut wanted = Vec::new();
    for site in raw.sites() {
        let Some(ssl) = site.ssl.as_ref().filter(|ssl| acts(ssl)) else {
            continue;
        };
        wanted.push((ssl.place, context.certificate_file(&name(site))));
    }
    let serving = context.credentials.serving;
    let loaded = parallel::map(wanted, |(place, file)| {
        let (certificate, finding) = load(file, earlier);
        (place, certificate, finding.filter(|_| serving))
    });
    let keep = |(place, certificate, finding): (Place, CertificateEntry, Option<Finding>)| {
        if let Some(finding) = finding {
            context.findings.push(finding.at(place, ""));
        }
        (place, certificate)
    };
    loaded.into_iter().map(keep).collect()
}

fn name(site: &raw::Site) -> String {
    let name = site.name.as_ref();
    name.map_or_else(String::new, |name| name.value.clone())
}

/// The certificate in a file that BWS wrote itself, or one that says that there is none.
fn load(file: PathBuf, earlier: &Earlier<'_>) -> (CertificateEntry, Option<Finding>) {
    if let Some(entry) = earlier.unchanged(&file, &file) {
        return (entry, None);
    }
    match earlier.read(&file, &file) {
        Ok(entry) => (with_authority(entry), None),
        Err(refusal) => {
            let missing = std::fs::metadata(&file)
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            let finding = Finding::warning(format!("{}: another one is ordered", refusal.message))
                .help("if this happens again, check the disk of the state directory");
            let mut placeholder = Certificate::placeholder(file);
            hash::of_certificate(&mut placeholder);
            (placeholder.into(), (!missing).then_some(finding))
        }
    }
}

fn with_authority(mut entry: CertificateEntry) -> CertificateEntry {
    let authority = authority(&entry.certificate.cert_file);
    if authority != entry.certificate.authority {
        let certificate = Arc::make_mut(&mut entry.certificate);
        certificate.authority = authority;
        hash::of_certificate(certificate);
    }
    entry
}

/// What the file says before its first section.
fn authority(file: &Path) -> Option<String> {
    let bytes = source::read_limited(file, defaults::MAX_PEM_SIZE).ok()?;
    let note = bytes.split(|byte| *byte == b'\n').next()?;
    let told = std::str::from_utf8(note)
        .ok()?
        .strip_prefix("Authority: ")?;
    Some(told.to_owned())
}

/// Reads anew what was got for the sites of these names.
pub(in crate::config) fn refresh(config: &mut Config, is_meant: impl Fn(&str) -> bool) {
    for site in config.sites.iter().filter(|site| is_meant(&site.name)) {
        let Some(tls) = &site.tls else { continue };
        if let Some(acme) = &tls.acme {
            let (entry, _) = load(acme.file.clone(), &Earlier::new(None));
            config.certificates.replace(tls.certificate, entry);
        }
    }
}

impl Context<'_> {
    /// Where the certificate of a site is kept.
    fn certificate_file(&self, site: &str) -> PathBuf {
        let mut name = utf8_percent_encode(site, FILE_NAME).to_string();
        if name.len() > LONGEST_NAME {
            name.truncate(LONGEST_NAME);
            name += &hash::of_text(site);
        }
        // Neither hidden nor another folder.
        if name.starts_with('.') {
            name.replace_range(..1, "%2E");
        }
        self.state.join("acme/certificates").join(name + ".pem")
    }
}

/// What the site's table means. The certificate was read before.
pub(super) fn resolve(
    ssl: &raw::site::Ssl,
    site: &str,
    hosts: &[Located<HostPattern>],
    context: &Context<'_>,
) -> Option<SiteTls> {
    let findings = context.findings;
    let file = ssl.cert_file.as_ref().or(ssl.key_file.as_ref());
    let table = ssl.certificates.first().map(|table| table.place);
    if let Some(place) = file.map(|file| file.place).or(table) {
        findings.push(
            Finding::warning("'auto_cert = true' makes 'cert_file' and 'key_file' useless")
                .at(place, "")
                .help("remove either"),
        );
    }
    let table = ssl.acme.as_ref();
    let names = names(ssl, hosts, table, findings);
    let (directory_url, roots) = (directory_url(table, findings), roots(table, context));
    let external_account = table.and_then(|it| external_account(it, findings));
    let acme = Acme {
        names: names?,
        directory_url,
        roots,
        email: table.and_then(|it| Some(it.email.as_ref()?.value.clone())),
        external_account,
        challenge: challenge(table),
        file: context.certificate_file(site),
        accounts: context.state.join("acme/accounts"),
    };
    Some(SiteTls {
        certificate: context.automatic_certificate(ssl.place)?,
        alternatives: Vec::new(),
        min_version: ssl.min_version.unwrap_or(defaults::MIN_TLS_VERSION),
        clients: None,
        acme: Some(Box::new(acme)),
    })
}

fn challenge(table: Option<&raw::site::Acme>) -> AcmeChallenge {
    table
        .and_then(|table| table.challenge)
        .unwrap_or(AcmeChallenge::Http01)
}

/// None: what is wrong was said.
fn names(
    ssl: &raw::site::Ssl,
    hosts: &[Located<HostPattern>],
    table: Option<&raw::site::Acme>,
    findings: &Findings,
) -> Option<Vec<String>> {
    let told: Vec<Located<HostPattern>> = ssl.domains.iter().filter_map(pattern).collect();
    let meant = if ssl.domains.is_empty() { hosts } else { &told };
    let mut names = Vec::with_capacity(meant.len());
    let mut complete = true;
    for host in meant {
        match provable(&host.value, challenge(table)) {
            Ok(name) => names.push(name),
            Err((what, help)) => {
                complete = false;
                let message = format!("no certificate can be got for {what}");
                findings.push(Finding::error(message).at(host.place, "").help(help));
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    if names.len() > defaults::MAX_ACME_NAMES {
        let message = format!("{} names in one certificate are too many", names.len());
        let help = format!(
            "authorities take {} at most: make several sites of this one",
            defaults::MAX_ACME_NAMES
        );
        findings.push(Finding::error(message).at(ssl.place, "").help(help));
        complete = false;
    }
    if !ssl.domains.is_empty() && complete {
        warn_of_uncovered(&names, hosts, findings);
    }
    // Without a name something else was wrong.
    (complete && !names.is_empty()).then_some(names)
}

fn pattern(domain: &Located<String>) -> Option<Located<HostPattern>> {
    // What is no host name was said before.
    let value = hostnames::pattern(&domain.value).ok()?;
    let place = domain.place;
    Some(Located { value, place })
}

fn provable(
    host: &HostPattern,
    challenge: AcmeChallenge,
) -> Result<String, (String, &'static str)> {
    let HostPattern::Exact(name) = host else {
        return Err(match host {
            HostPattern::Wildcard(_) => (
                format!("'{host}' automatically"),
                "authorities want a DNS record for a wildcard: name the hosts, or get it by another program and name 'cert_file' and 'key_file'",
            ),
            _ => (
                "a site of any host".to_owned(),
                "name the hosts in 'hostnames' or in 'domains'",
            ),
        });
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(_) if challenge == AcmeChallenge::TlsAlpn01 => Err((
            format!("the address '{bare}' by tls-alpn-01"),
            "use challenge = \"http-01\"",
        )),
        // As it will stand in the certificate.
        Ok(address) => Ok(address.to_string()),
        Err(_) => Ok(bare.to_owned()),
    }
}

fn warn_of_uncovered(names: &[String], hosts: &[Located<HostPattern>], findings: &Findings) {
    for host in hosts {
        let HostPattern::Exact(name) = &host.value else {
            continue;
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if !names.iter().any(|it| it == bare) {
            findings.push(
                Finding::warning(format!("'domains' does not name the host '{bare}'"))
                    .at(host.place, "browsers will refuse to connect to it")
                    .help(
                        "add it to 'domains', or remove 'domains': the host names are the default",
                    ),
            );
        }
    }
}

fn directory_url(table: Option<&raw::site::Acme>, findings: &Findings) -> String {
    let staging = table.and_then(|table| table.staging.as_ref());
    let staging = staging.filter(|staging| staging.value);
    match (table.and_then(|it| it.directory_url.as_ref()), staging) {
        (Some(url), None) => url.value.clone(),
        (Some(url), Some(staging)) => {
            findings.push(
                Finding::error("'staging' and 'directory_url' name two authorities")
                    .at(staging.place, "")
                    .at(url.place, "")
                    .help("remove one of both"),
            );
            url.value.clone()
        }
        (None, Some(_)) => defaults::ACME_STAGING.to_owned(),
        (None, None) => defaults::ACME_DIRECTORY.to_owned(),
    }
}

/// The certificates of `ca_file`.
fn roots(table: Option<&raw::site::Acme>, context: &Context<'_>) -> Vec<Vec<u8>> {
    let Some(file) = table.and_then(|table| table.ca_file.as_ref()) else {
        return Vec::new();
    };
    let Some(path) = context.file_or_credential(file) else {
        return Vec::new();
    };
    trust::of_file(&path, file.place, context.findings).unwrap_or_default()
}

fn external_account(table: &raw::site::Acme, findings: &Findings) -> Option<ExternalAccount> {
    let (kid, key) = match (&table.eab_kid, &table.eab_hmac_key) {
        (Some(kid), Some(key)) => (kid, key),
        (None, None) => return None,
        (Some(one), None) | (None, Some(one)) => {
            findings.push(
                Finding::error("'eab_kid' and 'eab_hmac_key' belong together")
                    .at(one.place, "the other one is missing")
                    .help("write both as the authority told them"),
            );
            return None;
        }
    };
    let text = key.value.trim_end_matches('=');
    match Base64UrlUnpadded::decode_vec(text) {
        Ok(hmac_key) if !hmac_key.is_empty() => Some(ExternalAccount {
            kid: kid.value.clone(),
            hmac_key,
        }),
        _ => {
            findings.push(
                Finding::error("'eab_hmac_key' is not base64url")
                    .at(key.place, "")
                    .help("write it as the authority told it: letters, digits, '-' and '_'"),
            );
            None
        }
    }
}

/// Where the first site stands that proves its names by http-01.
pub(super) fn first_by_http<'a>(sites: impl Iterator<Item = &'a raw::Site>) -> Option<Place> {
    let by_http =
        |ssl: &&raw::site::Ssl| acts(ssl) && challenge(ssl.acme.as_ref()) == AcmeChallenge::Http01;
    let mut tables = sites.filter_map(|site| site.ssl.as_deref());
    tables.find(by_http).map(|ssl| ssl.place)
}

/// Somebody must answer the authority.
pub(super) fn check_answer(config: &Config, by_http: Option<Place>, findings: &Findings) {
    let cleartext = config.listeners.iter().any(|listener| !listener.tls);
    if let Some(place) = by_http.filter(|_| !cleartext) {
        findings.push(
            Finding::warning("the authority asks on port 80 without TLS, where no site listens")
                .at(place, "")
                .help("add a site with 'port = 80' and 'redirect_to_https = true', or use challenge = \"tls-alpn-01\" in [sites.ssl.acme]"),
        );
    }
}
