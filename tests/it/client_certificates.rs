//! Sites that verify their clients, with curl and openssl as clients.

mod guarded;
mod sessions;

use std::path::Path;
use std::process::Command;

use self::guarded::{Guarded, OPTIONAL, REQUIRED, curl, told};
use crate::harness::certificates::{Authority, Pair};
use crate::harness::listener;

#[test]
fn only_clients_of_the_authority_come_in() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    let text = guarded.site("required", address, REQUIRED)
        + &guarded.site("optional", address, OPTIONAL)
        + &guarded.site("open", address, "");
    let server = guarded.start(&text, vec![socket]);
    let folder = guarded.path();
    let good = guarded.client("alice");
    let wrong = Authority::new().issue_client(folder, "mallory", 1);
    let expired = guarded.clients.issue_expired_client(folder, "old");
    let unused = guarded.clients.issue(folder, "no-client", &["server.test"]);
    for version in ["--http1.1", "--http2"] {
        for tls in ["--tlsv1.3", "--tls-max=1.2"] {
            let tls = tls
                .split_once('=')
                .map_or(vec![tls], |(key, value)| vec![key, value]);
            let more: Vec<&str> = [version].into_iter().chain(tls).collect();
            for site in ["required", "optional"] {
                let (status, head) = curl(address, site, Some(&good), &more);
                assert_eq!(status, 200, "{site} {more:?}: {head}");
                let subject = told(&head, "x-client-cert-subject");
                assert_eq!(subject, Some(r"O=BWS\, Clients,CN=alice"), "{head}");
                assert_eq!(told(&head, "x-client-cert-verify"), Some("SUCCESS"));
                for refused in [&wrong, &expired] {
                    let (status, failure) = curl(address, site, Some(refused), &more);
                    assert_eq!(status, 0, "{site} {more:?} {refused:?}: {failure}");
                }
            }
            let (status, failure) = curl(address, "required", None, &more);
            assert_eq!(status, 0, "{more:?}");
            assert!(failure.contains("alert"), "{failure}");
            let (status, head) = curl(address, "optional", None, &more);
            assert_eq!(
                (status, told(&head, "x-client-cert-verify")),
                (200, Some("NONE"))
            );
            assert_eq!(told(&head, "client-cert"), None);
            let (status, head) = curl(address, "open", Some(&good), &more);
            assert_eq!((status, told(&head, "x-client-cert-verify")), (200, None));
        }
    }
    assert_eq!(
        curl(address, "required", Some(&unused), &[]).0,
        200,
        "any use is allowed there"
    );
    // Not once for each.
    let log = server.process.output();
    let told = log.matches("client '127.0.0.1' is refused: its certificate");
    assert_eq!(told.count(), 1, "{log}");
}

#[test]
fn nobody_comes_by_another_sites_handshake() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    std::fs::write(guarded.path().join("others.pem"), Authority::new().pem()).unwrap();
    let text = guarded.site("open", address, "")
        + &guarded.site("required", address, REQUIRED)
        + &guarded.site("optional", address, OPTIONAL)
        + &guarded.site("other", address, "client_ca = \"others.pem\"");
    let _server = guarded.start(&text, vec![socket]);
    let good = guarded.client("alice");
    for version in ["--http1.1", "--http2"] {
        let sites = ["open", "required", "optional", "other"];
        for (name, host) in sites
            .iter()
            .flat_map(|name| sites.map(|host| (*name, host)))
        {
            if name == "other" {
                continue;
            }
            let host_line = format!("Host: {host}.test");
            let (status, _) = curl(address, name, Some(&good), &[version, "-H", &host_line]);
            let expected = if name == host { 200 } else { 421 };
            assert_eq!(status, expected, "{version} {name} {host}");
        }
    }
    assert_eq!(guarded.backend.count(), 6);
}

