//! Printing that does not fail when the reader has gone (`bws status | head -1`).

use std::io::{self, Write as _};

/// Prints to stdout; a reader that is gone is none of our errors. On any other the command ends with status 1: what it was
/// to tell is not told.
pub(super) fn print(text: &str) {
    if let Err(error) = write(text) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            complain(&format!(
                "bws: cannot write to the standard output: {error}"
            ));
            std::process::exit(1);
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints to stderr, with a newline at its end.
pub(super) fn complain(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{}", text.trim_end());
}

/// Whether someone reads stdout still.
pub(super) fn try_print(text: &str) -> bool {
    write(text).is_ok()
}

/// "1 site", "2 sites".
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
