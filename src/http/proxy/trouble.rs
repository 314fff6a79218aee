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
        }
    }

    pub(super) fn spares(self, upload: Upload) -> Failure {
        Failure {
            trouble: self,
            unsent: Some(upload),
        }
    }
}

/// The upstream did not look at the request: where its body is still there, it may go elsewhere, whatever it is.
pub(super) fn refusal(source: Option<&Source>) -> Failure {
    match source {
        None => Trouble::Reset.spares(Upload::empty()),
        Some(source) => match source.recover() {
            Some(upload) => Trouble::Reset.spares(upload),
            None => Trouble::Reset.ends(),
        },
    }
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
