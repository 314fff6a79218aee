//! From a name to what it stands for: search domains, aliases, both families of addresses.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use domain::base::iana::Rtype;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Data, MAX_ALIASES};
use super::ask::Servers;
use super::order;
use super::question::{DomainName, Question, name};
use super::settings::{Settings, Way};

/// How long addresses without a time of their own are believed. (Resolvers that cache know the TTL; this is how soon we
/// hear of its end.)
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// When there are addresses of one family, how long is waited for those of the other: some servers never answer.
const OTHER_FAMILY: Duration = Duration::from_secs(2);

/// Lookups of the system at the same time: each takes a thread of its own.
static SYSTEM_LOOKUPS: Semaphore = Semaphore::const_new(32);

/// One server of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The lowest is to be used.
    pub priority: u16,
    /// Among those of the same priority; 0: hardly ever.
    pub weight: u16,
    /// In whole: with a dot at its end.
    pub host: String,
    pub port: u16,
}

/// What was found, and for how long it is to be believed.
pub(super) type Found<T> = (Vec<T>, Duration);

/// The addresses of `host`, the best first.
pub(super) async fn addresses(settings: &Settings, host: &str) -> io::Result<Found<IpAddr>> {
    let (servers, names) = match settings.way(host) {
        Way::System => return by_system(host).await,
        Way::Servers(servers, names) => (servers, names),
    };
    let found = search(&names, async |name| {
        both(servers, name, settings.ipv6).await
    });
    match found.await {
        Ok((addresses, ttl)) => Ok((order::sort(addresses), ttl)),
        // Who knows what else the system has: mymachines, myhostname, a directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound && settings.of_system => {
            by_system(host).await.map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// The servers of `service`, as in `_http._tcp.example.com`.
pub(super) async fn targets(settings: &Settings, service: &str) -> io::Result<Found<Target>> {
    let Way::Servers(servers, names) = settings.way(service) else {
        return Err(io::Error::other(
            "/etc/resolv.conf names no server that could be asked for SRV records",
        ));
    };
    let found = search(&names, async |name| {
        let (records, ttl) = records(servers, name, Rtype::SRV).await?;
        let targets: Vec<Target> = records.iter().filter_map(target).collect();
        match targets.is_empty() {
            true => Err(not_found("the service is not offered")),
            false => Ok((targets, ttl)),
        }
    });
    let (mut targets, ttl) = found.await?;
    // In the same order every time: whoever compares sees changes alone.
    targets.sort();
    Ok((targets, ttl))
}

/// None for the root: the service is decidedly not available.
fn target(data: &Data) -> Option<Target> {
    let Data::Service {
        priority,
        weight,
        port,
        target,
    } = data
    else {
        return None;
    };
    (!target.is_root() && *port > 0).then(|| Target {
        priority: *priority,
        weight: *weight,
        host: format!("{target}.").to_ascii_lowercase(),
        port: *port,
    })
}

async fn by_system(host: &str) -> io::Result<Found<IpAddr>> {
    let _turn = SYSTEM_LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let found: Vec<IpAddr> = tokio::net::lookup_host((host, 0))
        .await?
        .map(|address| address.ip())
        .collect();
    match found.is_empty() {
        true => Err(not_found("the name has no address")),
        false => Ok((found, BELIEVED_FOR)),
    }
}

/// The first of `names` that stands for something. One that nobody could tell anything of is no reason to stop.
async fn search<T>(
    names: &[String],
    ask: impl AsyncFn(DomainName) -> io::Result<T>,
) -> io::Result<T> {
    let (mut failure, mut missing) = (None, None);
    for text in names {
        // Too long with a search domain: not that, then.
        let Ok(name) = name(text) else {
            continue;
        };
        match ask(name).await {
            Ok(found) => return Ok(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = Some(error),
            Err(error) => failure = Some(error),
        }
    }
    let failure = failure.or(missing);
    Err(failure.unwrap_or_else(|| not_found("the name is too long")))
}

async fn both(servers: &Servers, name: DomainName, ipv6: bool) -> io::Result<Found<IpAddr>> {
    let ask = async |kind: Rtype| {
        let (records, ttl) = records(servers, name.clone(), kind).await?;
        let addresses = records.iter().filter_map(address).collect();
        Ok::<Found<IpAddr>, io::Error>((addresses, ttl))
    };
    if !ipv6 {
        return ask(Rtype::A).await;
    }
    let (four, six) = (ask(Rtype::A), ask(Rtype::AAAA));
    tokio::pin!(four, six);
    let (four, six) = tokio::select! {
        four = &mut four => { let six = other(&four, six).await; (four, six) }
        six = &mut six => { let four = other(&six, four).await; (four, six) }
    };
    match (four, six) {
        (Ok((mut all, one)), Ok((more, other))) => {
            all.extend(more);
            Ok((all, one.min(other)))
        }
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        // What was not said may exist.
        (Err(missing), Err(error)) if missing.kind() == io::ErrorKind::NotFound => Err(error),
        (Err(error), Err(_)) => Err(error),
    }
}

/// The second family's answer.
async fn other(
    first: &io::Result<Found<IpAddr>>,
    second: impl Future<Output = io::Result<Found<IpAddr>>>,
) -> io::Result<Found<IpAddr>> {
    match first {
        Ok(_) => timeout_at(Instant::now() + OTHER_FAMILY, second).await?,
        Err(_) => second.await,
    }
}

fn address(data: &Data) -> Option<IpAddr> {
    match data {
        Data::Address(address) => Some(*address),
        Data::Service { .. } => None,
    }
}

/// What `servers` have for `name`, along its aliases.
async fn records(servers: &Servers, name: DomainName, kind: Rtype) -> io::Result<Found<Data>> {
    let mut question = Question { name, kind };
    let mut shortest = Duration::MAX;
    for _ in 0..MAX_ALIASES {
        match servers.ask(&question).await? {
            Answer::Records(found, ttl) => return Ok((found, shortest.min(ttl))),
            Answer::Nothing => return Err(not_found("there is no such name")),
            Answer::Alias(target, ttl) => {
                shortest = shortest.min(ttl);
                question.name = target;
            }
        }
    }
    Err(not_found("the name is an alias without an end"))
}

fn not_found(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, message)
}
