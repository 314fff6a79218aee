//! Bytes of an HTTP/1 client: the gate, and hyper behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (places, bytes) = input;
    bws::worker::fuzzing::framing(&places, bytes);
});
