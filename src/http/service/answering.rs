//! An answer on its way: there already, or still to be waited for.

use std::rc::Rc;

use http::Response;

use super::{Answer, Answered};
use crate::config::types::SiteIndex;
use crate::http::body::Body;
use crate::http::connection::Visit;
use crate::http::middleware;
use crate::http::recycled::Recycled;

/// What becomes of a request.
pub enum Answering {
    Now(Answered),
    Later(Later),
}

/// An answer that has to be waited for.
pub struct Later {
    answer: Recycled,
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
            Answer::Later(answer) => Self::Later(Later { answer, asked }),
        }
    }

    /// Whose it is.
    pub fn site(&self) -> Option<SiteIndex> {
        match self {
            Self::Now(answered) => answered.site,
            Self::Later(later) => later.site(),
        }
    }

    /// Waits for the answer, if it is not there.
    pub async fn answered(self) -> Answered {
        match self {
            Self::Now(answered) => answered,
            Self::Later(later) => later.answered().await,
        }
    }
}

impl Later {
    /// Whose it will be.
    pub fn site(&self) -> Option<SiteIndex> {
        self.asked.site
    }

    /// Waits for the answer.
    pub async fn answered(self) -> Answered {
        self.asked.answered(self.answer.await)
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
