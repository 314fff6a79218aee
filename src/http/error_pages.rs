//! The pages that a site has for errors of ours: files, read anew when they change.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use super::body::Body;
use super::clock;
use super::static_files::{Prepared, Rules};
use crate::config::types;

/// How long a page is believed to be as it was.
const BELIEVE_MS: u64 = 850;

/// `error_pages` of a site.
pub(super) struct ErrorPages {
    places: Vec<Place>,
    rules: Rules,
}

/// Where a page lies, and what was read there when.
struct Place {
    status: StatusCode,
    path: PathBuf,
    known: RefCell<Option<(Page, u64)>>,
}

/// A page for an error.
#[derive(Clone)]
pub(super) struct Page(Rc<Prepared>);

impl ErrorPages {
    /// None when there are none.
    pub(super) fn new(site: &types::Site) -> Option<Self> {
        let place = |page: &types::ErrorPage| {
            Some(Place {
                status: StatusCode::from_u16(page.status).ok()?,
                path: page.file.clone(),
                known: RefCell::default(),
            })
        };
        let places: Vec<Place> = site.error_pages.iter().filter_map(place).collect();
        let media_types = site
            .static_files
            .as_ref()
            .map(|files| &files.media_types[..]);
        (!places.is_empty()).then(|| Self {
            places,
            rules: Rules::of_pages(media_types.unwrap_or_default()),
        })
    }

    /// None when there is no page for `status`, or it cannot be read.
    pub(super) fn find(&self, status: StatusCode) -> Option<Page> {
        let place = self.places.iter().find(|place| place.status == status)?;
        place.page(&self.rules)
    }
}

impl Place {
    fn page(&self, rules: &Rules) -> Option<Page> {
        let now = clock::now_ms();
        let mut known = self.known.borrow_mut();
        match &*known {
            Some((page, at)) if now.saturating_sub(*at) < BELIEVE_MS && page.0.is_current() => {
                return Some(page.clone());
            }
            _ => *known = None,
        }
        let read = Prepared::open(&self.path, rules)
            .inspect_err(|error| tracing::debug!(path = ?self.path, %error, "no error page"));
        let page = Page(Rc::new(read.ok()?));
        *known = Some((page.clone(), now));
        Some(page)
    }
}

impl Page {
    pub(super) fn media_type(&self) -> HeaderValue {
        let known = self.0.headers.get(CONTENT_TYPE).cloned();
        known.unwrap_or_else(|| HeaderValue::from_static("text/html; charset=utf-8"))
    }

    /// Bytes.
    pub(super) fn length(&self) -> u64 {
        self.0.length
    }

    pub(super) fn body(&self) -> Body {
        self.0.whole_body()
    }
}
