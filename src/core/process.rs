//! The master's own process: its title, the path of its program, its limits.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What `ps` shows; the documented `pgrep -f "bws.*master"` finds it.
pub const TITLE: &str = "bws: master";

/// Executes this program anew under the master's title: same process, same arguments, same descriptors and
/// environment. Returns when it has the title already, or when that is impossible (then it goes on without).
pub fn take_title() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_none_or(|name| name == TITLE) {
        return;
    }
    let error = Command::new(own_image()).arg0(TITLE).args(arguments).exec();
    tracing::debug!("the process keeps its title: {error}");
}

/// The program on disk while it is the one that runs (`ps` then shows its name), else the running image.
fn own_image() -> PathBuf {
    let image = PathBuf::from("/proc/self/exe");
    let identity = |path: &Path| {
        std::fs::metadata(path)
            .map(|file| (file.dev(), file.ino()))
            .ok()
    };
    match program() {
        Ok(path) if identity(&path).is_some() && identity(&path) == identity(&image) => path,
        _ => image,
    }
}

/// Where this program is on disk, also after an upgrade replaced the file: workers start from there.
pub fn program() -> io::Result<PathBuf> {
    let link = std::fs::read_link("/proc/self/exe")?;
    Ok(without_deletion_mark(link))
}

fn without_deletion_mark(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(bytes) => PathBuf::from(OsString::from_vec(bytes.to_vec())),
        None => path,
    }
}

/// Raises the soft limit of open files to the hard one. Workers inherit it.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(
            "the limit of open files stays at {:?}: {error}",
            limit.current
        );
    }
}

/// Fails when fewer than `count` descriptors can be opened: what follows would fail half-way, with an error that does
/// not say what to do.
pub fn check_descriptors(count: usize) -> io::Result<()> {
    let opened: io::Result<Vec<_>> = (0..count)
        .map(|_| std::fs::File::open("/dev/null"))
        .collect();
    opened.map(drop)
}

/// What to do when this error says that descriptors, processes or memory ran out.
pub fn exhaustion_advice(error: &io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some(
            "the limit of open files of this process (RLIMIT_NOFILE) is reached: raise LimitNOFILE= of bws.service",
        ),
        Errno::NFILE => {
            Some("the system's limit of open files is reached: raise it with 'sysctl fs.file-max'")
        }
        Errno::NOMEM => {
            Some("memory ran out: free some, or raise MemoryMax= of bws.service if it is set")
        }
        Errno::AGAIN => Some(
            "the limit of processes (RLIMIT_NPROC or pids.max) is reached: raise LimitNPROC= or TasksMax= of bws.service",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_program_is_found_again() {
        let path = |text: &str| without_deletion_mark(PathBuf::from(text));
        assert_eq!(path("/usr/bin/bws (deleted)"), Path::new("/usr/bin/bws"));
        assert_eq!(path("/usr/bin/bws"), Path::new("/usr/bin/bws"));
    }

    #[test]
    fn exhaustion_names_its_limit() {
        let error = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert!(exhaustion_advice(&error).unwrap().contains("LimitNOFILE="));
        assert!(exhaustion_advice(&io::Error::other("x")).is_none());
    }
}
