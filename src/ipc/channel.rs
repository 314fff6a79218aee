//! The control channel: one packet, one message, on a `SOCK_SEQPACKET` socket pair (unix(7)), with file descriptors
//! beside it (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Descriptors in one message at most (the kernel takes 253).
pub const MAX_DESCRIPTORS: usize = 128;

/// Bytes of one message at most. Messages are small; the assignment of a configuration with thousands of listening
/// sockets is the largest.
const MAX_MESSAGE: usize = 64 * 1024;

/// One end of a control channel.
pub struct Channel {
    socket: AsyncFd<OwnedFd>,
}

impl Channel {
    /// Both ends, for the master to keep one and to hand one to a worker.
    pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let pair =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok(pair)
    }

    /// Must run inside a tokio runtime.
    pub fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(Self {
            socket: super::readiness::watch(socket, interest)?,
        })
    }

    pub async fn send<M: Serialize>(&self, message: &M) -> io::Result<()> {
        self.send_with(message, &[]).await
    }

    /// Sends copies of `descriptors` along; at most [`MAX_DESCRIPTORS`].
    pub async fn send_with<M: Serialize>(
        &self,
        message: &M,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let packet = encode(message)?;
        self.socket
            .async_io(Interest::WRITABLE, |socket| {
                send_packet(socket, &packet, descriptors)
            })
            .await
    }

    /// The next message; `None` when the other end is gone. Safe to cancel.
    pub async fn receive<M: DeserializeOwned>(&self) -> io::Result<Option<M>> {
        Ok(self.receive_with().await?.map(|(message, _)| message))
    }

    /// Waits until the other end is gone; what it says is not heard.
    pub async fn closed(&self) -> io::Result<()> {
        loop {
            let received = self
                .socket
                .async_io(Interest::READABLE, receive_packet)
                .await;
            match received {
                Ok((packet, _)) if packet.is_empty() => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                // Cut off: longer than any message of ours.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message with the descriptors that came along. Those that only other versions know are passed over.
    pub async fn receive_with<M: DeserializeOwned>(&self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        loop {
            let (packet, descriptors) = self.receive_packet().await?;
            if packet.is_empty() {
                return Ok(None);
            }
            match postcard::from_bytes(&packet) {
                Ok(message) => return Ok(Some((message, descriptors))),
                Err(error) if !is_unknown::<M>(&packet) => return Err(io::Error::other(error)),
                Err(_) => tracing::debug!(
                    "passed over a message of another version: {} bytes, {} descriptors",
                    packet.len(),
                    descriptors.len()
                ),
            }
        }
    }

    async fn receive_packet(&self) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        loop {
            match self
                .socket
                .async_io(Interest::READABLE, receive_packet)
                .await
            {
                // The peer left without reading all that we wrote. The kernel tells so once; what the peer wrote, and
                // then the end, is still to be read.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                received => return received,
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

fn encode<M: Serialize>(message: &M) -> io::Result<Vec<u8>> {
    let packet = postcard::to_allocvec(message).map_err(io::Error::other)?;
    if packet.len() > MAX_MESSAGE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the message is too long",
        ));
    }
    Ok(packet)
}

/// Whether it is a variant that `M` does not have. The number of the variant stands first (a varint of postcard): by
/// itself it makes a known one whole or too short, and an unknown one is refused.
fn is_unknown<M: DeserializeOwned>(packet: &[u8]) -> bool {
    let goes_on = |byte: &&u8| **byte >= 0x80;
    let length = packet.iter().take_while(goes_on).count() + 1;
    let number = packet.get(..length).map(postcard::from_bytes::<M>);
    matches!(number, Some(Err(postcard::Error::SerdeDeCustom)))
}

fn send_packet(socket: &OwnedFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors",
        ));
    }
    let slices = [IoSlice::new(packet)];
    rustix::net::sendmsg(socket.as_fd(), &slices, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_packet(socket: &OwnedFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut packet = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut packet)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = rustix::net::recvmsg(socket.as_fd(), &mut slices, &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    if message
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a message was cut off",
        ));
    }
    packet.truncate(message.bytes);
    Ok((packet, descriptors))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;
    use crate::ipc::message::{FromWorker, ToWorker};

    fn channels() -> (Channel, Channel) {
        let (ours, theirs) = Channel::pair().unwrap();
        (
            Channel::from_fd(ours).unwrap(),
            Channel::from_fd(theirs).unwrap(),
        )
    }

    #[tokio::test]
    async fn messages_keep_their_borders() {
        let (master, worker) = channels();
        master.send(&ToWorker::Accept).await.unwrap();
        master.send(&ToWorker::Ping { sequence: 7 }).await.unwrap();
        assert_eq!(worker.receive().await.unwrap(), Some(ToWorker::Accept));
        assert_eq!(
            worker.receive().await.unwrap(),
            Some(ToWorker::Ping { sequence: 7 })
        );
    }

    #[tokio::test]
    async fn descriptors_travel_along() {
        let (master, worker) = channels();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello").unwrap();
        file.rewind().unwrap();
        master
            .send_with(&ToWorker::Accept, &[file.as_fd()])
            .await
            .unwrap();
        let (_, mut descriptors) = worker.receive_with::<ToWorker>().await.unwrap().unwrap();
        let mut text = String::new();
        std::fs::File::from(descriptors.remove(0))
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "hello");
    }

    #[tokio::test]
    async fn a_vanished_peer_is_the_end() {
        let (master, worker) = channels();
        drop(worker);
        assert_eq!(master.receive::<FromWorker>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn last_words_are_heard_although_the_peer_did_not_listen() {
        let (master, worker) = channels();
        master.send(&ToWorker::Accept).await.unwrap();
        worker.send(&FromWorker::Ready).await.unwrap();
        drop(worker);
        assert_eq!(master.receive().await.unwrap(), Some(FromWorker::Ready));
        assert_eq!(master.receive::<FromWorker>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn garbage_is_an_error() {
        let (master, worker) = channels();
        // No number, a known variant that is not whole, and one with more than it has.
        for garbage in [&[255_u8; 9][..], &[3, 255], &[4, 1, 9], &[128]] {
            rustix::net::send(&master, garbage, SendFlags::empty()).unwrap();
            let received = worker.receive::<ToWorker>().await;
            assert!(received.is_err(), "{garbage:?}: {received:?}");
        }
    }

    #[tokio::test]
    async fn what_only_another_version_says_is_passed_over() {
        let (master, worker) = channels();
        let file = tempfile::tempfile().unwrap();
        for unknown in [vec![99_u8], vec![99; 4], vec![255, 1, 7]] {
            rustix::net::send(&worker, &unknown, SendFlags::empty()).unwrap();
        }
        let ready = FromWorker::Ready;
        worker.send_with(&ready, &[file.as_fd()]).await.unwrap();
        let (message, descriptors) = master.receive_with().await.unwrap().unwrap();
        assert_eq!((message, descriptors.len()), (FromWorker::Ready, 1));
    }
}
