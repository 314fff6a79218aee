//! How long the certificates in force are valid still.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Master;
use crate::config::types::{Certificate, Site};
use crate::core::journal;
use crate::metrics::prometheus::{Exposition, Kind};

/// An operator has this much time to act.
const WARN_BEFORE: i64 = 14 * 86_400;

impl Master {
    /// The sites with a certificate, in order.
    fn certified(&self) -> impl Iterator<Item = (&Site, &Certificate)> {
        let config = self.active().and_then(|active| active.config.as_deref());
        config.into_iter().flat_map(|config| {
            let with_certificate = |site| -> Option<(&Site, &Certificate)> {
                let site: &Site = site;
                let index = site.tls.as_ref()?.certificate;
                Some((site, config.certificates.get(index as usize)?))
            };
            config.sites.iter().filter_map(with_certificate)
        })
    }

    pub(super) fn write_certificates(&self, page: &mut Exposition) {
        let mut family = page.family(
            "bws_certificate_not_after_seconds",
            Kind::Gauge,
            "When the certificate of a site expires, seconds since the epoch.",
        );
        for (site, certificate) in self.certified() {
            family.sample(&[("site", &site.name)], certificate.not_after);
        }
    }

    /// Once for each certificate, whatever the number of its sites.
    pub(super) fn warn_of_certificates(&self) {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let mut told = std::collections::HashSet::new();
        for (site, certificate) in self.certified() {
            let left = certificate.not_after.saturating_sub(now);
            if left < WARN_BEFORE && told.insert(&certificate.cert_file) {
                let file = certificate.cert_file.display().to_string();
                journal::certificate_expiring(&site.name, &file, &date(certificate.not_after));
            }
        }
    }
}

/// As in `Fri, 01 Jan 2027 00:00:00 GMT`.
fn date(seconds: i64) -> String {
    let since = u64::try_from(seconds).unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(since));
    // Beyond the year 9999 HTTP has no date.
    match time.filter(|_| since < 253_402_300_800) {
        Some(time) => httpdate::fmt_http_date(time),
        None => format!("second {seconds} of the epoch"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_date_is_too_far() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(date(i64::MAX).contains("epoch"));
        assert!(date(253_402_300_799).contains("9999"));
    }
}
