//! Certificates from an authority, by pebble, an ACME server of others. Where it is not installed nothing is tested
//! here.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::storm::{Kind, Storm};
use crate::harness::bws::Bws;
use crate::harness::certificates::Authority;
use crate::harness::demo::Demo;
use crate::harness::pebble::{EXTERNAL, Pebble, REFUSED, Settings};
use crate::harness::{PATIENCE, get, listener, runtime, wait_for};

const NAMES: [&str; 3] = ["a.example.test", "b.example.test", "c.example.test"];

struct Scene {
    plain: SocketAddr,
    secure: SocketAddr,
    pebble: Pebble,
    server: Bws,
    /// Goes last, with the logs.
    folder: tempfile::TempDir,
}

impl Scene {
    /// A cleartext site that sends everybody elsewhere, and one that gets its certificate; `keys` are for its table.
    fn new(validity: u32, external_accounts: bool, keys: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (plain, secure) = (listener(), listener());
        let settings = Settings {
            http: plain.1.port(),
            tls: secure.1.port(),
            validity,
            external_accounts,
        };
        let pebble = Pebble::start(folder.path(), settings)?;
        let config = config(plain.1, secure.1, &(pebble.table() + keys));
        let sockets = vec![plain.0, secure.0];
        let server = Bws::start(folder.path(), &config, sockets);
        Some(Self {
            folder,
            plain: plain.1,
            secure: secure.1,
            pebble,
            server,
        })
    }

    fn config(&self, keys: &str) -> String {
        config(self.plain, self.secure, &(self.pebble.table() + keys))
    }

    fn status(&self) -> Value {
        let (status, text) = self.server.control("GET", "/api/certificates");
        assert_eq!(status, 200);
        let value: Value = serde_json::from_str(&text).unwrap();
        value["certificates"][0].clone()
    }

    fn wait_for_state(&self, state: &str) {
        wait_for(state, || (self.status()["state"] == state).then_some(()));
    }

    /// What a client is shown that asks for `name`, as text.
    fn shown(&self, name: &str) -> String {
        let certificate = openssl(&[
            "s_client",
            "-connect",
            &self.secure.to_string(),
            "-servername",
            name,
        ]);
        let file = self.folder.path().join("shown.pem");
        std::fs::write(&file, certificate).unwrap();
        let file = file.to_str().unwrap();
        openssl(&[
            "x509",
            "-in",
            file,
            "-noout",
            "-issuer",
            "-serial",
            "-ext",
            "subjectAltName",
        ])
    }

    fn said(&self, text: &str) -> bool {
        self.server.process.output().contains(text)
    }
}

fn config(plain: SocketAddr, secure: SocketAddr, table: &str) -> String {
    let names = NAMES.map(|name| format!("\"{name}\"")).join(", ");
    format!(
        "[[sites]]\nname = \"plain\"\nhostname = \"_\"\nlisten = \"{plain}\"\napi_only = true\n\
         redirects = [{{from = \"/*\", to = \"https://elsewhere.test/*\"}}]\n\
         [[sites]]\nname = \"secure\"\nhostnames = [{names}]\nlisten = \"{secure}\"\napi_only = true\n{table}"
    )
}

