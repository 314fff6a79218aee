//! Many clients at once, each of a kind, until they are told to stop; every request begun is brought to its end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::Uri;
use tokio::task::JoinSet;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types};

use super::content::Expected;
use super::tally::Tally;
use super::transport::{Endpoint, Tls};
use super::{http1, http2};

/// A request that has not ended by then has timed out.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

pub const SMALL: u64 = 1024;
pub const LARGE: u64 = 200 * 1024;
const POSTED: usize = 3 * 1024;
/// Each client's every eighth request is for the large file.
const SMALL_FOR_ONE_LARGE: usize = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GET on a connection kept alive.
    Get,
    /// POST to an upstream that counts the bytes.
    Post,
    /// GET that an upstream answers.
    Proxied,
    /// GET over TLS, HTTP/1.1.
    Tls,
    /// GET over TLS, HTTP/2.
    Http2,
    /// GET, each on a connection of its own.
    Fresh,
}

/// The server under load: the same content on a cleartext and a TLS address.
#[derive(Clone)]
pub struct Target {
    pub plain: SocketAddr,
    pub secure: SocketAddr,
    pub host: &'static str,
    /// DER of the certificate that the clients trust.
    pub authority: Vec<u8>,
}

/// One request, in both languages, and its right answer.
pub struct Prepared {
    pub bytes: Vec<u8>,
    pub uri: Uri,
    pub expected: Expected,
}

/// What one client has to do.
#[derive(Clone)]
pub struct Job {
    pub endpoint: Endpoint,
    pub requests: Arc<Vec<Prepared>>,
    pub fresh: bool,
    think: Duration,
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Job {
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A request has come to its end.
    pub fn note_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub async fn think(&self) {
        match self.think.is_zero() {
            // Others shall have their turn although the answer may be here already.
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(self.think).await,
        }
    }
}

/// Clients at work.
pub struct Storm {
    clients: JoinSet<(Kind, Tally)>,
    /// Requests of each kind that came to their end.
    done: Vec<Arc<AtomicU64>>,
    stop: Arc<AtomicBool>,
}

impl Storm {
    pub fn start(target: &Target, kinds: &[Kind], clients: u8, think: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut set = JoinSet::new();
        let mut all_done = Vec::new();
        for kind in kinds {
            let requests = Arc::new(requests(target, *kind));
            let done = Arc::<AtomicU64>::default();
            all_done.push(done.clone());
            for number in 0..clients {
                let job = Job {
                    endpoint: endpoint(target, *kind, number),
                    requests: requests.clone(),
                    fresh: *kind == Kind::Fresh,
                    think,
                    done: done.clone(),
                    stop: stop.clone(),
                };
                set.spawn(client(*kind, job));
            }
        }
        Self {
            clients: set,
            done: all_done,
            stop,
        }
    }

    /// Requests of the kind that has the fewest.
    pub fn progress(&self) -> u64 {
        let done = self.done.iter().map(|done| done.load(Ordering::Relaxed));
        done.min().unwrap_or_default()
    }

    /// Lets every client finish its request, and adds up.
    pub async fn stop(mut self) -> Vec<(Kind, Tally)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sums: Vec<(Kind, Tally)> = Vec::new();
        while let Some(done) = self.clients.join_next().await {
            let (kind, tally) = done.expect("a client does not panic");
            match sums.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, sum)) => sum.merge(tally),
                None => sums.push((kind, tally)),
            }
        }
        sums.sort_by_key(|(kind, _)| *kind as u8);
        sums
    }
}

async fn client(kind: Kind, job: Job) -> (Kind, Tally) {
    let tally = match kind {
        Kind::Http2 => http2::run(job).await,
        _ => http1::run(job).await,
    };
    (kind, tally)
}

fn endpoint(target: &Target, kind: Kind, number: u8) -> Endpoint {
    let protocol: &[u8] = match kind {
        Kind::Http2 => b"h2",
        Kind::Tls => b"http/1.1",
        _ => {
            let from = Some(IpAddr::V4(Ipv4Addr::new(127, 0, 1, number + 1)));
            return Endpoint {
                address: target.plain,
                from,
                tls: None,
            };
        }
    };
    let tls = tls(&target.authority, target.host, protocol);
    Endpoint {
        address: target.secure,
        from: None,
        tls: Some(tls),
    }
}

/// A TLS client that trusts one certificate (DER) and offers one protocol.
pub fn tls(authority: &[u8], host: &'static str, protocol: &[u8]) -> Tls {
    let mut roots = RootCertStore::empty();
    roots
        .add(pki_types::CertificateDer::from(authority.to_vec()))
        .expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has its own protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Tls {
        config: Arc::new(config),
        name: host.try_into().expect("a host name"),
    }
}

fn requests(target: &Target, kind: Kind) -> Vec<Prepared> {
    let host = target.host;
    let close = if kind == Kind::Fresh {
        "Connection: close\r\n"
    } else {
        ""
    };
    let get = |path: &str, expected| Prepared {
        bytes: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n").into_bytes(),
        uri: format!("https://{host}{path}").parse().expect("a URI"),
        expected,
    };
    match kind {
        Kind::Post => vec![post(host)],
        Kind::Proxied => vec![get("/echo/bytes/1000", Expected::Text(vec![b'p'; 64]))],
        _ => {
            let small = |_| get("/small.bin", Expected::Marker { length: SMALL });
            let mut all: Vec<Prepared> = (0..SMALL_FOR_ONE_LARGE).map(small).collect();
            all.push(get("/large.bin", Expected::Marker { length: LARGE }));
            all
        }
    }
}

fn post(host: &str) -> Prepared {
    let body: Vec<u8> = (0..POSTED).map(|at| (at % 251) as u8).collect();
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    let head =
        format!("POST /echo/count HTTP/1.1\r\nHost: {host}\r\nContent-Length: {POSTED}\r\n\r\n");
    Prepared {
        bytes: [head.as_bytes(), &body].concat(),
        uri: format!("https://{host}/echo/count").parse().expect("a URI"),
        expected: Expected::Text(format!("{POSTED} {sum}").into_bytes()),
    }
}
