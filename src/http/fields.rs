//! Fields that come by HTTP/2, where no line's grammar cuts them to shape: what the `h2` crate lets through, and HTTP/1.1
//! has no form for.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether all names are tokens (RFC 9110 section 5.1), and no value begins or ends with a blank (RFC 9113 section
/// 8.2.1).
pub(super) fn are_sound(headers: &HeaderMap) -> bool {
    headers
        .iter()
        .all(|(name, value)| is_token(name) && is_trimmed(value))
}

/// The same of what an upstream says: false for names, while blanks around values, which HTTP/1.1 would drop, are taken
/// away.
pub(super) fn tidy(headers: &mut HeaderMap) -> bool {
    let padded = headers.values_mut().filter(|value| !is_trimmed(value));
    for value in padded {
        let trimmed = HeaderValue::from_bytes(value.as_bytes().trim_ascii());
        *value = trimmed.expect("a part of a value is one");
    }
    headers.keys().all(is_token)
}

/// Of what is no token, `HeaderName` has the quote alone.
fn is_token(name: &HeaderName) -> bool {
    memchr::memchr(b'"', name.as_str().as_bytes()).is_none()
}

fn is_trimmed(value: &HeaderValue) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    !blank(bytes.first()) && !blank(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> Option<HeaderMap> {
        // As `h2` makes them.
        let name = HeaderName::from_lowercase(name.as_bytes()).ok()?;
        Some(HeaderMap::from_iter([(name, value.parse().ok()?)]))
    }

    #[test]
    fn names_are_tokens() {
        for byte in 33..127u8 {
            let token = byte.is_ascii_digit()
                || byte.is_ascii_lowercase()
                || b"!#$%&'*+-.^_`|~".contains(&byte);
            let name = format!("x{}", char::from(byte));
            let sound = field(&name, "y").is_some_and(|field| are_sound(&field));
            assert_eq!(sound, token, "{name}");
        }
    }

    #[test]
    fn of_an_upstream_blanks_are_taken_away() {
        let mut headers = field("x", " a b\t").unwrap();
        headers.append("x", HeaderValue::from_static("c"));
        assert!(tidy(&mut headers));
        let values: Vec<_> = headers.get_all("x").iter().collect();
        assert_eq!(values, ["a b", "c"]);
        assert!(!tidy(&mut field("x\"", "a").unwrap()));
    }

    #[test]
    fn values_have_no_blanks_around_them() {
        for (value, sound) in [
            ("", true),
            ("a", true),
            ("a b\tc", true),
            (" a", false),
            ("a ", false),
            ("\ta", false),
            ("a\t", false),
            (" ", false),
        ] {
            assert_eq!(are_sound(&field("x", value).unwrap()), sound, "{value:?}");
        }
    }
}
