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
        .fold(0, |sum, &byte| (sum << 8) | usize::from(byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const NOW: i64 = 1_795_338_558;

    fn certificate(until: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn with_length(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[1..], bytes].concat()
    }

    /// A session of rustls 0.23, as it is sealed.
    fn session(name: &[u8], chain: Option<&[Vec<u8>]>) -> Vec<u8> {
        let mut bytes = vec![u8::from(!name.is_empty())];
        if !name.is_empty() {
            bytes.push(u8::try_from(name.len()).unwrap());
            bytes.extend(name);
        }
        bytes.extend([3, 4, 0x13, 1, 2, 7, 7, 1, u8::from(chain.is_some())]);
        if let Some(chain) = chain {
            let list: Vec<u8> = chain.iter().flat_map(|der| with_length(der)).collect();
            bytes.extend(with_length(&list));
        }
        bytes.extend([0; 15]);
        bytes
    }

    #[test]
    fn every_certificate_of_the_chain_counts() {
        let (good, old) = (certificate(2100), certificate(2020));
        for name in [&b""[..], b"a.test"] {
            let in_date = |chain: &[&Vec<u8>]| {
                let chain: Vec<Vec<u8>> = chain.iter().map(|der| (*der).clone()).collect();
                is_in_date(&session(name, Some(&chain)), NOW)
            };
            assert!(is_in_date(&session(name, None), NOW));
            assert!(in_date(&[&good, &good]));
            assert!(!in_date(&[&old]));
            assert!(!in_date(&[&good, &old]));
        }
    }

    #[test]
    fn what_is_not_understood_is_no_session() {
        let whole = session(b"a.test", Some(&[certificate(2100)]));
        let needed = whole.len() - 15;
        for length in 0..needed {
            assert!(!is_in_date(&whole[..length], NOW), "{length} bytes");
        }
        assert!(!is_in_date(&session(b"", Some(&[vec![0x30, 0]])), NOW));
        assert!(!is_in_date(&[9; 64], NOW));
    }
}
