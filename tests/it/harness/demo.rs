//! The content and the configurations that loads run on: each configuration serves a folder whose files consist of
//! its own marker only, and states its number in a header.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::bws::{Bws, binary};
use super::certificates::{Authority, Pair};
use super::upstream::Upstream;
use crate::client::content::{HEADER, marker};
use crate::client::storm::{LARGE, SMALL, Target};

pub const HOST: &str = "localhost";

pub struct Demo {
    pub folder: tempfile::TempDir,
    pub authority: Authority,
    pub pair: Pair,
    pub upstream: Upstream,
    pub plain: SocketAddr,
    pub secure: SocketAddr,
}

impl Demo {
    /// Content for configurations 0 to `last`.
    pub fn new(last: u32, plain: SocketAddr, secure: SocketAddr) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("bws-it-")
            .tempdir()
            .expect("a temporary folder");
        let authority = Authority::new();
        let pair = authority.issue(folder.path(), "site", &[HOST]);
        let demo = Self {
            folder,
            authority,
            pair,
            upstream: Upstream::start(),
            plain,
            secure,
        };
        (0..=last).for_each(|number| demo.write_content(number));
        demo
    }

    /// The demo, served by BWS in configuration 0 on sockets that were passed in. Nobody else holds these sockets: when
    /// all its processes are gone, connections are refused.
    pub fn serve(last: u32) -> (Self, Bws) {
        let (plain, secure) = (super::listener(), super::listener());
        let demo = Self::new(last, plain.1, secure.1);
        let server = Bws::start(demo.path(), &demo.bws(0), vec![plain.0, secure.0]);
        (demo, server)
    }

    /// The same with a copy of the program in the test's folder, where it can be replaced. `adapt` has the last word
    /// on the configuration.
    pub fn serve_copy(last: u32, adapt: impl Fn(&str) -> String) -> (Self, Bws) {
        let (plain, secure) = (super::listener(), super::listener());
        let demo = Self::new(last, plain.1, secure.1);
        let copy = demo.path().join("bws");
        super::install_copy(&binary(), &copy);
        let config = adapt(&demo.bws(0));
        let sockets = vec![plain.0, secure.0];
        let server = Bws::start_binary(&copy, demo.path(), &config, sockets);
        (demo, server)
    }

    /// The number of the configuration that answers on a new connection.
    ///
    /// # Panics
    /// When header and body are not of one configuration.
    pub fn served(&self) -> u32 {
        let (head, body) = super::get(self.plain, HOST, "/small.bin");
        let number = head.header(HEADER).and_then(|value| value.parse().ok());
        let number = number.unwrap_or_else(|| panic!("status {}, no {HEADER}", head.status));
        assert!(
            body.iter().all(|byte| *byte == marker(number)),
            "a body of another configuration"
        );
        number
    }

    /// `/api/health`.
    pub fn health(&self) -> serde_json::Value {
        let (head, body) = super::get(self.plain, HOST, "/api/health");
        assert_eq!(head.status, 200);
        serde_json::from_slice(&body).expect("JSON")
    }

    pub fn config_version(&self) -> u64 {
        self.health()["config_version"].as_u64().expect("a number")
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn target(&self) -> Target {
        let authority = self.authority.der();
        Target {
            plain: self.plain,
            secure: self.secure,
            host: HOST,
            authority,
        }
    }

    pub fn root(&self, number: u32) -> PathBuf {
        self.path().join(format!("content-{number}"))
    }

    fn write_content(&self, number: u32) {
        let root = self.root(number);
        fs::create_dir_all(&root).expect("the test's folder is writable");
        for (name, length) in [
            ("index.html", SMALL),
            ("small.bin", SMALL),
            ("large.bin", LARGE),
        ] {
            let content = vec![marker(number); usize::try_from(length).expect("small")];
            fs::write(root.join(name), content).expect("the test's folder is writable");
        }
    }

    /// Configuration `number` for BWS.
    pub fn bws(&self, number: u32) -> String {
        let mut text = String::from("[performance]\nworker_threads = 2\n");
        for (name, address) in [("plain", self.plain), ("secure", self.secure)] {
            let _ = write!(
                text,
                r#"
[[sites]]
name = "{name}"
hostname = "{HOST}"
listen = "{address}"
static_dir = "{root}"
headers = {{ {HEADER} = "{number}" }}

[sites.proxy]
enabled = true
upstreams = [{{ name = "echo", url = "http://{upstream}" }}]
routes = [{{ path = "/echo", upstream = "echo" }}]
"#,
                root = self.root(number).display(),
                upstream = self.upstream.address,
            );
        }
        let _ = write!(
            text,
            "\n[sites.ssl]\nenabled = true\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
            self.pair.cert_file.display(),
            self.pair.key_file.display(),
        );
        text
    }

    /// The same for nginx. `workers` is a number or "auto".
    pub fn nginx(&self, number: u32, workers: &str) -> String {
        let folder = self.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
            .concat();
        format!(
            r#"daemon off;
user root;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log warn;
events {{ worker_connections 8192; }}
http {{
{temporary}    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    upstream echo {{ server {upstream}; keepalive 64; }}
    server {{
        listen {plain};
        listen {secure} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {root};
        add_header {HEADER} {number} always;
        location /echo {{
            proxy_pass http://echo;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"#,
            upstream = self.upstream.address,
            plain = self.plain,
            secure = self.secure,
            certificate = self.pair.cert_file.display(),
            key = self.pair.key_file.display(),
            root = self.root(number).display(),
        )
    }
}
