//! From the path of a request to the path of a file below the root.

use std::borrow::Cow;

use http::StatusCode;

use crate::http::request_path::{self, Escapes};

/// The path below the root, without a slash in front; ends in one (or is empty) when it names a folder.
///
/// Decoded once. What cannot be a file name, and what begins with a dot (but `.well-known`), is 404.
pub(super) fn below_root(path: &str) -> Result<Cow<'_, [u8]>, StatusCode> {
    let clean = match request_path::without_dot_segments(path) {
        Ok(clean) => clean,
        Err(Escapes) => return Err(StatusCode::BAD_REQUEST),
    };
    let needs_decoding = memchr::memchr(b'%', clean.as_bytes()).is_some();
    if needs_decoding || clean.contains("//") {
        return decode(&clean).map(Cow::Owned);
    }
    check_names(clean[1..].as_bytes())?;
    Ok(match clean {
        Cow::Borrowed(clean) => Cow::Borrowed(&clean.as_bytes()[1..]),
        Cow::Owned(clean) => Cow::Owned(clean.into_bytes().split_off(1)),
    })
}

fn decode(path: &str) -> Result<Vec<u8>, StatusCode> {
    let mut file = Vec::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        decode_segment(segment.as_bytes(), &mut file)?;
        file.push(b'/');
    }
    if !path.ends_with('/') {
        file.pop();
    }
    check_names(&file)?;
    Ok(file)
}

fn decode_segment(mut segment: &[u8], file: &mut Vec<u8>) -> Result<(), StatusCode> {
    while let Some((&byte, rest)) = segment.split_first() {
        segment = rest;
        if byte != b'%' {
            file.push(byte);
            continue;
        }
        match decode_byte(rest).ok_or(StatusCode::BAD_REQUEST)? {
            0 => return Err(StatusCode::BAD_REQUEST),
            // A slash inside a name: no file has one.
            b'/' => return Err(StatusCode::NOT_FOUND),
            byte => file.push(byte),
        }
        segment = &rest[2..];
    }
    Ok(())
}

fn decode_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(*digits.first()?)? * 16 + digit(*digits.get(1)?)?;
    u8::try_from(value).ok()
}

/// What begins with a dot is nobody's business, but for RFC 8615.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.first() == Some(&b'.') && name != b".well-known"
}

fn check_names(file: &[u8]) -> Result<(), StatusCode> {
    if file.contains(&0) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if file.split(|&byte| byte == b'/').any(is_hidden) {
        Err(StatusCode::NOT_FOUND)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_borrowed() {
        assert!(matches!(
            below_root("/a/b.txt"),
            Ok(Cow::Borrowed(b"a/b.txt"))
        ));
        assert!(matches!(below_root("/"), Ok(Cow::Borrowed(b""))));
        assert!(matches!(
            below_root("/.well-known/x"),
            Ok(Cow::Borrowed(b".well-known/x"))
        ));
    }

    #[test]
    fn decoding_happens_once_after_dot_segments() {
        for (path, file) in [
            ("/a%20b/%c3%bc", "a b/ü"),
            ("/a/../b/", "b/"),
            ("//a///b//", "a/b/"),
            ("//", ""),
            ("/%2525", "%25"),
            ("/x/%2e%2e/y", "y"),
            ("/%5c..%5c", "\\..\\"),
        ] {
            assert_eq!(below_root(path).as_deref(), Ok(file.as_bytes()), "{path}");
        }
    }

    #[test]
    fn what_is_no_file_name_is_refused() {
        for (path, status) in [
            ("/%", 400),
            ("/%4", 400),
            ("/%zz", 400),
            ("/%00", 400),
            ("/..", 400),
            ("/a/%2e%2e/%2e%2e/", 400),
            ("/a%2fb", 404),
            ("/..%2f..%2fetc/passwd", 404),
            ("/.git/config", 404),
            ("/a/%2ehtaccess", 404),
            ("/...", 404),
        ] {
            assert_eq!(
                below_root(path).map_err(|s| s.as_u16()).err(),
                Some(status),
                "{path}"
            );
        }
    }
}
