//! The `Authorization` header of the Basic scheme: RFC 7617 section 2.

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use http::HeaderMap;
use http::header::AUTHORIZATION;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    /// Whatever the client's encoding of it is.
    pub(super) password: Vec<u8>,
}

impl Credentials {
    /// None when there are none, or not exactly one pair of this scheme.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let token = token.trim_matches(' ');
        let mut decoded = Base64::decode_vec(token)
            .or_else(|_| Base64Unpadded::decode_vec(token))
            .ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let password = decoded.split_off(colon + 1);
        decoded.truncate(colon);
        Some(Self {
            user: String::from_utf8(decoded).ok()?,
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let Credentials { user, password } = Credentials::of(&headers)?;
        Some((user, String::from_utf8(password).unwrap()))
    }

    #[test]
    fn the_first_colon_ends_the_name() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        // The examples of RFC 7617.
        assert_eq!(
            read(&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]),
            pair("Aladdin", "open sesame")
        );
        assert_eq!(
            read(&["basic  dGVzdDoxMjPCow=="]),
            pair("test", "123\u{a3}")
        );
        assert_eq!(read(&["Basic YTpiOmM="]), pair("a", "b:c"));
        assert_eq!(read(&["Basic YTpiOmM"]), pair("a", "b:c"));
        assert_eq!(read(&["Basic Og=="]), pair("", ""));
    }

    #[test]
    fn anything_else_is_none() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic YQ==",
            "Basic Y:Q",
            "Bearer YTpi",
            "Basic \u{e4}",
            "Basic //86YQ==",
        ] {
            assert_eq!(read(&[value]), None, "{value}");
        }
        assert_eq!(read(&["Basic YTpi", "Basic YTpi"]), None);
    }
}
