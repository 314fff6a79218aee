//! Sizes ("64KB") and durations ("500ms") as text.

use std::time::Duration;

/// Bytes; units are powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// In the largest unit that shows it exactly.
pub(super) fn show_size(bytes: u64) -> String {
    let units = [(40, "TB"), (30, "GB"), (20, "MB"), (10, "KB")];
    let exact = |shift: &u32| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.iter().find(|(shift, _)| exact(shift)) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

pub(super) fn show_duration(duration: Duration) -> String {
    if duration.subsec_millis() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    match duration.as_secs() {
        day if day > 0 && day % 86_400 == 0 => format!("{}d", day / 86_400),
        seconds => format!("{seconds}s"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_powers_of_1024() {
        let sizes = ["0", "512KB", "10MB", "1GB", "1 kib", "5b"].map(size);
        assert_eq!(sizes, [0, 524_288, 10_485_760, 1 << 30, 1024, 5].map(Some));
        for bad in ["", "KB", "-1", "1.5MB", "1XB", "99999999999TB", "1 0"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert_eq!(show_size(524_288), "512KB");
        assert_eq!(show_size(1500), "1500");
    }

    #[test]
    fn durations_have_units() {
        let durations = ["500ms", "30s", "5m", "2h", "7"].map(duration);
        assert_eq!(
            durations,
            [500, 30_000, 300_000, 7_200_000, 7000].map(|ms| Some(Duration::from_millis(ms)))
        );
        for bad in [
            "",
            "s",
            "5 weeks",
            "-3s",
            "1.5s",
            "999999999999999999999s",
            "300000000000000000d",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(show_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(show_duration(Duration::from_secs(86_400)), "1d");
    }
}
