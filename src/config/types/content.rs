//! What is done to the content that a site sends: compression, caching, media types, pages for errors.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[sites.compression]`, enabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    /// Media types without parameters, lower case; `text/*` means all of a kind.
    pub types: Vec<String>,
    /// 1 (fast) to 11 (small); an algorithm that would be too slow while a client waits stays below.
    pub level: u32,
    /// Bytes.
    pub min_size: u64,
    /// The preferred first, at least one, each once.
    pub algorithms: Vec<Algorithm>,
}

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    Zstd,
    Br,
    Gzip,
}

/// `[sites.cache]`: what caches and clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caching {
    /// `Cache-Control` of files.
    pub files: Option<String>,
    /// `Cache-Control` of what an upstream answers without saying anything of caches.
    pub proxied: Option<String>,
    /// Files have an `ETag`.
    pub etag: bool,
    /// Files have a `Last-Modified`.
    pub last_modified: bool,
}

impl Default for Caching {
    fn default() -> Self {
        Self {
            files: None,
            proxied: None,
            etag: true,
            last_modified: true,
        }
    }
}

/// One of `error_pages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// 400 to 599.
    pub status: u16,
    /// Absolute.
    pub file: PathBuf,
}

/// One of `mime_types`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaType {
    /// Lower case, without its dot.
    pub extension: String,
    /// The value of `Content-Type`.
    pub value: String,
}
