//! Where the control socket is, for the master that makes it and the command that looks for it.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "control.sock";
const SYSTEM_FOLDER: &str = "/run/bws";

/// Where `bws reload` and `bws status` look, the best first.
pub fn places() -> Vec<PathBuf> {
    folders()
        .into_iter()
        .map(|folder| folder.join(FILE_NAME))
        .collect()
}

/// The same without the folder in /tmp, which anybody may have made.
pub fn guarded_places() -> Vec<PathBuf> {
    let mut places = places();
    places.retain(|place| place.parent() != Some(&fallback()));
    places
}

fn fallback() -> PathBuf {
    format!("/tmp/bws-{}", rustix::process::geteuid().as_raw()).into()
}

/// The socket beside the control socket over which root passes ports.
pub fn ports(control: &Path) -> PathBuf {
    let name = control.file_name().unwrap_or_default().to_string_lossy();
    let name = match name.strip_prefix("control") {
        Some(rest) => format!("ports{rest}"),
        None => format!("{name}.ports"),
    };
    control.with_file_name(name)
}

fn folders() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd puts several folders of RuntimeDirectory= into the one variable.
    let first_of = |list: std::ffi::OsString| {
        list.to_str()
            .and_then(|text| text.split(':').next())
            .map(PathBuf::from)
    };
    let service = variable("RUNTIME_DIRECTORY").and_then(first_of);
    let user = variable("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("bws"));
    let all = [service, Some(SYSTEM_FOLDER.into()), user, Some(fallback())];
    all.into_iter().flatten().collect()
}

/// The first of [`places`] whose folder exists or can be made, and is ours to write to.
pub(super) fn choose() -> Option<PathBuf> {
    let folder = folders().into_iter().find(|folder| make(folder).is_ok())?;
    Some(folder.join(FILE_NAME))
}

fn make(folder: &Path) -> std::io::Result<()> {
    if !folder.is_dir() {
        let mode = if folder == Path::new(SYSTEM_FOLDER) {
            0o750
        } else {
            0o700
        };
        std::fs::DirBuilder::new().mode(mode).create(folder)?;
    }
    rustix::fs::access(
        folder,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )?;
    // A folder in /tmp that someone else has made beforehand is theirs.
    let owner = std::fs::symlink_metadata(folder)?;
    let me = rustix::process::geteuid().as_raw();
    let ours = owner.uid() == me || (owner.uid() == 0 && !folder.starts_with("/tmp"));
    match ours && (owner.is_dir() || !folder.starts_with("/tmp")) {
        true => Ok(()),
        false => Err(std::io::ErrorKind::PermissionDenied.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_passed_beside_the_control_socket() {
        let beside = |path: &str| ports(Path::new(path)).display().to_string();
        assert_eq!(beside("/run/bws/control.sock"), "/run/bws/ports.sock");
        assert_eq!(beside("/run/bws/control-7.sock"), "/run/bws/ports-7.sock");
        assert_eq!(beside("/x/mine"), "/x/mine.ports");
    }
}
