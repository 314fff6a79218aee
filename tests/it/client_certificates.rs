//! Sites that verify their clients, with curl and openssl as clients.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::backend::Backend;
use crate::harness::bws::Bws;
use crate::harness::certificates::{Authority, Pair};
use crate::harness::listener;

/// A server with an authority for itself and one for its clients.
struct Guarded {
    folder: tempfile::TempDir,
    server: Pair,
    clients: Authority,
    /// Answers with the head that it got.
    backend: Backend,
}

impl Guarded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["required.test", "optional.test", "open.test", "other.test"];
        let server = Authority::new().issue(folder.path(), "server", &names);
        let clients = Authority::new();
        std::fs::write(folder.path().join("clients.pem"), clients.pem()).unwrap();
        let backend = Backend::start(|head| {
            let length = head.len() + 2;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{head}\r\n");
            Some(answer.into_bytes())
        });
        Self {
            folder,
            server,
            clients,
            backend,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A site that proxies; `rules` are more lines of `[sites.ssl]`.
    fn site(&self, name: &str, address: SocketAddr, rules: &str) -> String {
        let mut text = format!(
            "[[sites]]\nname = \"{name} {}\"\nhostname = \"{name}.test\"\nlisten = \"{address}\"\n",
            address.port()
        );
        let _ = write!(
            text,
            "[sites.ssl]\ncert_file = \"{}\"\nkey_file = \"{}\"\n{rules}\n",
            self.server.cert_file.display(),
            self.server.key_file.display(),
        );
        let _ = writeln!(
            text,
            "[sites.proxy]\nupstreams = [{{ name = \"it\", url = \"http://{}\" }}]",
            self.backend.address
        );
        text
    }

    fn start(&self, config: &str, sockets: Vec<TcpListener>) -> Bws {
        Bws::start(self.path(), config, sockets)
    }

    fn client(&self, name: &str) -> Pair {
        self.clients.issue_client(self.path(), name, 7)
    }
}

/// What curl gets from a site: the head that its backend got, or how it failed.
fn curl(address: SocketAddr, site: &str, client: Option<&Pair>, more: &[&str]) -> (u16, String) {
    let target = format!("{site}.test:{}", address.port());
    let mut command = Command::new("curl");
    command
        .args(["-sSk", "-w", "\n%{http_code}", "--resolve"])
        .args([&format!("{target}:127.0.0.1"), "-H", "Accept: text/plain"])
        .args(more)
        .arg(format!("https://{target}/"));
    if let Some(pair) = client {
        command.arg("--cert").arg(&pair.cert_file);
        command.arg("--key").arg(&pair.key_file);
    }
    let said = command.output().expect("curl can be started");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status");
    let failure = String::from_utf8_lossy(&said.stderr);
    (status.parse().unwrap(), format!("{body}{failure}"))
}

/// A header as the backend got it.
fn told<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    Some(lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?.1)
}

const REQUIRED: &str = "client_ca = \"clients.pem\"";
const OPTIONAL: &str = "client_ca = \"clients.pem\"\nclient_verify = \"optional\"";

#[test]
fn only_clients_of_the_authority_come_in() {
    let guarded = Guarded::new();
    let (socket, address) = listener();
    let text = guarded.site("required", address, REQUIRED)
        + &guarded.site("optional", address, OPTIONAL)
        + &guarded.site("open", address, "");
    let _server = guarded.start(&text, vec![socket]);
    let folder = guarded.path();
    let good = guarded.client("alice");
    let wrong = Authority::new().issue_client(folder, "mallory", 1);
    let expired = guarded.clients.issue_expired_client(folder, "old");
    let server = guarded.clients.issue(folder, "no-client", &["server.test"]);
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
        curl(address, "required", Some(&server), &[]).0,
        200,
        "any use is allowed there"
    );
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
