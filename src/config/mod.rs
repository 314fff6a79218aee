//! The configuration file: raw → resolve → types; diff.
pub mod types;

// STUB: what `core` and `cli` call, until the real one lands.
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use types::*;

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub connect: bool,
    pub connect_timeout: Duration,
}

pub struct Loaded {
    pub config: Config,
    pub warnings: Report,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub errors: Vec<String>,
}

impl Report {
    pub fn one_line(&self) -> String {
        self.errors.join("; ")
    }
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.errors.join("\n"))
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    pub changes: Vec<String>,
}

impl Plan {
    pub fn summary(&self) -> String {
        format!("{} sites changed", self.changes.len())
    }
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.changes.join("\n"))
    }
}

pub fn diff(old: &Config, new: &Config) -> Plan {
    let names = new.sites.iter().filter(|site| !old.sites.contains(site));
    Plan {
        changes: names.map(|site| site.name.clone()).collect(),
    }
}

fn fail(text: impl ToString) -> Report {
    Report {
        errors: vec![text.to_string()],
    }
}

pub fn load(path: &Path, _options: &Options) -> Result<Loaded, Report> {
    let text =
        std::fs::read_to_string(path).map_err(|e| fail(format!("{}: {e}", path.display())))?;
    let table: toml::Table = text.parse().map_err(fail)?;
    let sites = table
        .get("sites")
        .and_then(|v| v.as_array())
        .cloned()
        .unwrap_or_default();
    let mut config = empty();
    if let Some(server) = table.get("server") {
        if let Some(workers) = server.get("workers").and_then(|v| v.as_integer()) {
            config.server.workers = workers as u32;
        }
        if let Some(watch) = server.get("watch_config").and_then(|v| v.as_bool()) {
            config.server.watch_config = watch;
        }
    }
    if let Some(management) = table.get("management") {
        config.management.enabled = true;
        if let Some(port) = management.get("port").and_then(|v| v.as_integer()) {
            config.management.port = port as u16;
        }
        config.management.api_key = management
            .get("api_key")
            .and_then(|v| v.as_str())
            .map(str::to_owned);
    }
    if let Some(level) = table
        .get("logging")
        .and_then(|l| l.get("level"))
        .and_then(|v| v.as_str())
    {
        config.logging.level = if level == "debug" {
            LogLevel::Debug
        } else {
            LogLevel::Info
        };
    }
    for site in sites {
        let port = site
            .get("port")
            .and_then(|v| v.as_integer())
            .unwrap_or(8080) as u16;
        let name = site
            .get("name")
            .and_then(|v| v.as_str())
            .ok_or_else(|| fail("no name"))?;
        let root = site
            .get("static_dir")
            .and_then(|v| v.as_str())
            .ok_or_else(|| fail("no dir"))?;
        add(&mut config, name, root, port);
    }
    config.sources = vec![path.to_path_buf()];
    config.hash = format!("{}", text.len());
    Ok(Loaded {
        config,
        warnings: Report::default(),
    })
}

pub fn serve_folder(root: &Path, port: u16) -> Result<Loaded, Report> {
    let mut config = empty();
    add(&mut config, "folder", &root.to_string_lossy(), port);
    Ok(Loaded {
        config,
        warnings: Report::default(),
    })
}

fn add(config: &mut Config, name: &str, root: &str, port: u16) {
    let index = config.sites.len() as u32;
    config.sites.push(Site {
        name: name.into(),
        hostnames: vec![HostPattern::Any],
        listen: ListenAddress::Port(port),
        default: true,
        static_files: Some(StaticFiles {
            root: PathBuf::from(root),
            index_files: vec!["index.html".into()],
            follow_symlinks: false,
        }),
        headers: vec![],
        proxy: None,
        tls: None,
        api_only: false,
        hash: root.into(),
    });
    match config
        .listeners
        .iter_mut()
        .find(|l| l.address == ListenAddress::Port(port))
    {
        Some(listener) => listener.sites.push(index),
        None => config.listeners.push(Listener {
            address: ListenAddress::Port(port),
            tls: false,
            sites: vec![index],
            default_site: index,
        }),
    }
}

pub fn empty() -> Config {
    Config {
        server: Server {
            name: "BWS".into(),
            version: None,
            description: None,
            workers: 1,
            shutdown_timeout: Duration::from_secs(30),
            ready_timeout: Duration::from_secs(10),
            watch_config: false,
        },
        performance: Performance {
            worker_threads: 1,
            max_connections: 10000,
            keep_alive_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            read_buffer_size: 32768,
            write_buffer_size: 32768,
        },
        logging: Logging {
            level: LogLevel::Info,
            output: LogOutput::Auto,
            format: AccessLogFormat::Combined,
            access_log: None,
            error_log: None,
            file_path: "/var/log/bws/bws.log".into(),
            log_requests: false,
        },
        security: Security {
            hide_server_header: false,
            max_request_size: 10 << 20,
            security_headers: vec![],
        },
        management: Management {
            enabled: false,
            host: [127, 0, 0, 1].into(),
            port: 7654,
            api_key: None,
        },
        monitoring: Monitoring {
            enabled: true,
            health_endpoint: "/health".into(),
            detailed_endpoint: "/health/detailed".into(),
            metrics_endpoint: None,
        },
        sites: vec![],
        listeners: vec![],
        certificates: vec![],
        sources: vec![],
        hash: String::new(),
    }
}
