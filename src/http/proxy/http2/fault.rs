//! Why there is no sound response.

use h2::Reason;

use super::super::sender::SendError;
use crate::http::body::BodyError;

/// What an upstream said that is well-formed HTTP/2, and no response that we pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http::proxy) enum Fault {
    #[error("it sends interim responses without end")]
    Interim,
    #[error("a field's name is no token")]
    Name,
    #[error("it switches protocols, which HTTP/2 has no way to do")]
    Switch,
}

/// Why there will be no head.
pub(in crate::http::proxy) enum Ended {
    /// The stream is over, or all of them are.
    Stream(h2::Error),
    Fault(Fault),
    /// The request's body broke off.
    Body(BodyError),
}

/// What a stream without a response means. `silent`: the upstream has said nothing before.
pub(super) fn judge(error: &h2::Error, silent: bool) -> SendError {
    tracing::debug!(%error, "no response from the upstream");
    // It is we who reset what is malformed.
    if !silent || (error.is_reset() && error.is_library()) {
        SendError::Unsound
    } else if was_refused(error) {
        SendError::Refused
    } else if error.is_reset() {
        SendError::GivenUp
    } else {
        SendError::Silent
    }
}

/// Whether the upstream says that it has not looked at the request: it may go elsewhere, whatever it is (RFC 9113
/// section 8.7).
fn was_refused(error: &h2::Error) -> bool {
    let untouched = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    error.is_remote() && (untouched || error.reason() == Some(Reason::REFUSED_STREAM))
}
