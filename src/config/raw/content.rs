//! `[compression]` and `[caching]`, and the tables of a site that say the same of it alone.

use std::time::Duration;

use super::super::defaults::{COMPRESSION_LEVEL_RANGE, MAX_AGE_RANGE, MIN_SIZE_RANGE};
use super::super::reader::Table;
use super::super::source::{Located, Place};
use super::super::types::Algorithm;

#[derive(Clone, Debug)]
pub(in crate::config) struct Compression {
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) types: Option<Vec<Located<String>>>,
    pub(in crate::config) level: Option<u32>,
    pub(in crate::config) min_size: Option<u64>,
    /// Where the list stands, and what it names.
    pub(in crate::config) algorithms: Option<(Place, Vec<Algorithm>)>,
}

const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("zstd", Algorithm::Zstd),
    ("br", Algorithm::Br),
    ("gzip", Algorithm::Gzip),
    ("brotli", Algorithm::Br),
];

impl Compression {
    pub(super) fn read(table: Table<'_>) -> Self {
        let compression = Self {
            enabled: table.boolean("enabled"),
            types: table.strings("types"),
            level: table.small("level", COMPRESSION_LEVEL_RANGE),
            min_size: table.size("min_size", MIN_SIZE_RANGE),
            algorithms: algorithms(&table),
        };
        table.finish();
        compression
    }
}

fn algorithms(table: &Table<'_>) -> Option<(Place, Vec<Algorithm>)> {
    let value = table.value("algorithms")?;
    let mut algorithms = Vec::new();
    for item in value.list()? {
        match item.choice(&ALGORITHMS) {
            Some(algorithm) if !algorithms.contains(&algorithm) => algorithms.push(algorithm),
            _ => {}
        }
    }
    Some((value.place, algorithms))
}

#[derive(Clone, Debug)]
pub(in crate::config) struct Caching {
    pub(in crate::config) enabled: Option<Located<bool>>,
    pub(in crate::config) cache_control: Option<Located<String>>,
    pub(in crate::config) etag_enabled: Option<Located<bool>>,
    pub(in crate::config) last_modified_enabled: Option<Located<bool>>,
    pub(in crate::config) max_age_static: Option<Duration>,
    pub(in crate::config) max_age_dynamic: Option<Duration>,
}

impl Caching {
    pub(super) fn read(table: Table<'_>) -> Self {
        let caching = Self {
            enabled: table.boolean("enabled"),
            cache_control: table.string("cache_control"),
            etag_enabled: table.boolean("etag_enabled"),
            last_modified_enabled: table.boolean("last_modified_enabled"),
            max_age_static: table.duration("max_age_static", MAX_AGE_RANGE),
            max_age_dynamic: table.duration("max_age_dynamic", MAX_AGE_RANGE),
        };
        table.finish();
        caching
    }
}
