//! What root's helper and the master say to each other: JSON, as after an upgrade the two may be of different versions.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::types::ListenAddress;
use crate::ipc::channel::Channel;

/// To be raised when the other end would misunderstand.
pub(super) const FORMAT: u32 = 1;
/// Addresses in one message at most: their sockets go into one, too.
pub(super) const BATCH: usize = 64;

/// The helper's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The first one.
    Hello {
        format: u32,
    },
    /// What the configuration says.
    Wanted {
        addresses: Vec<ListenAddress>,
    },
    /// Sockets come along.
    Bound {
        refused: Vec<(ListenAddress, String)>,
    },
    Declined {
        reason: String,
    },
    Done,
}

/// The master's, one to each request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Welcome {
        version: String,
    },
    /// Which of the wanted ones are not held, by their place.
    Missing {
        places: Vec<usize>,
    },
    Taken,
    Served {
        success: bool,
        /// Of the reload that was waiting for the sockets; empty if there was none.
        text: String,
    },
    /// The conversation ends.
    Refused {
        reason: String,
    },
}

pub(super) async fn send<M: Serialize>(
    channel: &Channel,
    message: &M,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_string(message).map_err(io::Error::other)?;
    channel.send_with(&text, descriptors).await
}

/// None: the other end is gone.
pub(super) async fn receive<M: DeserializeOwned>(
    channel: &Channel,
) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let Some((text, descriptors)) = channel.receive_with::<String>().await? else {
        return Ok(None);
    };
    let message = serde_json::from_str(&text).map_err(io::Error::other)?;
    Ok(Some((message, descriptors)))
}
