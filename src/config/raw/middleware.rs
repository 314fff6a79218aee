//! What of `[[sites]]` stands between a request and its content.

use super::super::reader::Table;
use super::super::source::{Located, Place};

#[derive(Debug, Default)]
pub(in crate::config) struct Middleware {
    pub(in crate::config) access: Option<Access>,
    pub(in crate::config) redirect_to_https: Option<Located<bool>>,
    pub(in crate::config) redirects: Vec<Redirect>,
}

impl Middleware {
    /// Reads the keys of a site's `table`.
    pub(super) fn read(table: &Table<'_>) -> Self {
        Self {
            access: table.table("access", "sites.access").map(Access::read),
            redirect_to_https: table.boolean("redirect_to_https"),
            redirects: table
                .tables("redirects", "sites.redirects")
                .into_iter()
                .map(Redirect::read)
                .collect(),
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

/// One of `[[sites.redirects]]`.
#[derive(Debug)]
pub(in crate::config) struct Redirect {
    pub(in crate::config) place: Place,
    pub(in crate::config) from: Option<Located<String>>,
    pub(in crate::config) to: Option<Located<String>>,
    pub(in crate::config) status: Option<Located<u64>>,
    /// A key was refused or unknown: what is missing is no second error.
    pub(in crate::config) damaged: bool,
}

impl Redirect {
    fn read(table: Table<'_>) -> Self {
        let mut redirect = Self {
            place: table.place,
            from: table.string("from"),
            to: table.string("to"),
            status: table.integer("status", 0..=999),
            damaged: false,
        };
        redirect.damaged = table.finish();
        redirect
    }
}
