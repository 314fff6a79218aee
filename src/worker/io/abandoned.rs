//! Whether a client that waits for an answer still does. hyper reads nothing meanwhile, so nobody would notice.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Transport;

impl Transport {
    /// Whether the client has closed, or at least its sending half: those who wait for an answer after that are too
    /// few to work for all who have left (RFC 9112 section 9.6 allows either).
    pub fn is_abandoned(&self) -> bool {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_fd(),
        };
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut asked = [PollFd::from_borrowed_fd(socket, gone)];
        let answered = poll(&mut asked, Some(&Timespec::default()));
        answered.is_ok() && asked[0].revents().intersects(gone)
    }
}
