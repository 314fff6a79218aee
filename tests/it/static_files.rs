//! Static files, feature by feature, as curl and raw clients see them on the real binary.

mod changes;
mod codings;
mod pages;
mod ranges;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::harness::bws::Bws;
use crate::harness::upstream::Upstream;
use crate::harness::{free_address, listener};
use crate::middleware::curl::{Answer, curl};

/// HTTP/1.1, and HTTP/2 without TLS.
const PROTOCOLS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

/// A site with files, an upstream behind `/up/`, and one that is not there behind `/down/`.
struct Setup {
    folder: tempfile::TempDir,
    address: SocketAddr,
    server: Bws,
    _upstream: Upstream,
}

impl Setup {
    /// `keys` of the site, before its tables; `tables` after them.
    fn new(keys: &str, tables: &str, prepare: impl Fn(&std::path::Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("www");
        fs::create_dir(&root).expect("the test's folder is writable");
        prepare(&root);
        let (socket, address) = listener();
        let upstream = Upstream::start();
        let config = format!(
            r#"[[sites]]
name = "site"
listen = "{address}"
static_dir = "{root}"
{keys}
{tables}
[sites.proxy]
upstreams = [{{ name = "up", url = "http://{up}" }}, {{ name = "down", url = "http://{down}" }}]
routes = [{{ path = "/up/", upstream = "up" }}, {{ path = "/down/", upstream = "down" }}]
"#,
            root = root.display(),
            up = upstream.address,
            down = free_address(),
        );
        let server = Bws::start(folder.path(), &config, vec![socket]);
        Self {
            folder,
            address,
            server,
            _upstream: upstream,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("www").join(name)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What curl gets of `path`, the same over both protocols.
    fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        let url = self.url(path);
        let [one, two] = PROTOCOLS.map(|protocol| curl(&[arguments, &[protocol, &url]].concat()));
        // A boundary is never the same.
        let is_multipart = |kind: &str| kind.starts_with("multipart/");
        if one.header("content-type").is_some_and(is_multipart) {
            assert_eq!(one.body.len(), two.body.len(), "{path}");
            return two;
        }
        assert_eq!((one.status, &one.body), (two.status, &two.body), "{path}");
        for name in [
            "content-type",
            "content-encoding",
            "etag",
            "vary",
            "content-range",
        ] {
            assert_eq!(one.all(name), two.all(name), "{path}");
        }
        two
    }
}
