//! Times and spans, as the status page shows them.

use std::time::{Duration, UNIX_EPOCH};

use super::html::{Html, Tone};
use crate::core::report::CertificateStatus;

const DAY: i64 = 86_400;
/// From here on the days of a certificate are counted.
const SOON: i64 = 14;

/// "7 s", "3 min", "5 h", "8 d".
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// As in "12 s ago", with the date for who points at it.
pub(super) fn ago(html: &mut Html, at: u64, now: u64) {
    titled(html, at)
        .text(span(now.saturating_sub(at)))
        .markup(" ago</span>");
}

/// Opens a span.
pub(super) fn titled(html: &mut Html, at: u64) -> &mut Html {
    // Beyond the year 9999 HTTP has no date.
    let time = UNIX_EPOCH + Duration::from_secs(at.min(253_402_300_799));
    html.markup("<span title=\"")
        .text(httpdate::fmt_http_date(time))
        .markup("\">")
}

/// Rounded down; negative when it is over.
pub(super) fn days_left(certificate: &CertificateStatus, now: u64) -> i64 {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    certificate.not_after.saturating_sub(now).div_euclid(DAY)
}

pub(super) fn tone_of_days(days: i64) -> Tone {
    match days {
        ..0 => Tone::Bad,
        0..SOON => Tone::Busy,
        _ => Tone::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_to_the_end() {
        let certificate = |not_after| CertificateStatus {
            not_after,
            ..CertificateStatus::default()
        };
        let left = |not_after| days_left(&certificate(not_after), 1_000_000);
        assert_eq!(
            [
                left(1_000_000 + 3 * DAY),
                left(1_000_000 + DAY - 1),
                left(999_999)
            ],
            [3, 0, -1]
        );
        assert_eq!(
            [-1, 0, 13, 14].map(tone_of_days),
            [Tone::Bad, Tone::Busy, Tone::Busy, Tone::Good]
        );
        assert!(left(i64::MAX) > 0 && left(i64::MIN) < 0);
    }
}
