//! Pebble, an ACME server for tests by the makers of Let's Encrypt, and a name server that leads every name to us.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use super::certificates::Authority;
use super::process::Process;
use super::{free_address, wait_for, write_file};

pub struct Pebble {
    pub process: Process,
    _names: Process,
    /// Of its directory.
    pub url: String,
    /// Of those that its own address is trusted by, PEM.
    pub ca_file: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    settings: Settings,
}

/// Where it looks whose a name is, and how it is to behave.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub http: u16,
    pub tls: u16,
    /// Seconds.
    pub validity: u32,
    pub external_accounts: bool,
}

/// Known to it when it wants external accounts: kid and key.
pub const EXTERNAL: (&str, &str) = (
    "kid-1",
    "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
);

/// It gives no certificate for this name.
pub const REFUSED: &str = "refused.example.test";

impl Pebble {
    /// None where pebble is not installed.
    pub fn start(folder: &Path, settings: Settings) -> Option<Self> {
        if ![PEBBLE, NAMES]
            .iter()
            .all(|program| Path::new(program).exists())
        {
            return None;
        }
        let folder = folder.join("pebble");
        fs::create_dir_all(&folder).expect("the test's folder is writable");
        let names = free_address();
        let mut command = Command::new(NAMES);
        command.args([
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]);
        command.args([
            "-dns01",
            &names.to_string(),
            "-management",
            &free_address().to_string(),
        ]);
        let names_process = Process::start(command, &folder.join("names.log")).ok()?;
        let authority = Authority::new();
        authority.issue(&folder, "own", &["127.0.0.1"]);
        let ca_file = folder.join("ca.pem");
        write_file(&ca_file, &authority.pem());
        let address = free_address();
        let management = free_address();
        let external = json!({ EXTERNAL.0: EXTERNAL.1 });
        let config = json!({ "pebble": {
            "listenAddress": address.to_string(), "managementListenAddress": management.to_string(),
            "certificate": folder.join("own.pem"), "privateKey": folder.join("own.key"),
            "httpPort": settings.http, "tlsPort": settings.tls, "ocspResponderURL": "",
            "externalAccountBindingRequired": settings.external_accounts,
            "externalAccountMACKeys": external,
            "certificateValidityPeriod": settings.validity,
            "domainBlocklist": [REFUSED],
        }});
        write_file(&folder.join("config.json"), &config.to_string());
        let process = launch(&folder, names);
        wait_for("pebble", || std::net::TcpStream::connect(address).ok());
        Some(Self {
            process,
            _names: names_process,
            url: format!("https://{address}/dir"),
            ca_file,
            folder,
            address: names,
            settings,
        })
    }

    /// Nobody answers at its address.
    pub fn stop(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait();
    }

    /// With nothing in its memory.
    pub fn start_again(&mut self) {
        self.process = launch(&self.folder, self.address);
        let address = self
            .url
            .trim_start_matches("https://")
            .trim_end_matches("/dir")
            .to_owned();
        wait_for("pebble", || std::net::TcpStream::connect(&address).ok());
    }

    /// The table of a site that uses it.
    pub fn table(&self) -> String {
        let file = self.ca_file.display();
        format!(
            "[sites.ssl.acme]\ndirectory_url = \"{}\"\nca_file = \"{file}\"\n",
            self.url
        )
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }
}

const PEBBLE: &str = "/usr/bin/pebble";
const NAMES: &str = "/usr/bin/pebble-challtestsrv";

fn launch(folder: &Path, names: SocketAddr) -> Process {
    let mut command = Command::new(PEBBLE);
    command
        .arg("-config")
        .arg(folder.join("config.json"))
        .args(["-dnsserver", &names.to_string()])
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_WFE_NONCEREJECT", "15");
    Process::start(command, &folder.join("pebble.log")).expect("pebble can be started")
}
