//! Header sections: admission, hop-by-hop fields, conditions.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| {
    bws::http::fuzzing::headers(lines);
    bws::http::fuzzing::conditions(lines);
});
