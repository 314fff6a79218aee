//! Paths: absolute, there, and usable by this process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::super::report::{Finding, Findings};
use super::super::source::{Located, Place, Source, advice, reason};
use super::Context;

/// Folders that were looked at, with what is wrong with them: many sites may share one.
#[derive(Default)]
pub(super) struct Folders(HashMap<OsString, Option<Trouble>>);

/// What is wrong with a folder, and what to do.
#[derive(Clone)]
struct Trouble(String, String);

impl Context<'_> {
    /// A path as written, from the folder of the file that it is written in.
    pub(super) fn absolute(&self, path: &Path, place: Place) -> PathBuf {
        match self.sources.get(place.source as usize) {
            Some(source) => absolute(path, source),
            None => path.to_path_buf(),
        }
    }

    /// The absolute path of a folder that can be read; `key` is what names it.
    pub(super) fn folder(&mut self, path: &Located<PathBuf>, key: &str) -> PathBuf {
        let absolute = self.absolute(&path.value, path.place);
        let trouble = match self.folders.0.get(absolute.as_os_str()) {
            Some(trouble) => trouble.clone(),
            None => {
                let trouble = trouble(&absolute);
                let key = absolute.clone().into_os_string();
                self.folders.0.insert(key, trouble.clone());
                trouble
            }
        };
        if let Some(Trouble(what, help)) = trouble {
            let message = format!("{key} '{}' {what}", absolute.display());
            self.findings
                .push(Finding::error(message).at(path.place, "").help(help));
        }
        absolute
    }
}

pub(super) fn absolute(path: &Path, source: &Source) -> PathBuf {
    // Through components(), so that "./" leaves no trace.
    source.folder.join(path).components().collect()
}

fn trouble(folder: &Path) -> Option<Trouble> {
    // One system call says yes for all: "folder/." is there only if it is a folder that can be searched.
    if allows(&folder.join("."), Access::READ_OK | Access::EXEC_OK) {
        return None;
    }
    match std::fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Trouble(
            "does not exist".to_owned(),
            advice(&error).to_owned(),
        )),
        Err(error) => Some(Trouble(
            format!("cannot be used: {}", reason(&error)),
            advice(&error).to_owned(),
        )),
        Ok(metadata) if !metadata.is_dir() => Some(Trouble(
            "is not a folder".to_owned(),
            "name the folder that holds the files".to_owned(),
        )),
        Ok(_) => Some(Trouble(
            "cannot be read by this user".to_owned(),
            format!("allow it, for example: chmod o+rx '{}'", folder.display()),
        )),
    }
}

/// Whether this process may do so, with its effective user.
fn allows(path: &Path, access: Access) -> bool {
    // A kernel that cannot tell for the effective user says NOSYS: the worker will find out.
    let answer = accessat(CWD, path, access, AtFlags::EACCESS);
    matches!(answer, Ok(()) | Err(rustix::io::Errno::NOSYS))
}

/// Checks that a page for an error is a file that can be read.
pub(super) fn check_file(path: &Path, place: Place, findings: &Findings) {
    let (problem, help) = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            ("does not exist".to_owned(), advice(&error).to_owned())
        }
        Err(error) => (
            format!("cannot be used: {}", reason(&error)),
            advice(&error).to_owned(),
        ),
        Ok(metadata) if !metadata.is_file() => (
            "is not a file".to_owned(),
            "name the file that holds the page".to_owned(),
        ),
        Ok(_) if !allows(path, Access::READ_OK) => (
            "cannot be read by this user".to_owned(),
            format!("allow it, for example: chmod o+r '{}'", path.display()),
        ),
        Ok(_) => return,
    };
    let message = format!("error page '{}' {problem}", path.display());
    findings.push(Finding::error(message).at(place, "").help(help));
}

/// Checks that a log file can be written, or made.
pub(super) fn check_log(path: &Path, place: Place, findings: &Findings) {
    let problem = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Some("is a folder".to_owned()),
        Ok(_) => (!allows(path, Access::WRITE_OK)).then(|| "cannot be written".to_owned()),
        Err(_) => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            (!allows(folder, Access::WRITE_OK | Access::EXEC_OK)).then(|| {
                format!(
                    "cannot be made: '{}' does not exist or cannot be written",
                    folder.display()
                )
            })
        }
    };
    if let Some(problem) = problem {
        findings.push(
            Finding::error(format!("log file '{}' {problem}", path.display()))
                .at(place, "")
                .help("name a file in a folder that the user that BWS runs as can write"),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn paths_start_at_the_folder_of_the_file() {
        let source = Source::new(Path::new("/etc/bws/config.toml"), String::new());
        assert_eq!(
            absolute(Path::new("./www/"), &source),
            Path::new("/etc/bws/www")
        );
        assert_eq!(absolute(Path::new("/srv"), &source), Path::new("/srv"));
    }

    #[test]
    fn only_a_folder_that_can_be_read_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(trouble(folder.path()).is_none());
        assert!(trouble(&file).unwrap().0.contains("not a folder"));
        assert!(
            trouble(&folder.path().join("missing"))
                .unwrap()
                .0
                .contains("not exist")
        );
        let closed = folder.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
        // Root may read everything.
        if !rustix::process::geteuid().is_root() {
            assert!(trouble(&closed).unwrap().0.contains("cannot be read"));
        }
    }
}
