//! A listing for people: one small page that needs no script.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::entries::{Entry, Listing};
use crate::http::endpoints::rfc3339;

const STYLE: &str = include_str!("style.css");

/// What a name in a link need not hide (RFC 3986 section 2.3).
const IN_LINKS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The page of `folder`, which ends in a slash, or is empty for the root.
pub(super) fn page(folder: &[u8], listing: &Listing) -> String {
    let title = escape(&String::from_utf8_lossy(folder));
    let mut page = String::with_capacity(1024 + listing.entries.len() * 192);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>/{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>/{title}</h1>\n<table>\n\
         <thead><tr><th>Name<th class=\"n\">Size<th class=\"n\">Modified (UTC)</thead>\n<tbody>\n"
    );
    if !folder.is_empty() {
        page.push_str("<tr><td><a href=\"../\">../</a><td class=\"n\"><td class=\"n\">\n");
    }
    listing
        .entries
        .iter()
        .for_each(|entry| row(&mut page, entry));
    page.push_str("</tbody>\n</table>\n");
    if listing.is_cut {
        let shown = listing.entries.len();
        let _ = writeln!(page, "<p>There is more; these are {shown} of it.</p>");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn row(page: &mut String, entry: &Entry) {
    let slash = if entry.size.is_none() { "/" } else { "" };
    let link = percent_encode(&entry.name, IN_LINKS);
    let name = escape(&String::from_utf8_lossy(&entry.name));
    let size = entry.size.map(size).unwrap_or_default();
    let time = rfc3339(entry.modified);
    let shown = time.get(..16).unwrap_or(&time).replace('T', " ");
    // The dot keeps a name with a colon from being a scheme.
    let _ = writeln!(
        page,
        "<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a><td class=\"n\">{size}\
         <td class=\"n\"><time datetime=\"{time}\">{shown}</time>"
    );
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(sign),
        }
    }
    escaped
}

/// For people: "512 B", "1.5 KB", "12 MB".
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 {
        tenths /= 1024;
        unit += 1;
    }
    match tenths {
        0..100 => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
        _ => format!("{} {}", tenths / 10, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        let entry = |name: &[u8]| Entry {
            name: name.to_vec(),
            size: Some(1),
            modified: 0,
        };
        let listing = Listing {
            entries: vec![
                entry(b"<b>&\"'"),
                entry(b"javascript:x"),
                entry(b"a\xff b#?%"),
            ],
            is_cut: true,
        };
        let page = page(b"<script>/", &listing);
        assert!(!page.contains("<script>") && !page.contains("<b>"));
        assert!(page.contains("<h1>/&lt;script&gt;/</h1>"));
        assert!(page.contains("href=\"./%3Cb%3E%26%22%27\">&lt;b&gt;&amp;&quot;&#39;</a>"));
        assert!(page.contains("href=\"./javascript%3Ax\""));
        assert!(page.contains("href=\"./a%FF%20b%23%3F%25\""));
        assert!(page.contains("these are 3 of it"));
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KB"),
            (1536, "1.5 KB"),
            (10 * 1024, "10 KB"),
            (1_048_575, "1023 KB"),
            (5 << 30, "5.0 GB"),
            (u64::MAX, "15 EB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
