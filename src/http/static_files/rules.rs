//! What a site says of all its files.

use std::rc::Rc;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};

use crate::config::types::Caching;
use crate::http::compression::Compression;

pub(in crate::http) struct Rules {
    /// The head that every response with a file begins with.
    pub(super) base: HeaderMap,
    pub(super) etag: bool,
    pub(super) last_modified: bool,
    pub(super) compression: Option<Rc<Compression>>,
}

impl Rules {
    /// `base`: the site's headers, which win over what `cache` says.
    pub(in crate::http) fn new(
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
        }
    }
}

#[cfg(test)]
impl Rules {
    pub(super) fn plain() -> Self {
        Self::new(&HeaderMap::new(), &Caching::default(), None)
    }
}
