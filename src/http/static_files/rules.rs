//! What a site says of all its files.

use std::rc::Rc;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};

use super::media_type::MediaTypes;
use crate::config::types::{Caching, MediaType, StaticFiles};
use crate::http::compression::Compression;

pub(in crate::http) struct Rules {
    /// The head that every response with a file begins with.
    pub(super) base: HeaderMap,
    pub(super) etag: bool,
    pub(super) last_modified: bool,
    pub(super) compression: Option<Rc<Compression>>,
    pub(super) media_types: MediaTypes,
    /// Folders without an index are listed.
    pub(super) listing: bool,
}

impl Rules {
    /// `base`: the site's headers, which win over what `cache` says.
    pub(in crate::http) fn new(
        files: &StaticFiles,
        base: &HeaderMap,
        cache: &Caching,
        compression: Option<Rc<Compression>>,
    ) -> Self {
        let mut base = base.clone();
        let told = cache.files.as_deref().map(HeaderValue::from_str);
        if let (Some(Ok(told)), false) = (told, base.contains_key(CACHE_CONTROL)) {
            base.insert(CACHE_CONTROL, told);
        }
        Self {
            base,
            etag: cache.etag,
            last_modified: cache.last_modified,
            compression,
            media_types: MediaTypes::new(&files.media_types),
            listing: files.directory_listing,
        }
    }
}

impl Rules {
    /// For pages that are not asked for by their name.
    pub(in crate::http) fn of_pages(media_types: &[MediaType]) -> Self {
        Self {
            base: HeaderMap::new(),
            etag: false,
            last_modified: false,
            compression: None,
            media_types: MediaTypes::new(media_types),
            listing: false,
        }
    }
}

#[cfg(test)]
impl Rules {
    pub(super) fn plain() -> Self {
        Self::new(
            &crate::http::testing::static_files("/".as_ref()),
            &HeaderMap::new(),
            &Caching::default(),
            None,
        )
    }
}
