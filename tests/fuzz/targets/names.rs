//! Any bytes as a name server's answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bws::dns::fuzzing::answer(bytes));
