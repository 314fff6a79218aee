//! What a certificate authority is answered (RFC 8555 section 8.3).

use http::{Request, Response, StatusCode};

use super::Service;
use crate::http::admission;
use crate::http::body::{Body, RequestBody};
use crate::http::challenges;
use crate::http::error_page::Audience;
use crate::http::site::Site;

impl Service {
    /// An authority looks whose a name is: before anything that stands before the content.
    pub(super) fn answer_authority(
        &self,
        site: &Site,
        token: &str,
        request: &Request<RequestBody>,
    ) -> Option<Response<Body>> {
        let (method, host) = (request.method(), admission::requested_host(request));
        let answer = self.shared.challenges.answer(token, method, host)?;
        let mut response = site.response();
        match answer {
            challenges::Answer::Known(text) => challenges::write(&mut response, text, method),
            challenges::Answer::Unknown => {
                let audience = Audience::of(method, request.headers());
                site.write_error(&mut response, StatusCode::NOT_FOUND, audience);
            }
        }
        self.recorder
            .request(site.index, response.status().as_u16());
        Some(response)
    }
}
