//! The way of a request through what stands before the content, and of the response back.

use std::rc::Rc;

use http::{Request, Response, StatusCode};

use super::{Answer, Connection, Room, Service};
use crate::http::body::{Body, RequestBody};
use crate::http::interim::Interim;
use crate::http::leftover;
use crate::http::middleware::{Chain, Refusal, Return, Verdict};
use crate::http::recycled::Recycled;
use crate::http::site::Site;

impl Answer {
    /// What the chain does to the response.
    fn returning(self, chain: Rc<Chain>, back: Return) -> Self {
        match self {
            Self::Now(mut response) => {
                chain.leave(back, &mut response);
                Self::Now(response)
            }
            Self::Later(later) => Self::Later(Recycled::new(async move {
                let mut response = later.await;
                chain.leave(back, &mut response);
                response
            })),
        }
    }
}

impl Service {
    /// What stands before the content has its say.
    pub(super) fn pass(
        self: Rc<Self>,
        chain: Rc<Chain>,
        site: Rc<Site>,
        mut request: Request<RequestBody>,
        connection: Rc<Connection>,
        interim: Option<Rc<dyn Interim>>,
    ) -> Answer {
        let mut back = chain.expect(&request);
        let answer = match chain.enter(&mut request, &connection, &mut back) {
            Verdict::Pass => self.answer_content(site, request, connection, interim),
            Verdict::Ask(question) => Answer::Later(Recycled::new(async move {
                match question.answer().await {
                    Ok(user) => {
                        request.extensions_mut().insert(user.clone());
                        let answer = self.answer_content(site, request, connection, interim);
                        let mut response = answer.response().await;
                        response.extensions_mut().insert(user);
                        response
                    }
                    Err(refusal) => self.deny(&site, refusal, request),
                }
            })),
            Verdict::Refuse(refusal) => Answer::Now(self.deny(&site, refusal, request)),
            Verdict::Preflight(headers) => {
                let mut response = site.response();
                *response.status_mut() = StatusCode::NO_CONTENT;
                chain.leave(back, &mut response);
                for (name, value) in headers {
                    response.headers_mut().append(name, value);
                }
                self.recorder.request(site.index, 204);
                return Answer::Now(response);
            }
        };
        answer.returning(chain, back)
    }

    /// The page of a request that may not have its content.
    fn deny(&self, site: &Site, refusal: Refusal, request: Request<RequestBody>) -> Response<Body> {
        let mut response = self.respond(site, Room::Error(refusal.status), &request);
        leftover::finish(request);
        if let Some((name, value)) = refusal.header {
            response.headers_mut().insert(name, value);
        }
        self.recorder.request(site.index, refusal.status.as_u16());
        response
    }
}
