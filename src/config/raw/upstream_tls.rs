//! `[sites.proxy.tls]`.

use std::path::PathBuf;

use super::super::reader::Table;
use super::super::source::{Located, Place};

#[derive(Debug)]
pub(in crate::config) struct UpstreamTls {
    pub(in crate::config) place: Place,
    pub(in crate::config) ca_file: Option<Located<PathBuf>>,
    pub(in crate::config) server_name: Option<Located<String>>,
    pub(in crate::config) verify: Option<Located<bool>>,
    pub(in crate::config) http2: Option<Located<bool>>,
}

impl UpstreamTls {
    pub(super) fn read(table: Table<'_>) -> Self {
        let tls = Self {
            place: table.place,
            ca_file: table.path("ca_file"),
            server_name: table.string("server_name"),
            verify: table.boolean("verify"),
            http2: table.boolean("http2"),
        };
        table.finish();
        tls
    }
}
