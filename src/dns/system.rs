//! What the system's files say about names: resolv.conf(5), hosts(5), nsswitch.conf(5). They are looked at again when
//! they change.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use resolv_conf::ScopedIp;
use tokio::time::Instant;

use super::ask::Servers;
use super::settings::Settings;

/// How soon a change of a file is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// As the C library has them.
const MAX_SERVERS: usize = 3;
const MAX_TIMEOUT: u32 = 30;
const MAX_ATTEMPTS: u32 = 5;
const MAX_DOTS: u32 = 15;
/// Search domains that are tried.
const MAX_DOMAINS: usize = 16;
/// Bytes of a file that are read: who has more has no names there.
const MAX_FILE: u64 = 64 << 20;
const PORT: u16 = 53;

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) resolv: PathBuf,
    pub(super) hosts: PathBuf,
    pub(super) switch: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            resolv: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            switch: "/etc/nsswitch.conf".into(),
        }
    }
}

/// What tells a file from what it was before.
type Stamp = [Option<(SystemTime, u64, u64)>; 3];

/// The settings as they were read last.
pub(super) struct System {
    files: Files,
    /// In place of what resolv.conf and nsswitch.conf say.
    servers: Vec<SocketAddr>,
    known: tokio::sync::Mutex<Option<Reading>>,
}

struct Reading {
    stamp: Stamp,
    at: Instant,
    settings: Arc<Settings>,
}

impl System {
    /// Asks `servers`, or those of the system when there are none.
    pub(super) fn new(files: Files, servers: Vec<SocketAddr>) -> Self {
        Self {
            files,
            servers,
            known: tokio::sync::Mutex::default(),
        }
    }

    /// Reads what changed, off the event loop.
    pub(super) async fn settings(&self) -> io::Result<Arc<Settings>> {
        let mut known = self.known.lock().await;
        let before = known.as_ref().map(|it| it.stamp);
        if let Some(reading) = known.as_ref().filter(|it| it.at.elapsed() < LOOK_AGAIN) {
            return Ok(reading.settings.clone());
        }
        let (files, servers) = (self.files.clone(), self.servers.clone());
        let look = move || {
            let stamp = files.stamp();
            let changed = before != Some(stamp);
            (stamp, changed.then(|| Arc::new(files.read(servers))))
        };
        let (stamp, changed) = tokio::task::spawn_blocking(look).await?;
        let settings = match (changed, known.take()) {
            (Some(settings), _) => settings,
            (None, Some(reading)) => reading.settings,
            (None, None) => return Err(io::Error::other("nothing was read")),
        };
        *known = Some(Reading {
            stamp,
            at: Instant::now(),
            settings: settings.clone(),
        });
        Ok(settings)
    }
}

impl Files {
    fn stamp(&self) -> Stamp {
        use std::os::unix::fs::MetadataExt as _;
        [&self.resolv, &self.hosts, &self.switch].map(|path| {
            let data = fs::metadata(path).ok()?;
            Some((data.modified().ok()?, data.ino(), data.size()))
        })
    }

    fn read(&self, servers: Vec<SocketAddr>) -> Settings {
        let hosts = host_names(&text(&self.hosts).unwrap_or_default());
        if !servers.is_empty() {
            return Settings {
                hosts,
                ..Settings::of_servers(servers)
            };
        }
        let conf = text(&self.resolv).filter(|_| asks_servers(text(&self.switch).as_deref()));
        Settings {
            hosts,
            ..of_system(conf.as_deref().unwrap_or_default())
        }
    }
}

fn text(path: &PathBuf) -> Option<String> {
    let small = fs::metadata(path).ok()?.len() <= MAX_FILE;
    let bytes = small.then(|| fs::read(path).ok())??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Lines that cannot be read are passed over, as the C library does.
fn of_system(text: &str) -> Settings {
    let (conf, _) = resolv_conf::Config::parse_with_errors(text.as_bytes());
    let addresses = conf.nameservers.iter().filter_map(server);
    let addresses: Vec<SocketAddr> = addresses.take(MAX_SERVERS).collect();
    let domains = conf.get_last_search_or_domain().cloned();
    let search = domains.filter(|it| !it.trim_matches('.').is_empty());
    let servers = Servers {
        addresses,
        timeout: Duration::from_secs(conf.timeout.clamp(1, MAX_TIMEOUT).into()),
        attempts: conf.attempts.clamp(1, MAX_ATTEMPTS) as usize,
        rotate: conf.rotate,
        tcp: conf.use_vc,
        large: conf.edns0,
        turn: AtomicUsize::new(0),
    };
    Settings {
        servers: (!servers.addresses.is_empty()).then_some(servers),
        search: search.take(MAX_DOMAINS).collect(),
        dots: conf.ndots.min(MAX_DOTS) as usize,
        ipv6: !conf.no_aaaa,
        hosts: HashSet::new(),
        of_system: true,
    }
}

fn server(address: &ScopedIp) -> Option<SocketAddr> {
    match address {
        ScopedIp::V4(address) => Some((*address, PORT).into()),
        ScopedIp::V6(address, None) => Some((*address, PORT).into()),
        ScopedIp::V6(address, Some(scope)) => {
            let index = scope.parse().ok().or_else(|| interface(scope))?;
            Some(SocketAddrV6::new(*address, PORT, 0, index).into())
        }
    }
}

fn interface(name: &str) -> Option<u32> {
    let sane = !name.contains('/') && name != "..";
    let path = sane.then(|| format!("/sys/class/net/{name}/ifindex"))?;
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The second word of a line and those after it.
fn host_names(text: &str) -> HashSet<Box<str>> {
    let lines = text.lines().filter_map(|line| line.split('#').next());
    let names = lines.flat_map(|line| line.split_whitespace().skip(1));
    names
        .map(|name| name.trim_end_matches('.').to_ascii_lowercase().into())
        .collect()
}

/// Whether the system asks name servers for hosts at all; without a word it does.
fn asks_servers(switch: Option<&str>) -> bool {
    let mut lines = switch.unwrap_or_default().lines();
    let hosts = lines.find_map(|line| line.trim_start().strip_prefix("hosts:"));
    let mut ways = hosts.unwrap_or("dns").split_whitespace();
    ways.any(|way| way == "dns" || way == "resolve")
}
