//! Files of a site: where they lie ([`path`], [`root`]), what the site says of them ([`rules`]), what is kept of them
//! ([`cache`], [`prepared`]), the codings that they have ([`siblings`], [`variants`]), and the response ([`conditional`], [`range`], [`multipart`], [`respond`]).
mod beneath;
mod cache;
mod conditional;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod listing;
mod locate;
mod media_type;
mod multipart;
mod path;
mod prepared;
mod range;
mod respond;
mod root;
mod rules;
mod siblings;
mod stamp;
mod variants;

pub(super) use cache::{Entry, FileCache};
pub(super) use listing::respond_listing;
pub(super) use prepared::Prepared;
pub(super) use respond::{respond_file, respond_methods, respond_redirect};
pub(super) use root::Root;
pub(super) use rules::Rules;
pub(super) use stamp::Stamp;
