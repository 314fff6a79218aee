//! One question to a name server.

use std::io;

use domain::base::iana::{Class, Rtype};
use domain::base::{MessageBuilder, Name};

/// A domain name, in whole.
pub(super) type DomainName = Name<Vec<u8>>;

/// Bytes of an answer that fit any network (DNS flag day 2020).
const EDNS_SIZE: u16 = 1232;

/// What is asked of which name.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: DomainName,
    pub(super) kind: Rtype,
}

impl Question {
    /// A message with this question. `large`: the answer may have more than 512 bytes (RFC 6891).
    pub(super) fn message(&self, number: u16, large: bool) -> io::Result<Vec<u8>> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(number);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        let asked = (&self.name, self.kind, Class::IN);
        question.push(asked).map_err(io::Error::other)?;
        let mut additional = question.additional();
        if large {
            let size = additional.opt(|opt| {
                opt.set_udp_payload_size(EDNS_SIZE);
                Ok(())
            });
            size.map_err(io::Error::other)?;
        }
        Ok(additional.finish())
    }
}

/// The name that `text` writes, with or without a dot at its end.
pub(super) fn name(text: &str) -> io::Result<DomainName> {
    Name::vec_from_str(text).map_err(|_| {
        let message = format!("'{text}' is no name that can be asked for");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}
