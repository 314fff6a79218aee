//! Certificates from files: of several kinds for one name, with what the authority says of them, many and renewed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::bws::Bws;
use crate::harness::certificates::{Authority, Pair};
use crate::harness::{listener, wait_for};

const HOST: &str = "both.test";

/// An authority whose answers openssl makes.
struct Ca {
    folder: tempfile::TempDir,
}

impl Ca {
    fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("bws-it-")
            .tempdir()
            .unwrap();
        let ca = Self { folder };
        ca.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 9 -keyout {} -out {}",
            ca.file("ca.key"),
            ca.file("ca.pem")
        ));
        ca
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn openssl(&self, arguments: &str) -> String {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .stdin(Stdio::null())
            .output()
            .expect("openssl can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A certificate `<name>.pem` for [`HOST`] with its key `<name>.key`.
    fn issue(&self, name: &str, key: &str) {
        let [cert, secret] = ["pem", "key"].map(|it| self.file(&format!("{name}.{it}")));
        self.openssl(&format!(
            "req -x509 -CA {} -CAkey {} -newkey {key} -nodes -subj /CN={name} -days 9 \
             -addext subjectAltName=DNS:{HOST} -keyout {secret} -out {cert}",
            self.file("ca.pem"),
            self.file("ca.key")
        ));
    }

    /// Puts an answer about a certificate into `<name>.ocsp`.
    fn answer(&self, name: &str, about: &str) {
        let cert = self.file(&format!("{about}.pem"));
        let serial = self.openssl(&format!("x509 -in {cert} -noout -serial"));
        let serial = serial.trim().trim_start_matches("serial=");
        let index = format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN={about}\n");
        std::fs::write(self.path("index"), index).unwrap();
        let ca = self.file("ca.pem");
        let new = self.file("new");
        self.openssl(&format!(
            "ocsp -index {} -CA {ca} -rsigner {ca} -rkey {} -issuer {ca} -cert {cert} -ndays 1 -respout {new}",
            self.file("index"),
            self.file("ca.key")
        ));
        std::fs::rename(new, self.path(&format!("{name}.ocsp"))).unwrap();
    }

    /// Both certificates for one site.
    fn serve(&self, own: &str) -> (SocketAddr, Bws) {
        let (socket, address) = listener();
        let config = format!(
            "[server]\nwatch_config = true\n[[sites]]\nname = \"both\"\nhostname = \"{HOST}\"\nlisten = \"{address}\"\n\
             api_only = true\n[sites.ssl]\ncert_file = \"ecdsa.pem\"\nkey_file = \"ecdsa.key\"\n{own}\
             [[sites.ssl.certificates]]\ncert_file = \"rsa.pem\"\nkey_file = \"rsa.key\"\n"
        );
        let server = Bws::start(self.folder.path(), &config, vec![socket]);
        (address, server)
    }
}

/// What `openssl s_client` with these arguments says of a connection.
fn connect(address: SocketAddr, arguments: &str) -> String {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &address.to_string(),
            "-servername",
            HOST,
        ])
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("openssl can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a client is shown the certificate of that name. (OpenSSL 3.2 and later write names without spaces.)
fn shows(said: &str, name: &str) -> bool {
    ["CN = ", "CN="]
        .iter()
        .any(|key| said.contains(&format!("subject={key}{name}")))
}

#[test]
fn a_client_is_shown_what_it_understands() {
    let ca = Ca::new();
    ca.issue("ecdsa", "ec -pkeyopt ec_paramgen_curve:P-256");
    ca.issue("rsa", "rsa:2048");
    let (address, server) = ca.serve("");
    for (arguments, shown) in [
        ("", "ecdsa"),
        ("-tls1_2", "ecdsa"),
        ("-sigalgs ECDSA+SHA256:RSA-PSS+SHA256", "ecdsa"),
        ("-sigalgs RSA-PSS+SHA256:ECDSA+SHA256", "ecdsa"),
        ("-sigalgs RSA-PSS+SHA256", "rsa"),
        ("-sigalgs ECDSA+SHA384:RSA-PSS+SHA256", "rsa"),
        ("-tls1_2 -sigalgs RSA+SHA256", "rsa"),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa"),
        ("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
    ] {
        let said = connect(address, arguments);
        assert!(shows(&said, shown), "{arguments}: {said}");
    }
    // An address is no server name (RFC 6066 section 3): clients that send one do not fill the log.
    let said = connect(address, "-servername 192.0.2.1");
    assert!(shows(&said, "ecdsa"), "{said}");
    assert!(
        !server.process.output().contains("SNI"),
        "{}",
        server.process.output()
    );
    let (_, statuses) = server.control("GET", "/api/certificates");
    for key in ["\"key\": \"ecdsa-p256\"", "\"key\": \"rsa\""] {
        assert!(statuses.contains(key), "{statuses}");
    }
    let metrics = server.metrics();
    for key in ["ecdsa-p256", "rsa"] {
        let name = format!("bws_certificate_not_after_seconds{{site=\"both\",key=\"{key}\"}}");
        assert!(
            metrics.iter().any(|(sample, _)| *sample == name),
            "{metrics:?}"
        );
    }
}

#[test]
fn what_the_authority_says_is_stapled_as_soon_as_it_is_there() {
    let ca = Ca::new();
    ca.issue("ecdsa", "ec -pkeyopt ec_paramgen_curve:P-256");
    ca.issue("rsa", "rsa:2048");
    // Of the other one: a warning, no more.
    ca.answer("ecdsa", "rsa");
    let (address, server) = ca.serve("ocsp_file = \"ecdsa.ocsp\"\n");
    assert!(connect(address, "-status").contains("OCSP response: no response sent"));
    assert!(server.process.output().contains("is not about certificate"));
    ca.answer("ecdsa", "ecdsa");
    for version in ["-tls1_3", "-tls1_2"] {
        let said = wait_for("the response", || {
            let said = connect(address, &format!("-status {version}"));
            said.contains("OCSP Response Status: successful")
                .then_some(said)
        });
        assert!(said.contains("Cert Status: good"), "{said}");
    }
    let rsa = connect(address, "-status -sigalgs RSA-PSS+SHA256");
    assert!(rsa.contains("OCSP response: no response sent"), "{rsa}");
    let (_, statuses) = server.control("GET", "/api/certificates");
    let stapled = statuses.matches("\"ocsp_until\": null").count();
    assert_eq!(stapled, 1, "{statuses}");
    std::fs::write(ca.path("ecdsa.ocsp"), "").unwrap();
    wait_for("no response", || {
        connect(address, "-status")
            .contains("no response sent")
            .then_some(())
    });
}

fn site(folder: &Path, number: usize, address: SocketAddr, pair: &Pair) -> String {
    format!(
        "[[sites]]\nname = \"{number}\"\nhostname = \"{number}.test\"\nlisten = \"{address}\"\nstatic_dir = \"{}\"\n\
         ssl = {{ cert_file = \"{}\", key_file = \"{}\" }}\n",
        folder.display(),
        pair.cert_file.display(),
        pair.key_file.display()
    )
}

#[test]
fn a_reload_parses_what_changed_and_every_site_shows_its_own() {
    const COUNT: usize = 200;
    let folder = tempfile::Builder::new()
        .prefix("bws-it-")
        .tempdir()
        .unwrap();
    let folder = folder.path();
    let authority = Authority::new();
    let issue =
        |number| authority.issue(folder, &format!("{number}"), &[&format!("{number}.test")]);
    let (socket, address) = listener();
    let sites = (0..COUNT).map(|number| site(folder, number, address, &issue(number)));
    let config = sites.collect::<String>();
    let server = Bws::start_with(folder, &config, vec![socket], &[("RUST_LOG", "bws=debug")]);
    let parsed = |count: usize| {
        let line = format!("certificates: {COUNT}, of these {count} parsed");
        server.process.output().contains(&line)
    };
    assert!(parsed(COUNT));
    issue(7);
    assert!(server.reload().status.success());
    assert!(parsed(1), "{}", server.process.output());
    assert!(server.reload().status.success());
    assert!(parsed(0));
    for number in [0, 7, COUNT - 1] {
        let said = connect(address, &format!("-servername {number}.test"));
        let wanted = std::fs::read_to_string(folder.join(format!("{number}.pem"))).unwrap();
        assert!(said.contains(&wanted.replace("\r\n", "\n")), "{said}");
    }
    let key = std::fs::read(folder.join("8.key")).unwrap();
    std::fs::write(folder.join("7.key"), key).unwrap();
    let refused = server.reload();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("does not belong"),
        "{said}"
    );
}
