//! Ports that the configuration wants and that the server may not bind: root binds them, systemd keeps them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::harness::bws::{Bws, binary};
use crate::harness::process::Process;
use crate::harness::{free_address, get, install, install_copy, listener, wait_for, write_file};

/// Ports below 1024 are not for a server that runs under this, as in its sandbox. (Root of a container may inherit the
/// capability.)
const UNPRIVILEGED: [&str; 5] = [
    "setpriv",
    "--inh-caps=-net_bind_service",
    "--ambient-caps=-net_bind_service",
    "--bounding-set",
    "-net_bind_service",
];
const HOST: &str = "localhost";

struct Place {
    server: Bws,
    /// Held by a socket unit.
    usual: SocketAddr,
    folder: tempfile::TempDir,
}

impl Place {
    /// A server in its sandbox. The first configuration has these ports besides the usual one.
    fn start(privileged: &[u16]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, usual) = listener();
        let unit = vec![(OwnedFd::from(socket), "bws.socket".to_owned())];
        let config = config(folder.path(), usual, privileged);
        let server = launch(folder.path(), &config, unit).ready();
        Self {
            server,
            usual,
            folder,
        }
    }

    /// The next start, with what systemd kept.
    fn restart(self, store: Vec<(OwnedFd, String)>) -> Self {
        let Self {
            server,
            usual,
            folder,
        } = self;
        let text = fs::read_to_string(server.config_path()).unwrap();
        drop(server);
        let server = launch(folder.path(), &text, store).ready();
        Self {
            server,
            usual,
            folder,
        }
    }

    fn configure(&self, privileged: &[u16]) {
        let config = config(self.folder.path(), self.usual, privileged);
        self.server.configure(&config);
    }

    /// What `ExecReload=+` runs.
    fn bind_ports(&self) -> Output {
        let config = self.server.config_path();
        let words = ["bind-ports", "--config", config.to_str().unwrap()];
        self.server.command(&words).output().unwrap()
    }

    fn status_line(&self) -> String {
        let messages = self.server.notify.messages();
        let lines = messages.iter().flat_map(|text| text.lines());
        let mut status = lines.filter_map(|line| line.strip_prefix("STATUS="));
        status.next_back().unwrap().to_owned()
    }
}

fn launch(folder: &Path, config: &str, sockets: Vec<(OwnedFd, String)>) -> Bws {
    let copy = folder.join("bws");
    if !copy.exists() {
        install_copy(&binary(), &copy);
    }
    Bws::launch_under(&UNPRIVILEGED, &copy, folder, config, sockets)
}

fn config(folder: &Path, usual: SocketAddr, privileged: &[u16]) -> String {
    fs::create_dir_all(folder.join("www")).unwrap();
    write_file(&folder.join("www/index.html"), "hello");
    let site = |name: String, place: String| {
        format!(
            "[[sites]]\nname = \"{name}\"\nhostname = \"{HOST}\"\n{place}\nstatic_dir = \"www\"\n\n"
        )
    };
    let sites = privileged
        .iter()
        .map(|port| site(format!("site-{port}"), format!("port = {port}")));
    let first = site("usual".into(), format!("listen = \"{usual}\""));
    std::iter::once(first).chain(sites).collect()
}

fn serves(port: u16) -> bool {
    let (head, body) = get(SocketAddr::from(([127, 0, 0, 1], port)), HOST, "/");
    (head.status, body.as_slice()) == (200, b"hello")
}

/// What the service manager was told may arrive a moment after what it is about.
fn wait_until_stored(server: &Bws, names: &[String]) {
    wait_for("the store of the service manager", || {
        let mut stored = server.notify.stored();
        stored.sort();
        (stored == names).then_some(())
    });
}

