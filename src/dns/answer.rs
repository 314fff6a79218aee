//! What a name server says.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName, ToName};
use domain::rdata::{A, Aaaa, Cname, Srv};

use super::question::{DomainName, Question};

/// Aliases of aliases that are followed.
pub(super) const MAX_ALIASES: usize = 8;

/// Of an answer, what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    Service {
        priority: u16,
        weight: u16,
        port: u16,
        target: DomainName,
    },
}

/// How a question was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// At least one, and how long they are valid.
    Records(Vec<Data>, Duration),
    /// It is another name's alias, and nothing is said of that one.
    Alias(DomainName, Duration),
    /// The name does not exist, or has nothing of this kind.
    Nothing,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Reading {
    Answer(Answer),
    /// It did not fit: to be asked for by TCP.
    Truncated,
    /// The server cannot or does not want to say.
    Failed(Rcode),
    /// No answer to this question at all.
    Foreign,
}

/// Reads `bytes`, which came for `question` under `number`.
pub(super) fn read(bytes: &[u8], question: &Question, number: u16) -> Reading {
    let Ok(message) = Message::from_octets(bytes) else {
        return Reading::Foreign;
    };
    if !belongs(&message, question, number) {
        return Reading::Foreign;
    }
    let header = message.header();
    match header.rcode() {
        _ if header.tc() => Reading::Truncated,
        // Of a chain of aliases it is the last name that does not exist.
        Rcode::NXDOMAIN => Reading::Answer(Answer::Nothing),
        Rcode::NOERROR => match collect(&message, question) {
            Ok(answer) => Reading::Answer(answer),
            Err(_) => Reading::Failed(Rcode::FORMERR),
        },
        rcode => Reading::Failed(rcode),
    }
}

/// RFC 5452 section 9.1. A server that could not read the question may leave it out.
fn belongs(message: &Message<&[u8]>, question: &Question, number: u16) -> bool {
    let header = message.header();
    if !header.qr() || header.id() != number || header.opcode() != Opcode::QUERY {
        return false;
    }
    let counts = message.header_counts();
    if counts.qdcount() == 0 {
        return message.is_error() && counts.ancount() == 0;
    }
    message.sole_question().is_ok_and(|asked| {
        asked.qtype() == question.kind
            && asked.qclass() == Class::IN
            && asked.qname().name_eq(&question.name)
    })
}

fn collect(message: &Message<&[u8]>, question: &Question) -> Result<Answer, ParseError> {
    let (mut records, mut aliases) = (Vec::new(), HashMap::new());
    for record in message.answer()? {
        let record = record?;
        if record.class() != Class::IN {
            continue;
        }
        let (owner, ttl) = (record.owner().to_vec(), record.ttl().into_duration());
        if record.rtype() == Rtype::CNAME {
            if let Some(alias) = record.to_record::<Cname<ParsedName<_>>>()? {
                aliases.insert(owner, (alias.data().cname().to_vec(), ttl));
            }
        } else if record.rtype() == question.kind {
            records.extend(data(&record)?.map(|data| (owner, ttl, data)));
        }
    }
    Ok(follow(&question.name, records, &aliases))
}

type Record<'a> = domain::base::record::ParsedRecord<'a, &'a [u8]>;

fn data(record: &Record<'_>) -> Result<Option<Data>, ParseError> {
    Ok(match record.rtype() {
        Rtype::A => {
            let record = record.to_record::<A>()?;
            record.map(|record| Data::Address(record.data().addr().into()))
        }
        Rtype::AAAA => {
            let record = record.to_record::<Aaaa>()?;
            record.map(|record| Data::Address(record.data().addr().into()))
        }
        Rtype::SRV => {
            let record = record.to_record::<Srv<ParsedName<_>>>()?;
            record.map(|record| Data::Service {
                priority: record.data().priority(),
                weight: record.data().weight(),
                port: record.data().port(),
                target: record.data().target().to_vec(),
            })
        }
        _ => None,
    })
}

/// From `name` along the aliases to records; what is said of other names does not count.
fn follow(
    name: &DomainName,
    records: Vec<(DomainName, Duration, Data)>,
    aliases: &HashMap<DomainName, (DomainName, Duration)>,
) -> Answer {
    let (mut end, mut shortest) = (name, Duration::MAX);
    for _ in 0..MAX_ALIASES {
        let Some((target, ttl)) = aliases.get(end) else {
            break;
        };
        (end, shortest) = (target, shortest.min(*ttl));
    }
    let mut found = Vec::new();
    for (owner, ttl, data) in records {
        if owner == *end && !found.contains(&data) {
            shortest = shortest.min(ttl);
            found.push(data);
        }
    }
    match found.is_empty() {
        false => Answer::Records(found, shortest),
        true if end == name => Answer::Nothing,
        true => Answer::Alias(end.clone(), shortest),
    }
}
