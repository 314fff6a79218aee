//! What the authority is shown, so that it knows whose the names are.

use std::future::Future;
use std::pin::Pin;

use instant_acme::{AuthorizationStatus, ChallengeHandle, ChallengeType, Order};

use super::failure::Failure;
use crate::config::types::{AcmeChallenge, ChallengeAnswer};

/// Sees to it that every worker gives these answers, and waits until they do.
pub type Show = dyn Fn(Vec<ChallengeAnswer>) -> Pin<Box<dyn Future<Output = ()>>>;

/// Bytes of a token, that all answers fit into one message; RFC 8555 section 8 wants 128 bits of randomness at least.
const LONGEST_TOKEN: usize = 128;

/// The answers to all that the authority wants to know; none when it knows everything from an order before.
pub(super) async fn answers(
    order: &mut Order,
    challenge: AcmeChallenge,
) -> Result<Vec<ChallengeAnswer>, Failure> {
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => {
                let text = format!("the authorization of a name is {other:?}");
                return Err(Failure::of_names(text));
            }
        }
        let Some(asked) = authorization.challenge(kind(challenge)) else {
            return Err(not_offered(challenge));
        };
        answers.push(answer(&asked, challenge)?);
    }
    Ok(answers)
}

fn answer(
    asked: &ChallengeHandle<'_>,
    challenge: AcmeChallenge,
) -> Result<ChallengeAnswer, Failure> {
    let authorization = asked.key_authorization();
    Ok(match challenge {
        AcmeChallenge::Http01 => ChallengeAnswer::Http {
            token: token(&asked.token)?,
            authorization: authorization.as_str().to_owned(),
        },
        AcmeChallenge::TlsAlpn01 => ChallengeAnswer::Tls {
            name: asked.identifier().to_string(),
            digest: authorization.digest().as_ref().to_vec(),
        },
    })
}

/// RFC 8555 section 8.3: nothing but base64url.
fn token(token: &str) -> Result<String, Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(fits) {
        let text = "the authority sent a token that is none (RFC 8555, section 8)";
        return Err(Failure::of_authority(text.to_owned()));
    }
    Ok(token.to_owned())
}

/// Tells the authority that it may look.
pub(super) async fn announce(order: &mut Order, challenge: AcmeChallenge) -> Result<(), Failure> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        if let Some(mut asked) = authorization.challenge(kind(challenge)) {
            asked.set_ready().await?;
        }
    }
    Ok(())
}

fn kind(challenge: AcmeChallenge) -> ChallengeType {
    match challenge {
        AcmeChallenge::Http01 => ChallengeType::Http01,
        AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

fn not_offered(challenge: AcmeChallenge) -> Failure {
    let (wanted, other) = match challenge {
        AcmeChallenge::Http01 => ("http-01", "tls-alpn-01"),
        AcmeChallenge::TlsAlpn01 => ("tls-alpn-01", "http-01"),
    };
    let text = format!("the authority does not offer {wanted}: try challenge = \"{other}\"");
    Failure::of_names(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_no_path() {
        assert!(token("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA").is_ok());
        for wrong in [
            "",
            "../etc/passwd",
            "a.b",
            "a%2fb",
            "a\r\nb",
            "ü",
            &"a".repeat(129),
        ] {
            assert!(token(wrong).is_err(), "{wrong}");
        }
    }
}
