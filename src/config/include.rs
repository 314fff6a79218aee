//! `include`: which files a pattern means.

use std::io;
use std::path::{Path, PathBuf};

use super::defaults::MAX_INCLUDED_NAMES;

/// The files that `pattern` means, sorted, and the folders where others could appear. `*` and `?` stand for
/// characters of one file name. A name without them is that file, whether it exists or not. Each name that fits is taken
/// off `left`; when nothing is left, the error is of the kind `QuotaExceeded`.
pub(super) fn expand(folder: &Path, pattern: &str, left: &mut usize) -> io::Result<Expansion> {
    let mut expansion = Expansion {
        files: vec![folder.to_path_buf()],
        folders: Vec::new(),
    };
    for part in Path::new(pattern).components() {
        match part.as_os_str().to_str().filter(|part| is_pattern(part)) {
            Some(part) => expansion.search(part, left)?,
            None => expansion.files.iter_mut().for_each(|path| path.push(part)),
        }
    }
    if is_pattern(pattern) {
        expansion.files.retain(|path| path.is_file());
    }
    expansion.files.sort();
    Ok(expansion)
}

/// What a pattern means at this moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expansion {
    pub(super) files: Vec<PathBuf>,
    /// Folders that were searched.
    pub(super) folders: Vec<PathBuf>,
}

impl Expansion {
    /// Goes one level down, to every name that fits.
    fn search(&mut self, pattern: &str, left: &mut usize) -> io::Result<()> {
        let mut found = Vec::new();
        for folder in std::mem::take(&mut self.files) {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if is_absence(&error) => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let name = entry?.file_name();
                if name.to_str().is_some_and(|name| fits(pattern, name)) {
                    *left = left.checked_sub(1).ok_or_else(too_many)?;
                    found.push(folder.join(name));
                }
            }
            self.folders.push(folder);
        }
        self.files = found;
        Ok(())
    }
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn too_many() -> io::Error {
    let message = format!("more than {MAX_INCLUDED_NAMES} names fit");
    io::Error::new(io::ErrorKind::QuotaExceeded, message)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Hidden files (an editor's, a package manager's) fit only a pattern that begins with a dot.
fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut here) = (0, 0);
    // Where to go on when the text after the last star does not fit: one character further.
    let mut retry = None;
    while here < name.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, here));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[here] => {
                (at, here) = (at + 1, here + 1);
            }
            _ => {
                let Some((after, from)) = retry else {
                    return false;
                };
                retry = Some((after, from + 1));
                (at, here) = (after, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_fit() {
        for (pattern, name) in [
            ("*.toml", "a.toml"),
            ("*", "x"),
            ("a?c*", "abcd"),
            ("*a*b*", "xxaxxb"),
            ("*.toml", "a.toml.toml"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.toml", "a.tom"),
            ("*.toml", ".a.toml"),
            ("a?", "a"),
            ("*.toml", "a.toml~"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_sorted_from_the_folders_that_exist() {
        let folder = tempfile::tempdir().unwrap();
        let sites = folder.path().join("sites.d");
        std::fs::create_dir_all(sites.join("folder.toml")).unwrap();
        for name in ["b.toml", "a.toml", "note.txt"] {
            std::fs::write(sites.join(name), "").unwrap();
        }
        let expand = |pattern: &str| expand(folder.path(), pattern, &mut 2);
        let found = expand("sites.d/*.toml");
        // The folder fits, too.
        assert!(found.is_err());
        std::fs::remove_dir(sites.join("folder.toml")).unwrap();
        let found = expand("sites.d/*.toml").unwrap();
        assert_eq!(found.files, [sites.join("a.toml"), sites.join("b.toml")]);
        assert_eq!(found.folders, [sites]);
        assert!(expand("missing/*.toml").unwrap().files.is_empty());
        assert_eq!(
            expand("x.toml").unwrap().files,
            [folder.path().join("x.toml")]
        );
    }
}
