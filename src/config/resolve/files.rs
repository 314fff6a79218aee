//! Pages for errors, and media types by extension.

use std::path::{Path, PathBuf};

use super::super::defaults::ERROR_STATUS_RANGE;
use super::super::raw::Pairs;
use super::super::report::{Finding, Findings};
use super::super::source::Located;
use super::super::types::{ErrorPage, MediaType};
use super::content::is_media_type;
use super::{Context, paths};

/// The pages of a site whose files lie in `root`.
pub(super) fn error_pages(
    pairs: &Pairs,
    root: Option<&Path>,
    context: &Context<'_>,
) -> Vec<ErrorPage> {
    let page = |(status, path): &(Located<String>, Located<String>)| {
        let known = status.value.parse().ok();
        let Some(known) = known.filter(|status| ERROR_STATUS_RANGE.contains(status)) else {
            context.findings.push(
                Finding::error(format!("'{}' is not the status of an error", status.value))
                    .at(status.place, "")
                    .help("write one from 400 to 599, as 404 = \"404.html\""),
            );
            return None;
        };
        let file = error_page(path, root, context);
        paths::check_file(&file, path.place, context.findings);
        Some(ErrorPage {
            status: known,
            file,
        })
    };
    pairs.iter().filter_map(page).collect()
}

/// In the folder of the site's files. A path that begins with a slash may mean that, too, as it does in other servers.
fn error_page(path: &Located<String>, root: Option<&Path>, context: &Context<'_>) -> PathBuf {
    let Some(root) = root else {
        return context.absolute(path.value.as_ref(), path.place);
    };
    let named = Path::new(&path.value);
    if named.is_absolute() && named.exists() {
        return named.to_path_buf();
    }
    let inside = root.join(path.value.trim_start_matches('/'));
    if named.is_absolute() && !inside.exists() {
        return named.to_path_buf();
    }
    inside.components().collect()
}

/// `mime_types`, the extension with or without its dot.
pub(super) fn media_types(pairs: &Pairs, findings: &Findings) -> Vec<MediaType> {
    let mut types: Vec<MediaType> = Vec::with_capacity(pairs.len());
    for (named, value) in pairs {
        let extension = named.value.strip_prefix('.').unwrap_or(&named.value);
        let extension = extension.to_ascii_lowercase();
        if extension.is_empty() || extension.contains(['.', '/']) {
            findings.push(
                Finding::error(format!("'{}' is not an extension", named.value))
                    .at(named.place, "")
                    .help(
                        "write what follows the last dot of a name, as wasm = \"application/wasm\"",
                    ),
            );
        } else if types.iter().any(|it| it.extension == extension) {
            findings.push(
                Finding::error(format!("the extension '{extension}' has two types"))
                    .at(named.place, "the second")
                    .help("remove one; upper and lower case make no difference"),
            );
        }
        if !is_content_type(&value.value) {
            findings.push(
                Finding::error(format!("'{}' is not a media type", value.value))
                    .at(value.place, "")
                    .help("write a type and a subtype, as \"text/html; charset=utf-8\""),
            );
        }
        types.push(MediaType {
            extension,
            value: value.value.trim().to_owned(),
        });
    }
    types
}

/// A media type, perhaps with parameters.
fn is_content_type(text: &str) -> bool {
    let kind = text.split(';').next().unwrap_or_default();
    is_media_type(kind) && !kind.contains('*') && http::HeaderValue::from_str(text).is_ok()
}
