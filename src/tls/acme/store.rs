//! Files that are there whole or not at all, and that nobody else can read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// Writes beside the caller's thread, as disks may be slow.
pub(super) async fn write(file: &Path, content: Vec<u8>) -> Result<(), Failure> {
    let path = file.to_owned();
    let written = tokio::task::spawn_blocking(move || write_now(&path, &content)).await;
    let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
    written.map_err(|error| {
        let shown = file.display();
        let text =
            format!("'{shown}' cannot be written: {error}: check the disk and StateDirectory=");
        Failure::of_authority(text)
    })
}

fn write_now(file: &Path, content: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let fresh = fresh_name(file);
    // Of a process that did not come to its end.
    let _ = std::fs::remove_file(&fresh);
    let written = fill(&fresh, content).and_then(|()| std::fs::rename(&fresh, file));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&fresh);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

fn fresh_name(file: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".new-");
    name.push(file.file_name().unwrap_or_default());
    file.with_file_name(name)
}

fn fill(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    made.write_all(content)?;
    made.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_private_and_replaced_at_once() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a/b/site.pem");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        for content in ["one", "two"] {
            write_now(&file, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
        }
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn what_cannot_be_replaced_stays() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("site.pem");
        std::fs::create_dir_all(file.join("in the way")).unwrap();
        assert!(write_now(&file, b"x").is_err());
        let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
