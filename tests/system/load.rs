//! The clients that count, for a server in a container.
//!
//! - `load prepare FOLDER`: content for two configurations, `content-0` and `content-1`, and a certificate
//! - `load run FOLDER PLAIN-PORT SECURE-PORT KIND…`: clients until standard input ends, then one line for each kind;
//!   exits 1 when a request failed. Kinds: get, fresh, tls, http2.
//! - `load tunnels PLAIN-PORT HOST UPSTREAM-PORT`: an upstream on that port, and tunnels to it until standard input ends;
//!   exits 1 when a byte was lost
#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on shall say so and end"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "client and harness are shared with the tests"
)]

#[path = "../it/client/mod.rs"]
mod client;
#[path = "../it/harness/mod.rs"]
mod harness;
mod tunnels;

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use client::content::marker;
use client::storm::{Kind, LARGE, SMALL, Storm, Target};
use client::tally::{EVENTS, OUTCOMES, Tally};

const HOST: &str = "localhost";
const AUTHORITY: &str = "authority.der";
const CLIENTS: u8 = 8;
/// The machine is shared with the server and with other tests.
const THINK: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", folder] => prepare(Path::new(folder)),
        ["run", folder, plain, secure, kinds @ ..] => {
            let address =
                |port: &str| SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()));
            let target = Target {
                plain: address(plain),
                secure: address(secure),
                host: HOST,
                authority: std::fs::read(Path::new(folder).join(AUTHORITY)).unwrap(),
            };
            run(
                &target,
                &kinds.iter().map(|name| kind(name)).collect::<Vec<_>>(),
            )
        }
        ["tunnels", plain, host, upstream] => {
            tunnels::run(plain.parse().unwrap(), host, upstream.parse().unwrap())
        }
        _ => panic!(
            "load prepare FOLDER | load run FOLDER PLAIN-PORT SECURE-PORT KIND… | load tunnels PLAIN-PORT HOST UPSTREAM-PORT"
        ),
    }
}

fn prepare(folder: &Path) -> ExitCode {
    let authority = harness::certificates::Authority::new();
    authority.issue(folder, "site", &[HOST]);
    std::fs::write(folder.join(AUTHORITY), authority.der()).unwrap();
    for number in [0, 1] {
        let root = folder.join(format!("content-{number}"));
        std::fs::create_dir_all(&root).unwrap();
        for (name, length) in [("small.bin", SMALL), ("large.bin", LARGE)] {
            let content = vec![marker(number); usize::try_from(length).unwrap()];
            std::fs::write(root.join(name), content).unwrap();
        }
    }
    ExitCode::SUCCESS
}

fn kind(name: &str) -> Kind {
    match name {
        "get" => Kind::Get,
        "fresh" => Kind::Fresh,
        "tls" => Kind::Tls,
        "http2" => Kind::Http2,
        _ => panic!("unknown kind '{name}'"),
    }
}

fn run(target: &Target, kinds: &[Kind]) -> ExitCode {
    let sums = harness::runtime().block_on(async {
        let storm = Storm::start(target, kinds, CLIENTS, THINK);
        let end = || std::io::stdin().read_to_end(&mut Vec::new());
        tokio::task::spawn_blocking(end).await.unwrap().unwrap();
        storm.stop().await
    });
    for (kind, tally) in &sums {
        println!("{}", line(*kind, tally));
    }
    let failed: u64 = sums.iter().map(|(_, tally)| tally.failures()).sum();
    let idle = sums.iter().any(|(_, tally)| tally.requests() == 0);
    if failed > 0 || idle {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// "Get: 4711 requests, 2 reset, 1 ConnectionOpened …", what did not happen left out.
fn line(kind: Kind, tally: &Tally) -> String {
    let outcomes = OUTCOMES
        .iter()
        .map(|it| (format!("{it:?}"), tally.count(*it)));
    let events = EVENTS
        .iter()
        .map(|it| (format!("{it:?}"), tally.events(*it)));
    let seen: Vec<String> = outcomes
        .chain(events)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let [_, _, slowest] = tally.latency();
    let notes = tally.notes.join("\n  ");
    let text = format!(
        "{kind:?}: {}, slowest {} ms",
        seen.join(", "),
        slowest.as_millis()
    );
    match notes.is_empty() {
        true => text,
        false => format!("{text}\n  {notes}"),
    }
}
