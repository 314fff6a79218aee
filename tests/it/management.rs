//! The management API beside its commands: what happens, as it happens; who may ask.

mod access;
mod events;
mod page;
mod stream;

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::harness::bws::Bws;
use crate::harness::{free_address, listener};

const KEY: &str = "a:key,with=signs";

/// A server with the API on TCP.
struct Api {
    server: Bws,
    address: SocketAddr,
    folder: TempDir,
}

impl Api {
    fn start(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, site) = listener();
        let address = free_address();
        let text = format!(
            "[management]\nenabled = true\nport = {}\n{keys}\n[[sites]]\nname = \"site\"\nlisten = \"{site}\"\n\
             hostname = \"localhost\"\napi_only = true\n",
            address.port()
        );
        let server = Bws::start(folder.path(), &text, vec![socket]);
        Self {
            server,
            address,
            folder,
        }
    }

    fn with_key() -> Self {
        Self::start(&format!("api_key = \"{KEY}\""))
    }
}
