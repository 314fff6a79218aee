//! Sessions: who comes back is who came.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::guarded::{Guarded, OPTIONAL, REQUIRED, curl, told};
use crate::client::storm;
use crate::client::transport::Endpoint;
use crate::client::wire::Wire;
use crate::harness::certificates::{Authority, Pair};
use crate::harness::{listener, runtime};

/// A client that keeps its sessions.
struct Returning<'a> {
    version: &'a str,
    session: PathBuf,
}

/// How it went.
#[derive(Debug, PartialEq)]
struct Visit {
    resumed: bool,
    /// What the backend was told; None without an answer.
    verified: Option<String>,
}

impl Returning<'_> {
    /// With the session of before, if there is one; the new one is kept.
    fn visit(&self, address: SocketAddr, site: &str, client: Option<&Pair>) -> Visit {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", self.version, "-ign_eof", "-servername"])
            .args([&format!("{site}.test"), "-connect", &address.to_string()])
            .arg("-sess_out")
            .arg(&self.session);
        if self.session.exists() {
            command.arg("-sess_in").arg(&self.session);
        }
        if let Some(pair) = client {
            command.arg("-cert").arg(&pair.cert_file);
            command.arg("-key").arg(&pair.key_file);
        }
        let request = self.session.with_extension("request");
        let text = format!("GET / HTTP/1.1\r\nhost: {site}.test\r\nconnection: close\r\n\r\n");
        std::fs::write(&request, text).unwrap();
        command
            .stdin(std::fs::File::open(request).unwrap())
            .stderr(Stdio::null());
        let said = command.output().expect("openssl can be started").stdout;
        let said = String::from_utf8_lossy(&said);
        let answered = said.contains("HTTP/1.1 200 OK");
        Visit {
            resumed: said.contains("Reused, TLSv1."),
            verified: answered
                .then(|| told(&said, "x-client-cert-verify").unwrap_or("").to_owned()),
        }
    }
}

fn visit(resumed: bool, verified: &str) -> Visit {
    Visit {
        resumed,
        verified: Some(verified.to_owned()),
    }
}

const REFUSED: Visit = Visit {
    resumed: false,
    verified: None,
};

#[test]
fn a_session_is_worth_what_its_handshake_was() {
    let guarded = Guarded::new();
    let [(one, guarded_at), (two, open_at)] = [listener(), listener()];
    let rest = guarded.site("optional", guarded_at, OPTIONAL)
        + &guarded.site("open", guarded_at, "")
        + &guarded.site("required", open_at, "");
    let text = guarded.site("required", guarded_at, REQUIRED) + &rest;
    let server = guarded.start(&text, vec![one, two]);
    let good = guarded.client("alice");
    let client = |version, name: &str| Returning {
        version,
        session: guarded.path().join(format!("{name}{version}")),
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let alice = client(version, "alice");
        let known = alice.visit(guarded_at, "required", Some(&good));
        assert_eq!(known, visit(false, "SUCCESS"), "{version}");
        // She is known by her session.
        let again = alice.visit(guarded_at, "required", None);
        assert_eq!(again, visit(true, "SUCCESS"), "{version}");
        // But nowhere else.
        let elsewhere = alice.visit(guarded_at, "optional", None);
        assert_eq!(elsewhere, visit(false, "NONE"), "{version}");
        // From a port where the same name asks for nothing.
        let eve = client(version, "eve");
        assert_eq!(eve.visit(open_at, "required", None), visit(false, ""));
        assert_eq!(eve.visit(open_at, "required", None), visit(true, ""));
        assert_eq!(
            eve.visit(guarded_at, "required", None),
            REFUSED,
            "{version}"
        );
        let bob = client(version, "bob");
        assert_eq!(bob.visit(guarded_at, "open", None), visit(false, ""));
        assert_eq!(
            bob.visit(guarded_at, "required", None),
            REFUSED,
            "{version}"
        );
        // Once it was only asked for.
        let carol = client(version, "carol");
        let anonymous = carol.visit(guarded_at, "optional", None);
        assert_eq!(anonymous, visit(false, "NONE"), "{version}");
        let kept = client(version, "kept");
        assert_eq!(
            kept.visit(guarded_at, "required", Some(&good)),
            visit(false, "SUCCESS")
        );
    }
    // Other rules, other sessions.
    std::fs::write(guarded.path().join("others.pem"), Authority::new().pem()).unwrap();
    let changed = guarded.site("required", guarded_at, "client_ca = \"others.pem\"")
        + &rest.replace("client_verify = \"optional\"", "");
    server.reload_to(&changed);
    for version in ["-tls1_2", "-tls1_3"] {
        let carol = client(version, "carol");
        assert_eq!(
            carol.visit(guarded_at, "optional", None),
            REFUSED,
            "{version}"
        );
        let kept = client(version, "kept");
        assert_eq!(
            kept.visit(guarded_at, "required", None),
            REFUSED,
            "{version}"
        );
    }
}

