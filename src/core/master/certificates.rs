//! How long the certificates in force are valid still.

use std::sync::Arc;
use std::time::SystemTime;

use super::Master;
use crate::config::types::{Acme, Certificate, Config, KeyKind, Site, SiteTls};
use crate::core::report::{CertificateStatus, Certificates};
use crate::metrics::prometheus::{Exposition, Kind};
use crate::tls::acme::schedule::Phase;

impl Master {
    /// Of each site that speaks TLS, in order.
    pub(super) fn certificate_statuses(&self) -> Certificates {
        let config = self.active().and_then(|active| active.config.as_deref());
        let now = super::orders::now();
        let status = |(site, tls, certificate): (&Site, &SiteTls, Arc<Certificate>)| {
            let phase = self.orders.schedule.phase(&site.name);
            let status = certificate_status(&site.name, &certificate, tls.acme.as_deref(), now);
            with_phase(status, phase)
        };
        Certificates {
            certificates: config.into_iter().flat_map(shown).map(status).collect(),
        }
    }

    /// The sites with a certificate, in order.
    pub(super) fn certified(&self) -> impl Iterator<Item = (&Site, Arc<Certificate>)> {
        let config = self.active().and_then(|active| active.config.as_deref());
        let shown = config.into_iter().flat_map(shown);
        let got = shown.filter(|(_, _, certificate)| !certificate.is_placeholder());
        got.map(|(site, _, certificate)| (site, certificate))
    }

    pub(super) fn write_certificates(&self, page: &mut Exposition) {
        let mut family = page.family(
            "bws_certificate_not_after_seconds",
            Kind::Gauge,
            "When the certificate of a site expires, seconds since the epoch.",
        );
        for (site, certificate) in self.certified() {
            let labels = [("site", &*site.name), ("key", key(&certificate))];
            family.sample(&labels, certificate.not_after);
        }
    }
}

/// Sites and their certificates; a site may have several.
fn shown(config: &Config) -> impl Iterator<Item = (&Site, &SiteTls, Arc<Certificate>)> {
    let sites = config.sites.iter();
    let sites = sites.filter_map(|site| Some((site, site.tls.as_ref()?)));
    sites.flat_map(move |(site, tls)| {
        let indices = tls.certificates();
        indices.filter_map(move |index| Some((site, tls, config.certificates.find(index)?)))
    })
}

fn key(certificate: &Certificate) -> &'static str {
    certificate.kind.map(KeyKind::name).unwrap_or_default()
}

fn certificate_status(
    site: &str,
    certificate: &Certificate,
    acme: Option<&Acme>,
    now: i64,
) -> CertificateStatus {
    CertificateStatus {
        site: site.to_owned(),
        source: acme.map_or("file", |_| "acme").to_owned(),
        state: match certificate.is_placeholder() {
            true => "missing",
            false if certificate.not_after < now => "expired",
            false => "valid",
        }
        .to_owned(),
        names: match acme {
            Some(acme) if certificate.is_placeholder() => acme.names.clone(),
            _ => certificate.names.clone(),
        },
        issuer: certificate.issuer.clone(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        file: certificate.cert_file.display().to_string(),
        key: key(certificate).to_owned(),
        ocsp_until: certificate.staple.as_ref().map(|it| it.next_update),
        authority: acme.map(|acme| acme.directory_url.clone()),
        ..CertificateStatus::default()
    }
}

fn with_phase(status: CertificateStatus, phase: Option<Phase>) -> CertificateStatus {
    let Some(phase) = phase else { return status };
    CertificateStatus {
        ordering: phase.ordering,
        next_order: phase.due,
        failures: phase.failures,
        last_error: phase.error,
        ..status
    }
}

/// As in `Fri, 01 Jan 2027 00:00:00 GMT`.
pub(super) fn date(seconds: i64) -> String {
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
