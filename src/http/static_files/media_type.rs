//! Media types by the extension of a name.

use std::collections::HashMap;
use std::path::Path;

use http::HeaderValue;

use crate::config::types::MediaType;

/// The site's own types before those that everybody knows.
#[derive(Default)]
pub(in crate::http) struct MediaTypes(HashMap<String, HeaderValue>);

impl MediaTypes {
    pub(in crate::http) fn new(own: &[MediaType]) -> Self {
        let pair = |it: &MediaType| {
            let value = HeaderValue::from_str(&it.value).ok()?;
            Some((it.extension.clone(), value))
        };
        Self(own.iter().filter_map(pair).collect())
    }

    pub(super) fn of(&self, name: &[u8]) -> HeaderValue {
        self.own(name).unwrap_or_else(|| media_type(name))
    }

    fn own(&self, name: &[u8]) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let last = name.rsplit(|&byte| byte == b'/').next()?;
        let dot = memchr::memrchr(b'.', last)?;
        let extension = std::str::from_utf8(&last[dot + 1..]).ok()?;
        self.0.get(&extension.to_ascii_lowercase()).cloned()
    }
}

fn media_type(name: &[u8]) -> HeaderValue {
    let name: &Path = std::ffi::OsStr::new(std::str::from_utf8(name).unwrap_or("")).as_ref();
    let Some(media) = mime_guess::from_path(name).first_raw() else {
        return HeaderValue::from_static("application/octet-stream");
    };
    let text = media.starts_with("text/")
        || [
            "application/javascript",
            "application/json",
            "application/xml",
            "image/svg+xml",
        ]
        .contains(&media)
        || media.ends_with("+xml")
        || media.ends_with("+json");
    if text {
        HeaderValue::from_str(&format!("{media}; charset=utf-8"))
            .unwrap_or_else(|_| HeaderValue::from_static(media))
    } else {
        HeaderValue::from_static(media)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_come_from_extensions() {
        for (name, media) in [
            ("a/index.html", "text/html; charset=utf-8"),
            ("x.js", "text/javascript; charset=utf-8"),
            ("x.json", "application/json; charset=utf-8"),
            ("x.svg", "image/svg+xml; charset=utf-8"),
            ("x.PNG", "image/png"),
            ("x", "application/octet-stream"),
            ("x.", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name.as_bytes()), media, "{name}");
        }
    }

    #[test]
    fn a_site_knows_better() {
        let own = |extension: &str, value: &str| MediaType {
            extension: extension.into(),
            value: value.into(),
        };
        let types = MediaTypes::new(&[own("glb", "model/x"), own("js", "text/plain")]);
        assert_eq!(types.of(b"a.b/x.GLB"), "model/x");
        assert_eq!(types.of(b"x.js"), "text/plain");
        assert_eq!(types.of(b"a.js/x"), "application/octet-stream");
        assert_eq!(types.of(b"x.css"), "text/css; charset=utf-8");
    }
}
