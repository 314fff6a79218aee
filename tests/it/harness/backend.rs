//! An upstream that answers each request head as it is told, counts, and can be killed and revived at its address.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// From a request's head to the bytes of the answer; None closes the connection without one.
type Answer = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// Killed when dropped: whoever is connected sees the connection end.
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Box<Answer>,
    /// The request lines, in the order in which they came.
    seen: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
    dead: AtomicBool,
}

impl Backend {
    pub fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::on(super::listener().0, answer)
    }

    /// At an address that one before had.
    pub fn revive(
        address: SocketAddr,
        answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener =
            super::wait_for("the address to be free", || TcpListener::bind(address).ok());
        Self::on(listener, answer)
    }

    /// Everything is answered with these bytes.
    pub fn says(answer: &'static str) -> Self {
        Self::start(|_| Some(answer.into()))
    }

    fn on(
        listener: TcpListener,
        answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            seen: Mutex::default(),
            open: Mutex::default(),
            dead: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        let thread = std::thread::spawn(move || accept(&listener, &accepting));
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// The lines of the requests that came.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.shared.seen).clone()
    }

    pub fn count(&self) -> usize {
        lock(&self.shared.seen).len()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.dead.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for stream in lock(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    listener
        .set_nonblocking(true)
        .expect("a socket can be non-blocking");
    while !shared.dead.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let _ = stream.set_nonblocking(false);
                let _ = stream.set_nodelay(true);
                if let Ok(copy) = stream.try_clone() {
                    lock(&shared.open).push(copy);
                }
                let shared = shared.clone();
                std::thread::spawn(move || talk(stream, &shared));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return,
        }
    }
}

fn talk(mut stream: TcpStream, shared: &Shared) {
    let mut received = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        while let Some(end) = received.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).into_owned();
            received.drain(..end + 4);
            let line = head.lines().next().unwrap_or_default().to_owned();
            lock(&shared.seen).push(line);
            let answer = (shared.answer)(&head);
            let sent = answer.is_some_and(|answer| stream.write_all(&answer).is_ok());
            if !sent {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => received.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
}
