//! Certificates that BWS gets by itself.

use super::super::types::*;
use super::super::{Options, load, with_new_certificates};
use super::{Folder, certificates, errors};

fn site(hosts: &str, tables: &str) -> String {
    format!(
        "[[sites]]\nname = \"plain\"\nport = 80\napi_only = true\n\
         [[sites]]\nname = \"a/b\"\n{hosts}\nport = 443\napi_only = true\n{tables}"
    )
}

fn tls(config: &Config) -> &SiteTls {
    config.sites[1].tls.as_ref().unwrap()
}

const HOSTS: &str = "hostnames = [\"www.example.com\", \"Example.com\"]";

#[test]
fn a_table_without_files_acts_and_a_switch_as_well() {
    for tables in [
        "ssl = {auto_cert = true}",
        "[sites.ssl.acme]",
        "[sites.ssl]\n[sites.ssl.acme]\nemail = \"a@example.com\"",
    ] {
        let folder = Folder::new();
        let loaded = folder.load(&site(HOSTS, tables)).unwrap();
        let acme = tls(&loaded.config).acme.as_ref().unwrap();
        assert_eq!(acme.names, ["example.com", "www.example.com"], "{tables}");
        assert!(acme.directory_url.contains("api.letsencrypt.org"));
        let file = folder.path("bws-state/acme/certificates/a%2Fb.pem");
        assert_eq!(acme.file, file);
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.plain());
        let certificate = loaded
            .config
            .certificates
            .find(tls(&loaded.config).certificate)
            .unwrap();
        assert!(certificate.is_placeholder());
    }
}

#[test]
fn what_was_got_before_serves_and_a_damaged_file_does_not_stop_the_rest() {
    let folder = Folder::new();
    let text = site(HOSTS, "ssl = {auto_cert = true}");
    let state = folder.path("state");
    let options = Options {
        state: Some(state.clone()),
        serving: true,
        ..Options::default()
    };
    let config = folder.write("config.toml", &text);
    let before = load(&config, &options).unwrap().config;
    let pair = certificates::pair(&["example.com", "www.example.com"], 90);
    let content = format!("Authority: https://ca/\n\n{}{}", pair.key, pair.cert);
    let file = "state/acme/certificates/a%2Fb.pem";
    folder.write(file, &content);
    let loaded = load(&config, &options).unwrap();
    let certificate = loaded.config.certificates.find(0).unwrap();
    assert_eq!(certificate.names, ["example.com", "www.example.com"]);
    assert_eq!(certificate.authority.as_deref(), Some("https://ca/"));
    assert!(loaded.warnings.is_empty());
    // The same, without reading anything else.
    let renewed = with_new_certificates(&before, |site| site == "a/b");
    assert_eq!(renewed, loaded.config);
    assert_ne!(renewed.sites[1].hash, before.sites[1].hash);
    assert_eq!(renewed.sites[0].hash, before.sites[0].hash);
    folder.write(file, "damaged");
    let loaded = load(&config, &options).unwrap();
    assert!(loaded.config.certificates.find(0).unwrap().is_placeholder());
    assert_eq!(loaded.warnings.problems.len(), 1);
}

#[test]
fn with_files_the_table_stands_ready() {
    let folder = Folder::new();
    let pair = certificates::pair(&["example.com", "www.example.com"], 90);
    folder.write("c.pem", &pair.cert);
    folder.write("c.key", &pair.key);
    let files = "cert_file = \"c.pem\"\nkey_file = \"c.key\"\n";
    let ready = format!("[sites.ssl]\n{files}[sites.ssl.acme]\n");
    let config = folder.load(&site(HOSTS, &ready)).unwrap().config;
    assert!(tls(&config).acme.is_none());
    let acting = format!("[sites.ssl]\nauto_cert = true\n{files}");
    let loaded = folder.load(&site(HOSTS, &acting)).unwrap();
    assert!(tls(&loaded.config).acme.is_some());
    assert!(loaded.warnings.plain().contains("useless"));
}

#[test]
fn what_cannot_be_proved_is_an_error() {
    let acme = |keys: &str| format!("[sites.ssl]\nauto_cert = true\n[sites.ssl.acme]\n{keys}");
    for (hosts, tables, expected) in [
        (
            "hostname = \"*.example.com\"",
            acme(""),
            "for '*.example.com'",
        ),
        ("hostname = \"_\"", acme(""), "a site of any host"),
        (
            "hostname = \"192.0.2.1\"",
            acme("challenge = \"tls-alpn-01\""),
            "192.0.2.1",
        ),
        (
            HOSTS,
            acme("staging = true\ndirectory_url = \"https://ca/\""),
            "two authorities",
        ),
        (HOSTS, acme("eab_kid = \"x\""), "belong together"),
        (
            HOSTS,
            acme("eab_kid = \"x\"\neab_hmac_key = \"ü\""),
            "not base64url",
        ),
        (
            HOSTS,
            acme("ca_file = \"config.toml\""),
            "config.toml' holds no certificate",
        ),
        (HOSTS, acme("ca_file = \"missing.pem\""), "cannot read"),
        (
            HOSTS,
            "ssl = {auto_cert = false}".into(),
            "neither 'cert_file' nor",
        ),
        (HOSTS, acme("enabled = false"), "neither 'cert_file' nor"),
    ] {
        let errors = errors(&site(hosts, &tables));
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{errors:?}"
        );
    }
}

#[test]
fn somebody_has_to_answer_the_authority() {
    let text = site(HOSTS, "[sites.ssl.acme]").replace(
        "port = 80\n",
        "port = 443\nssl = {auto_cert = true}\nhostname = \"b\"\n",
    );
    let warnings = Folder::new().load(&text).unwrap().warnings.plain();
    assert!(warnings.contains("where no site listens"), "{warnings}");
    let by_handshake = text.replace(
        "[sites.ssl.acme]",
        "[sites.ssl.acme]\nchallenge = \"tls-alpn-01\"",
    );
    let first = by_handshake.replace(
        "ssl = {auto_cert = true}",
        "ssl = {acme = {challenge = \"tls-alpn-01\"}}",
    );
    let loaded = Folder::new().load(&first).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.plain());
}
