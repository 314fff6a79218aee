//! A client's byte stream as hyper and `h2` see it: cleartext or TLS, noting what moves, and sending file ranges by sendfile.

mod gathered;
mod reading;
mod small;

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use self::gathered::Gathered;
use super::activity::Activity;
use super::file_window::{self, FileQueue};
use super::frames::Watch;
use super::framing::Gate;
use crate::config::types::HeadLimits;
use crate::http::body::file_shrank;
use crate::metrics::counters::{Global, Recorder};

/// Bytes of one sendfile call at most, so that a fast reader cannot hold the thread.
const SENDFILE_BYTES: u64 = 512 * 1024;

const HELD: &str = "the transport is taken only when this is given up";

/// The stream below HTTP.
pub enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A place for a transport that comes back.
pub type Returned = Rc<RefCell<Option<Transport>>>;

/// [`Transport`] for hyper and `h2`. It never shuts the stream down: that is left to `connection::close`.
pub struct ClientIo {
    /// Only [`Self::into_transport`] and the end of all take it away.
    transport: Option<Transport>,
    /// HTTP/1: lets through what is well-formed.
    gate: Option<Gate>,
    /// HTTP/2: counts what comes.
    watch: Option<Watch>,
    /// HTTP/2: small writes of this turn.
    gathered: Gathered,
    pub activity: Rc<Activity>,
    /// File ranges under way, on cleartext connections.
    files: Option<Rc<FileQueue>>,
    recorder: Recorder,
    /// Where the transport goes when `h2` drops its I/O, which it does not hand back.
    returns_to: Option<Returned>,
}

impl ClientIo {
    pub fn new(transport: Transport, activity: Rc<Activity>, recorder: Recorder) -> Self {
        activity.socket.set(Some(transport.descriptor()));
        Self {
            transport: Some(transport),
            gate: None,
            watch: None,
            gathered: Gathered::default(),
            activity,
            files: None,
            recorder,
            returns_to: None,
        }
    }

    /// Lets only well-formed HTTP/1 through. `rewound`: bytes that were read before, and not used.
    pub fn guarded(mut self, rewound: Bytes, limits: HeadLimits) -> Self {
        if !rewound.is_empty() {
            self.activity.note_read();
        }
        let mut gate = Gate::new(rewound, limits);
        gate.report(&self.activity);
        self.gate = Some(gate);
        self
    }

    /// Lets no more HTTP/2 frames through than a client may send.
    pub fn watched(mut self) -> Self {
        self.watch = Some(Watch::new(self.activity.now()));
        self
    }

    /// Lets file ranges go out by sendfile, where the transport can.
    pub fn enable_sendfile(&mut self) -> Option<Rc<FileQueue>> {
        if matches!(self.transport, Some(Transport::Tcp(_) | Transport::Unix(_))) {
            self.files = Some(Rc::default());
        }
        self.files.clone()
    }

    /// Lays the transport down in `place` when `h2` drops this.
    pub fn returning_to(mut self, place: Returned) -> Self {
        self.returns_to = Some(place);
        self
    }

    pub fn into_transport(mut self) -> Transport {
        self.transport.take().expect(HELD)
    }

    /// The transport, and what hyper did not get: the beginning of a head, or the first bytes of another protocol.
    pub fn into_parts(mut self) -> (Transport, Bytes) {
        let held = self.gate.take().map(Gate::into_held).unwrap_or_default();
        (self.into_transport(), held)
    }

    fn transport(&mut self) -> &mut Transport {
        self.transport.as_mut().expect(HELD)
    }

    fn note_write(&mut self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending => self.activity.write_blocked.set(true),
            Poll::Ready(Ok(count)) => {
                self.activity.write_blocked.set(false);
                self.activity.touch();
                self.recorder.add(Global::BytesSent, *count as u64);
                if let Some(watch) = &mut self.watch {
                    watch.sent(*count);
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }

    /// Ready when no interim response is in the way of hyper's.
    fn poll_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.activity.interim.is_due() {
            return Poll::Ready(Ok(()));
        }
        let activity = self.activity.clone();
        activity.interim.poll_leave(|bytes| {
            let slices = [IoSlice::new(bytes)];
            let result = self.transport().poll_write_vectored(context, &slices);
            self.note_write(&result);
            result
        })
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let file_at = match &self.files {
            Some(_) => slices.iter().position(|slice| file_window::contains(slice)),
            None => None,
        };
        match file_at {
            None => self.transport().poll_write_vectored(context, slices),
            Some(0) => self.poll_send_file(context),
            Some(index) => self.transport().poll_send_more(context, &slices[..index]),
        }
    }

    fn poll_send_file(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let queue = self.files.as_ref().expect("only called with a queue");
        let mut queue = queue.borrow_mut();
        let slice = queue
            .front_mut()
            .expect("a window slice has its range in the queue");
        slice.file.check_unchanged()?;
        let length = slice.length.min(SENDFILE_BYTES) as usize;
        let mut offset = slice.offset;
        let sent = ready!(
            self.transport
                .as_mut()
                .expect(HELD)
                .poll_try(context, |socket| {
                    Ok(rustix::fs::sendfile(
                        socket,
                        &*slice.file,
                        Some(&mut offset),
                        length,
                    )?)
                })
        )?;
        if sent == 0 {
            return Poll::Ready(Err(file_shrank()));
        }
        slice.offset += sent as u64;
        slice.length -= sent as u64;
        if slice.length == 0 {
            queue.pop_front();
        }
        Poll::Ready(Ok(sent))
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_fd(),
        }
    }
}

impl Transport {
    fn descriptor(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }

    fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let joined = match self {
            Self::Tcp(stream) => small::joined(slices, |bytes| {
                Pin::new(&mut *stream).poll_write(context, bytes)
            }),
            Self::Unix(_) | Self::Tls(_) => None,
        };
        if let Some(written) = joined {
            return written;
        }
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    /// Sends `slices` and tells TCP that more comes at once, so that head and file share a segment.
    fn poll_send_more(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        self.poll_try(context, |socket| {
            let mut nothing = SendAncillaryBuffer::default();
            Ok(rustix::net::sendmsg(socket, slices, &mut nothing, flags)?)
        })
    }

    /// Tries a system call on the socket itself (never under TLS) until it would not block.
    fn poll_try(
        &mut self,
        context: &mut Context<'_>,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let result = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || call(stream.as_fd()))
                }
                Self::Unix(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || call(stream.as_fd()))
                }
                Self::Tls(_) => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Drop for ClientIo {
    fn drop(&mut self) {
        self.activity.socket.set(None);
        if let Some(place) = &self.returns_to {
            *place.borrow_mut() = self.transport.take();
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(self.get_mut(), context)
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.interim.note_write();
        ready!(self.poll_interim(context))?;
        if let Some(count) = self.gather(slices) {
            return Poll::Ready(Ok(count));
        }
        ready!(self.poll_leave(context))?;
        let result = self.poll_send(context, slices);
        self.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called at every turn.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.look.take() {
            let hung_up = self.transport().has_hung_up();
            self.activity.hung_up.set(hung_up);
        }
        self.activity.interim.note_flush();
        ready!(self.poll_interim(context))?;
        if self.activity.gathers.get() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_leave(context))?;
        let Transport::Tls(stream) = self.transport() else {
            return Poll::Ready(Ok(()));
        };
        let result = Pin::new(stream).poll_flush(context);
        self.activity.write_blocked.set(result.is_pending());
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_leave(context)
    }
}
