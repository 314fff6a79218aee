//! The whole service: raw bytes in, raw bytes out.
mod backpressure;
mod balancing;
mod challenges;
mod encodings;
mod encodings_proxied;
mod expectations;
mod files;
mod frames;
mod interim;
mod messages;
mod multiplexed;
mod pages;
mod proxy;
mod reuse;
mod services;
mod trouble;
pub(super) mod upstream;

use std::path::Path;

use super::testing::*;
use crate::config::types::Config;

fn files(root: &Path) -> Config {
    let mut site = site();
    site.static_files = Some(static_files(root));
    config(vec![site])
}

/// A folder with `x.txt`, ten bytes, and `dir/index.html`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.txt"), "0123456789").unwrap();
    std::fs::create_dir(folder.path().join("dir")).unwrap();
    std::fs::write(folder.path().join("dir/index.html"), "<p>").unwrap();
    folder
}
