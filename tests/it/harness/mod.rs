//! Starts servers and watches them: everything in a folder of its own, on ports of its own, ended with the test.
//!
//! - [`process`]: a child that is watched through /proc and never outlives its test
//! - [`bws`], [`nginx`]: the servers
//! - [`name_server`]: DNS as told
//! - [`pebble`]: an ACME server
//! - [`notify`]: what a service tells systemd, in order
//! - [`certificates`]: an authority for a test
//! - [`switching`]: one that leaves HTTP
//! - [`upstream`]: a small server to proxy to; [`backend`]: one that misbehaves as told
//! - [`demo`]: the content and the configurations that loads run on
pub mod backend;
pub mod bws;
pub mod certificates;
pub mod demo;
pub mod name_server;
pub mod nginx;
pub mod notify;
pub mod pebble;
pub mod process;
pub mod switching;
pub mod upstream;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::transport::Endpoint;
use crate::client::wire::{Head, Wire};

/// Long enough for a loaded machine; what takes longer is a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives something.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A listening socket on a free port of 127.0.0.1.
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    (listener, address)
}

/// An address that was free a moment ago, for servers that bind by themselves.
pub fn free_address() -> SocketAddr {
    listener().1
}

/// Replaces a file as a whole, as a careful editor does.
pub fn write_file(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).expect("the test's folder is writable");
    std::fs::rename(&fresh, path).expect("the test's folder is writable");
}

/// Puts a program where others may run the one before, as a package manager does.
///
/// # Panics
/// When the folder cannot be written.
pub fn install(program: &Path, content: &[u8], mode: u32) {
    let bytes = program.with_extension("bytes");
    std::fs::write(&bytes, content).expect("the test's folder is writable");
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&bytes, permissions).expect("our own file");
    install_copy(&bytes, program);
    std::fs::remove_file(&bytes).expect("our own file");
}

/// The same with a copy of a file and its mode.
///
/// # Panics
/// When it cannot be copied.
pub fn install_copy(file: &Path, program: &Path) {
    let fresh = program.with_extension("new");
    // By another process: a program that a test beside this one starts meanwhile would inherit our descriptor, and
    // nobody can execute a file that is open for writing (ETXTBSY).
    let copied = Command::new("cp").arg("-p").arg(file).arg(&fresh).status();
    assert!(copied.expect("cp can be started").success());
    std::fs::rename(&fresh, program).expect("the test's folder is writable");
}

/// One HTTP/1 exchange on a connection of its own: bytes in, a response out.
///
/// # Panics
/// When there is no response in time.
pub fn fetch(address: SocketAddr, request: &str) -> (Head, Vec<u8>) {
    runtime().block_on(async {
        let stream = Endpoint::plain(address)
            .connect()
            .await
            .expect("a connection");
        let mut wire = Wire::new(stream);
        wire.send(request.as_bytes())
            .await
            .expect("a server that reads");
        tokio::time::timeout(PATIENCE, wire.response())
            .await
            .expect("a response in time")
            .expect("a whole response")
    })
}

/// GET of `path` from `host`.
pub fn get(address: SocketAddr, host: &str, path: &str) -> (Head, Vec<u8>) {
    fetch(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
    )
}

/// A runtime for one test: a single thread, so that the clients cost little.
pub fn runtime() -> tokio::runtime::Runtime {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, all).expect("one's own limit may be used up");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
