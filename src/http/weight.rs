//! How much a client wants something: RFC 9110 section 12.4.2.

/// Thousandths, as a weight has three digits behind its point.
pub(super) type Weight = u16;

/// What is wanted without a word of how much.
pub(super) const FULL: Weight = 1000;

/// `q=0.5` in thousandths ; None when it is malformed.
pub(super) fn weight(text: &[u8]) -> Option<Weight> {
    let [b'q' | b'Q', b'=', digits @ ..] = text else {
        return None;
    };
    let (whole, fraction) = match digits {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => FULL,
        _ => return None,
    };
    let mut unit = 100;
    for digit in fraction {
        thousandths += Weight::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?) * unit;
        unit /= 10;
    }
    (thousandths <= FULL).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_three_digits_at_most() {
        for (text, expected) in [
            ("q=1", Some(1000)),
            ("Q=0.5", Some(500)),
            ("q=0.", Some(0)),
            ("q=0.001", Some(1)),
            ("q=1.000", Some(1000)),
            ("q=1.001", None),
            ("q=0.0001", None),
            ("q=2", None),
            ("q=", None),
            ("q=.5", None),
            ("level=1", None),
        ] {
            assert_eq!(weight(text.as_bytes()), expected, "{text}");
        }
    }
}
