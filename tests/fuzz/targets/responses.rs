//! Bytes of an HTTP/1 upstream: our reader of responses, and hyper's beside it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (head, piece, bytes) = input;
    bws::http::fuzzing::response(head, usize::from(piece).max(1), bytes);
});