#[test]
fn a_connection_of_before_stays_with_the_rules_of_before() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    let server = guarded.start(&guarded.site("required", address, ""), vec![socket]);
    let tls = storm::tls(&guarded.authority.der(), "required.test", b"http/1.1");
    let endpoint = Endpoint {
        tls: Some(tls),
        ..Endpoint::plain(address)
    };
    runtime().block_on(async {
        let mut wire = Wire::new(endpoint.connect().await.unwrap());
        let request = b"GET / HTTP/1.1\r\nHost: required.test\r\n\r\n";
        wire.send(request).await.unwrap();
        let (head, _) = wire.response().await.unwrap();
        assert!(head.status == 200 && !head.closes());
        server.reload_to(&guarded.site("required", address, REQUIRED));
        // It is answered as the site was, and for the last time once the worker of before knows that it drains.
        loop {
            wire.send(request).await.unwrap();
            let (head, body) = wire.response().await.unwrap();
            assert_eq!(head.status, 200);
            let body = String::from_utf8(body).unwrap();
            assert_eq!(told(&body, "x-client-cert-verify"), None);
            if head.closes() {
                break;
            }
        }
        assert_eq!(wire.end().await.unwrap(), "");
    });
    assert_eq!(curl(address, "required", None, &[]).0, 0);
}

#[test]
fn who_was_taken_back_stays_out() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    let folder = guarded.path();
    let alice = guarded.clients.issue_client(folder, "alice", 7);
    let bob = guarded.clients.issue_client(folder, "bob", 8);
    guarded.clients.revoke(folder, "clients", &[], 2100);
    let rules = format!("{REQUIRED}\nclient_crl = \"clients.crl\"");
    let text = guarded.site("required", address, &rules);
    let server = guarded.start(&text, vec![socket]);
    let session = Returning {
        version: "-tls1_3",
        session: folder.join("session"),
    };
    assert_eq!(
        session.visit(address, "required", Some(&bob)),
        visit(false, "SUCCESS")
    );
    assert_eq!(
        session.visit(address, "required", Some(&bob)),
        visit(true, "SUCCESS")
    );
    guarded.clients.revoke(folder, "clients", &[8], 2100);
    assert!(server.reload().status.success());
    assert_eq!(curl(address, "required", Some(&alice), &[]).0, 200);
    assert_eq!(curl(address, "required", Some(&bob), &[]).0, 0);
    // His session ended with his certificate.
    assert_eq!(session.visit(address, "required", Some(&bob)), REFUSED);
}

#[test]
fn nothing_is_said_before_the_handshake_ends() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    let _server = guarded.start(&guarded.site("open", address, ""), vec![socket]);
    let folder = guarded.path();
    let client = Returning {
        version: "-tls1_3",
        session: folder.join("session"),
    };
    assert_eq!(client.visit(address, "open", None), visit(false, ""));
    std::fs::write(
        folder.join("early"),
        "GET / HTTP/1.1\r\nhost: open.test\r\n\r\n",
    )
    .unwrap();
    let said = Command::new("openssl")
        .args([
            "s_client",
            "-tls1_3",
            "-servername",
            "open.test",
            "-connect",
        ])
        .args([&address.to_string(), "-sess_in"])
        .arg(folder.join("session"))
        .arg("-early_data")
        .arg(folder.join("early"))
        .stdin(Stdio::null())
        .output()
        .expect("openssl can be started")
        .stdout;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("Reused, TLSv1.3"), "{said}");
    assert!(said.contains("Early data was not sent"), "{said}");
}
