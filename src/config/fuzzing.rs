//! What tests/fuzz does with this room.

use std::path::Path;

/// Loads any text as a configuration: it is accepted, or each problem can be shown.
pub fn load(text: &str) {
    let name = Path::new("/nowhere/config.toml");
    match super::load::load_text(name, text.to_owned(), &super::Options::default()) {
        Ok(loaded) => drop(loaded),
        Err(report) => assert!(!report.to_string().is_empty()),
    }
}
