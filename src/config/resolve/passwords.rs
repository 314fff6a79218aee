//! The files of names and passwords: each is read and checked once, however many sites name it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::defaults::MAX_PASSWORD_FILE_SIZE;
use super::super::raw::Raw;
use super::super::report::{Finding, Findings};
use super::super::source::{self, Place};
use super::super::types::{PasswordFile, PasswordFileIndex};
use super::global::is_on;
use super::{Context, htpasswd};

/// The password files of a configuration.
#[derive(Default)]
pub(super) struct Store {
    /// By the place of `auth_file`; one that was refused is not in here.
    named: HashMap<Place, PasswordFileIndex>,
    files: Vec<PasswordFile>,
    /// Where they came from, and those that were refused.
    paths: Vec<PathBuf>,
}

/// Reads what the sites name, each file once.
pub(super) fn read(raw: &Raw, context: &Context<'_>) -> Store {
    let mut store = Store::default();
    let mut known: HashMap<PathBuf, Option<PasswordFileIndex>> = HashMap::new();
    for access in raw
        .sites()
        .filter_map(|site| site.middleware.access.as_ref())
    {
        let wanted = is_on(access.require_auth.as_ref(), false);
        let Some(file) = access.auth_file.as_ref().filter(|_| wanted) else {
            continue;
        };
        let Some(path) = context.file_or_credential(file) else {
            continue;
        };
        let index = *known
            .entry(path)
            .or_insert_with_key(|path| store.load(path, file.place, context.findings));
        if let Some(index) = index {
            store.named.insert(file.place, index);
        }
    }
    store
}

impl Store {
    pub(super) fn index(&self, auth_file: Place) -> Option<PasswordFileIndex> {
        self.named.get(&auth_file).copied()
    }

    /// The files' content, and their paths.
    pub(super) fn finish(self) -> (Vec<PasswordFile>, Vec<PathBuf>) {
        (self.files, self.paths)
    }

    fn load(
        &mut self,
        path: &Path,
        place: Place,
        findings: &Findings,
    ) -> Option<PasswordFileIndex> {
        self.paths.push(path.to_path_buf());
        let shown = path.display();
        let bytes = match source::read_limited(path, MAX_PASSWORD_FILE_SIZE) {
            Ok(bytes) => bytes,
            Err(refusal) => {
                let finding = Finding::error(refusal.message).at(place, "");
                findings.push(finding.help(refusal.help));
                return None;
            }
        };
        let Ok(text) = String::from_utf8(bytes) else {
            let message = format!("'{shown}' is not UTF-8");
            let finding = Finding::error(message).at(place, "");
            findings.push(finding.help("write it anew, with 'htpasswd -B FILE NAME'"));
            return None;
        };
        let users = match htpasswd::parse(&text) {
            Ok(users) => users,
            Err(wrong) => {
                for line in wrong {
                    let message = format!("line {} of '{shown}' {}", line.number, line.what);
                    findings.push(Finding::error(message).at(place, "").help(line.help));
                }
                return None;
            }
        };
        if users.is_empty() {
            findings.push(
                Finding::warning(format!("auth_file '{shown}' names nobody"))
                    .at(place, "everybody is refused")
                    .help(format!("add users: htpasswd -B '{shown}' NAME")),
            );
        }
        self.files.push(PasswordFile {
            path: path.to_path_buf(),
            users,
        });
        PasswordFileIndex::try_from(self.files.len() - 1).ok()
    }
}
