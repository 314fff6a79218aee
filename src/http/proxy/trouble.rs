//! Why there is no response, and what may be done about it.

use http::StatusCode;

use super::connect::ConnectError;
use super::upload::{Progress, Source, Upload, UploadFailure};
use crate::metrics::upstreams::Cause;

/// Why an attempt gave no response.
pub(super) struct Failure {
    pub(super) trouble: Trouble,
    /// The request's body, where nothing was sent or it does no harm to send it again.
    pub(super) unsent: Option<Upload>,
    pub(super) seen: Seen,
}

/// Whether the upstream has looked at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Certainly not (RFC 9113 section 8.7).
    No,
    /// Not, if its connection was about to end before.
    Perhaps,
    /// It gave it up.
    Yes,
}

impl Seen {
    /// Whether sending again is no attempt. `stale`: the connection had stood there before.
    pub(super) fn allows_another(self, stale: bool) -> bool {
        self == Self::No || (stale && self == Self::Perhaps)
    }
}

impl Failure {
    fn seen(mut self, seen: Seen) -> Self {
        self.seen = seen;
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Refused,
    ConnectTimeout,
    /// The connection was closed, or what came was no sound answer.
    Reset,
    Late,
    /// The request itself cannot be answered.
    Request(StatusCode),
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused => Self::Refused,
            ConnectError::TimedOut => Self::ConnectTimeout,
        }
    }
}

impl Trouble {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Refused | Self::Reset => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Request(status) => status,
        }
    }

    /// What it says about the server.
    pub(super) fn cause(self) -> Option<Cause> {
        match self {
            Self::Refused => Some(Cause::Refused),
            Self::ConnectTimeout => Some(Cause::ConnectTimeout),
            Self::Reset => Some(Cause::Reset),
            Self::Late => Some(Cause::Timeout),
            Self::Request(_) => None,
        }
    }

    pub(super) fn ends(self) -> Failure {
        Failure {
            trouble: self,
            unsent: None,
            seen: Seen::Perhaps,
        }
    }

    pub(super) fn spares(self, upload: Upload) -> Failure {
        Failure {
            trouble: self,
            unsent: Some(upload),
            seen: Seen::Perhaps,
        }
    }

    /// Nothing was sent on a connection that ended.
    pub(super) fn unsent(upload: Upload) -> Failure {
        Self::Reset.spares(upload).seen(Seen::No)
    }
}

/// The upstream did not look at the request: where its body is still there, it may go elsewhere, whatever it is.
pub(super) fn refusal(source: Option<&Source>) -> Failure {
    match source {
        None => Trouble::unsent(Upload::empty()),
        Some(source) => match source.recover() {
            Some(upload) => Trouble::unsent(upload),
            None => Trouble::Reset.ends(),
        },
    }
}

/// The upstream reset the stream.
pub(super) fn given_up(progress: Option<&Progress>, repeatable: bool) -> Failure {
    failure(progress, repeatable).seen(Seen::Yes)
}

/// The client's fault, a reason to try again, or the upstream's fault.
pub(super) fn failure(progress: Option<&Progress>, repeatable: bool) -> Failure {
    match progress.and_then(Progress::failure) {
        Some(UploadFailure::TooLarge) => Trouble::Request(StatusCode::PAYLOAD_TOO_LARGE).ends(),
        Some(UploadFailure::ClientGone) => Trouble::Request(StatusCode::BAD_REQUEST).ends(),
        None if repeatable => Trouble::Reset.spares(Upload::empty()),
        None => Trouble::Reset.ends(),
    }
}
