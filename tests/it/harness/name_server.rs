//! A name server that says what it is told, by UDP and TCP on the same port of 127.0.0.1. The unit tests have it, too.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::AnswerBuilder;
use domain::base::{Message, MessageBuilder, Name, Ttl};
use domain::rdata::{A, Aaaa, Cname, Srv};

/// What stands in a record.
#[derive(Clone, Debug)]
pub enum Record {
    Address(IpAddr),
    Alias(&'static str),
    Service {
        priority: u16,
        weight: u16,
        port: u16,
        target: &'static str,
    },
}

/// What is said of a name.
#[derive(Clone, Debug)]
enum Word {
    /// With a TTL in seconds.
    Records(u32, Vec<Record>),
    Failure,
    Silence,
}

/// Ends with the test.
pub struct NameServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    words: Mutex<HashMap<String, Word>>,
    /// Name, type, and whether it came by TCP.
    asked: Mutex<Vec<(String, String, bool)>>,
    /// By UDP nothing fits.
    truncates: AtomicBool,
    ended: AtomicBool,
}

impl NameServer {
    pub fn start() -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let shared = Arc::new(Shared::default());
        let (one, other) = (shared.clone(), shared.clone());
        std::thread::spawn(move || serve_udp(&udp, &one));
        std::thread::spawn(move || serve_tcp(&tcp, &other));
        Self { address, shared }
    }

    /// From now on `name` has these records; nothing else is said of it.
    pub fn tell(&self, name: &str, ttl: u32, records: &[Record]) {
        self.say(name, Word::Records(ttl, records.to_vec()));
    }

    pub fn fail(&self, name: &str) {
        self.say(name, Word::Failure);
    }

    pub fn ignore(&self, name: &str) {
        self.say(name, Word::Silence);
    }

    /// There is no such name any more.
    pub fn forget(&self, name: &str) {
        self.shared.words.lock().unwrap().remove(name);
    }

    pub fn truncate(&self) {
        self.shared.truncates.store(true, Ordering::SeqCst);
    }

    /// How often anything was asked of `name`.
    pub fn questions(&self, name: &str) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|(it, _, _)| it == name).count()
    }

    pub fn questions_by_tcp(&self) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|(_, _, tcp)| *tcp).count()
    }

    fn say(&self, name: &str, word: Word) {
        self.shared
            .words
            .lock()
            .unwrap()
            .insert(name.to_owned(), word);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The one who accepts is woken.
        let _ = TcpStream::connect(self.address);
    }
}

/// An address of IPv4 or IPv6.
pub fn address(text: &str) -> Record {
    Record::Address(text.parse().unwrap())
}

pub fn service(priority: u16, weight: u16, port: u16, target: &'static str) -> Record {
    Record::Service {
        priority,
        weight,
        port,
        target,
    }
}

/// The same port by both.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("no port is free by UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    while !shared.ended.load(Ordering::SeqCst) {
        if let Ok((length, client)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = shared.answer(&buffer[..length], false) {
                let _ = socket.send_to(&answer, client);
            }
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Shared) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let _ = converse(&mut stream, shared);
    }
}

fn converse(stream: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    if let Some(answer) = shared.answer(&question, true) {
        stream.write_all(&(answer.len() as u16).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
    Ok(())
}

impl Shared {
    fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let message = Message::from_octets(question).ok()?;
        let asked = message.sole_question().ok()?;
        let (name, kind) = (asked.qname().to_string(), asked.qtype());
        let entry = (name.clone(), kind.to_string(), tcp);
        self.asked.lock().unwrap().push(entry);
        let words = self.words.lock().unwrap();
        let start = |rcode| {
            let builder = MessageBuilder::new_vec();
            builder.start_answer(&message, rcode).unwrap()
        };
        let mut answer = match words.get(&name) {
            Some(Word::Silence) => return None,
            Some(Word::Failure) => start(Rcode::SERVFAIL),
            None => start(Rcode::NXDOMAIN),
            Some(_) => start(Rcode::NOERROR),
        };
        if !tcp && self.truncates.load(Ordering::SeqCst) {
            answer.header_mut().set_tc(true);
        } else {
            write(&mut answer, &words, name, kind);
        }
        Some(answer.finish())
    }
}

/// What there is of `kind` at `name`, along its aliases.
fn write(
    answer: &mut AnswerBuilder<Vec<u8>>,
    words: &HashMap<String, Word>,
    name: String,
    kind: Rtype,
) {
    let mut name = name;
    while let Some(Word::Records(ttl, records)) = words.get(&name) {
        let owner = Name::vec_from_str(&name).unwrap();
        let head = (&owner, Class::IN, Ttl::from_secs(*ttl));
        let mut next = None;
        for record in records {
            let (owner, class, ttl) = head;
            let pushed = match record {
                Record::Address(IpAddr::V4(it)) if kind == Rtype::A => {
                    answer.push((owner, class, ttl, A::new(*it)))
                }
                Record::Address(IpAddr::V6(it)) if kind == Rtype::AAAA => {
                    answer.push((owner, class, ttl, Aaaa::new(*it)))
                }
                Record::Alias(target) => {
                    next = Some((*target).to_owned());
                    let target = Name::vec_from_str(target).unwrap();
                    answer.push((owner, class, ttl, Cname::new(target)))
                }
                Record::Service {
                    priority,
                    weight,
                    port,
                    target,
                } if kind == Rtype::SRV => {
                    let target = Name::vec_from_str(target).unwrap();
                    let data = Srv::new(*priority, *weight, *port, target);
                    answer.push((owner, class, ttl, data))
                }
                _ => Ok(()),
            };
            pushed.unwrap();
        }
        match next {
            Some(next) => name = next,
            None => return,
        }
    }
}
