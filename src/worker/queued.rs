//! How much of what was sent the kernel still holds.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

/// Bytes in the send queue of `socket` that the peer has not acknowledged, tcp(7) SIOCOUTQ; 0 when it is not told.
/// `socket` must be open: [`super::io::ClientIo`] takes it out of the connection's activity before it gives it up.
pub fn bytes(socket: RawFd) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: TIOCOUTQ, which is SIOCOUTQ, writes one int to the address that it is given. A descriptor that is not a
    // socket is an error, nothing worse.
    let result = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut count) };
    if result == 0 {
        u64::try_from(count).unwrap_or(0)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    #[test]
    fn what_the_peer_cannot_take_is_queued() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _peer = listener.accept().unwrap();
        assert_eq!(super::bytes(sender.as_raw_fd()), 0);
        sender.set_nonblocking(true).unwrap();
        while sender.write(&[0; 65536]).is_ok() {}
        assert!(super::bytes(sender.as_raw_fd()) > 0);
        assert_eq!(super::bytes(-1), 0);
    }
}
