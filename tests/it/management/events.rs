use std::fs;

use rustix::process::Signal;

use super::stream::{Event, Stream};
use super::{Api, KEY};
use crate::harness::backend::Backend;
use crate::harness::bws::Bws;
use crate::harness::certificates::Authority;
use crate::harness::demo::Demo;
use crate::harness::{free_address, install, listener, process, wait_for};

/// As many as the server has room for.
const FOLLOWERS: usize = 32;

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| &*event.name).collect()
}

#[test]
fn a_reload_is_followed_step_by_step() {
    let (demo, server) = Demo::serve(1);
    let mut stream = Stream::open(demo.path(), "");
    assert!(
        stream
            .head
            .contains("\r\ncontent-type: text/event-stream\r\n"),
        "{}",
        stream.head
    );
    assert!(
        stream.head.contains("\r\ncache-control: no-store\r\n"),
        "{}",
        stream.head
    );
    let old = server.workers()[0];
    server.reload_to(&demo.bws(1));
    let mut before = Vec::new();
    let complete = stream.find("reload-complete", &mut before);
    assert_eq!(complete.data["config_version"], 2);
    assert_eq!(complete.data["level"], "info");
    assert!(complete.data["duration_ms"].is_u64() && complete.data["at"].is_u64());
    let plan = complete.data["plan"].as_str().unwrap();
    assert!(complete.data["message"].as_str().unwrap().ends_with(plan));
    assert_eq!(before[0].name, "reload-requested");
    let steps = names(&before);
    assert!(
        steps.contains(&"worker-started") && steps.contains(&"worker-ready"),
        "{steps:?}"
    );
    let mut after = Vec::new();
    let gone = stream.find("worker-gone", &mut after);
    assert_eq!(gone.data["worker_pid"], old);
    // The worker itself said so.
    let drained = after
        .iter()
        .find(|event| event.name == "worker-drained")
        .unwrap();
    assert_eq!(drained.data["worker_pid"], old);
    let all: Vec<u64> = before
        .iter()
        .chain([&complete])
        .chain(&after)
        .chain([&gone])
        .map(|event| event.id)
        .collect();
    assert!(all.windows(2).all(|two| two[0] < two[1]), "{all:?}");

    server.configure("[[sites]]\nnam = \"x\"\nport = \"many\"\n");
    assert!(!server.reload().status.success());
    let failed = stream.find("reload-failed", &mut Vec::new());
    assert_eq!(failed.data["config_version"], 2);
    let errors = failed.data["errors"].as_str().unwrap();
    assert!(
        errors.contains("'nam'") && errors.contains("'sites.port'"),
        "{errors}"
    );

    let list = failed.data["error_list"].as_array().unwrap();
    let lines: Vec<_> = list.iter().map(|error| error["line"].as_u64()).collect();
    assert_eq!(lines, [Some(2), Some(3)], "{list:?}");

    process::signal(server.workers()[0], Signal::KILL);
    let lost = stream.find("worker-lost", &mut Vec::new());
    assert!(
        lost.data["reason"].as_str().unwrap().contains("signal 9"),
        "{lost:?}"
    );

    let stopping = std::thread::spawn(|| server.stop());
    stream.find("stopping", &mut Vec::new());
    while stream.next().is_some() {}
    assert!(stopping.join().unwrap().0.success());
}

#[test]
fn a_reload_is_not_lost_among_certificates_that_expire() {
    const SITES: usize = 300;
    let (folder, (socket, address)) = (tempfile::tempdir().unwrap(), listener());
    let old = Authority::new().issue_expiring(folder.path(), "old", &["*.test"]);
    let key = old.key_file.display();
    let site = |number: usize| {
        let cert = folder.path().join(format!("{number}.pem"));
        fs::copy(&old.cert_file, &cert).unwrap();
        format!(
            "[[sites]]\nname = \"{number}\"\nhostname = \"{number}.test\"\nlisten = \"{address}\"\napi_only = true\n\
             ssl = {{ cert_file = \"{}\", key_file = \"{key}\" }}\n",
            cert.display()
        )
    };
    let most: String = (1..SITES).map(site).collect();
    let server = Bws::start(folder.path(), &most, vec![socket]);
    let mut stream = Stream::open(folder.path(), "Last-Event-ID: 0\r\n");
    let (mut before, mut single) = (Vec::new(), Vec::new());
    stream.find("started", &mut before);
    let rest = stream.find("certificates-expiring", &mut single);
    assert_eq!(names(&single), ["certificate-expiring"; 20]);
    assert_eq!(rest.data["count"], SITES - 1 - single.len());
    let list = rest.data["certificate_list"].as_array().unwrap();
    assert!(list.len() > 20 && list[0]["site"].is_string(), "{rest:?}");
    // Only the new one is told.
    server.reload_to(&format!("{most}{}", site(SITES)));
    let (mut during, mut none) = (Vec::new(), Vec::new());
    stream.find("reload-complete", &mut during);
    assert!(names(&during).contains(&"reload-requested"), "{during:?}");
    let new = stream.find("certificate-expiring", &mut none);
    assert_eq!(new.data["site"], SITES.to_string());
    let mut last = Vec::new();
    for _ in 0..2 {
        server.reload_to(&most);
        stream.find("reload-complete", &mut last);
    }
    let told = |name: &&str| name.starts_with("certificate");
    assert_eq!(names(&last).into_iter().find(told), None);
}

