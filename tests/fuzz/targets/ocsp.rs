//! Any bytes as an OCSP response.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bws::config::fuzzing::ocsp(bytes));
