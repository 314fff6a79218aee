//! A TLS connection is for one site, and for those that a connection of their own would reach alike; for others it is the
//! wrong one (421).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::harness::bws::Bws;
use crate::harness::certificates::{Authority, Pair};
use crate::harness::listener;

/// One site after the other, all on `address`.
fn config(folder: &Path, address: SocketAddr, sites: &[(&str, &Pair, &str)]) -> String {
    let mut text = String::new();
    for (name, pair, more) in sites {
        let root = folder.join(name);
        std::fs::create_dir_all(&root).unwrap();
        std::fs::write(root.join("index.html"), name).unwrap();
        let _ = write!(
            text,
            "[[sites]]\nname = \"{name}\"\nhostname = \"{name}.test\"\nlisten = \"{address}\"\nstatic_dir = \"{}\"\n\
             [sites.ssl]\ncert_file = \"{}\"\nkey_file = \"{}\"\n{more}\n",
            root.display(),
            pair.cert_file.display(),
            pair.key_file.display(),
        );
    }
    text
}

/// Status and body that curl gets when it connects for `name` and asks for `host`; without a name, by the address alone.
fn curl(address: SocketAddr, version: &str, name: Option<&str>, host: &str) -> String {
    let (port, target) = (address.port(), name.map(|name| format!("{name}.test")));
    let target = target.unwrap_or_else(|| "127.0.0.1".into());
    let said = Command::new("curl")
        .args(["-sk", version, "-w", " %{http_code} %{http_version}"])
        .args(["--resolve", &format!("{target}:{port}:127.0.0.1")])
        .args(["-H", &format!("Host: {host}.test")])
        .args(["-H", "Accept: text/plain"])
        .arg(format!("https://{target}:{port}/"))
        .output()
        .expect("curl can be started");
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[test]
fn a_request_for_another_site_needs_a_handshake_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let issue = |stem: &str, names: &[&str]| authority.issue(folder.path(), stem, names);
    let wide = issue("wide", &["a.test", "b.test", "strict.test"]);
    let (own, foreign) = (issue("own", &["b.test"]), issue("foreign", &["c.test"]));
    let (socket, address) = listener();
    let sites = [
        ("a", &wide, ""),
        ("b", &own, ""),
        ("c", &foreign, ""),
        ("strict", &wide, "min_version = \"1.3\""),
    ];
    let text = config(folder.path(), address, &sites);
    let _server = Bws::start(folder.path(), &text, vec![socket]);
    for (version, shown) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let served = |name, host: &str| {
            let said = curl(address, version, name, host);
            assert_eq!(said, format!("{host} 200 {shown}"), "{name:?} for {host}");
        };
        let refused = |name, host| {
            let said = curl(address, version, name, host);
            let expected = format!(" 421 {shown}");
            assert!(said.ends_with(&expected), "{name:?} for {host}: {said}");
        };
        for site in ["a", "b", "c", "strict"] {
            served(Some(site), site);
        }
        // The certificate of a is for b as well, and not the other way round.
        served(Some("a"), "b");
        refused(Some("b"), "a");
        refused(Some("a"), "c");
        // Without a name there is no wrong certificate, but there are wrong rules.
        served(None, "b");
        served(None, "c");
        for name in [Some("a"), Some("c"), None] {
            refused(name, "strict");
        }
        refused(Some("strict"), "a");
        served(Some("unknown"), "c");
        refused(Some("unknown"), "strict");
        // Nobody's host is the default site's.
        let said = curl(address, version, Some("a"), "unknown");
        assert_eq!(said, format!("a 200 {shown}"));
        refused(Some("strict"), "unknown");
    }
}
