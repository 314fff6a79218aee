//! What of a request decides on its server: its client.

use std::net::IpAddr;

use http::HeaderMap;

use super::pool::Pool;
use crate::config::types::BalancingMethod;
use crate::http::service::Connection;
use crate::metrics::upstreams::mix;

#[derive(Default)]
pub(super) struct Client {
    /// Of its address, where that matters.
    pub(super) hash: u64,
    /// The server that its cookie names.
    pub(super) favourite: Option<usize>,
}

impl Client {
    /// The same client, at a pool whose servers were not known before.
    pub(super) fn arrive(&mut self, pool: &Pool, cookies: &HeaderMap) {
        self.favourite = pool.sticky.as_ref().and_then(|it| it.server(cookies));
    }
}

impl Pool {
    pub(super) fn client(&self, headers: &HeaderMap, connection: &Connection) -> Client {
        let by_address = self.balancing.method == BalancingMethod::IpHash;
        let address = connection.peer.filter(|_| by_address).map(|peer| peer.ip());
        Client {
            hash: address.map_or(0, hash_address),
            favourite: self.sticky.as_ref().and_then(|it| it.server(headers)),
        }
    }

    /// Makes the client come back to the server that answered it.
    pub(super) fn remember(
        &self,
        headers: &mut HeaderMap,
        client: &Client,
        index: usize,
        secure: bool,
    ) {
        let sticky = self.sticky.as_ref();
        if let Some(sticky) = sticky.filter(|_| client.favourite != Some(index)) {
            sticky.remember(headers, index, secure);
        }
    }
}

/// Of all an IPv6 client may call its own, the same.
fn hash_address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => mix(u64::from(address.to_bits())),
        IpAddr::V6(address) => mix((address.to_bits() >> 64) as u64),
    }
}
