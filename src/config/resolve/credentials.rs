//! `credential:NAME`: files that systemd hands to the service and to nobody else (LoadCredential= in systemd.exec(5)).

use std::path::{Path, PathBuf};

use super::super::report::Finding;
use super::super::source::Located;
use super::Context;

/// What a path begins with that names a credential.
const PREFIX: &str = "credential:";
/// Bytes of a name, as systemd has it (NAME_MAX).
const LONGEST_NAME: usize = 255;
/// Credentials that an error names as those which are there.
const NAMED: usize = 5;

/// Where credentials are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credentials<'a> {
    /// `$CREDENTIALS_DIRECTORY`.
    pub(super) folder: Option<&'a Path>,
    /// The configuration is to be served by this process, not only checked.
    pub(super) serving: bool,
}

impl Context<'_> {
    /// The absolute path of a file that may be a credential. None: it cannot be known here, which was said.
    pub(super) fn file_or_credential(&self, file: &Located<PathBuf>) -> Option<PathBuf> {
        let name = file
            .value
            .to_str()
            .and_then(|text| text.strip_prefix(PREFIX));
        match name {
            Some(name) => self.credential(name, file),
            None => Some(self.absolute(&file.value, file.place)),
        }
    }

    fn credential(&self, name: &str, file: &Located<PathBuf>) -> Option<PathBuf> {
        let finding = if !is_name(name) {
            Finding::error(format!("'{name}' cannot be the name of a credential"))
                .help("write \"credential:NAME\" with the NAME of LoadCredential=NAME:/path in bws.service")
        } else {
            match self.credentials.folder {
                Some(folder) => {
                    let path = folder.join(name);
                    if path.exists() {
                        return Some(path);
                    }
                    let message = format!("the service has no credential '{name}'");
                    let known = names(folder);
                    Finding::error(message).help(match known.is_empty() {
                        true => how_to_load(name),
                        false => format!("it has {}; else {}", known.join(", "), how_to_load(name)),
                    })
                }
                None if self.credentials.serving => Finding::error(format!(
                    "there is no credential '{name}': systemd gave this process none at all"
                ))
                .help(how_to_load(name)),
                None => Finding::warning(format!("credential '{name}' cannot be checked here"))
                    .help("only the service sees it: 'systemctl reload bws' checks it, and keeps the old configuration if it is wrong"),
            }
        };
        self.findings.push(finding.at(file.place, ""));
        None
    }
}

/// Some of the names that would do.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().to_str().map(|it| format!("'{it}'"));
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort_unstable();
    names.truncate(NAMED);
    names
}

fn how_to_load(name: &str) -> String {
    format!(
        "run 'systemctl edit bws', write [Service] and LoadCredential={name}:/path/to/its/file, and 'systemctl restart bws'"
    )
}

fn is_name(name: &str) -> bool {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && name != "." && name != "..";
    fits && name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for good in ["shop.key", "a", "..a", "tls_key-2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "../../etc/shadow",
            "a/b",
            "a b",
            "a:b",
            "ü",
            &"x".repeat(256),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
