//! An answer on its way: there already, or still to be waited for.

use std::rc::Rc;

use http::Response;

use super::{Answer, Answered};
use crate::config::types::SiteIndex;
use crate::http::body::Body;
use crate::http::connection::Visit;
use crate::http::later::Later;
use crate::http::middleware;

/// What becomes of a request.
pub enum Answering {
    Now(Answered),
    Later(Awaited),
}

/// An answer that has to be waited for.
pub struct Awaited {
    later: Later,
    asked: Asked,
}

/// What a response has to be told of its request.
struct Asked {
    visit: Option<Rc<Visit>>,
    site: Option<SiteIndex>,
}

impl Answering {
    pub(super) fn new(answer: Answer, site: Option<SiteIndex>, visit: Option<Rc<Visit>>) -> Self {
        let asked = Asked { visit, site };
        match answer {
            Answer::Now(response) => Self::Now(asked.answered(response)),
            Answer::Later(later) => Self::Later(Awaited { later, asked }),
        }
    }

    /// Waits for the answer, if it is not there.
    pub async fn answered(self) -> Answered {
        match self {
            Self::Now(answered) => answered,
            Self::Later(awaited) => awaited.answered().await,
        }
    }
}

impl Awaited {
    /// Waits for the answer.
    pub async fn answered(self) -> Answered {
        self.asked.answered(self.later.await)
    }
}

impl Asked {
    fn answered(self, mut response: Response<Body>) -> Answered {
        if let Some(visit) = self.visit {
            middleware::show_request_id(&visit, response.headers_mut());
        }
        let site = self.site;
        Answered { response, site }
    }
}
