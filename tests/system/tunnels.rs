//! WebSocket-like tunnels that speak all the time, and count what comes back.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::harness::PATIENCE;
use super::harness::switching::{Switching, read_head};

const TUNNELS: usize = 20;
/// Between two messages of a tunnel.
const PAUSE: Duration = Duration::from_millis(20);

pub fn run(plain: u16, host: &str, upstream: u16) -> ExitCode {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address(upstream)).unwrap();
    let _upstream = Switching::on(listener, address(upstream));
    let stop = AtomicBool::new(false);
    let one = |number| talk(address(plain), host, number, &stop);
    let results: Vec<_> = std::thread::scope(|scope| {
        let talks: Vec<_> = (0..TUNNELS)
            .map(|number| scope.spawn(move || one(number)))
            .collect();
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
        talks.into_iter().map(|talk| talk.join().unwrap()).collect()
    });
    let messages: usize = results.iter().flatten().sum();
    let broken: Vec<_> = results.iter().filter_map(|it| it.as_ref().err()).collect();
    println!("{TUNNELS} tunnels: {messages} messages, broken: {broken:?}");
    match broken.is_empty() && messages > TUNNELS {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The messages that came back, all of them and nothing else.
fn talk(
    address: SocketAddr,
    host: &str,
    number: usize,
    stop: &AtomicBool,
) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET /switch HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let head = read_head(&mut stream)?;
    if !head.starts_with("HTTP/1.1 101 ") {
        return Err(std::io::Error::other(head));
    }
    expect(&mut stream, b"hello")?;
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let message = format!("message {count} of tunnel {number};");
        stream.write_all(message.as_bytes())?;
        expect(&mut stream, message.as_bytes())?;
        count += 1;
        std::thread::sleep(PAUSE);
    }
    Ok(count)
}

fn expect(stream: &mut TcpStream, expected: &[u8]) -> std::io::Result<()> {
    let mut seen = vec![0; expected.len()];
    stream.read_exact(&mut seen)?;
    match seen == expected {
        true => Ok(()),
        false => Err(std::io::Error::other("another byte than was sent")),
    }
}
