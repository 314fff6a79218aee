//! Certificates: pairs that serve, and why others do not.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair, SanType};

use super::super::{Loaded, Options, Report, load as load_with};
use super::Folder;

/// A self-signed certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) cert: String,
    pub(super) key: String,
}

/// Valid from ten days ago, for `days` from now (negative: expired).
pub(super) fn pair(names: &[&str], days: i64) -> Pair {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let now = time_of(std::time::SystemTime::now());
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = params.not_before + std::time::Duration::from_secs(now + 86_400 * 10_000)
        - std::time::Duration::from_secs((10_000 - days).unsigned_abs() * 86_400);
    let key = KeyPair::generate().unwrap();
    Pair {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// Seconds since 2020.
fn time_of(now: std::time::SystemTime) -> u64 {
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - 1_577_836_800
}

fn load(cert: &str, key: &str, hostnames: &str) -> Result<Loaded, Report> {
    let folder = Folder::new();
    folder.write("cert.pem", cert);
    let key = folder.write("key.pem", key);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    folder.load(&site("a", hostnames))
}

fn site(name: &str, hostnames: &str) -> String {
    format!(
        "[[sites]]\nname = \"{name}\"\nhostnames = [{hostnames}]\nport = 443\napi_only = true\n\
         ssl = {{enabled = true, cert_file = \"cert.pem\", key_file = \"key.pem\"}}\n"
    )
}

/// The message of the only problem, without the folder of the test.
fn message(result: Result<Loaded, Report>) -> String {
    let report = match result {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    assert_eq!(report.problems.len(), 1, "{}", report.plain());
    let message = &report.problems[0].message;
    message
        .split('\'')
        .map(|part| part.rsplit('/').next().unwrap())
        .collect::<Vec<_>>()
        .join("'")
}

#[test]
fn a_good_pair_is_read_once_for_all_sites() {
    let folder = Folder::new();
    let pair = pair(&["*.example.com", "192.0.2.1"], 90);
    folder.write("cert.pem", &pair.cert);
    let key = folder.write("key.pem", &pair.key);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = site("a", "\"a.example.com\"") + &site("b", "\"b.example.com\", \"192.0.2.1\"");
    let loaded = folder.load(&text).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.plain());
    let config = loaded.config;
    assert_eq!(config.certificates.len(), 1);
    assert_eq!(
        config.certificates.find(0).unwrap().names,
        ["*.example.com", "192.0.2.1"]
    );
    assert!(config.listeners[0].tls);
    assert!(config.sources.contains(&folder.path("key.pem")));
    assert!(
        config
            .sites
            .iter()
            .all(|site| site.tls.as_ref().unwrap().certificate == 0)
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (pair(&["a.example"], 90), pair(&["a.example"], 90));
    let found = message(load(&one.cert, &other.key, "\"a.example\""));
    assert_eq!(
        found,
        "key 'key.pem' does not belong to certificate 'cert.pem'"
    );
}

#[test]
fn dates_count() {
    let of = |days| {
        let pair = pair(&["a.example"], days);
        load(&pair.cert, &pair.key, "\"a.example\"")
    };
    assert!(of(-1).is_err());
    assert!(message(of(-1)).starts_with("certificate 'cert.pem' expired on 20"));
    assert!(of(13).is_ok());
    assert!(message(of(13)).starts_with("certificate 'cert.pem' expires on 20"));
    assert!(of(15).unwrap().warnings.is_empty());
}

#[test]
fn hostnames_must_be_covered() {
    let pair = pair(&["a.example"], 90);
    let partly = load(&pair.cert, &pair.key, "\"a.example\", \"b.example\"");
    assert!(partly.is_ok());
    assert_eq!(
        message(partly),
        "certificate 'cert.pem' does not cover b.example"
    );
    let none = load(&pair.cert, &pair.key, "\"b.example\", \"c.example\"");
    assert!(none.is_err());
    assert_eq!(
        message(none),
        "certificate 'cert.pem' does not cover b.example, c.example"
    );
    assert!(
        load(&pair.cert, &pair.key, "\"_\"")
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn other_files_are_told_apart() {
    let pair = pair(&["a.example"], 90);
    let of = |cert: &str, key: &str| message(load(cert, key, "\"a.example\""));
    assert_eq!(of("", &pair.key), "'cert.pem' holds no certificate");
    assert_eq!(of(&pair.cert, ""), "'key.pem' holds no private key");
    assert_eq!(of(&pair.key, &pair.cert), "'cert.pem' holds no certificate");
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(
        of(&pair.cert, locked),
        "key 'key.pem' is locked with a passphrase"
    );
    let odd = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    assert_eq!(
        of(&pair.cert, odd),
        "key 'key.pem' is of a kind that BWS cannot use"
    );
    let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert_eq!(
        of(damaged, &pair.key),
        "certificate 'cert.pem' cannot be parsed"
    );
    let torn = pair.cert.replace("-----END CERTIFICATE-----", "");
    assert_eq!(of(&torn, &pair.key), "'cert.pem' is not valid PEM");
}

#[test]
fn an_address_may_be_a_name() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::IpAddress("2001:db8::1".parse().unwrap())];
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    let loaded = load(&cert, &key.serialize_pem(), "\"2001:db8::1\"").unwrap();
    assert_eq!(
        loaded.config.certificates.find(0).unwrap().names,
        ["2001:db8::1"]
    );
}

#[test]
fn a_key_that_everybody_reads_is_a_warning() {
    let folder = Folder::new();
    let pair = pair(&["a.example"], 90);
    folder.write("cert.pem", &pair.cert);
    let key = folder.write("key.pem", &pair.key);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = message(folder.load(&site("a", "\"a.example\"")));
    assert_eq!(
        found,
        "key 'key.pem' can be read by every user of this machine"
    );
}

/// A site whose certificate is a file and whose key is a credential.
fn with_credential(folder: &Folder, name: &str, options: &Options) -> Result<Loaded, Report> {
    let text = site("a", "\"a.example\"").replace("\"key.pem\"", &format!("\"credential:{name}\""));
    load_with(&folder.write("config.toml", &text), options)
}

#[test]
fn a_key_may_be_a_credential() {
    let folder = Folder::new();
    let pair = pair(&["a.example"], 100);
    folder.write("cert.pem", &pair.cert);
    let key = folder.write("credentials/a.key", &pair.key);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400)).unwrap();
    let options = Options {
        serving: true,
        credentials: Some(folder.path("credentials")),
        ..Options::default()
    };
    let config = with_credential(&folder, "a.key", &options).unwrap().config;
    assert_eq!(config.certificates.find(0).unwrap().key_file, key);
    assert!(config.sources.contains(&key));
    let report = with_credential(&folder, "b.key", &options).unwrap_err();
    assert!(
        report.plain().contains("it has 'a.key'; else run ")
            && report.plain().contains("LoadCredential=b.key:"),
        "{}",
        report.plain()
    );
    assert!(with_credential(&folder, "../cert.pem", &options).is_err());
}

#[test]
fn what_only_the_service_sees_is_a_warning_elsewhere() {
    let folder = Folder::new();
    folder.write("cert.pem", "");
    let mut options = Options {
        serving: false,
        credentials: None,
        ..Options::default()
    };
    let loaded = with_credential(&folder, "a.key", &options).unwrap();
    let said = loaded.warnings.plain();
    assert!(said.contains("'a.key' cannot be checked here"), "{said}");
    options.serving = true;
    let said = with_credential(&folder, "a.key", &options)
        .unwrap_err()
        .plain();
    assert!(said.contains("LoadCredential=a.key:"), "{said}");
}

#[test]
fn a_renewed_credential_changes_the_hash() {
    let folder = Folder::new();
    let options = Options {
        serving: true,
        credentials: Some(folder.path("credentials")),
        ..Options::default()
    };
    let hash = || {
        let pair = pair(&["a.example"], 100);
        folder.write("cert.pem", &pair.cert);
        folder.write("credentials/a.key", &pair.key);
        with_credential(&folder, "a.key", &options)
            .unwrap()
            .config
            .sites[0]
            .hash
            .clone()
    };
    assert_ne!(hash(), hash());
}
