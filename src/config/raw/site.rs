//! `[[sites]]` and `[sites.ssl]`.

use std::path::PathBuf;
use std::time::Duration;

use super::super::defaults::{MAX_REQUEST_SIZE_RANGE, TIMEOUT_RANGE};
use super::super::reader::Table;
use super::super::source::{Located, Place};
use super::super::types::{AcmeChallenge, TlsVersion};
use super::Pairs;
use super::content::{Caching, Compression};
use super::middleware::Middleware;
use super::proxy::Proxy;

#[derive(Debug)]
pub(in crate::config) struct Site {
    /// Its `[[sites]]`.
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    /// `hostname` and `hostnames` together.
    pub(in crate::config) hostnames: Vec<Located<String>>,
    pub(in crate::config) port: Option<Located<u16>>,
    pub(in crate::config) listen: Option<Located<String>>,
    pub(in crate::config) default: Option<Located<bool>>,
    pub(in crate::config) static_dir: Option<Located<PathBuf>>,
    pub(in crate::config) index_files: Option<Vec<Located<String>>>,
    pub(in crate::config) follow_symlinks: Option<Located<bool>>,
    pub(in crate::config) directory_listing: Option<Located<bool>>,
    pub(in crate::config) mime_types: Pairs,
    pub(in crate::config) error_pages: Pairs,
    pub(in crate::config) headers: Pairs,
    pub(in crate::config) api_only: Option<Located<bool>>,
    pub(in crate::config) max_request_size: Option<u64>,
    pub(in crate::config) request_timeout: Option<Duration>,
    pub(in crate::config) compression: Option<Box<Compression>>,
    pub(in crate::config) caching: Option<Box<Caching>>,
    pub(in crate::config) middleware: Middleware,
    pub(in crate::config) ssl: Option<Box<Ssl>>,
    pub(in crate::config) proxy: Option<Box<Proxy>>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl Site {
    pub(super) fn read(table: Table<'_>) -> Self {
        let ssl = table.table("ssl", "sites.ssl").map(Ssl::read).map(Box::new);
        let proxy = table
            .table("proxy", "sites.proxy")
            .map(Proxy::read)
            .map(Box::new);
        let compression = table.table("compression", "sites.compression");
        let caching = table.table("cache", "sites.cache");
        let (compression, caching) = (
            compression.map(Compression::read).map(Box::new),
            caching.map(Caching::read).map(Box::new),
        );
        let middleware = Middleware::read(&table);
        table.begin_own_keys();
        let mut hostnames: Vec<_> = table.string("hostname").into_iter().collect();
        hostnames.extend(table.strings("hostnames").unwrap_or_default());
        let mut site = Self {
            place: table.place,
            name: table.string("name"),
            hostnames,
            port: table.port("port"),
            listen: table.string("listen"),
            default: table.boolean("default"),
            static_dir: table.path("static_dir"),
            index_files: index_files(&table),
            follow_symlinks: table.boolean("follow_symlinks"),
            directory_listing: directory_listing(&table),
            mime_types: table.map("mime_types").unwrap_or_default(),
            error_pages: table.map("error_pages").unwrap_or_default(),
            headers: table.map("headers").unwrap_or_default(),
            api_only: table.boolean("api_only"),
            max_request_size: table.size("max_request_size", MAX_REQUEST_SIZE_RANGE),
            request_timeout: table.duration("request_timeout", TIMEOUT_RANGE),
            compression,
            caching,
            middleware,
            ssl,
            proxy,
            damaged: false,
        };
        site.damaged = table.finish();
        site
    }
}

/// Both spellings are documented.
fn directory_listing(table: &Table<'_>) -> Option<Located<bool>> {
    let spellings = ["directory_listing", "enable_directory_listing"];
    let [short, long] = spellings.map(|key| table.boolean(key));
    short.filter(|it| it.value).or(long)
}

/// Both spellings are documented.
fn index_files(table: &Table<'_>) -> Option<Vec<Located<String>>> {
    let [plural, singular] = ["index_files", "index_file"].map(|key| table.strings(key));
    match (plural, singular) {
        (Some(mut files), Some(more)) => {
            files.extend(more);
            Some(files)
        }
        (plural, singular) => plural.or(singular),
    }
}

/// `[sites.ssl]`.
#[derive(Debug)]
pub(in crate::config) struct Ssl {
    pub(in crate::config) place: Place,
    pub(in crate::config) enabled: Option<Located<bool>>,
    /// A path, or `credential:NAME`, as `key_file`.
    pub(in crate::config) cert_file: Option<Located<PathBuf>>,
    pub(in crate::config) key_file: Option<Located<PathBuf>>,
    pub(in crate::config) ocsp_file: Option<Located<PathBuf>>,
    pub(in crate::config) certificates: Vec<Certificate>,
    pub(in crate::config) auto_cert: Option<Located<bool>>,
    pub(in crate::config) domains: Vec<Located<String>>,
    pub(in crate::config) min_version: Option<TlsVersion>,
    /// A path, or `credential:NAME`.
    pub(in crate::config) client_ca: Option<Located<PathBuf>>,
    /// Whether a client's certificate is required.
    pub(in crate::config) client_verify: Option<Located<bool>>,
    /// A path, or `credential:NAME`.
    pub(in crate::config) client_crl: Option<Located<PathBuf>>,
    pub(in crate::config) acme: Option<Acme>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

const TLS_VERSIONS: [(&str, TlsVersion); 4] = [
    ("1.2", TlsVersion::Tls12),
    ("1.3", TlsVersion::Tls13),
    ("TLSv1.2", TlsVersion::Tls12),
    ("TLSv1.3", TlsVersion::Tls13),
];

const CLIENTS_ARE: [(&str, bool); 2] = [("required", true), ("optional", false)];

impl Ssl {
    fn read(table: Table<'_>) -> Self {
        let acme = table.table("acme", "sites.ssl.acme").map(Acme::read);
        let certificates = table.tables("certificates", "sites.ssl.certificates");
        let certificates = certificates.into_iter().map(Certificate::read).collect();
        table.begin_own_keys();
        let client_verify = table.value("client_verify").and_then(|value| {
            Some(Located {
                value: value.choice(&CLIENTS_ARE)?,
                place: value.place,
            })
        });
        let mut ssl = Self {
            place: table.place,
            enabled: table.boolean("enabled"),
            cert_file: table.path("cert_file"),
            key_file: table.path("key_file"),
            ocsp_file: table.path("ocsp_file"),
            certificates,
            auto_cert: table.boolean("auto_cert"),
            domains: table.strings("domains").unwrap_or_default(),
            min_version: table.choice("min_version", &TLS_VERSIONS),
            client_ca: table.path("client_ca"),
            client_verify,
            client_crl: table.path("client_crl"),
            acme,
            damaged: false,
        };
        ssl.damaged = table.finish();
        ssl
    }
}

/// `[[sites.ssl.certificates]]`.
#[derive(Debug)]
pub(in crate::config) struct Certificate {
    pub(in crate::config) place: Place,
    /// Paths, or `credential:NAME`.
    pub(in crate::config) cert_file: Option<Located<PathBuf>>,
    pub(in crate::config) key_file: Option<Located<PathBuf>>,
    pub(in crate::config) ocsp_file: Option<Located<PathBuf>>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl Certificate {
    fn read(table: Table<'_>) -> Self {
        let mut certificate = Self {
            place: table.place,
            cert_file: table.path("cert_file"),
            key_file: table.path("key_file"),
            ocsp_file: table.path("ocsp_file"),
            damaged: false,
        };
        certificate.damaged = table.finish();
        certificate
    }
}

/// `[sites.ssl.acme]`.
#[derive(Debug)]
pub(in crate::config) struct Acme {
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) email: Option<Located<String>>,
    pub(in crate::config) staging: Option<Located<bool>>,
    pub(in crate::config) directory_url: Option<Located<String>>,
    /// A path, or `credential:NAME`.
    pub(in crate::config) ca_file: Option<Located<PathBuf>>,
    pub(in crate::config) challenge: Option<AcmeChallenge>,
    pub(in crate::config) eab_kid: Option<Located<String>>,
    pub(in crate::config) eab_hmac_key: Option<Located<String>>,
}

const CHALLENGES: [(&str, AcmeChallenge); 2] = [
    ("http-01", AcmeChallenge::Http01),
    ("tls-alpn-01", AcmeChallenge::TlsAlpn01),
];

impl Acme {
    fn read(table: Table<'_>) -> Self {
        // Answers are in memory: the folder that other servers put them in is not needed.
        table.path("challenge_dir");
        let acme = Self {
            enabled: table.boolean("enabled"),
            email: table.string("email"),
            staging: table.boolean("staging"),
            directory_url: table.string("directory_url"),
            ca_file: table.path("ca_file"),
            challenge: table.choice("challenge", &CHALLENGES),
            eab_kid: table.string("eab_kid"),
            eab_hmac_key: table.string("eab_hmac_key"),
        };
        table.finish();
        acme
    }
}
