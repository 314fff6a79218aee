//! What lies at a path: a file, a folder, or nothing.

use std::borrow::Cow;
use std::os::fd::OwnedFd;

use http::StatusCode;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::path;
use super::root::Root;

/// What a request path leads to.
pub(super) enum Located {
    /// An open regular file, and the name that its media type comes from.
    File {
        file: OwnedFd,
        stat: Stat,
        name: Vec<u8>,
    },
    /// A folder named without its slash.
    Folder { has_index: bool },
    /// A folder that is to be listed, named with its slash; empty for the root.
    Listing(Vec<u8>),
    /// 404, 403, 400, or 503 when descriptors ran out.
    Missing(StatusCode),
}

pub(super) fn locate(root: &Root, request_path: &str) -> Located {
    let name = match path::below_root(request_path) {
        Ok(name) => name,
        Err(status) => return Located::Missing(status),
    };
    let found = if name.is_empty() || name.ends_with(b"/") {
        locate_index(root, &name)
    } else {
        locate_name(root, name)
    };
    found.unwrap_or_else(|error| Located::Missing(status_of(error)))
}

fn locate_name(root: &Root, name: Cow<'_, [u8]>) -> Result<Located, Errno> {
    let (file, stat) = root.open(&name)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Located::File {
            file,
            stat,
            name: name.into_owned(),
        }),
        FileType::Directory => {
            let mut folder = name.into_owned();
            folder.push(b'/');
            let index = locate_index(root, &folder);
            let has_index = matches!(index, Ok(Located::File { .. }));
            Ok(Located::Folder { has_index })
        }
        _ => Ok(Located::Missing(StatusCode::FORBIDDEN)),
    }
}

fn locate_index(root: &Root, folder: &[u8]) -> Result<Located, Errno> {
    for index in &root.index_files {
        let name = [folder, index.as_bytes()].concat();
        match root.open(&name) {
            Ok((file, stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                return Ok(Located::File { file, stat, name });
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    let name = if folder.is_empty() { b"." } else { folder };
    root.open(name)?;
    Ok(if root.rules.listing {
        Located::Listing(folder.to_vec())
    } else {
        Located::Missing(StatusCode::FORBIDDEN)
    })
}

pub(super) fn status_of(error: Errno) -> StatusCode {
    match error {
        Errno::ACCESS | Errno::PERM => StatusCode::FORBIDDEN,
        // LOOP: a symbolic link that may not be followed; XDEV: one that leads out of the root.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::LOOP
        | Errno::XDEV
        | Errno::NAMETOOLONG
        | Errno::NXIO
        | Errno::INVAL => StatusCode::NOT_FOUND,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Rules;
    use super::*;
    use crate::http::testing;
    use std::os::unix::fs::symlink;

    fn status(root: &Root, path: &str) -> u16 {
        match locate(root, path) {
            Located::File { .. } => 200,
            Located::Folder { .. } => 301,
            Located::Listing(_) => 999,
            Located::Missing(status) => status.as_u16(),
        }
    }

    #[test]
    fn files_folders_and_what_is_neither() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("with/index.html")).unwrap();
        std::fs::write(folder.path().join("with/index.htm"), "x").unwrap();
        std::fs::create_dir(folder.path().join("bare")).unwrap();
        std::fs::write(folder.path().join("file"), "x").unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let root = Root::new(&testing::static_files(folder.path()), Rules::plain());
        for (path, expected) in [
            ("/file", 200),
            ("/file/", 404),
            ("/file/x", 404),
            ("/with/", 200),
            ("/with", 301),
            ("/bare/", 403),
            ("/none/", 404),
            ("/", 403),
            ("/fifo", 403),
        ] {
            assert_eq!(status(&root, path), expected, "{path}");
        }
    }
    use rustix::fs::CWD;

    #[test]
    fn links_are_followed_only_inside_and_only_when_allowed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "x").unwrap();
        symlink("file", folder.path().join("inner")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("outer")).unwrap();
        symlink("../", folder.path().join("up")).unwrap();
        let mut files = testing::static_files(folder.path());
        let strict = Root::new(&files, Rules::plain());
        files.follow_symlinks = true;
        let lenient = Root::new(&files, Rules::plain());
        assert_eq!(
            (status(&strict, "/inner"), status(&lenient, "/inner")),
            (404, 200)
        );
        for path in ["/outer", "/up/", "/up/etc/passwd"] {
            assert_eq!(
                (status(&strict, path), status(&lenient, path)),
                (404, 404),
                "{path}"
            );
        }
    }

    #[test]
    fn another_folder_at_the_same_path_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        for release in ["one", "two"] {
            std::fs::create_dir(folder.path().join(release)).unwrap();
            std::fs::write(folder.path().join(release).join(release), "x").unwrap();
        }
        let current = folder.path().join("current");
        symlink("one", &current).unwrap();
        let root = Root::new(&testing::static_files(&current), Rules::plain());
        assert_eq!(status(&root, "/one"), 200);
        std::fs::remove_file(&current).unwrap();
        symlink("two", &current).unwrap();
        testing::wait_until(|| status(&root, "/two") == 200);
    }
}