/// A free port that only root may bind. None, and the test has nothing to show, where everybody may bind every port or
/// where these tests do not run as root.
fn privileged_port() -> Option<u16> {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(700);
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if start.trim() != "1024" || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: this needs root, and ports that are root's");
        return None;
    }
    let free = |port: &u16| TcpListener::bind(("::", *port)).is_ok();
    let mut ports =
        std::iter::repeat_with(|| NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    ports.by_ref().take(200).find(free)
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn a_new_port_is_live_after_the_reload_survives_a_kill_and_goes_with_its_site() {
    let Some(port) = privileged_port() else {
        return;
    };
    let mut place = Place::start(&[]);
    place.configure(&[port]);
    let refused = place.server.reload();
    assert!(!refused.status.success());
    let words = said(&refused);
    assert!(
        words.contains(&format!("port {port} is not held")),
        "{words}"
    );
    assert!(words.contains("systemctl reload bws"), "{words}");
    assert!(serves(place.usual.port()));

    let bound = place.bind_ports();
    assert!(bound.status.success(), "{bound:?}");
    assert!(
        said(&bound).contains(&format!("port {port} is bound")),
        "{bound:?}"
    );
    let reload = place.server.reload();
    assert!(reload.status.success(), "{reload:?}");
    assert!(serves(port));
    assert_eq!(said(&place.bind_ports()), "", "it is held already");
    let name = format!("bws-store-[__]_{port}");
    wait_until_stored(&place.server, std::slice::from_ref(&name));

    // systemd keeps the unit's socket by itself.
    let unit = TcpListener::bind(place.usual);
    assert!(unit.is_err(), "the usual port is held");
    let workers = place.server.workers();
    place.server.process.signal(Signal::KILL);
    place.server.process.wait();
    let store = place.server.notify.take_store();
    wait_for("the workers' end", || {
        workers
            .iter()
            .all(|pid| !crate::harness::process::is_alive(*pid))
            .then_some(())
    });
    let waiting = TcpStream::connect(("127.0.0.1", port));
    assert!(waiting.is_ok(), "nobody is refused meanwhile");
    let place = place.restart(store);
    assert!(serves(port));
    assert!(serves(place.usual.port()), "bound by itself");

    place.configure(&[]);
    let reload = place.server.reload();
    assert!(reload.status.success(), "{reload:?}");
    wait_for("the port to be closed", || {
        TcpStream::connect(("127.0.0.1", port))
            .is_err()
            .then_some(())
    });
    wait_for("the store to forget it", || {
        (!place.server.notify.stored().contains(&name)).then_some(())
    });
}

#[test]
fn a_start_without_its_ports_serves_the_rest_and_soon_everything() {
    let Some(port) = privileged_port() else {
        return;
    };
    let place = Place::start(&[port]);
    assert!(serves(place.usual.port()));
    let status = place.status_line();
    assert!(
        status.contains(&format!("port {port} is not held")),
        "{status}"
    );
    let bound = place.bind_ports();
    assert!(bound.status.success(), "{bound:?}");
    assert!(serves(port));
    place.server.notify.wait_ready(2);
    assert_eq!(
        place.server.notify.states(),
        ["READY=1", "RELOADING=1", "READY=1"]
    );
    assert!(!place.status_line().contains("not held"));
}

#[test]
fn a_start_whose_port_is_taken_says_so_and_serves_the_rest() {
    let Some(port) = privileged_port() else {
        return;
    };
    let place = Place::start(&[port]);
    let _other = TcpListener::bind(("::", port)).unwrap();
    let bound = place.bind_ports();
    assert_eq!(bound.status.code(), Some(1), "{bound:?}");
    let words = said(&bound);
    assert!(
        words.contains(&format!("port {port} is taken by")),
        "{words}"
    );
    assert!(serves(place.usual.port()));
    place.server.notify.wait_ready(2);
    assert!(
        place.status_line().contains("is taken by"),
        "{}",
        place.status_line()
    );
}

#[test]
fn a_taken_port_fails_the_reload_with_its_holder() {
    let Some(port) = privileged_port() else {
        return;
    };
    let place = Place::start(&[]);
    let _other = TcpListener::bind(("::", port)).unwrap();
    place.configure(&[port]);
    let bound = place.bind_ports();
    assert!(bound.status.success(), "the reload decides: {bound:?}");
    let reload = place.server.reload();
    assert_eq!(reload.status.code(), Some(1));
    let words = said(&reload);
    let holder = format!("(PID {})", std::process::id());
    assert!(
        words.contains(&format!("port {port} is taken by")),
        "{words}"
    );
    assert!(words.contains(&holder), "{words}");
    assert!(serves(place.usual.port()));
}

#[test]
fn root_does_not_follow_a_file_that_others_can_write() {
    let Some(port) = privileged_port() else {
        return;
    };
    let place = Place::start(&[]);
    place.configure(&[port]);
    let file = place.server.config_path();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let bound = place.bind_ports();
    assert!(said(&bound).contains("chmod go-w"), "{bound:?}");
    let reload = place.server.reload();
    assert!(!reload.status.success());
    assert!(said(&reload).contains("chmod go-w"), "{reload:?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(place.bind_ports().status.success());
    assert!(place.server.reload().status.success());
    assert!(serves(port));
}

#[test]
fn a_passed_port_goes_over_to_a_new_binary() {
    let Some(port) = privileged_port() else {
        return;
    };
    let place = Place::start(&[]);
    place.configure(&[port]);
    let program = place.folder.path().join("bws");
    let mut bytes = fs::read(&program).unwrap();
    bytes.push(0);
    install(&program, &bytes, 0o755);
    assert!(place.bind_ports().status.success());
    let reload = place.server.reload();
    assert!(reload.status.success(), "{reload:?}");
    assert!(serves(port));
    assert!(place.server.process.output().contains("has taken over"));
    // Once more, with the port in use.
    bytes.push(0);
    install(&program, &bytes, 0o755);
    assert!(place.server.reload().status.success());
    assert!(serves(port));
    wait_until_stored(&place.server, &[format!("bws-store-[__]_{port}")]);
}

#[test]
fn what_the_server_binds_itself_is_stored_too() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, usual) = listener();
    drop(socket);
    let text = config(folder.path(), usual, &[]);
    let unix = folder.path().join("site.sock");
    let local = text.replace("usual", "local").replace(
        &format!("listen = \"{usual}\""),
        &format!("listen = \"unix:{}\"", unix.display()),
    );
    let server = Bws::start(folder.path(), &format!("{text}{local}"), Vec::new());
    let tcp = format!("bws-store-127.0.0.1_{}", usual.port());
    let local = format!("bws-store-{}", unix.display());
    wait_until_stored(&server, &[local, tcp.clone()]);
    server.reload_to(&text);
    wait_for("the Unix socket to go", || (!unix.exists()).then_some(()));
    wait_until_stored(&server, &[tcp]);
}

#[test]
fn a_stop_gives_up_ports_that_nobody_else_holds() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let text = config(folder.path(), address, &[]);
    let file = folder.path().join("config.toml");
    write_file(&file, &text);
    let mut command = Command::new(binary());
    command.arg("--config").arg(&file);
    // Nobody keeps its sockets.
    command.env_remove("NOTIFY_SOCKET");
    command.env("RUNTIME_DIRECTORY", folder.path());
    let mut server = Process::start(command, &folder.path().join("log")).unwrap();
    let mut busy = wait_for("the server", || TcpStream::connect(address).ok());
    busy.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // Another answer means that it came.
    wait_for("an answer", || {
        (get(address, HOST, "/").0.status == 200).then_some(())
    });
    server.signal(Signal::TERM);
    wait_for("a refusal", || TcpStream::connect(address).err());
    busy.write_all(format!("Host: {HOST}\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(server.wait().success());
}

#[test]
fn without_a_server_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(binary())
        .args(["bind-ports", "--config", "/nowhere.toml", "--control"])
        .arg(folder.path().join("control.sock"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("ports.sock"), "{output:?}");
}
