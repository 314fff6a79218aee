//! nginx, to compare with: its own configuration, its own folder, no daemon.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::process::Process;
use super::{wait_for, write_file};

pub struct Nginx {
    pub process: Process,
    config: PathBuf,
}

impl Nginx {
    /// None where nginx is not installed. Waits until `address` takes connections.
    pub fn start(folder: &Path, config: &str, address: SocketAddr) -> Option<Self> {
        let path = folder.join("nginx.conf");
        write_file(&path, config);
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"]
            .into_iter()
            .find(|program| Path::new(program).exists())?;
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&path)
            .args(["-e", "nginx.error.log"]);
        let process = Process::start(command, &folder.join("nginx.log")).ok()?;
        wait_for("nginx", || TcpStream::connect(address).ok());
        Some(Self {
            process,
            config: path,
        })
    }

    /// Returns at once: nginx does not tell when it is done.
    pub fn reload(&self, config: &str) {
        write_file(&self.config, config);
        self.process.signal(Signal::HUP);
    }

    pub fn stop(mut self) {
        self.process.signal(Signal::TERM);
        self.process.wait();
    }
}
