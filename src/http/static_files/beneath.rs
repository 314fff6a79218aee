//! Opening below a folder without ever leaving it.
//!
//! The kernel does it with openat2(2). Where that call is denied, the path is walked here, one name at a time: systemd's
//! `RestrictSUIDSGID=` answers it with ENOSYS, because a filter cannot look into the structure that it takes.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::{Errno, Result};

/// As many as the kernel follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;
/// openat2 asks for another try when a rename raced with its check for `..`.
const ATTEMPTS: u32 = 8;

/// Whether the kernel has answered that there is no openat2: it will not appear later.
static DENIED: AtomicBool = AtomicBool::new(false);

/// Opens `name` (relative, not empty) below `root`. Symbolic links are an error (LOOP) unless `follow`; one that leads
/// out of `root` always is (XDEV).
pub(super) fn open(
    root: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    follow: bool,
) -> Result<OwnedFd> {
    if !DENIED.load(Ordering::Relaxed) {
        match by_kernel(root, name, flags, follow) {
            Err(Errno::NOSYS) => DENIED.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    walk(root, name, flags, follow)
}

fn by_kernel(root: BorrowedFd<'_>, name: &[u8], flags: OFlags, follow: bool) -> Result<OwnedFd> {
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::NO_SYMLINKS, !follow);
    let mut attempts = 0;
    loop {
        match openat2(root, name, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS => attempts += 1,
            result => return result,
        }
    }
}

/// The same by openat(2), which is never given more than one name and never follows a link. `..` goes back to a folder
/// that was come from: it needs no check that a rename could outrun.
fn walk(root: BorrowedFd<'_>, name: &[u8], flags: OFlags, follow: bool) -> Result<OwnedFd> {
    if name.first() == Some(&b'/') {
        return Err(Errno::XDEV);
    }
    let mut ahead: VecDeque<Vec<u8>> = names(name).collect();
    let mut folders: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(next) = ahead.pop_front() {
        let here = folders.last().map_or(root, AsFd::as_fd);
        let last = ahead.is_empty();
        match &next[..] {
            b"" | b"." if last => return openat(here, ".", flags, Mode::empty()),
            b"" | b"." => continue,
            b".." => {
                folders.pop().ok_or(Errno::XDEV)?;
                if last {
                    ahead.push_back(b".".to_vec());
                }
                continue;
            }
            _ => {}
        }
        let step = if last { flags } else { OFlags::PATH };
        match openat(
            here,
            &next[..],
            step | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(file) if last => return Ok(file),
            Ok(folder) if !is_link(&folder)? => folders.push(folder),
            Ok(_) | Err(Errno::LOOP) => {
                links += 1;
                if !follow || links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                let target = link_target(here, &next)?;
                names(&target).rev().for_each(|name| ahead.push_front(name));
            }
            Err(error) => return Err(error),
        }
    }
    Err(Errno::NOENT)
}

fn link_target(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>> {
    let target = readlinkat(folder, name, Vec::new())?.into_bytes();
    match target.first() {
        Some(b'/') => Err(Errno::XDEV),
        _ => Ok(target),
    }
}

/// A slash at the end leaves an empty name, which stands for the folder itself.
fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/').map(<[u8]>::to_vec)
}

/// PATH and NOFOLLOW together open a symbolic link itself.
fn is_link(file: &OwnedFd) -> Result<bool> {
    let mode = rustix::fs::fstat(file)?.st_mode;
    Ok(rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_walk_ends_where_the_kernel_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "").unwrap();
        std::fs::write(folder.path().join("secret"), "").unwrap();
        for (target, link) in [
            ("a/b", "folder"),
            ("../file", "a/b/../up"),
            ("b/file", "a/near"),
            ("b/../../a/b/file", "a/around"),
            ("a/b/", "slashed"),
            ("..", "a/above"),
            ("../secret", "out"),
            ("../..", "a/far"),
            ("/etc/passwd", "absolute"),
            ("ring", "ring"),
            ("nowhere", "dangling"),
            ("/proc/self/root", "magic"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let held = std::fs::File::open(&root).unwrap();
        let inode =
            |opened: Result<OwnedFd>| opened.map(|it| rustix::fs::fstat(it).unwrap().st_ino);
        for name in [
            ".",
            "a",
            "a/",
            "a//b",
            "a/./b/file",
            "a/b/file",
            "a/b/file/",
            "a/b/file/x",
            "a/b/none",
            "none/x",
            "folder",
            "folder/",
            "folder/file",
            "a/near",
            "a/near/",
            "a/around",
            "slashed",
            "slashed/file",
            "a/above",
            "a/above/a/b/file",
            "a/..",
            "a/../a/b",
            "..",
            "a/../..",
            "../secret",
            "out",
            "a/far",
            "a/far/secret",
            "absolute",
            "ring",
            "ring/x",
            "dangling",
            "magic",
            "magic/etc",
            "/etc/passwd",
        ] {
            for follow in [false, true] {
                let walked = inode(walk(held.as_fd(), name.as_bytes(), flags, follow));
                let kernel = inode(by_kernel(held.as_fd(), name.as_bytes(), flags, follow));
                assert_eq!(walked, kernel, "'{name}', follow: {follow}");
            }
        }
    }
}
