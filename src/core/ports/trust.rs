//! Root binds what a file says only if nobody but root, or the user who called, can have written it: neither the file,
//! nor a folder or a symbolic link on the way to it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

const MOST_LINKS: usize = 40;
/// Written by group or others.
const SHARED: u32 = 0o022;
/// Only an entry's owner can replace it.
const STICKY: u32 = 0o1000;

/// Why root does not follow this file; the text is for the operator.
pub fn check(path: &Path) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|error| unknown(path, &error))?;
    let owners = trusted_users();
    let mut rest = names(&path);
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        let entry = std::fs::symlink_metadata(&next).map_err(|error| unknown(&next, &error))?;
        check_entry(&next, &entry, &owners)?;
        if entry.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(format!("'{}' is a circle of links", path.display()));
            }
            let target = std::fs::read_link(&next).map_err(|error| unknown(&next, &error))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            names(&target)
                .into_iter()
                .rev()
                .for_each(|name| rest.push_front(name));
        } else {
            at = next;
        }
    }
    Ok(())
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

/// Root, whoever runs this, and who became root by sudo.
fn trusted_users() -> Vec<u32> {
    let caller = std::env::var("SUDO_UID").ok();
    let caller = caller.and_then(|user| user.parse().ok());
    let own = rustix::process::geteuid().as_raw();
    [0, own].into_iter().chain(caller).collect()
}

fn check_entry(path: &Path, entry: &Metadata, owners: &[u32]) -> Result<(), String> {
    let shown = path.display();
    if !owners.contains(&entry.uid()) {
        return Err(format!(
            "'{shown}' belongs to user {} and not to root: chown root '{shown}'",
            entry.uid()
        ));
    }
    let sticky = entry.is_dir() && entry.mode() & STICKY != 0;
    if !entry.is_symlink() && !sticky && entry.mode() & SHARED != 0 {
        return Err(format!(
            "'{shown}' can be written by others than its owner: chmod go-w '{shown}'"
        ));
    }
    Ok(())
}

fn unknown(path: &Path, error: &std::io::Error) -> String {
    format!("'{}' cannot be examined: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_can_write_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "").unwrap();
        set_mode(&file, 0o644);
        assert_eq!(check(&file), Ok(()));
        set_mode(&file, 0o664);
        assert!(check(&file).unwrap_err().contains("chmod go-w"));
        set_mode(&file, 0o644);
        set_mode(folder.path(), 0o777);
        assert!(check(&file).unwrap_err().contains("chmod go-w"));
    }

    #[test]
    fn every_link_on_the_way_counts() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "").unwrap();
        set_mode(&file, 0o600);
        symlink("../config.toml", shared.join("middle")).unwrap();
        let link = folder.path().join("link");
        symlink(shared.join("middle"), &link).unwrap();
        set_mode(&shared, 0o755);
        assert_eq!(check(&link), Ok(()));
        set_mode(&shared, 0o777);
        assert!(check(&link).unwrap_err().contains("shared"));
        symlink(folder.path().join("round"), folder.path().join("round")).unwrap();
        assert!(check(&folder.path().join("round")).is_err());
    }

    #[test]
    fn a_file_of_another_user_is_not_followed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let entry = file.as_file().metadata().unwrap();
        let problem = check_entry(file.path(), &entry, &[entry.uid() + 1]);
        assert!(problem.unwrap_err().contains("chown root"));
    }
}
