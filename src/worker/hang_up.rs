//! Whether a client is still there while its request waits for an upstream. hyper reads nothing meanwhile, as a client
//! that has closed its half only may wait for its answer; but who says nothing more and gets nothing for some time has
//! mostly left, and what is done for it upstream should end.

use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, poll};

use super::activity::Ticks;
use super::io::Transport;
use super::sweep::TICK;

/// How long nothing has moved before we look, and then how often: a second.
const EVERY: Ticks = (1000 / TICK.as_millis()) as Ticks;

/// Whether it is time to look.
pub fn is_due(quiet: Ticks) -> bool {
    quiet > 0 && quiet % EVERY == 0
}

impl Transport {
    /// Whether the client has closed its side (poll(2), POLLRDHUP).
    pub fn has_hung_up(&self) -> bool {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_fd(),
        };
        let mut polled = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut polled, Some(&now)), Ok(1..))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[test]
    fn a_client_that_closes_is_noticed_and_one_that_waits_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, server) = UnixStream::pair().unwrap();
            let server = Transport::Unix(server);
            assert!(!server.has_hung_up());
            client.try_write(b"more").unwrap();
            assert!(!server.has_hung_up());
            drop(client);
            assert!(server.has_hung_up());
        });
        let due: Vec<Ticks> = (0..10).filter(|quiet| is_due(*quiet)).collect();
        assert_eq!(due, [4, 8]);
    }
}
