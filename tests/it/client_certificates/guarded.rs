//! A server that verifies its clients, and curl as one of them.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use crate::harness::backend::Backend;
use crate::harness::bws::Bws;
use crate::harness::certificates::{Authority, Pair};

pub const REQUIRED: &str = "client_ca = \"clients.pem\"";
pub const OPTIONAL: &str = "client_ca = \"clients.pem\"\nclient_verify = \"optional\"";

/// A server with an authority for itself and one for its clients.
pub struct Guarded {
    folder: tempfile::TempDir,
    server: Pair,
    pub authority: Authority,
    pub clients: Authority,
    /// Answers with the head that it got.
    pub backend: Backend,
}

impl Guarded {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["required.test", "optional.test", "open.test", "other.test"];
        let authority = Authority::new();
        let server = authority.issue(folder.path(), "server", &names);
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
            authority,
            clients,
            backend,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A site that proxies; `rules` are more lines of `[sites.ssl]`.
    pub fn site(&self, name: &str, address: SocketAddr, rules: &str) -> String {
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

    pub fn start(&self, config: &str, sockets: Vec<TcpListener>) -> Bws {
        Bws::start(self.path(), config, sockets)
    }

    pub fn client(&self, name: &str) -> Pair {
        self.clients.issue_client(self.path(), name, 7)
    }
}

/// What curl gets from a site: the head that its backend got, or how it failed.
pub fn curl(
    address: SocketAddr,
    site: &str,
    client: Option<&Pair>,
    more: &[&str],
) -> (u16, String) {
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
pub fn told<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    Some(lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?.1)
}
