//! Request paths, and the files that they name.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    // Other paths are refused before.
    if path.starts_with('/') {
        bws::http::fuzzing::path(path);
        bws::http::fuzzing::file_path(path);
    }
});
