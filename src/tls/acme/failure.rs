//! Why there is no certificate.

use instant_acme::{Error, Problem};

/// Why an order failed, in the operator's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    pub text: String,
    pub scope: Scope,
}

/// What else will fail for the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Orders of these names.
    Names,
    /// Orders of these names, and for a long while.
    Limit,
    /// Every order with this authority.
    Authority,
    /// As before; and the authority does not know the account.
    Account,
    /// Every order with this authority, by chance: the next attempt may do.
    Passing,
}

impl Failure {
    pub fn of_names(text: String) -> Self {
        let scope = Scope::Names;
        Self { text, scope }
    }

    pub fn of_authority(text: String) -> Self {
        let scope = Scope::Authority;
        Self { text, scope }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => {
                let (scope, text) = (scope(&problem), describe(&problem));
                Self { text, scope }
            }
            Error::Timeout(_) => {
                Self::of_names("the authority did not come to an end in time".to_owned())
            }
            Error::Json(error) => Self::of_authority(format!(
                "the authority's answer is not understood ({error}): is 'directory_url' right?"
            )),
            other => Self::of_authority(other.to_string()),
        }
    }
}

/// RFC 8555 section 6.7.
fn kind(problem: &Problem) -> &str {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.rsplit(':').next().unwrap_or(kind)
}

pub(super) fn scope(problem: &Problem) -> Scope {
    match kind(problem) {
        "rateLimited" => Scope::Limit,
        "accountDoesNotExist" => Scope::Account,
        // RFC 8555 section 6.5: to be tried again, as often as it takes.
        "badNonce" => Scope::Passing,
        "serverInternal"
        | "unauthorized"
        | "userActionRequired"
        | "externalAccountRequired"
        | "badSignatureAlgorithm"
        | "invalidContact"
        | "unsupportedContact" => Scope::Authority,
        _ if problem.status.is_some_and(|status| status >= 500) => Scope::Authority,
        _ => Scope::Names,
    }
}

/// All of a problem in one line.
pub(super) fn describe(problem: &Problem) -> String {
    let kind = kind(problem);
    let mut text = match &problem.detail {
        Some(detail) => format!("{} ({kind})", detail.trim()),
        None => kind.to_owned(),
    };
    for part in &problem.subproblems {
        let detail = part.detail.as_deref().unwrap_or_default();
        let name = part.identifier.as_ref().map(|name| match name {
            instant_acme::Identifier::Dns(name) => name.clone(),
            other => format!("{other:?}"),
        });
        text += &format!("; {}: {detail}", name.unwrap_or_default());
    }
    text.chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Failure {
        Error::Api(serde_json::from_str(text).unwrap()).into()
    }

    #[test]
    fn what_concerns_one_site_does_not_stop_the_others() {
        let refused = problem(
            r#"{"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "no\nsuch name", "status": 400,
                "subproblems": [{"type": "x:caa", "detail": "forbidden", "identifier": {"type": "dns", "value": "a.b"}}]}"#,
        );
        assert_eq!(refused.scope, Scope::Names);
        assert_eq!(
            refused.text,
            "no such name (rejectedIdentifier); a.b: forbidden"
        );
        let limited = problem(r#"{"type": "urn:ietf:params:acme:error:rateLimited"}"#);
        assert_eq!(limited.scope, Scope::Limit);
        let down = problem(r#"{"detail": "maintenance", "status": 503}"#);
        assert_eq!(down.scope, Scope::Authority);
        let nonce = problem(r#"{"type": "urn:ietf:params:acme:error:badNonce", "status": 400}"#);
        assert_eq!(nonce.scope, Scope::Passing);
        assert_eq!(Failure::from(Error::Crypto).scope, Scope::Authority);
    }
}
