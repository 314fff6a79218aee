//! The reload storm, side by side: the same clients, the same content, the same reloads against BWS and nginx.
//!
//! `cargo run --profile quick --example reload-storm [-- bws nginx nginx-auto]` prints a table in Markdown.
//! `BWS=path` chooses another binary than the one of the same build.
#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on shall say so and end"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "client and harness are shared with the tests"
)]

#[path = "../../it/client/mod.rs"]
mod client;
#[path = "../../it/harness/mod.rs"]
mod harness;

use std::time::{Duration, Instant};

use client::storm::{Kind, Storm};
use client::tally::{Event, Outcome, Tally};
use harness::bws::Bws;
use harness::demo::Demo;
use harness::nginx::Nginx;
use rustix::process::Signal;

const RELOADS: u32 = 25;
const INTERVAL: Duration = Duration::from_millis(200);
const CLIENTS: u8 = 50;
const KINDS: [Kind; 4] = [Kind::Get, Kind::Post, Kind::Http2, Kind::Fresh];
const THINK: [u64; 2] = [0, 2];

enum Server {
    Bws(Bws),
    Nginx(Nginx, &'static str),
}

impl Server {
    fn start(name: &str, demo: &mut Demo) -> Option<Self> {
        let workers = match name {
            "bws" => return Some(Self::start_bws(demo)),
            "nginx" => "1",
            "nginx-auto" => "auto",
            _ => panic!("unknown server '{name}': bws, nginx or nginx-auto"),
        };
        let nginx = Nginx::start(demo.path(), &demo.nginx(0, workers), demo.plain)?;
        Some(Self::Nginx(nginx, workers))
    }

    fn start_bws(demo: &mut Demo) -> Self {
        let (plain, secure) = (harness::listener(), harness::listener());
        (demo.plain, demo.secure) = (plain.1, secure.1);
        Self::Bws(Bws::start(
            demo.path(),
            &demo.bws(0),
            vec![plain.0, secure.0],
        ))
    }

    /// Asks for configuration `number` as SIGHUP does, on both.
    fn reload(&self, demo: &Demo, number: u32) {
        match self {
            Self::Bws(server) => {
                server.configure(&demo.bws(number));
                server.process.signal(Signal::HUP);
            }
            Self::Nginx(server, workers) => server.reload(&demo.nginx(number, workers)),
        }
    }

    fn stop(self) {
        match self {
            Self::Bws(server) => drop(server.stop()),
            Self::Nginx(server, _) => server.stop(),
        }
    }
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let servers = match chosen.is_empty() {
        true => vec![
            "bws".to_owned(),
            "nginx".to_owned(),
            "nginx-auto".to_owned(),
        ],
        false => chosen,
    };
    println!("{}", header());
    for kind in KINDS {
        for think in THINK {
            for server in &servers {
                match run(server, kind, Duration::from_millis(think)) {
                    Some(tally) => println!("{}", row(server, kind, think, &tally)),
                    None => println!("| {server} is not installed |"),
                }
            }
        }
    }
}

fn run(name: &str, kind: Kind, think: Duration) -> Option<Tally> {
    let mut demo = Demo::new(RELOADS, harness::free_address(), harness::free_address());
    let server = Server::start(name, &mut demo)?;
    let sums = harness::runtime().block_on(async {
        let storm = Storm::start(&demo.target(), &[kind], CLIENTS, think);
        let begun = Instant::now();
        for number in 1..=RELOADS {
            tokio::time::sleep_until((begun + INTERVAL * number).into()).await;
            server.reload(&demo, number);
        }
        tokio::time::sleep(INTERVAL * 2).await;
        storm.stop().await
    });
    server.stop();
    let tally = sums.into_iter().next()?.1;
    tally
        .notes
        .iter()
        .for_each(|note| eprintln!("{name} {kind:?}: {note}"));
    Some(tally)
}

fn header() -> String {
    format!(
        "{RELOADS} reloads, {INTERVAL:?} apart, {CLIENTS} clients\n\n\
         | clients | think | server | requests | failed | refused | reset | lost | truncated | late | mixed, wrong \
         | closed idle | graceful | not processed, late | connections | p50 ms | p99 ms | max ms |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
}

fn row(server: &str, kind: Kind, think: u64, tally: &Tally) -> String {
    let share = 100.0 * tally.failures() as f64 / tally.requests().max(1) as f64;
    let count = |outcomes: &[Outcome]| {
        outcomes
            .iter()
            .map(|one| tally.count(*one))
            .sum::<u64>()
            .to_string()
    };
    let event = |event| tally.events(event).to_string();
    let idle = tally.events(Event::ClosedWhileIdle) + tally.events(Event::ResetWhileIdle);
    let latency = tally
        .latency()
        .map(|took| format!("{:.1}", took.as_secs_f64() * 1000.0));
    let cells = [
        format!("{kind:?}"),
        format!("{think} ms"),
        server.to_owned(),
        tally.requests().to_string(),
        format!("{} ({share:.2} %)", tally.failures()),
        count(&[Outcome::Refused]),
        count(&[Outcome::Reset]),
        count(&[Outcome::Lost]),
        count(&[Outcome::Truncated]),
        count(&[Outcome::TimedOut, Outcome::Unanswered]),
        count(&[Outcome::Mixed, Outcome::Wrong]),
        idle.to_string(),
        event(Event::GracefulClose),
        format!(
            "{}, {}",
            event(Event::Unprocessed),
            event(Event::SentTooLate)
        ),
        event(Event::ConnectionOpened),
        latency.join(" | "),
    ];
    format!("| {} |", cells.join(" | "))
}
