//! Which sites the requests of a TLS connection may ask for (RFC 9110 section 15.5.20, RFC 9113 section 9.1.1).
//!
//! A handshake is made under the rules of one site: its certificate was shown, its protocol versions were allowed, and its
//! clients were verified. Another site on the same socket is answered only when a handshake of its own would have ended
//! alike; otherwise the request is misdirected (421), and the client comes back by a connection of its own.

use std::collections::HashMap;

use super::client_certificate::Verification;
use crate::config::types::{Config, SiteIndex};

/// How a connection came in by TLS.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The site under whose rules the handshake was made.
    pub site: SiteIndex,
    /// The client asked for it by a server name (RFC 6066 section 3). Without one, or by one that no site has, as some
    /// proxies and health checks do, it took whatever certificate it got.
    pub named: bool,
    pub client: Verification,
}

/// What a handshake at each site settles.
pub(super) struct Reach {
    /// By site: equal numbers are equal policies.
    policies: Box<[u32]>,
}

impl Reach {
    pub(super) fn new(config: &Config) -> Self {
        let mut policies = HashMap::new();
        let sites = config.sites.iter().map(|site| {
            let tls = site.tls.as_ref();
            let next = u32::try_from(policies.len()).expect("sites are counted by u32");
            *policies.entry(tls.map(|tls| tls.policy())).or_insert(next)
        });
        Self {
            policies: sites.collect(),
        }
    }

    /// Whether a connection that came in by `entrance` may ask for another `site`, as whose `host` it is known; None when
    /// it only takes what is left.
    pub(super) fn admits(
        &self,
        config: &Config,
        entrance: &Entrance,
        site: SiteIndex,
        host: Option<&str>,
    ) -> bool {
        let places = [entrance.site, site].map(|site| site as usize);
        let [Some(own), Some(other)] = places.map(|site| self.policies.get(site)) else {
            return false;
        };
        let tables = places.map(|site| config.sites.get(site)?.tls.as_ref());
        let [Some(shown), Some(meant)] = tables else {
            return false;
        };
        if own != other {
            return false;
        }
        let alike = || shown.certificates().eq(meant.certificates());
        let Some(host) = host.filter(|_| entrance.named && !alike()) else {
            return true;
        };
        // Which of several was shown the client knows.
        shown.certificates().all(|index| {
            let certificate = config.certificates.find(index);
            certificate.is_some_and(|certificate| covers(&certificate.names, host))
        })
    }
}

/// RFC 6125 section 6.4.3: a wildcard stands for one whole label.
fn covers(names: &[String], host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let parent = host.split_once('.').map(|(_, parent)| parent);
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(wildcard) => parent.is_some_and(|parent| parent.eq_ignore_ascii_case(wildcard)),
        None => name.eq_ignore_ascii_case(host),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::{Certificate, CertificateEntry as Entry, SiteTls, TlsVersion};
    use crate::http::testing;

    fn certificate(names: &[&str]) -> Entry {
        let names = names.iter().map(|name| (*name).to_owned());
        let certificate = Certificate::placeholder("/site.pem".into());
        Entry::from(Certificate {
            names: names.collect(),
            ..certificate
        })
    }

    /// One certificate for all of a domain, one for a single name of it; the last site wants TLS 1.3.
    fn sites() -> Config {
        let site = |certificate, min_version| {
            let mut site = testing::site();
            site.tls = Some(SiteTls {
                certificate,
                alternatives: vec![],
                min_version,
                clients: None,
                acme: None,
            });
            site
        };
        let (old, new) = (TlsVersion::Tls12, TlsVersion::Tls13);
        let mut config = testing::config(vec![
            site(0, old),
            site(0, old),
            site(1, old),
            site(0, new),
            testing::site(),
            site(0, old),
        ]);
        let several = config.sites[5].tls.as_mut().unwrap();
        several.alternatives = vec![1];
        config.certificates = vec![
            certificate(&["*.example.com", "2001:db8::1"]),
            certificate(&["b.example.com"]),
        ]
        .into();
        config
    }

    fn admits(entrance: (SiteIndex, bool), site: SiteIndex, host: Option<&str>) -> bool {
        let config = sites();
        let (site_of_entrance, named) = entrance;
        let entrance = Entrance {
            site: site_of_entrance,
            named,
            client: Verification::Unasked,
        };
        Reach::new(&config).admits(&config, &entrance, site, host)
    }

    #[test]
    fn what_the_shown_certificate_is_for_may_be_asked_for() {
        assert!(admits((0, true), 1, Some("elsewhere")), "one certificate");
        assert!(admits((0, true), 2, Some("B.example.com.")));
        assert!(admits((0, true), 2, Some("[2001:db8::1]")));
        assert!(!admits((0, true), 2, Some("a.b.example.com")));
        assert!(!admits((2, true), 0, Some("a.example.com")));
    }

    #[test]
    fn of_several_certificates_any_may_have_been_shown() {
        assert!(admits((5, true), 2, Some("b.example.com")));
        assert!(!admits((5, true), 0, Some("a.example.com")));
        assert!(!admits((0, true), 5, Some("elsewhere")));
    }

    #[test]
    fn who_named_nothing_or_asks_for_what_is_left_saw_no_wrong_certificate() {
        assert!(admits((2, false), 0, Some("a.example.com")));
        assert!(admits((2, true), 0, None));
    }

    #[test]
    fn nobody_comes_by_a_handshake_of_other_rules() {
        for named in [true, false] {
            for host in [Some("a.example.com"), None] {
                assert!(!admits((0, named), 3, host));
                assert!(!admits((3, named), 0, host));
                assert!(!admits((4, named), 0, host));
                assert!(!admits((9, named), 0, host));
            }
        }
    }
}
