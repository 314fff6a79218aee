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

/// Understands any bytes as an OCSP response, or does not.
pub fn ocsp(bytes: &[u8]) {
    if let Ok(answers) = super::ocsp::parse(bytes) {
        // The certificate is of the operator's, who has no reason to lead himself astray: any will do.
        assert!(answers.for_certificate(bytes).is_none());
    }
}
