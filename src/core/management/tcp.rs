//! The TCP side of the management API.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::access::Access;
use super::connection::{self, CONNECTIONS};
use super::presence::Presence;
use crate::config::types::Management;
use crate::core::master::Input;
use crate::core::takeover::descriptors::Number;

/// Bytes that the kernel keeps for a client; it would let them grow to megabytes.
const SEND_BUFFER: usize = 128 * 1024;

/// The bound socket, and the task that serves it once its configuration is in force.
pub struct Tcp {
    settings: Management,
    listener: TcpListener,
    task: Option<JoinHandle<()>>,
    /// Goes with the key: who follows events by a former one does so no longer.
    lease: watch::Sender<()>,
}

impl Tcp {
    /// Binds, or takes over the socket of `current` when the address is the same.
    pub fn bind(settings: &Management, current: Option<&Self>) -> Result<Self, String> {
        let address = SocketAddr::new(settings.host, settings.port);
        let same =
            |tcp: &&Self| (tcp.settings.host, tcp.settings.port) == (settings.host, settings.port);
        let listener = match current.filter(same) {
            Some(tcp) => tcp.listener.try_clone(),
            None => TcpListener::bind(address),
        };
        let listener = listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            format!("the management API cannot listen on '{address}': {error}: choose another management.port")
        })?;
        Ok(Self {
            settings: settings.clone(),
            listener,
            task: None,
            lease: watch::Sender::new(()),
        })
    }

    /// A socket that an earlier program bound.
    pub fn adopt(settings: Management, socket: OwnedFd) -> Self {
        Self {
            settings,
            listener: socket.into(),
            task: None,
            lease: watch::Sender::new(()),
        }
    }

    /// What the next program needs to go on with it.
    pub fn record(&self) -> (Management, Number) {
        (self.settings.clone(), Number(self.listener.as_raw_fd()))
    }

    pub fn serves(&self, settings: &Management) -> bool {
        self.settings == *settings
    }

    /// Begins to answer.
    pub fn serve(mut self, inputs: mpsc::Sender<Input>) -> Self {
        let access = Rc::new(match &self.settings.api_key {
            Some(key) => Access::Key {
                key: key.clone(),
                loopback: self.settings.host.is_loopback(),
            },
            None => Access::Local,
        });
        let listener = self
            .listener
            .try_clone()
            .and_then(tokio::net::TcpListener::from_std);
        let lease = self.lease.subscribe();
        match listener {
            Ok(listener) => {
                self.task = Some(tokio::task::spawn_local(accept(
                    listener, access, lease, inputs,
                )));
            }
            Err(error) => tracing::warn!("the management API does not answer on TCP: {error}"),
        }
        self
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    access: Rc<Access>,
    lease: watch::Receiver<()>,
    inputs: mpsc::Sender<Input>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                // What a client does not read takes no more memory than this.
                let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER);
                let present = Presence::of(&stream);
                let (access, inputs, mut lease) = (access.clone(), inputs.clone(), lease.clone());
                tokio::task::spawn_local(async move {
                    let revoked = async move { while lease.changed().await.is_ok() {} };
                    connection::serve(stream, present, access, inputs, revoked).await;
                    drop(permit);
                });
            }
            Err(error) => connection::pause_after(&error).await,
        }
    }
}
