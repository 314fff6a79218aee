//! What of `[[sites]]` stands between a request and its content.

use super::super::reader::Table;
use super::super::source::Located;

#[derive(Debug, Default)]
pub(in crate::config) struct Middleware {
    pub(in crate::config) access: Option<Access>,
}

impl Middleware {
    /// Reads the keys of a site's `table`.
    pub(super) fn read(table: &Table<'_>) -> Self {
        Self {
            access: table.table("access", "sites.access").map(Access::read),
        }
    }
}

/// `[sites.access]`.
#[derive(Debug)]
pub(in crate::config) struct Access {
    pub(in crate::config) allow_ips: Vec<Located<String>>,
    pub(in crate::config) deny_ips: Vec<Located<String>>,
}

impl Access {
    fn read(table: Table<'_>) -> Self {
        let access = Self {
            allow_ips: table.strings("allow_ips").unwrap_or_default(),
            deny_ips: table.strings("deny_ips").unwrap_or_default(),
        };
        table.finish();
        access
    }
}
