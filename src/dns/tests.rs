//! The resolver asks a scripted name server.

use std::fs;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::name_server::{NameServer, Record, address, service};
use super::system::Files;
use super::{Resolver, Target};

fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, test)
            .await
            .expect("the test hangs")
    })
}

fn start() -> (NameServer, Resolver) {
    let server = NameServer::start();
    let resolver = Resolver::new(vec![server.address]);
    (server, resolver)
}

async fn ask(resolver: &Resolver, host: &str) -> Result<Vec<String>, String> {
    let known = resolver.addresses(host, false).await;
    let known = known.map_err(|error| error.to_string())?;
    Ok(known.values.iter().map(IpAddr::to_string).collect())
}

#[test]
fn a_name_is_asked_for_again_when_its_time_is_over() {
    run(async {
        let (server, resolver) = start();
        server.tell("app.test", 1, &[address("127.0.0.1")]);
        server.tell("long.test", 3600, &[address("127.0.0.1")]);
        for _ in 0..3 {
            assert_eq!(ask(&resolver, "app.test").await.unwrap(), ["127.0.0.1"]);
            assert_eq!(ask(&resolver, "long.test").await.unwrap(), ["127.0.0.1"]);
        }
        // A and AAAA.
        assert_eq!(server.questions("app.test"), 2);
        server.tell("app.test", 1, &[address("127.0.0.2")]);
        let known = resolver.addresses("app.test", false).await.unwrap();
        tokio::time::sleep_until(known.until).await;
        assert_eq!(ask(&resolver, "app.test").await.unwrap(), ["127.0.0.2"]);
        assert_eq!(server.questions("app.test"), 4);
        let known = resolver.addresses("long.test", false).await.unwrap();
        let left = known.until - tokio::time::Instant::now();
        assert!((250..=300).contains(&left.as_secs()), "{left:?}");
    });
}

#[test]
fn what_was_known_outlives_failures() {
    run(async {
        let (server, resolver) = start();
        server.tell("app.test", 1, &[address("127.0.0.1")]);
        assert!(ask(&resolver, "app.test").await.is_ok());
        for trouble in [NameServer::fail, NameServer::forget] {
            trouble(&server, "app.test");
            let known = resolver.addresses("app.test", false).await.unwrap();
            tokio::time::sleep_until(known.until).await;
            let before = server.questions("app.test");
            assert_eq!(ask(&resolver, "app.test").await.unwrap(), ["127.0.0.1"]);
            assert!(server.questions("app.test") > before);
        }
    });
}

#[test]
fn what_was_never_known_says_why() {
    run(async {
        let (server, resolver) = start();
        server.fail("ill.test");
        let failure = ask(&resolver, "ill.test").await.unwrap_err();
        assert!(failure.contains("SERVFAIL"), "{failure}");
        let failure = ask(&resolver, "no.test").await.unwrap_err();
        assert!(failure.contains("no such name"), "{failure}");
        let asked = server.questions("no.test");
        assert!(ask(&resolver, "no.test").await.is_err());
        assert_eq!(server.questions("no.test"), asked, "asked again at once");
    });
}

#[test]
fn aliases_families_and_long_answers() {
    run(async {
        let (server, resolver) = start();
        server.tell("www.test", 60, &[Record::Alias("cdn.test")]);
        server.tell("cdn.test", 2, &[Record::Alias("a.test")]);
        server.tell("a.test", 60, &[address("127.0.0.3")]);
        let known = resolver.addresses("www.test", false).await.unwrap();
        assert_eq!(known.values[0], IpAddr::from([127, 0, 0, 3]));
        let left = known.until - tokio::time::Instant::now();
        assert!(left <= Duration::from_secs(2), "the shortest counts");
        server.tell("loop.test", 60, &[Record::Alias("none.test")]);
        assert!(ask(&resolver, "loop.test").await.is_err());
        server.tell("six.test", 60, &[address("::1")]);
        assert_eq!(ask(&resolver, "six.test").await.unwrap(), ["::1"]);
        server.truncate();
        server.tell("much.test", 60, &[address("127.0.0.4")]);
        assert_eq!(ask(&resolver, "much.test").await.unwrap(), ["127.0.0.4"]);
        assert_eq!(server.questions_by_tcp(), 2);
    });
}

#[test]
fn many_who_ask_ask_once() {
    run(async {
        let (server, resolver) = start();
        server.tell("app.test", 60, &[address("127.0.0.1")]);
        let (one, other, doubting) = tokio::join!(
            ask(&resolver, "app.test"),
            ask(&resolver, "app.test"),
            resolver.addresses("app.test", true),
        );
        assert!(one.is_ok() && other.is_ok() && doubting.is_ok());
        assert_eq!(server.questions("app.test"), 2);
    });
}

