//! The Unix socket of the management API. Who may open it (mode 0660) may give orders.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::access::Access;
use super::connection::{self, CONNECTIONS};
use super::presence::Presence;
use super::socket_path;
use crate::core::master::Input;
use crate::core::process;
use crate::core::takeover::descriptors::Number;

/// The open socket; its file goes with it.
pub struct Control {
    path: PathBuf,
    inode: Option<u64>,
    listener: Rc<UnixListener>,
    task: JoinHandle<()>,
}

impl Control {
    /// Opens the socket at `path`, or at the usual place. Without one the master serves all the same, but takes no
    /// orders except by signal: a warning.
    pub fn open(path: Option<&Path>, inputs: mpsc::Sender<Input>) -> Option<Self> {
        let path = match path.map(Path::to_path_buf).or_else(socket_path::choose) {
            Some(path) => path,
            None => {
                tracing::warn!(
                    "no folder for the control socket: 'bws reload' and 'bws status' will not work; set BWS_CONTROL to a path"
                );
                return None;
            }
        };
        match listen(&path) {
            Ok((path, listener)) => {
                tracing::debug!("the control socket is '{}'", path.display());
                Some(Self::serve(path, listener, inputs))
            }
            Err(error) => {
                tracing::warn!(
                    "the control socket '{}' cannot be made: {error}; 'bws reload' and 'bws status' will not work",
                    path.display()
                );
                None
            }
        }
    }

    /// Goes on with a socket that an earlier program opened.
    pub fn adopt(path: PathBuf, socket: OwnedFd, inputs: mpsc::Sender<Input>) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Self::serve(path, listener, inputs))
    }

    fn serve(path: PathBuf, listener: UnixListener, inputs: mpsc::Sender<Input>) -> Self {
        let (inode, listener) = (inode(&path), Rc::new(listener));
        let task = tokio::task::spawn_local(accept(listener.clone(), inputs));
        Self {
            path,
            inode,
            listener,
            task,
        }
    }

    /// Where root passes ports.
    pub fn ports(&self) -> PathBuf {
        socket_path::ports(&self.path)
    }

    /// What the next program needs to go on with it.
    pub fn record(&self) -> (PathBuf, Number) {
        (self.path.clone(), Number(self.listener.as_raw_fd()))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // Another master may have put its own there meanwhile.
        if self.inode.is_some() && inode(&self.path) == self.inode {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|file| file.ino())
}

/// A socket that another master serves is left to it, one that nobody serves is replaced.
fn listen(path: &Path) -> io::Result<(PathBuf, UnixListener)> {
    let mut path = path.to_path_buf();
    let is_socket = std::fs::symlink_metadata(&path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(&path).is_ok() {
        let own = path.with_file_name(format!("control-{}.sock", std::process::id()));
        tracing::warn!(
            "another BWS master answers at '{}': this one answers at '{}' ('bws --control PATH status')",
            path.display(),
            own.display()
        );
        path = own;
    } else if is_socket {
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
    Ok((path, listener))
}

/// One descriptor is kept aside, so that an operator gets an answer also when there are no others left.
async fn accept(listener: Rc<UnixListener>, inputs: mpsc::Sender<Input>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut spare = File::open("/dev/null").ok();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (present, inputs) = (Presence::of(&stream), inputs.clone());
                tokio::task::spawn_local(async move {
                    let (access, revoked) = (Rc::new(Access::Trusted), std::future::pending());
                    connection::serve(stream, present, access, inputs, revoked).await;
                    drop(permit);
                });
                spare = spare.or_else(|| File::open("/dev/null").ok());
            }
            Err(error) if process::exhaustion_advice(&error).is_some() && spare.is_some() => {
                spare = None;
            }
            Err(error) => {
                connection::pause_after(&error).await;
                spare = spare.or_else(|| File::open("/dev/null").ok());
            }
        }
    }
}
