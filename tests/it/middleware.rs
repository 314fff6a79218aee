//! What stands before the content, seen with curl: on files and proxied paths, over HTTP/1.1 and HTTP/2.

mod addresses;
mod client;
mod cors;
pub mod curl;
mod passwords;
mod proxy_protocol;
mod rate_limit;
mod redirects;

use std::net::SocketAddr;

use self::curl::{Answer, curl};
use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::listener;

/// A file, and a path that is proxied.
const PATHS: [&str; 2] = ["/small.bin", "/echo/head"];
/// HTTP/1.1, and HTTP/2 with prior knowledge.
const PROTOCOLS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

/// A site with files and an upstream, and the same with TLS.
struct Guarded {
    demo: Demo,
    server: Bws,
}

impl Guarded {
    /// `keys`: what the cleartext site has beside its content, tables last.
    fn serve(keys: &str) -> Self {
        Self::serve_with("", keys)
    }

    /// `global`: what stands before the sites.
    fn serve_with(global: &str, keys: &str) -> Self {
        let (plain, secure) = (listener(), listener());
        let demo = Demo::new(0, plain.1, secure.1);
        let config = config(&demo, global, keys);
        let server = Bws::start(demo.path(), &config, vec![plain.0, secure.0]);
        Self { demo, server }
    }

    fn reload(&self, global: &str, keys: &str) {
        self.server.reload_to(&config(&self.demo, global, keys));
    }

    /// What curl gets from the cleartext site.
    fn ask(&self, path: &str, arguments: &[&str]) -> Answer {
        ask(self.demo.plain, path, arguments)
    }

    /// The same for every content and protocol.
    fn ask_all(&self, arguments: &[&str]) -> Vec<Answer> {
        let cases = PATHS
            .iter()
            .flat_map(|path| PROTOCOLS.map(|protocol| (path, protocol)));
        cases
            .map(|(path, protocol)| self.ask(path, &[&[protocol], arguments].concat()))
            .collect()
    }

    /// The statuses of [`Self::ask_all`].
    fn statuses(&self, arguments: &[&str]) -> Vec<u16> {
        let answers = self.ask_all(arguments);
        answers.iter().map(|answer| answer.status).collect()
    }
}

fn ask(address: SocketAddr, path: &str, arguments: &[&str]) -> Answer {
    let url = format!("http://{HOST}:{}{path}", address.port());
    let resolve = format!("{HOST}:{}:127.0.0.1", address.port());
    curl(&[&["--resolve", &resolve, &url], arguments].concat())
}

fn config(demo: &Demo, global: &str, keys: &str) -> String {
    let content = format!(
        "hostname = \"{HOST}\"\nstatic_dir = \"{root}\"\nproxy = {{ \
         upstreams = [{{ name = \"echo\", url = \"http://{upstream}\" }}], \
         routes = [{{ path = \"/echo\", upstream = \"echo\" }}] }}\n",
        root = demo.root(0).display(),
        upstream = demo.upstream.address,
    );
    format!(
        "{global}\n[[sites]]\nname = \"plain\"\nlisten = \"{plain}\"\n{content}{keys}\n\
         [[sites]]\nname = \"secure\"\nlisten = \"{secure}\"\n{content}\
         ssl = {{ cert_file = \"{cert}\", key_file = \"{key}\" }}\n",
        plain = demo.plain,
        secure = demo.secure,
        cert = demo.pair.cert_file.display(),
        key = demo.pair.key_file.display(),
    )
}
