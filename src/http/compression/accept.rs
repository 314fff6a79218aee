//! `Accept-Encoding`: RFC 9110 section 12.5.3.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use crate::config::types::Algorithm;
use crate::http::weight::{FULL, Weight, weight};

/// What is not named is still acceptable, if nothing is wanted more.
const LEAST: Weight = 1;

/// How much a client wants each coding; 0 for not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Accepted {
    zstd: Weight,
    br: Weight,
    gzip: Weight,
    identity: Weight,
}

impl Accepted {
    /// Without the header a client may take anything, but those that do so cannot decode.
    pub(in crate::http) fn of(request: &HeaderMap) -> Self {
        let mut named = Named::default();
        for value in request.get_all(ACCEPT_ENCODING) {
            value
                .as_bytes()
                .split(|&byte| byte == b',')
                .for_each(|element| named.note(element.trim_ascii()));
        }
        let or_any = |weight: Option<Weight>| weight.or(named.any).unwrap_or(0);
        Self {
            zstd: or_any(named.zstd),
            br: or_any(named.br),
            gzip: or_any(named.gzip),
            identity: named.identity.or(named.any).unwrap_or(LEAST),
        }
    }

    fn weight(self, algorithm: Algorithm) -> Weight {
        match algorithm {
            Algorithm::Zstd => self.zstd,
            Algorithm::Br => self.br,
            Algorithm::Gzip => self.gzip,
        }
    }

    /// Those of `offered` that the client wants at least as much as no coding, the most wanted first; among equals the
    /// order stays.
    pub(in crate::http) fn ranked(
        self,
        offered: impl Iterator<Item = Algorithm>,
    ) -> impl Iterator<Item = Algorithm> {
        let mut ranked = [None; 3];
        let wanted = |algorithm: &Algorithm| {
            let weight = self.weight(*algorithm);
            weight > 0 && weight >= self.identity
        };
        for (place, algorithm) in ranked.iter_mut().zip(offered.filter(wanted)) {
            *place = Some(algorithm);
        }
        // Stable, and what is not there goes to the end.
        ranked.sort_by_key(|it| std::cmp::Reverse(it.map(|algorithm| self.weight(algorithm))));
        ranked.into_iter().flatten()
    }

    /// "identity;q=0", or "*;q=0" without a word of identity.
    pub(in crate::http) fn refuses_identity(self) -> bool {
        self.identity == 0
    }
}

/// What the header names.
#[derive(Default)]
struct Named {
    zstd: Option<Weight>,
    br: Option<Weight>,
    gzip: Option<Weight>,
    identity: Option<Weight>,
    any: Option<Weight>,
}

impl Named {
    fn note(&mut self, element: &[u8]) {
        let mut parts = element.split(|&byte| byte == b';');
        let coding = parts.next().unwrap_or_default().trim_ascii();
        let place = match coding {
            b"*" => &mut self.any,
            _ if coding.eq_ignore_ascii_case(b"gzip") => &mut self.gzip,
            // RFC 9110 section 8.4.1.3.
            _ if coding.eq_ignore_ascii_case(b"x-gzip") => &mut self.gzip,
            _ if coding.eq_ignore_ascii_case(b"br") => &mut self.br,
            _ if coding.eq_ignore_ascii_case(b"zstd") => &mut self.zstd,
            _ if coding.eq_ignore_ascii_case(b"identity") => &mut self.identity,
            _ => return,
        };
        let weight = parts
            .next()
            .map_or(Some(FULL), |text| weight(text.trim_ascii()));
        if let Some(weight) = weight {
            *place = Some(place.map_or(weight, |before| before.max(weight)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Algorithm::{Br, Gzip, Zstd};

    fn accepted(value: &str) -> Accepted {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        Accepted::of(&headers)
    }

    fn ranked(value: &str) -> Vec<Algorithm> {
        accepted(value)
            .ranked([Zstd, Br, Gzip].into_iter())
            .collect()
    }

    #[test]
    fn weights_decide_and_then_our_order() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", &[Zstd, Br, Gzip][..]),
            ("gzip;q=1.0, br;q=0.9", &[Gzip, Br]),
            ("GZIP; q=0.5, Br;Q=0.501", &[Br, Gzip]),
            ("x-gzip", &[Gzip]),
            ("*", &[Zstd, Br, Gzip]),
            ("zstd;q=0, *", &[Br, Gzip]),
            ("*;q=0", &[]),
            ("gzip;q=0", &[]),
            ("identity", &[]),
            ("", &[]),
            ("gzip;q=0.5, identity;q=0.6", &[]),
            ("gzip;q=0.5, identity;q=0.5", &[Gzip]),
            ("br;q=0.001", &[Br]),
            // What is malformed says nothing.
            ("gzip;q=2, br;q=x, zstd;level=3", &[]),
            ("gzip;q=1.001, br;q=0.0001", &[]),
        ] {
            assert_eq!(ranked(value), expected, "{value}");
        }
        assert_eq!(
            Accepted::of(&HeaderMap::new())
                .ranked([Gzip].into_iter())
                .next(),
            None
        );
    }

    #[test]
    fn identity_is_acceptable_unless_it_is_refused() {
        for (value, refused) in [
            ("", false),
            ("gzip", false),
            ("gzip;q=0", false),
            ("identity;q=0", true),
            ("*;q=0", true),
            ("*;q=0.000, identity;q=0.001", false),
            ("gzip, *;q=0", true),
        ] {
            assert_eq!(accepted(value).refuses_identity(), refused, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_ranked_is_wanted(value in "[a-z*;=, q0-9.]{0,60}|((gzip|br|zstd|identity|\\*)(;q=[01](\\.[0-9]{1,3})?)?, ?){0,6}") {
            let accepted = accepted(&value);
            let ranked = ranked(&value);
            let weights: Vec<_> = ranked.iter().map(|it| accepted.weight(*it)).collect();
            assert!(weights.iter().all(|weight| *weight > 0 && *weight >= accepted.identity));
            assert!(weights.is_sorted_by(|one, next| one >= next));
        }
    }
}
