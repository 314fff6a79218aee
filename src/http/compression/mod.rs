//! Content codings: what a client accepts ([`accept`]), what is worth it ([`rules`]), how it is done while it is sent
//! ([`encoder`], [`stream`], [`response`]), and what that may cost a thread ([`compressors`]).
mod accept;
mod compressors;
mod encoder;
mod response;
mod rules;
mod stream;

pub(super) use accept::Accepted;
pub(super) use compressors::{Compressors, StoreKey};
pub(super) use encoder::encode_all;
pub(super) use response::{Request, add_vary, coding, mark_encoded};
pub(super) use rules::Compression;
pub(super) use stream::Compressed;
#[cfg(test)]
pub(super) use stream::testing;
