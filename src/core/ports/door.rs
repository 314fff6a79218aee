//! The master's end: a socket beside the control socket, for root and the master's own user.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
    sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Question;
use super::message::{Answer, FORMAT, Request, receive, send};
use crate::core::master::Input;
use crate::ipc::channel::Channel;
use crate::ipc::message::version;
use crate::ipc::readiness;

const BACKLOG: i32 = 8;
/// For everything that a helper has to say, the reload after it included.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The open socket; its file goes with it.
pub struct Door {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Door {
    /// Opens it at `path`, where nobody else's may be. None, with a warning, when that is impossible.
    pub fn open(path: PathBuf, inputs: mpsc::Sender<Input>) -> Option<Self> {
        match listener(&path) {
            Ok(listener) => {
                let task = tokio::task::spawn_local(accept(listener, inputs));
                Some(Self { path, task })
            }
            Err(error) => {
                tracing::warn!(
                    "the socket '{}' cannot be made: {error}; root cannot pass ports to this server",
                    path.display()
                );
                None
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

fn listener(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listen(&socket, BACKLOG)?;
    readiness::watch(socket, Interest::READABLE)
}

/// One conversation at a time.
async fn accept(listener: AsyncFd<OwnedFd>, inputs: mpsc::Sender<Input>) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    loop {
        let accept = |socket: &OwnedFd| Ok(accept_with(socket, flags)?);
        match listener.async_io(Interest::READABLE, accept).await {
            Ok(connection) => {
                let conversation = converse(connection, &inputs);
                if let Ok(Err(error)) = tokio::time::timeout(TIMEOUT, conversation).await {
                    tracing::debug!("the helper for ports broke off: {error}");
                }
            }
            Err(error) => {
                tracing::debug!("the helper for ports could not be let in: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(connection: OwnedFd, inputs: &mpsc::Sender<Input>) -> io::Result<()> {
    let permitted = is_permitted(&connection);
    let channel = Channel::from_fd(connection)?;
    if !permitted {
        let reason = "only root may pass ports".to_owned();
        return send(&channel, &Answer::Refused { reason }, &[]).await;
    }
    while let Some((request, sockets)) = receive::<Request>(&channel).await? {
        let answer = reply(request, sockets, inputs).await;
        let answer = answer.ok_or_else(|| io::Error::other("the master has ended"))?;
        send(&channel, &answer, &[]).await?;
    }
    Ok(())
}

fn is_permitted(connection: &OwnedFd) -> bool {
    let own = rustix::process::geteuid();
    sockopt::socket_peercred(connection).is_ok_and(|peer| peer.uid.is_root() || peer.uid == own)
}

/// None: the master has ended.
async fn reply(
    request: Request,
    sockets: Vec<OwnedFd>,
    inputs: &mpsc::Sender<Input>,
) -> Option<Answer> {
    let ask = async |question| inputs.send(Input::Ports(question)).await.ok();
    Some(match request {
        Request::Hello { format: FORMAT } => Answer::Welcome {
            version: version().into(),
        },
        Request::Hello { format } => Answer::Refused {
            reason: format!(
                "this master is BWS {} and does not understand the helper (format {format}): run 'systemctl restart bws'",
                version()
            ),
        },
        Request::Wanted { addresses } => {
            let (sender, places) = oneshot::channel();
            ask(Question::Missing(addresses, sender)).await?;
            let places = places.await.ok()?;
            Answer::Missing { places }
        }
        Request::Bound { refused } => {
            ask(Question::Bound(sockets, refused)).await?;
            Answer::Taken
        }
        Request::Declined { reason } => {
            ask(Question::Declined(reason)).await?;
            Answer::Taken
        }
        Request::Done => {
            let (sender, report) = oneshot::channel();
            ask(Question::Done(sender)).await?;
            match report.await {
                Ok(report) => Answer::Served {
                    success: report.success,
                    text: report.message,
                },
                Err(_) => Answer::Served {
                    success: true,
                    text: String::new(),
                },
            }
        }
    })
}
