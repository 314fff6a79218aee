//! Folders that are listed: an answer that takes its time.

use std::rc::Rc;

use http::Request;

use super::Service;
use crate::http::body::RequestBody;
use crate::http::leftover;
use crate::http::recycled::Recycled;
use crate::http::site::Site;
use crate::http::static_files;

impl Service {
    /// What lies in a folder.
    pub(super) fn list(
        self: Rc<Self>,
        site: Rc<Site>,
        folder: Rc<Vec<u8>>,
        request: Request<RequestBody>,
    ) -> Recycled {
        Recycled::new(async move {
            let (method, headers) = (request.method(), request.headers());
            let response = static_files::respond_listing(&site, &folder, method, headers).await;
            self.recorder
                .request(site.index, response.status().as_u16());
            leftover::finish(request);
            response
        })
    }
}
