//! Dot segments of a request path, and who may tell them apart from names.

use std::borrow::Cow;

/// The path of a request that climbs out of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Escapes;

/// `path` without `.` and `..` segments (RFC 3986 section 5.2.4), those written with `%2e` too (section 6.2.2.2);
/// otherwise byte for byte as the client sent it. Routes match what upstream then sees.
pub(super) fn without_dot_segments(path: &str) -> Result<Cow<'_, str>, Escapes> {
    if !path.split('/').any(|segment| dots(segment) > 0) {
        return Ok(Cow::Borrowed(path));
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path.split('/').skip(1) {
        let dots = dots(segment);
        match dots {
            0 => kept.push(segment),
            1 => {}
            _ => drop(kept.pop().ok_or(Escapes)?),
        }
        ends_in_dots = dots > 0;
    }
    let mut clean = String::with_capacity(path.len());
    for segment in &kept {
        clean.push('/');
        clean.push_str(segment);
    }
    if ends_in_dots || clean.is_empty() {
        clean.push('/');
    }
    Ok(Cow::Owned(clean))
}

/// 1 for `.`, 2 for `..`, 0 for a name.
fn dots(segment: &str) -> usize {
    if segment.len() > 6 || !segment.starts_with(['.', '%']) {
        return 0;
    }
    let (mut rest, mut count) = (segment.as_bytes(), 0);
    loop {
        rest = match rest {
            [] => return if count <= 2 { count } else { 0 },
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return 0,
        };
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_as_they_were_sent() {
        for path in [
            "/",
            "/a//b/",
            "/a.b/..c/...",
            "/%41%2f",
            "/.hidden",
            "/%2",
            "//",
        ] {
            assert!(
                matches!(without_dot_segments(path), Ok(Cow::Borrowed(same)) if same == path),
                "{path}"
            );
        }
    }

    #[test]
    fn dot_segments_go() {
        for (path, clean) in [
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/%2E%2e", "/a/"),
            ("/a/.%2e/b?", "/b?"),
            ("/a/..", "/"),
            ("/.", "/"),
            ("/a/%2e", "/a/"),
        ] {
            assert_eq!(without_dot_segments(path).as_deref(), Ok(clean), "{path}");
        }
    }

    #[test]
    fn climbing_out_is_refused() {
        for path in ["/..", "/a/../../b", "/%2e%2e/etc"] {
            assert_eq!(without_dot_segments(path), Err(Escapes), "{path}");
        }
    }
}
