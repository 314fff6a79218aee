//! Names of fields that came before, as they came, and what they mean to us: upstreams say the same ones again and again,
//! and to compare one is less work than to make it anew.

use std::cell::RefCell;

use http::HeaderName;
use http::header::{CONNECTION, CONTENT_LENGTH, InvalidHeaderName, TRANSFER_ENCODING};

use super::super::headers;

/// Places for names, a power of two: there are few that are sent at all.
const PLACES: usize = 128;
/// Longer names are nobody's habit.
const LONGEST: usize = 40;

/// What a field is to who reads a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    ContentLength,
    TransferEncoding,
    Connection,
    /// Another one that concerns this connection alone.
    HopByHop,
}

#[derive(Clone)]
struct Known {
    /// In the sender's own case.
    sent: Box<[u8]>,
    name: HeaderName,
    role: Role,
}

thread_local! {
    static NAMES: RefCell<Vec<Option<Known>>> = RefCell::new(vec![None; PLACES]);
}

/// The name that `sent` stands for.
pub(super) fn name(sent: &[u8]) -> Result<(HeaderName, Role), InvalidHeaderName> {
    if sent.len() > LONGEST {
        return Ok((HeaderName::from_bytes(sent)?, Role::Plain));
    }
    NAMES.with_borrow_mut(|names| {
        let known = &mut names[place(sent)];
        if let Some(known) = known.as_ref().filter(|known| *known.sent == *sent) {
            return Ok((known.name.clone(), known.role));
        }
        let name = HeaderName::from_bytes(sent)?;
        let role = role(&name);
        *known = Some(Known {
            sent: sent.into(),
            name: name.clone(),
            role,
        });
        Ok((name, role))
    })
}

fn role(name: &HeaderName) -> Role {
    match *name {
        CONTENT_LENGTH => Role::ContentLength,
        TRANSFER_ENCODING => Role::TransferEncoding,
        CONNECTION => Role::Connection,
        _ if headers::is_hop_by_hop(name) => Role::HopByHop,
        _ => Role::Plain,
    }
}

fn place(sent: &[u8]) -> usize {
    let at = |index: usize| sent.get(index).map_or(0, |byte| usize::from(*byte));
    let (first, last, middle) = (at(0), at(sent.len().wrapping_sub(1)), at(sent.len() / 2));
    (sent.len() * 31 + first * 3 + middle * 3 + last) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_always_was() {
        let names = [
            "Content-Type",
            "content-type",
            "X-A",
            "x-a",
            "X-B",
            "ETag",
            "Keep-Alive",
            "a",
        ];
        for _ in 0..3 {
            for sent in names {
                let (name, role) = name(sent.as_bytes()).unwrap();
                assert_eq!(name.as_str(), sent.to_ascii_lowercase());
                let hop = sent.eq_ignore_ascii_case("keep-alive");
                assert_eq!(role == Role::HopByHop, hop, "{sent}");
            }
            assert!(name(b"").is_err());
            assert!(name(b"a b").is_err());
            assert!(name("a".repeat(100).as_bytes()).is_ok());
        }
    }

    #[test]
    fn frequent_names_have_places_of_their_own() {
        let frequent = [
            "Server",
            "Date",
            "Content-Type",
            "Content-Length",
            "Connection",
            "Last-Modified",
            "ETag",
            "Accept-Ranges",
            "Cache-Control",
            "Transfer-Encoding",
            "Vary",
            "Set-Cookie",
        ];
        let mut places = frequent.map(|name| place(name.as_bytes())).to_vec();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), frequent.len());
    }
}