fn openssl(arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().expect("openssl can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_site_gets_one_certificate_for_all_its_names() {
    let Some(scene) = Scene::new(86_400, false, "") else {
        return;
    };
    scene.wait_for_state("valid");
    for name in NAMES {
        let shown = scene.shown(name);
        assert!(shown.contains("Pebble Intermediate"), "{shown}");
        assert!(
            NAMES
                .iter()
                .all(|name| shown.contains(&format!("DNS:{name}"))),
            "{shown}"
        );
    }
    let state = scene.folder.path().join("bws-state/acme");
    assert_eq!(mode(&state.join("certificates/secure.pem")), 0o600);
    assert_eq!(mode(&state.join("certificates")), 0o700);
    assert!(scene.said("1 site changed, 1 unchanged"));
    let answer = get(scene.plain, NAMES[0], "/.well-known/acme-challenge/../x").0;
    assert_eq!(answer.status, 404, "not the redirect");
    // Used again by the next master, which orders nothing.
    let serial = scene.shown(NAMES[0]);
    let config = scene.config("");
    let Scene {
        folder,
        server,
        plain,
        secure,
        pebble,
    } = scene;
    server.stop();
    let server = Bws::start(folder.path(), &config, vec![]);
    let scene = Scene {
        folder,
        server,
        plain,
        secure,
        pebble,
    };
    assert_eq!(scene.shown(NAMES[0]), serial);
    assert_eq!(scene.status()["ordering"], false);
}

#[test]
fn renewals_under_load_lose_nothing() {
    renew_under_load("");
}

#[test]
fn renewals_by_handshake_under_load_lose_nothing() {
    renew_under_load("challenge = \"tls-alpn-01\"\n");
}

/// The certificate's life is so short that it is renewed all the time.
fn renew_under_load(keys: &str) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let settings = Settings {
        http: plain.1.port(),
        tls: secure.1.port(),
        validity: 6,
        external_accounts: false,
    };
    let Some(pebble) = Pebble::start(demo.path(), settings) else {
        return;
    };
    let names = NAMES.map(|name| format!("\"{name}\"")).join(", ");
    let site = format!(
        "[[sites]]\nname = \"short\"\nhostnames = [{names}]\nlisten = \"{}\"\napi_only = true\n{}{keys}",
        secure.1,
        pebble.table()
    );
    let config = format!("{}\n{site}", demo.bws(0));
    let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
    let renewals = || {
        server
            .process
            .output()
            .matches("was renewed, valid until")
            .count()
    };
    let kinds = [Kind::Get, Kind::Tls, Kind::Http2, Kind::Fresh];
    let sums = runtime().block_on(async {
        let storm = Storm::start(&demo.target(), &kinds, 10, Duration::from_millis(5));
        let begun = Instant::now();
        // An order that fails is tried again after a minute or so.
        while (renewals() < 3 || storm.progress() < 300) && begun.elapsed() < 9 * PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        storm.stop().await
    });
    assert!(renewals() >= 3, "{}", server.process.output());
    for (kind, tally) in &sums {
        println!("{kind:?}: {tally}");
        assert!(
            tally.requests() >= 300,
            "{kind:?}: hardly any load: {tally}"
        );
        assert_eq!(tally.failures(), 0, "{kind:?}: {tally}");
    }
    let reloads = server.process.output();
    assert!(
        reloads.contains("1 site changed, 2 unchanged"),
        "of that certificate alone"
    );
}

#[test]
fn by_handshake_with_an_external_account_where_clients_are_verified() {
    let (kid, key) = EXTERNAL;
    let clients = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(clients.path(), Authority::new().pem()).unwrap();
    let keys = format!(
        "challenge = \"tls-alpn-01\"\neab_kid = \"{kid}\"\neab_hmac_key = \"{key}\"\n\
         [sites.ssl]\nclient_ca = \"{}\"\n",
        clients.path().display()
    );
    let Some(scene) = Scene::new(86_400, true, &keys) else {
        return;
    };
    scene.wait_for_state("valid");
    assert!(scene.shown(NAMES[1]).contains("Pebble Intermediate"));
    // Nobody else gets through by that protocol.
    let secure = scene.secure.to_string();
    let asked = [
        "s_client",
        "-connect",
        &secure,
        "-servername",
        NAMES[0],
        "-alpn",
        "acme-tls/1",
    ];
    assert!(!openssl(&asked).contains("BEGIN CERTIFICATE"));
    // The authority was let in as it was, others are not.
    assert!(scene.said("is refused: it has shown no certificate"));
}

#[test]
fn an_authority_that_is_down_is_told_of_and_tried_again() {
    let Some(mut scene) = Scene::new(60, false, "") else {
        return;
    };
    scene.wait_for_state("valid");
    let before = scene.shown(NAMES[0]);
    scene.pebble.stop();
    // Another name: a new order, at once.
    let config = scene
        .config("")
        .replace("\"c.example.test\"", "\"d.example.test\"");
    scene.server.reload_to(&config);
    wait_for("a failure", || {
        scene.status()["last_error"].is_string().then_some(())
    });
    assert!(scene.said("next attempt in"));
    assert_eq!(scene.shown(NAMES[0]), before, "what is there serves on");
    let text = scene.server.command(&["status"]).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("failed (1)"), "{text}");
    // It has forgotten everything, the account as well: the first attempt finds that out.
    scene.pebble.start_again();
    wait_for("the new name", || {
        scene.server.reload();
        scene
            .shown(NAMES[0])
            .contains("DNS:d.example.test")
            .then_some(())
    });
    assert_eq!(scene.status()["failures"], 0);
}

#[test]
fn why_an_authority_refuses_a_name_is_told() {
    let Some(scene) = Scene::new(86_400, false, "") else {
        return;
    };
    scene.wait_for_state("valid");
    let before = scene.shown(NAMES[0]);
    let config = scene.config("").replace("c.example.test", REFUSED);
    scene.server.reload_to(&config);
    wait_for("a refusal", || {
        let error = scene.status()["last_error"].to_string();
        error.contains("rejectedIdentifier").then_some(())
    });
    assert!(scene.said("next attempt in"));
    assert_eq!(scene.shown(NAMES[0]), before, "what is there serves on");
}
