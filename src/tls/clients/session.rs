//! What a session that a client comes back with says of its certificates: they may have ended since.
//!
//! rustls resumes a session without another look at them. Its layout is rustls's own affair, so what is not understood
//! is not resumed: the client then shows its certificate anew.

use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whether all certificates in a session are valid at `now`, in seconds since the epoch; a session without any has none
/// that is not.
pub(super) fn is_in_date(session: &[u8], now: i64) -> bool {
    let Some(mut chain) = chain(session) else {
        return false;
    };
    while !chain.is_empty() {
        let Some((der, rest)) = split_list(chain, 3) else {
            return false;
        };
        let certificate = X509Certificate::from_der(der);
        if !certificate.is_ok_and(|(_, it)| it.validity().not_after.timestamp() >= now) {
            return false;
        }
        chain = rest;
    }
    true
}

/// The certificates of a `ServerSessionValue`, each with its length before it.
fn chain(session: &[u8]) -> Option<&[u8]> {
    let (has_name, rest) = session.split_first()?;
    let rest = match has_name {
        0 => rest,
        1 => split_list(rest, 1)?.1,
        _ => return None,
    };
    // Protocol version and cipher suite, two bytes each.
    let (_secret, rest) = split_list(rest.get(4..)?, 1)?;
    let (_extended, rest) = rest.split_first()?;
    let (has_chain, rest) = rest.split_first()?;
    match has_chain {
        0 => Some(&[]),
        1 => Some(split_list(rest, 3)?.0),
        _ => None,
    }
}

/// Splits off what has its length before it, in so many bytes.
fn split_list(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(width)?;
    let length = length
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    rest.split_at_checked(length)
}
