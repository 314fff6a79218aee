//! The page of all figures on a site.

use std::rc::Rc;

use http::Request;

use super::Service;
use crate::http::body::RequestBody;
use crate::http::recycled::Recycled;
use crate::http::site::Site;
use crate::http::{endpoints, leftover};

impl Service {
    pub(super) fn show_metrics(
        self: Rc<Self>,
        site: Rc<Site>,
        request: Request<RequestBody>,
    ) -> Recycled {
        Recycled::new(async move {
            let page = self.shared.metrics.read().await;
            let response = endpoints::show_metrics(page, request.method(), &site.base);
            self.recorder
                .request(site.index, response.status().as_u16());
            leftover::finish(request);
            response
        })
    }
}
