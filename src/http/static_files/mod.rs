//! Files of a site: where they lie ([`path`], [`root`]), what is kept of them ([`cache`], [`prepared`]), and the
//! response ([`conditional`], [`range`], [`multipart`], [`respond`]).
mod beneath;
mod cache;
mod conditional;
mod locate;
mod multipart;
mod path;
mod prepared;
mod range;
mod respond;
mod root;

pub(super) use cache::{Entry, FileCache};
pub(super) use respond::{respond_file, respond_methods, respond_redirect};
pub(super) use root::Root;
