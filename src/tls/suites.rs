//! The cipher suites that are spoken, in our order: what costs least of those that are all good enough. (A client's order
//! would have most of them take AES with 256 bits.)

use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub(super) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|it| rank(it.suite()));
    Arc::new(provider)
}

/// The sort is stable: suites of the same rank keep rustls's order.
fn rank(suite: CipherSuite) -> u8 {
    use CipherSuite as Suite;
    match suite {
        Suite::TLS13_AES_128_GCM_SHA256 => 0,
        Suite::TLS13_AES_256_GCM_SHA384 | Suite::TLS13_CHACHA20_POLY1305_SHA256 => 1,
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_and_the_cheapest_is_first() {
        let (ours, all) = (provider(), aws_lc_rs::default_provider());
        assert_eq!(ours.cipher_suites.len(), all.cipher_suites.len());
        let of = |tls13: bool| {
            let mut suites = ours.cipher_suites.iter().map(|it| it.suite());
            suites.find(|it| (u16::from(*it) >> 8 == 0x13) == tls13)
        };
        assert_eq!(of(true), Some(CipherSuite::TLS13_AES_128_GCM_SHA256));
        let elliptic = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        assert_eq!(of(false), Some(elliptic));
    }
}
