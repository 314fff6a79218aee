//! When an authority suggests to renew (RFC 9773).

use std::time::Duration;

use instant_acme::{CertificateIdentifier, Error};
use rustls_pki_types::CertificateDer;

use super::account::Accounts;
use super::failure::Failure;
use crate::config::types::Acme;

/// What an authority says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Seconds since the epoch.
    pub from: i64,
    /// Seconds since the epoch.
    pub until: i64,
    /// When to ask again.
    pub ask_after: Duration,
}

/// Asks about the certificate `leaf`, DER. None: the authority makes no suggestions.
pub async fn suggestion(
    accounts: &Accounts,
    acme: &Acme,
    leaf: &[u8],
) -> Result<Option<Suggestion>, Failure> {
    let leaf = CertificateDer::from(leaf);
    let Ok(identifier) = CertificateIdentifier::try_from(&leaf) else {
        return Ok(None);
    };
    let account = accounts.open(acme).await?;
    match account.renewal_info(&identifier).await {
        Ok((info, ask_after)) => Ok(Some(Suggestion {
            from: info.suggested_window.start.unix_timestamp(),
            until: info.suggested_window.end.unix_timestamp(),
            ask_after,
        })),
        Err(Error::Unsupported(_)) => Ok(None),
        Err(error) => {
            let failure = Failure::from(error);
            accounts.close(acme, &failure).await;
            Err(failure)
        }
    }
}
