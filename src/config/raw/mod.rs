//! A file's values and places as they are written: syntax, types and ranges, but no meaning yet.

pub(super) mod balancing;
pub(super) mod content;
pub(super) mod global;
pub(super) mod middleware;
pub(super) mod proxy;
pub(super) mod site;
pub(super) mod upstream_tls;

use toml::de::DeTable;

pub(super) use super::reader::Pairs;
use super::reader::{File, Table};
use super::report::Finding;
use super::source::Located;

pub(super) use content::{Caching, Compression};
pub(super) use global::{Logging, Management, Monitoring, Performance, Security, Server};
pub(super) use site::Site;

/// Fewer sites are not worth a thread's while.
const PART: usize = 200;

/// The main file.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) include: Vec<Located<String>>,
    pub(super) server: Server,
    pub(super) performance: Performance,
    pub(super) logging: Logging,
    pub(super) security: Security,
    pub(super) management: Management,
    pub(super) monitoring: Monitoring,
    pub(super) resolver: Vec<Located<String>>,
    pub(super) compression: Option<Compression>,
    pub(super) caching: Option<Caching>,
    /// In the order of declaration, in parts of a size that is worth a thread's while.
    pub(super) sites: Vec<Vec<Site>>,
}

impl Raw {
    pub(super) fn read(entries: &DeTable<'_>, file: File<'_>) -> Self {
        let root = Table::root(entries, file);
        warn_of_daemon(&root, file);
        let raw = Self {
            include: root.strings("include").unwrap_or_default(),
            server: root
                .table("server", "server")
                .map(Server::read)
                .unwrap_or_default(),
            performance: root
                .table("performance", "performance")
                .map(Performance::read)
                .unwrap_or_default(),
            logging: root
                .table("logging", "logging")
                .map(Logging::read)
                .unwrap_or_default(),
            security: root
                .table("security", "security")
                .map(Security::read)
                .unwrap_or_default(),
            management: root
                .table("management", "management")
                .map(Management::read)
                .unwrap_or_default(),
            monitoring: root
                .table("monitoring", "monitoring")
                .map(Monitoring::read)
                .unwrap_or_default(),
            resolver: root
                .table("proxy", "proxy")
                .map(proxy::read_resolver)
                .unwrap_or_default(),
            compression: root
                .table("compression", "compression")
                .map(Compression::read),
            caching: root.table("caching", "caching").map(Caching::read),
            sites: vec![read_sites(&root)],
        };
        root.finish();
        raw
    }

    /// Adds the sites of another file, or of another part of this one.
    pub(super) fn add(&mut self, other: Self) {
        for sites in other.sites {
            match self.sites.last_mut().filter(|last| last.len() < PART) {
                Some(last) => last.extend(sites),
                None => self.sites.push(sites),
            }
        }
    }

    /// All sites.
    pub(super) fn sites(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().flatten()
    }
}

fn read_sites(root: &Table<'_>) -> Vec<Site> {
    let tables = root.tables("sites", "sites");
    tables.into_iter().map(Site::read).collect()
}

/// An included file, which may hold sites and nothing else.
pub(super) fn read_included(entries: &DeTable<'_>, file: File<'_>) -> Raw {
    let root = Table::root(entries, file);
    let sites = read_sites(&root);
    for (key, _) in entries.iter().filter(|(key, _)| key.get_ref() != "sites") {
        let name = key.get_ref();
        file.findings.push(
            Finding::error(format!("'{name}' is not allowed in an included file"))
                .at(file.place(&key.span()), "")
                .help("an included file holds [[sites]] only; move this to the main file"),
        );
    }
    Raw {
        sites: vec![sites],
        ..Raw::default()
    }
}

/// `[daemon]` is what other servers need: its keys are accepted, whatever they are.
fn warn_of_daemon(root: &Table<'_>, file: File<'_>) {
    if let Some(daemon) = root.value("daemon") {
        file.findings.push(
            Finding::warning("'daemon' has no effect").at(daemon.place, "").help(
                "systemd starts BWS in the background, keeps its process id and its user; remove the table",
            ),
        );
    }
}
