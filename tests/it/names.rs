//! Upstreams by name: a change of DNS records is taken up, and no request is lost for it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::backend::Backend;
use crate::harness::bws::Bws;
use crate::harness::name_server::{NameServer, address, service};
use crate::harness::{listener, wait_for};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HOST: &str = "localhost";

/// A site before an upstream of this URL, with names from `server`.
struct Site {
    bws: Bws,
    address: SocketAddr,
    text: String,
    _folder: tempfile::TempDir,
}

impl Site {
    fn before(url: &str, server: &NameServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, address) = listener();
        let text = format!(
            "[performance]\nworker_threads = 2\n[proxy]\nresolver = [\"{}\"]\n\
             [[sites]]\nname = \"site\"\nhostname = \"{HOST}\"\nlisten = \"{address}\"\n\
             [sites.proxy]\nupstreams = [{{ name = \"app\", url = \"{url}\" }}]\n",
            server.address
        );
        let bws = Bws::start(folder.path(), &text, vec![socket]);
        Self {
            bws,
            address,
            text,
            _folder: folder,
        }
    }

    fn status(&self) -> u16 {
        crate::harness::get(self.address, HOST, "/").0.status
    }

    /// Asks all the time while `act` goes on.
    fn under_load(&self, act: impl FnOnce()) {
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let load = || {
                while !ended.load(Ordering::SeqCst) {
                    assert_eq!(self.status(), 200);
                }
            };
            let threads = [scope.spawn(load), scope.spawn(load)];
            act();
            ended.store(true, Ordering::SeqCst);
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }
}

/// Two servers on the same port of two addresses.
fn twins() -> (Backend, Backend) {
    let first = Backend::says(OK);
    let second = SocketAddr::from(([127, 0, 0, 2], first.address.port()));
    (first, Backend::revive(second, |_| Some(OK.into())))
}

fn wait_for_requests(backend: &Backend) {
    let before = backend.count();
    wait_for("requests at the server", || {
        (backend.count() > before + 3).then_some(())
    });
}

#[test]
fn a_change_of_an_address_is_taken_up_and_no_request_is_lost() {
    let (first, second) = twins();
    let server = NameServer::start();
    server.tell("app.test", 1, &[address("127.0.0.1")]);
    let url = format!("http://app.test:{}", first.address.port());
    let site = Site::before(&url, &server);
    site.under_load(|| {
        wait_for_requests(&first);
        server.tell("app.test", 1, &[address("127.0.0.2")]);
        wait_for_requests(&second);
        // The name is gone: what was known serves.
        server.forget("app.test");
        let asked = server.questions("app.test");
        wait_for("a question in vain", || {
            (server.questions("app.test") > asked).then_some(())
        });
        wait_for_requests(&second);
        server.tell("app.test", 1, &[address("127.0.0.1")]);
        wait_for_requests(&first);
        site.bws.reload_to(&site.text);
        wait_for_requests(&first);
    });
}

#[test]
fn the_targets_of_a_service_come_and_go() {
    let (first, second) = (Backend::says(OK), Backend::says(OK));
    let server = NameServer::start();
    server.tell("a.test", 60, &[address("127.0.0.1")]);
    let record = |backend: &Backend| service(1, 1, backend.address.port(), "a.test");
    let name = "_http._tcp.app.test";
    server.tell(name, 1, &[record(&first)]);
    let site = Site::before(&format!("http+srv://{name}"), &server);
    site.under_load(|| {
        wait_for_requests(&first);
        server.tell(name, 1, &[record(&first), record(&second)]);
        wait_for_requests(&second);
        server.tell(name, 1, &[record(&second)]);
        let calm = || {
            let before = first.count();
            wait_for_requests(&second);
            wait_for_requests(&second);
            (first.count() == before).then_some(())
        };
        wait_for("the end of requests at the one that left", calm);
    });
}

#[test]
fn a_reload_needs_no_name_server_and_operators_see_what_names_stand_for() {
    let (first, second) = (Backend::says(OK), Backend::says(OK));
    let server = NameServer::start();
    server.tell("a.test", 60, &[address("127.0.0.1")]);
    let record =
        |priority, backend: &Backend| service(priority, 1, backend.address.port(), "a.test");
    let name = "_http._tcp.app.test";
    server.tell(name, 60, &[record(1, &first), record(2, &second)]);
    let site = Site::before(&format!("http+srv://{name}"), &server);
    assert_eq!(site.status(), 200);
    let upstreams = wait_for("the targets", || {
        let (_, body) = site.bws.control("GET", "/api/upstreams");
        let all: serde_json::Value = serde_json::from_str(&body).unwrap();
        let known = all["upstreams"][0]["addresses"].is_array();
        known.then(|| all["upstreams"].clone())
    });
    let target = |backend: &Backend| format!("a.test:{}", backend.address.port());
    assert_eq!(upstreams[0]["upstream"], target(&first));
    assert_eq!(upstreams[0]["service"], name);
    assert_eq!(upstreams[0]["requests"], 1);
    assert_eq!(upstreams[0]["addresses"][0], "127.0.0.1");
    assert_eq!(upstreams[1]["upstream"], target(&second));
    assert_eq!(upstreams[1]["priority"], 2);
    for silent in [name, "a.test"] {
        server.ignore(silent);
    }
    site.under_load(|| {
        for _ in 0..3 {
            site.bws.reload_to(&site.text);
            wait_for_requests(&first);
        }
    });
    assert_eq!(second.count(), 0);
}

#[test]
fn a_check_with_connections_resolves_services() {
    let backend = Backend::says(OK);
    let server = NameServer::start();
    server.tell("a.test", 60, &[address("127.0.0.1")]);
    let name = "_http._tcp.app.test";
    server.tell(name, 60, &[service(1, 1, backend.address.port(), "a.test")]);
    let site = Site::before(&format!("http+srv://{name}"), &server);
    let check = || {
        let path = site.bws.config_path();
        let mut command =
            site.bws
                .command(&["--config-check", path.to_str().unwrap(), "--connect"]);
        command.output().unwrap()
    };
    let output = check();
    assert!(output.status.success(), "{output:?}");
    server.forget(name);
    let output = check();
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("no such name"), "{text}");
}
