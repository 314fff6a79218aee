//! Answers to authorities on the wire.

use std::path::Path;
use std::rc::Rc;

use super::folder;
use crate::config::types::*;
use crate::http::service::Service;
use crate::http::testing::*;

const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA";

/// A cleartext site with files, that sends everybody elsewhere, and another one that gets its certificate by itself.
fn served(root: &Path, names: &[&str]) -> Rc<Service> {
    let mut plain = site();
    plain.static_files = Some(static_files(root));
    let mut secure = site();
    secure.name = "secure".into();
    secure.tls = Some(SiteTls {
        certificate: 0,
        alternatives: vec![],
        min_version: TlsVersion::Tls12,
        clients: None,
        acme: Some(Box::new(Acme {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            directory_url: "https://ca.example/".into(),
            roots: vec![],
            email: None,
            external_account: None,
            challenge: AcmeChallenge::Http01,
            file: "/x.pem".into(),
            accounts: "/".into(),
        })),
    });
    let mut config = config(vec![plain, secure]);
    config.listeners[0].sites = vec![0];
    let placeholder = Certificate::placeholder("/x.pem".into());
    config.certificates = vec![placeholder.into()].into();
    let service = service(config);
    service.shared.challenges.set(&[ChallengeAnswer::Http {
        token: TOKEN.into(),
        authorization: format!("{TOKEN}.thumbprint"),
    }]);
    service
}

/// Files lie where the answers of other programs would.
fn with_files() -> tempfile::TempDir {
    let folder = folder();
    let answers = folder.path().join(".well-known/acme-challenge");
    std::fs::create_dir_all(&answers).unwrap();
    std::fs::write(answers.join("file"), "on disk").unwrap();
    folder
}

#[test]
fn a_token_is_answered_until_it_is_forgotten() {
    run(async {
        let folder = with_files();
        let service = served(folder.path(), &["a"]);
        let line = format!("GET /.well-known/acme-challenge/{TOKEN}");
        let answer = ask(&service, &line, "").await;
        assert_eq!(status(&answer), 200);
        assert_eq!(body(&answer), format!("{TOKEN}.thumbprint"));
        let kind = header(&answer, "content-type");
        assert_eq!(kind, Some("application/octet-stream"));
        let head = ask(&service, &line.replace("GET", "HEAD"), "").await;
        assert_eq!((status(&head), body(&head)), (200, ""));
        let post = ask(&service, &line.replace("GET", "POST"), "").await;
        assert_eq!(status(&post), 404);
        service.shared.challenges.set(&[]);
        assert_eq!(status(&ask(&service, &line, "").await), 404);
    });
}

#[test]
fn nothing_but_a_token_is_found_and_no_file_is_opened() {
    run(async {
        let folder = with_files();
        let service = served(folder.path(), &["a"]);
        for path in [
            "file",
            "",
            "../../x.txt",
            "..%2f..%2fx.txt",
            "%2e%2e/%2e%2e/x.txt",
            "%2E%2E%2F%2E%2E%2Fx.txt",
            "....//....//x.txt",
            "..%5c..%5cx.txt",
            "..%252f..%252fx.txt",
            "%c0%ae%c0%ae%c0%af%c0%ae%c0%ae%c0%afx.txt",
            "%00../../x.txt",
            ".%2e/.%2e/x.txt",
            "..;/..;/x.txt",
            "//etc/passwd",
            "/../../../../../../etc/passwd",
        ] {
            for token in [path.to_owned(), format!("{TOKEN}/{path}")] {
                let line = format!("GET /.well-known/acme-challenge/{token}");
                let answer = ask(&service, &line, "").await;
                assert_eq!(status(&answer), 404, "{line}: {answer}");
                assert!(!answer.contains("0123456789"), "{line}");
            }
        }
    });
}

#[test]
fn health_says_that_a_certificate_is_missing() {
    run(async {
        let folder = folder();
        let service = served(folder.path(), &["a"]);
        let health = ask(&service, "GET /health/detailed", "").await;
        assert!(health.contains("\"certificates_missing\":1"), "{health}");
    });
}

#[test]
fn where_another_program_proves_the_names_its_files_are_served() {
    run(async {
        let folder = with_files();
        let service = served(folder.path(), &["b"]);
        let line = "GET /.well-known/acme-challenge/file";
        let answer = ask(&service, line, "").await;
        assert_eq!((status(&answer), body(&answer)), (200, "on disk"));
        let known = format!("GET /.well-known/acme-challenge/{TOKEN}");
        assert_eq!(
            body(&ask(&service, &known, "").await),
            format!("{TOKEN}.thumbprint")
        );
    });
}
