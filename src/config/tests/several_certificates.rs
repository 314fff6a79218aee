//! Several certificates for one name, and OCSP responses beside them.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

use super::super::types::*;
use super::super::{Loaded, Report};
use super::Folder;
use super::certificates::pair;

/// A site with these certificates; those that are there get their pairs.
fn load(folder: &Folder, ssl: &str) -> Result<Loaded, Report> {
    folder.load(&format!(
        "[[sites]]\nname = \"a\"\nhostname = \"a.example\"\nport = 443\napi_only = true\n{ssl}"
    ))
}

fn write(folder: &Folder, name: &str, key: &KeyPair) {
    let params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    let certificate = params.self_signed(key).unwrap();
    folder.write(&format!("{name}.pem"), &certificate.pem());
    folder.write(&format!("{name}.key"), &key.serialize_pem());
}

fn table(name: &str) -> String {
    format!("[[sites.ssl.certificates]]\ncert_file = \"{name}.pem\"\nkey_file = \"{name}.key\"\n")
}

const OWN: &str = "[sites.ssl]\ncert_file = \"p256.pem\"\nkey_file = \"p256.key\"\n";

fn folder() -> Folder {
    let folder = Folder::new();
    let p256 = pair(&["a.example"], 90);
    folder.write("p256.pem", &p256.cert);
    folder.write("p256.key", &p256.key);
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    write(&folder, "p384", &p384);
    folder
}

#[test]
fn keys_of_other_kinds_stand_beside() {
    let folder = folder();
    let beside = load(&folder, &format!("{OWN}{}", table("p384")))
        .unwrap()
        .config;
    let alone = load(&folder, &format!("{}{}", table("p256"), table("p384")))
        .unwrap()
        .config;
    assert_eq!(beside.certificates, alone.certificates);
    assert_eq!(beside.hash, alone.hash);
    let tls = beside.sites[0].tls.as_ref().unwrap();
    let kinds = tls
        .certificates()
        .map(|it| beside.certificates.find(it).unwrap().kind.unwrap());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [KeyKind::EcdsaP256, KeyKind::EcdsaP384]
    );
    let without = load(&folder, OWN).unwrap().config;
    assert_ne!(without.sites[0].hash, beside.sites[0].hash);
    for name in ["p256.pem", "p384.key"] {
        assert!(beside.sources.contains(&folder.path(name)), "{name}");
    }
}

#[test]
fn two_of_a_kind_are_one_too_many() {
    let folder = folder();
    let other = pair(&["a.example"], 90);
    folder.write("other.pem", &other.cert);
    folder.write("other.key", &other.key);
    let report = load(&folder, &format!("{OWN}{}", table("other"))).unwrap_err();
    let text = report.plain();
    assert!(
        text.contains("two certificates with keys of the kind ecdsa-p256"),
        "{text}"
    );
}

#[test]
fn each_must_cover_the_name() {
    let folder = folder();
    let rest = format!("{OWN}{}", table("p384")).replace("p384", "elsewhere");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let params = CertificateParams::new(["b.example".to_owned()]).unwrap();
    folder.write("elsewhere.pem", &params.self_signed(&key).unwrap().pem());
    folder.write("elsewhere.key", &key.serialize_pem());
    let text = load(&folder, &rest).unwrap_err().plain();
    assert!(
        text.contains("elsewhere.pem' does not cover a.example"),
        "{text}"
    );
}

#[test]
fn what_is_no_response_is_not_stapled_and_stops_nothing() {
    let folder = folder();
    let with = format!("{OWN}ocsp_file = \"a.ocsp\"\n");
    let missing = load(&folder, &with).unwrap_err().plain();
    assert!(missing.contains("cannot read"), "{missing}");
    for (content, expected) in [
        ("", "is not DER"),
        ("0\u{3}\n\u{1}\u{3}", "an error of the authority (tryLater)"),
        ("0\u{3}\n\u{1}\0", "is not DER"),
        ("0\u{3}\n\u{1}\u{3}x", "is not DER"),
    ] {
        folder.write("a.ocsp", content);
        let loaded = load(&folder, &with).unwrap();
        let text = loaded.warnings.plain();
        assert!(text.contains(expected), "{text}");
        assert!(loaded.config.certificates.find(0).unwrap().staple.is_none());
        assert!(loaded.config.sources.contains(&folder.path("a.ocsp")));
    }
}