#[test]
fn what_was_missed_comes_after_a_return() {
    let (demo, server) = Demo::serve(1);
    let first = Stream::open(demo.path(), "").position();
    server.reload_to(&demo.bws(1));
    let mut missed = Vec::new();
    let mut stream = Stream::open(demo.path(), &format!("Last-Event-ID: {first}\r\n"));
    let complete = stream.find("reload-complete", &mut missed);
    assert_eq!(missed[0].id, first + 1);
    assert_eq!(missed[0].name, "reload-requested");
    let before = complete.id - 1;
    let mut stream = Stream::open(demo.path(), &format!("Last-Event-ID: {before}\r\n"));
    assert_eq!(stream.next().unwrap(), complete);
    // Of another server, or made up.
    for unknown in ["12", "nonsense", "99999999999999999999999"] {
        let mut stream = Stream::open(demo.path(), &format!("Last-Event-ID: {unknown}\r\n"));
        let lost = stream.next().unwrap();
        assert_eq!(lost.name, "events-lost");
        let next = stream.next().unwrap();
        assert_eq!(
            (lost.data["first"].as_u64(), lost.id),
            (Some(next.id), next.id - 1)
        );
    }
}

#[test]
fn a_new_program_goes_on_with_the_numbers() {
    let (demo, server) = Demo::serve_copy(1, str::to_owned);
    let program = demo.path().join("bws");
    let mut other = fs::read(&program).unwrap();
    other.push(0);
    install(&program, &other, 0o755);
    let mut stream = Stream::open(demo.path(), "");
    server.reload_to(&demo.bws(1));
    let mut seen = Vec::new();
    while let Some(event) = stream.next() {
        seen.push(event);
    }
    assert_eq!(names(&seen), ["reload-requested"]);
    let id = stream.last_id;
    let mut stream = Stream::open(demo.path(), &format!("Last-Event-ID: {id}\r\n"));
    let replaced = stream.next().unwrap();
    assert_eq!(
        (replaced.name.as_str(), replaced.id),
        ("program-replaced", id + 1)
    );
    stream.find("reload-complete", &mut Vec::new());
}

#[test]
fn upstreams_that_go_and_come_back_are_told() {
    let (address, (socket, site)) = (free_address(), listener());
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[sites]]\nname = \"site\"\nhostname = \"localhost\"\nlisten = \"{site}\"\n\
         [sites.proxy]\nenabled = true\nupstreams = [{{ name = \"pool\", url = \"http://{address}\" }}]\n\
         [sites.proxy.health_check]\npath = \"/up\"\ninterval = \"200ms\"\nretries = 1\nhealthy_after = 1\n"
    );
    let server = Bws::start(folder.path(), &text, vec![socket]);
    let mut stream = Stream::open(folder.path(), "Last-Event-ID: 0\r\n");
    let down = stream.find("upstream-down", &mut Vec::new());
    let worker = server.workers()[0];
    assert_eq!(down.data["upstream"], address.to_string());
    assert_eq!(
        (&down.data["site"], &down.data["worker_pid"]),
        (&"site".into(), &worker.into())
    );
    assert_eq!(down.data["generation"], 1);
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let _revived = Backend::revive(address, move |_| Some(ok.into()));
    let back = stream.find("upstream-back", &mut Vec::new());
    assert_eq!(back.data["upstream"], address.to_string());
}

#[test]
fn followers_are_few_and_leave_when_they_go() {
    let api = Api::with_key();
    let key = format!("X-API-Key: {KEY}\r\n");
    let open = || Stream::open_tcp(api.address, "GET", &key);
    // A HEAD is answered and over.
    let head = Stream::open_tcp(api.address, "HEAD", &key);
    assert_eq!(head.status(), 200);
    assert!(
        head.head
            .contains("\r\ncontent-type: text/event-stream\r\n"),
        "{}",
        head.head
    );
    assert_eq!(head.rest(), "");
    let streams: Vec<Stream> = (0..FOLLOWERS).map(|_| open()).collect();
    assert!(streams.iter().all(|stream| stream.status() == 200));
    let refused = open();
    assert_eq!(refused.status(), 503);
    assert!(
        refused.head.contains("\r\nretry-after: 10\r\n"),
        "{}",
        refused.head
    );
    assert!(refused.rest().contains("too many"));
    // The socket has room of its own.
    assert_eq!(Stream::open(api.folder.path(), "").status(), 200);
    // The other endpoints still answer, and a reload does not wait.
    assert_eq!(api.server.control("POST", "/api/config/reload").0, 200);
    drop(streams);
    wait_for("room", || (open().status() == 200).then_some(()));
}

#[test]
fn a_new_key_ends_what_the_old_one_opened() {
    let api = Api::with_key();
    let mut stream = Stream::open_tcp(api.address, "GET", &format!("X-API-Key: {KEY}\r\n"));
    let mut beside = Stream::open(api.folder.path(), "");
    stream.position();
    let text = std::fs::read_to_string(api.server.config_path()).unwrap();
    api.server.reload_to(&text.replace(KEY, "another"));
    stream.expect_broken();
    beside.find("reload-complete", &mut Vec::new());
    let again = Stream::open_tcp(api.address, "GET", &format!("X-API-Key: {KEY}\r\n"));
    assert_eq!(again.status(), 401);
}
