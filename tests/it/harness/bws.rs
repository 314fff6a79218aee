//! BWS, as systemd would run it: sockets passed in, a NOTIFY_SOCKET, a runtime directory.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Signal;

use super::notify::Recorder;
use super::process::{self, Process};
use super::{PATIENCE, write_file};

/// The first descriptor of LISTEN_FDS, sd_listen_fds(3).
const FIRST_DESCRIPTOR: i32 = 3;

/// The binary under test: `BWS=path`, or what was built with this test or driver.
pub fn binary() -> PathBuf {
    let built_with_tests = option_env!("CARGO_BIN_EXE_bws").map(PathBuf::from);
    let beside_driver = || {
        let driver = std::env::current_exe().expect("a running program has a path");
        driver
            .parent()
            .and_then(Path::parent)
            .expect("target/PROFILE/examples")
            .join("bws")
    };
    let chosen = std::env::var_os("BWS").map(PathBuf::from);
    chosen.or(built_with_tests).unwrap_or_else(beside_driver)
}

pub struct Bws {
    pub process: Process,
    pub notify: Recorder,
    folder: PathBuf,
    binary: PathBuf,
}

impl Bws {
    /// Starts with these sockets (none: it binds by itself) and waits for READY=1.
    pub fn start(folder: &Path, config: &str, sockets: Vec<TcpListener>) -> Self {
        Self::start_binary(&binary(), folder, config, sockets)
    }

    pub fn start_binary(
        binary: &Path,
        folder: &Path,
        config: &str,
        sockets: Vec<TcpListener>,
    ) -> Self {
        Self::launch(binary, folder, config, sockets).ready()
    }

    /// Like [`Self::start`], with more of an environment.
    pub fn start_with(
        folder: &Path,
        config: &str,
        sockets: Vec<TcpListener>,
        environment: &[(&str, &str)],
    ) -> Self {
        let command = activated(&[], &binary(), of_unit(sockets));
        Self::run(command, &binary(), folder, config, environment).ready()
    }

    /// Waits for the first READY=1.
    pub fn ready(mut self) -> Self {
        super::wait_for("READY=1", || {
            let exit = self.process.exit_status();
            assert!(
                exit.is_none(),
                "bws ended at start ({exit:?}): {}",
                self.process.output()
            );
            let states = self.notify.states();
            states.contains(&"READY=1".to_owned()).then_some(())
        });
        self
    }

    /// Starts and does not wait.
    pub fn launch(binary: &Path, folder: &Path, config: &str, sockets: Vec<TcpListener>) -> Self {
        let command = activated(&[], binary, of_unit(sockets));
        Self::run(command, binary, folder, config, &[])
    }

    /// The same with named sockets, behind a command that becomes the server.
    pub fn launch_under(
        wrapper: &[&str],
        binary: &Path,
        folder: &Path,
        config: &str,
        sockets: Vec<(OwnedFd, String)>,
    ) -> Self {
        let command = activated(wrapper, binary, sockets);
        Self::run(command, binary, folder, config, &[])
    }

    fn run(
        mut command: Command,
        binary: &Path,
        folder: &Path,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let path = folder.join("config.toml");
        write_file(&path, config);
        let notify = Recorder::new(folder);
        command
            .arg("--config")
            .arg(&path)
            .env("RUNTIME_DIRECTORY", folder)
            .env("NOTIFY_SOCKET", notify.path())
            .env_remove("RUST_LOG")
            .envs(environment.iter().copied());
        let process = Process::start(command, &folder.join("bws.log")).expect("bws can be started");
        Self {
            process,
            notify,
            folder: folder.to_owned(),
            binary: binary.to_owned(),
        }
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    pub fn configure(&self, config: &str) {
        write_file(&self.config_path(), config);
    }

    /// `bws <arguments>` beside the running master.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.binary, arguments)
    }

    /// The same with another executable.
    pub fn command_of(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .env("RUNTIME_DIRECTORY", &self.folder)
            .env_remove("NOTIFY_SOCKET");
        command
    }

    /// `bws reload`, to its end.
    pub fn reload(&self) -> Output {
        self.command(&["reload"])
            .stdin(Stdio::null())
            .output()
            .expect("bws can be started")
    }

    /// `bws reload` that has to succeed.
    pub fn reload_to(&self, config: &str) {
        self.configure(config);
        let output = self.reload();
        assert!(
            output.status.success(),
            "reload failed: {output:?}\n{}",
            self.process.output()
        );
    }

    pub fn workers(&self) -> Vec<u32> {
        process::children(self.process.pid())
    }

    /// A request over the control socket: status and body. No runtime is needed, so that it can be used within one.
    pub fn control(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream =
            UnixStream::connect(self.folder.join("control.sock")).expect("a control socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout above zero");
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: bws\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .expect("the master reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the master answers");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP response");
        let status = head
            .get(9..12)
            .and_then(|digits| digits.parse().ok())
            .expect("a status");
        (status, body.to_owned())
    }

    /// `/metrics`: each sample with its value.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let (status, text) = self.control("GET", "/metrics");
        assert_eq!(status, 200, "{text}");
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        samples
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').expect("a name and a value");
                (name.to_owned(), value.parse().expect("a number"))
            })
            .collect()
    }

    /// One of the metrics, with its labels; 0 when it is not there yet.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.metrics();
        let found = metrics.iter().find(|(known, _)| known == name);
        found.map_or(0.0, |(_, value)| *value)
    }

    /// SIGTERM, and its exit.
    pub fn stop(mut self) -> (ExitStatus, Vec<String>) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait();
        (status, self.notify.states())
    }
}

/// Sockets as bws.socket passes them.
fn of_unit(sockets: Vec<TcpListener>) -> Vec<(OwnedFd, String)> {
    let name = |socket: TcpListener| (OwnedFd::from(socket), "bws.socket".to_owned());
    sockets.into_iter().map(name).collect()
}

/// A command that finds `sockets` at 3 and up, as sd_listen_fds(3) says. LISTEN_PID needs the pid of the process
/// itself: a shell sets it and becomes the server.
fn activated(wrapper: &[&str], binary: &Path, sockets: Vec<(OwnedFd, String)>) -> Command {
    if sockets.is_empty() && wrapper.is_empty() {
        return Command::new(binary);
    }
    let mut command = Command::new("sh");
    let script = match sockets.is_empty() {
        true => r#"exec "$0" "$@""#,
        false => r#"LISTEN_PID=$$ exec "$0" "$@""#,
    };
    command.args(["-c", script]).args(wrapper).arg(binary);
    if sockets.is_empty() {
        return command;
    }
    command.env("LISTEN_FDS", sockets.len().to_string());
    let names: Vec<&str> = sockets.iter().map(|(_, name)| name.as_str()).collect();
    command.env("LISTEN_FDNAMES", names.join(":"));
    let mappings = sockets.into_iter().zip(FIRST_DESCRIPTOR..);
    let mappings = mappings.map(|((socket, _), child_fd)| FdMapping {
        parent_fd: socket,
        child_fd,
    });
    command
        .fd_mappings(mappings.collect())
        .expect("each descriptor once");
    command
}
