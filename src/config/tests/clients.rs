//! `client_ca` and the keys beside it.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, date_time_ymd,
};

use super::Folder;
use super::certificates::pair;
use crate::config::types::Config;
use crate::config::{Loaded, Report};

fn authority(name: &str, until: i32, is_ca: bool) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = date_time_ymd(until, 1, 1);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn list(by: &CertifiedIssuer<'static, KeyPair>, until: i32) -> String {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2019, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(by).unwrap().pem().unwrap()
}

/// A site with these lines in `[sites.ssl]`, and one that proxies in cleartext.
fn load(folder: &Folder, rules: &str) -> Result<Loaded, Report> {
    if !folder.path("cert.pem").exists() {
        let own = pair(&["a.test"], 90);
        folder.write("cert.pem", &own.cert);
        let key = folder.write("key.pem", &own.key);
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(key, permissions).unwrap();
    }
    folder.load(&format!(
        "[[sites]]\nname = \"a\"\nhostname = \"a.test\"\nport = 443\napi_only = true\n\
         [sites.ssl]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n{rules}\n\
         [[sites]]\nname = \"b\"\nport = 80\n[sites.proxy]\nupstreams = [{{ name = \"it\", url = \"http://127.0.0.1:1\" }}]\n"
    ))
}

fn accepted(folder: &Folder, rules: &str) -> Config {
    let loaded = load(folder, rules).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.plain());
    loaded.config
}

/// The only problem, as it is shown.
fn problem(folder: &Folder, rules: &str) -> String {
    let report = match load(folder, rules) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    assert_eq!(report.problems.len(), 1, "{}", report.plain());
    report.plain()
}

#[test]
fn what_is_asked_of_clients_is_known_by_its_content() {
    let folder = Folder::new();
    folder.write("one.pem", &authority("one", 2100, true).pem());
    let plain = accepted(&folder, "");
    assert!(plain.trusts.is_empty());
    let guards = |config: &Config| {
        let proxy = config.sites[1].proxy.as_ref().unwrap();
        proxy.headers.guard_client_certificates
    };
    assert!(!guards(&plain));
    let first = accepted(&folder, "client_ca = \"one.pem\"");
    let clients = first.sites[0].tls.as_ref().unwrap().clients.as_ref();
    assert!(clients.unwrap().required);
    assert_eq!(clients.unwrap().trust, first.trusts[0].id);
    assert!(first.sources.contains(&folder.path("one.pem")));
    assert!(guards(&first), "another site could be asked to forge it");
    let optional = accepted(
        &folder,
        "client_ca = \"one.pem\"\nclient_verify = \"optional\"",
    );
    assert_ne!(first.sites[0].hash, optional.sites[0].hash);
    let changes = crate::config::diff(&first, &optional).changed;
    assert_eq!(
        changes,
        [("a".to_owned(), vec!["ssl.client_ca".to_owned()])]
    );
    folder.write("one.pem", &authority("one", 2100, true).pem());
    let renewed = accepted(&folder, "client_ca = \"one.pem\"");
    assert_ne!(first.sites[0].hash, renewed.sites[0].hash);
}

#[test]
fn old_authorities_and_clients_in_their_place_are_told_of() {
    let folder = Folder::new();
    folder.write("old.pem", &authority("old", 2020, true).pem());
    folder.write("client.pem", &authority("client", 2100, false).pem());
    let old = problem(&folder, "client_ca = \"old.pem\"");
    assert!(
        old.contains("'CN=old' in 'old.pem' expired on 2020-01-01"),
        "{old}"
    );
    let client = problem(&folder, "client_ca = \"client.pem\"");
    assert!(
        client.contains("is no authority's: 'CN=client'"),
        "{client}"
    );
}

#[test]
fn lists_of_all_authorities_are_needed_and_in_date() {
    let folder = Folder::new();
    let (one, two) = (authority("one", 2100, true), authority("two", 2100, true));
    folder.write("both.pem", &(one.pem() + &two.pem()));
    let rules = "client_ca = \"both.pem\"\nclient_crl = \"them.crl\"";
    folder.write("them.crl", &(list(&one, 2100) + &list(&two, 2100)));
    let config = accepted(&folder, rules);
    assert_eq!(config.revocations[0].lists.len(), 2);
    assert!(config.sources.contains(&folder.path("them.crl")));
    for (text, expected) in [
        (list(&one, 2100), "has no list of 'CN=two'"),
        (
            list(&one, 2020) + &list(&two, 2100),
            "'CN=one' that was valid until 2020-01-01",
        ),
        (one.pem(), "holds no list of revoked certificates"),
    ] {
        folder.write("them.crl", &text);
        let told = problem(&folder, rules);
        assert!(told.contains(expected), "{told}");
    }
}
