//! Bytes of an HTTP/2 client: the watch.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| bws::worker::fuzzing::frames(input.0, input.1));