#[test]
fn upstreams_hear_of_certificates_from_us_alone() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    let text = guarded.site("required", address, REQUIRED)
        + &guarded.site("optional", address, OPTIONAL)
        + &guarded.site("open", address, "");
    let _server = guarded.start(&text, vec![socket]);
    let good = guarded.client("alice");
    let names = [
        "Client-Cert",
        "Client-Cert-Chain",
        "client_cert",
        "X-Client-Cert-Verify",
        "X_Client_Cert_Verify",
        "X-Client-Cert-Subject",
        "X-Client-Cert-Fingerprint",
    ];
    let forged = names.map(|name| format!("{name}: forged"));
    let mut more: Vec<&str> = forged.iter().flat_map(|it| ["-H", it]).collect();
    more.extend(["-H", "Connection: X-Client-Cert-Verify, Client-Cert"]);
    for (site, client) in [
        ("required", Some(&good)),
        ("optional", None),
        ("open", None),
    ] {
        let (status, head) = curl(address, site, client, &more);
        assert_eq!(status, 200, "{site}: {head}");
        assert!(!head.contains("forged"), "{site}: {head}");
    }
    let (_, head) = curl(address, "required", Some(&good), &more);
    let der = openssl(&["x509", "-outform", "der", "-in"], &good.cert_file);
    let encoded = openssl_with(&["base64", "-A"], &der);
    let encoded = String::from_utf8(encoded).unwrap();
    let expected = format!(":{}:", encoded.trim());
    assert_eq!(told(&head, "client-cert"), Some(&*expected));
    let print = openssl(
        &["x509", "-noout", "-fingerprint", "-sha256", "-in"],
        &good.cert_file,
    );
    let print = String::from_utf8(print)
        .unwrap()
        .replace(':', "")
        .to_lowercase();
    let print = print.trim().rsplit_once('=').unwrap().1.to_owned();
    assert_eq!(told(&head, "x-client-cert-fingerprint"), Some(&*print));
    let subject = openssl(
        &["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in"],
        &good.cert_file,
    );
    let subject = String::from_utf8(subject).unwrap();
    let subject = subject.trim().strip_prefix("subject=");
    assert_eq!(told(&head, "x-client-cert-subject"), subject);
}

fn openssl(arguments: &[&str], file: &Path) -> Vec<u8> {
    let said = Command::new("openssl").args(arguments).arg(file).output();
    said.expect("openssl can be started").stdout
}

fn openssl_with(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    let mut command = Command::new("openssl");
    command.args(arguments).arg("-in").arg(file.path());
    command.output().expect("openssl can be started").stdout
}

/// Certificates as openssl makes them from a request, without extensions or with them.
#[test]
fn certificates_of_every_kind_are_taken() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    let folder = guarded.path();
    let run = |arguments: String| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder);
        let said = command.output().expect("openssl can be started");
        assert!(said.status.success(), "{arguments}: {said:?}");
    };
    for name in ["clients", "foreign"] {
        run(format!(
            "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=clients -keyout {name}.key -out {name}.pem"
        ));
    }
    std::fs::write(folder.join("v3.cnf"), "extendedKeyUsage = clientAuth\n").unwrap();
    let keys = [
        ("rsa", "rsa:2048"),
        ("p256", "ec -pkeyopt ec_paramgen_curve:P-256"),
        ("p384", "ec -pkeyopt ec_paramgen_curve:P-384"),
        ("ed25519", "ed25519"),
    ];
    let text = guarded.site("required", address, REQUIRED);
    let _server = guarded.start(&text, vec![socket]);
    for (name, kind) in keys {
        run(format!(
            "req -newkey {kind} -nodes -subj /O=shop/CN={name} -keyout {name}.key -out {name}.csr"
        ));
        let sign = format!("x509 -req -in {name}.csr -CAcreateserial -days");
        run(format!(
            "{sign} 9 -CA clients.pem -CAkey clients.key -out {name}.v1"
        ));
        run(format!(
            "{sign} 9 -CA clients.pem -CAkey clients.key -extfile v3.cnf -out {name}.v3"
        ));
        run(format!(
            "{sign} 9 -CA foreign.pem -CAkey foreign.key -out {name}.foreign"
        ));
        let pair = |version: &str| Pair {
            cert_file: folder.join(format!("{name}.{version}")),
            key_file: folder.join(format!("{name}.key")),
        };
        for tls in [["--tlsv1.3", "--http2"], ["--tls-max", "1.2"]] {
            for version in ["v1", "v3"] {
                let (status, head) = curl(address, "required", Some(&pair(version)), &tls);
                assert_eq!(status, 200, "{name} {version} {tls:?}: {head}");
                let subject = format!("CN={name},O=shop");
                assert_eq!(told(&head, "x-client-cert-subject"), Some(&*subject));
            }
            let foreign = curl(address, "required", Some(&pair("foreign")), &tls);
            assert_eq!(foreign.0, 0, "{name} {tls:?}");
        }
    }
}