#[test]
fn a_silent_server_is_passed_over() {
    run(async {
        let (server, silent) = (NameServer::start(), NameServer::start());
        silent.ignore("app.test");
        server.tell("app.test", 60, &[address("127.0.0.1")]);
        let resolver = Resolver::new(vec![silent.address, server.address]);
        assert_eq!(ask(&resolver, "app.test").await.unwrap(), ["127.0.0.1"]);
    });
}

#[test]
fn a_service_has_targets() {
    run(async {
        let (server, resolver) = start();
        let name = "_http._tcp.app.test";
        let records = [
            service(20, 0, 82, "c.test"),
            service(10, 3, 80, "A.test"),
            service(10, 1, 81, "b.test"),
        ];
        server.tell(name, 60, &records);
        let known = resolver.targets(name, false).await.unwrap();
        let target = |priority, weight, host: &str, port| Target {
            priority,
            weight,
            host: host.to_owned(),
            port,
        };
        let expected = [
            target(10, 1, "b.test.", 81),
            target(10, 3, "a.test.", 80),
            target(20, 0, "c.test.", 82),
        ];
        assert_eq!(*known.values, expected);
        server.tell("_x._tcp.app.test", 60, &[service(0, 0, 1, ".")]);
        let refused = resolver.targets("_x._tcp.app.test", false).await;
        assert!(refused.unwrap_err().to_string().contains("not offered"));
    });
}

#[test]
fn what_one_learned_another_inherits() {
    run(async {
        let (server, resolver) = start();
        server.tell("app.test", 1, &[address("127.0.0.1"), address("127.0.0.2")]);
        server.tell("_x._tcp.test", 60, &[service(1, 1, 80, "app.test")]);
        let calls = std::sync::Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        resolver.listen(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        assert!(ask(&resolver, "app.test").await.is_ok());
        assert!(resolver.targets("_x._tcp.test", false).await.is_ok());
        assert_eq!(calls.load(Ordering::SeqCst), 1, "until somebody looks");
        let news = resolver.take_news();
        assert_eq!(news.len(), 2);
        // Another order is no news.
        server.tell("app.test", 1, &[address("127.0.0.2"), address("127.0.0.1")]);
        let known = resolver.addresses("app.test", false).await.unwrap();
        tokio::time::sleep_until(known.until).await;
        assert_eq!(ask(&resolver, "app.test").await.unwrap()[0], "127.0.0.2");
        assert!(resolver.take_news().is_empty());
        let silent = NameServer::start();
        silent.ignore("app.test");
        let heir = Resolver::new(vec![silent.address]);
        heir.inherit(news);
        assert_eq!(ask(&heir, "app.test").await.unwrap()[0], "127.0.0.1");
        assert!(heir.targets("_x._tcp.test", false).await.is_ok());
        assert_eq!(silent.questions("app.test"), 0, "nobody waits for it");
    });
}

#[test]
fn a_change_of_the_systems_files_is_noticed() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = Files {
            resolv: path("resolv.conf"),
            hosts: path("hosts"),
            switch: path("nsswitch.conf"),
        };
        let system = super::system::System::new(files.clone(), vec![]);
        assert!(system.settings().await.unwrap().servers.is_none());
        fs::write(&files.resolv, "nameserver 192.0.2.1\n").unwrap();
        loop {
            if system.settings().await.unwrap().servers.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn the_systems_files_are_followed() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = Files {
            resolv: path("resolv.conf"),
            hosts: path("hosts"),
            switch: path("nsswitch.conf"),
        };
        // Nothing there: getaddrinfo.
        let resolver = Resolver::with(files.clone(), vec![]);
        let known = ask(&resolver, "localhost").await.unwrap();
        assert!(!known.is_empty());
        let is_local = |address: &String| address.parse::<IpAddr>().unwrap().is_loopback();
        assert!(known.iter().all(is_local), "{known:?}");
        let settings = async || {
            let system = super::system::System::new(files.clone(), vec![]);
            system.settings().await.unwrap()
        };
        let text = "nameserver 192.0.2.1\nnameserver fe80::1%7\nnonsense\nsearch a.test b.test\n\
                    options ndots:2 timeout:3 attempts:1 rotate edns0\n";
        fs::write(&files.resolv, text).unwrap();
        fs::write(&files.hosts, "127.0.0.1 db Db.test. # not.this\n").unwrap();
        let read = settings().await;
        let servers = read.servers.as_ref().unwrap();
        assert_eq!(servers.addresses.len(), 2);
        assert_eq!(servers.addresses[1].to_string(), "[fe80::1%7]:53");
        assert_eq!((servers.timeout.as_secs(), servers.attempts), (3, 1));
        assert!(servers.rotate && servers.large && !servers.tcp);
        assert_eq!((read.dots, read.search.len()), (2, 2));
        assert!(read.hosts.contains("db.test") && !read.hosts.contains("not.this"));
        fs::write(&files.switch, "hosts: files\n").unwrap();
        assert!(settings().await.servers.is_none());
    });
}
