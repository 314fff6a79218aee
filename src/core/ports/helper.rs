//! Root's end: binds what the configuration wants and the master does not hold.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};

use super::message::{Answer, BATCH, FORMAT, Request, receive, send};
use crate::config::types::ListenAddress;
use crate::core::management::socket_path;
use crate::core::sockets;
use crate::ipc::channel::Channel;

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    pub bound: Vec<ListenAddress>,
    /// What could not be bound, and why.
    pub refused: Vec<String>,
    /// Of the reload that was waiting for the sockets.
    pub served: Option<Result<String, String>>,
}

/// A conversation with the master.
pub struct Helper {
    channel: Channel,
}

impl Helper {
    /// Finds the master: at `control`, or at the usual places. Must run inside a tokio runtime.
    pub async fn connect(control: Option<&Path>) -> anyhow::Result<Self> {
        let places =
            control.map_or_else(socket_path::guarded_places, |path| vec![path.to_path_buf()]);
        let doors: Vec<PathBuf> = places.iter().map(|path| socket_path::ports(path)).collect();
        let connection = doors.iter().find_map(|door| open(door).ok());
        let Some(connection) = connection else {
            let names: Vec<String> = doors
                .iter()
                .map(|door| format!("'{}'", door.display()))
                .collect();
            bail!(
                "no BWS master answers at {}: is it running?",
                names.join(" or ")
            );
        };
        check_peer(&connection)?;
        let helper = Self {
            channel: Channel::from_fd(connection)?,
        };
        helper.ask(&Request::Hello { format: FORMAT }, &[]).await?;
        Ok(helper)
    }

    /// Tells the master why nothing is done, for its operator.
    pub async fn decline(self, reason: &str) -> anyhow::Result<()> {
        let reason = reason.to_owned();
        self.ask(&Request::Declined { reason }, &[]).await?;
        Ok(())
    }

    /// Passes what is missing of `wanted`. Unix sockets are the master's own business.
    pub async fn provide(self, wanted: &[ListenAddress]) -> anyhow::Result<Outcome> {
        let is_port = |address: &&ListenAddress| !matches!(address, ListenAddress::Unix(_));
        let wanted: Vec<ListenAddress> = wanted.iter().filter(is_port).cloned().collect();
        let mut outcome = Outcome::default();
        for batch in wanted.chunks(BATCH) {
            self.provide_batch(batch, &mut outcome).await?;
        }
        outcome.served = match self.ask(&Request::Done, &[]).await? {
            Answer::Served { text, .. } if text.is_empty() => None,
            Answer::Served { success, text } => Some(if success { Ok(text) } else { Err(text) }),
            other => bail!("the master answered {other:?}"),
        };
        Ok(outcome)
    }

    async fn provide_batch(
        &self,
        batch: &[ListenAddress],
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let addresses = batch.to_vec();
        let answer = self.ask(&Request::Wanted { addresses }, &[]).await?;
        let Answer::Missing { places } = answer else {
            bail!("the master answered {answer:?}");
        };
        let (mut sockets, mut refused) = (Vec::new(), Vec::new());
        for address in places.iter().filter_map(|place| batch.get(*place)) {
            match sockets::bind_for_master(address) {
                Ok(socket) => {
                    sockets.push(socket);
                    outcome.bound.push(address.clone());
                }
                Err(problem) => {
                    outcome.refused.push(problem.clone());
                    refused.push((address.clone(), problem));
                }
            }
        }
        if !sockets.is_empty() || !refused.is_empty() {
            self.ask(&Request::Bound { refused }, &sockets).await?;
        }
        Ok(())
    }

    async fn ask(&self, request: &Request, sockets: &[OwnedFd]) -> anyhow::Result<Answer> {
        let borrowed: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        send(&self.channel, request, &borrowed)
            .await
            .context("the master broke off")?;
        match receive::<Answer>(&self.channel).await? {
            Some((Answer::Refused { reason }, _)) => Err(anyhow!("{reason}")),
            Some((answer, _)) => Ok(answer),
            None => bail!("the master broke off"),
        }
    }
}

fn open(door: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(door)?)?;
    Ok(socket)
}

/// systemd says which process is the service; nobody else gets root's sockets.
fn check_peer(connection: &OwnedFd) -> anyhow::Result<()> {
    let Some(main) = std::env::var("MAINPID")
        .ok()
        .and_then(|pid| pid.parse::<i32>().ok())
    else {
        return Ok(());
    };
    let peer = sockopt::socket_peercred(connection)?.pid.as_raw_nonzero();
    if peer.get() != main {
        bail!("process {peer} answers instead of the service's main process {main}");
    }
    Ok(())
}
