//! RFC 7541: header compression, and the limit of a header list.
#![allow(clippy::too_many_lines, reason = "tables")]

use super::Expected::{Answer, Connection};
use super::frames::*;
use super::{COMPRESSION_ERROR, Case, case};

/// Static indices: GET, http, /.
const REQUEST: [u8; 3] = [0x82, 0x86, 0x84];

fn whole(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, 1, block)
}

/// A GET whose authority is indexed, and `more`.
fn with(more: &[u8]) -> Vec<u8> {
    let authority = [&[0x41, 9][..], b"localhost"].concat();
    whole(&[&REQUEST[..], &authority, more].concat())
}

pub fn cases() -> Vec<Case> {
    let hello = hello(&[]);
    let broken = |clause, what, bytes: Vec<u8>| {
        case(
            clause,
            what,
            &[hello.clone(), bytes],
            Connection(COMPRESSION_ERROR),
        )
    };
    let fine =
        |clause, what, bytes: Vec<u8>| case(clause, what, &[hello.clone(), bytes], Answer(1, 200));
    let resized = |size| number(0x20, 5, size);
    let before = |sizes: &[Vec<u8>]| {
        whole(
            &[
                sizes.concat(),
                REQUEST.to_vec(),
                vec![0x41, 9],
                b"localhost".to_vec(),
            ]
            .concat(),
        )
    };
    let again = frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        3,
        &[&REQUEST[..], &[0xbe]].concat(),
    );
    vec![
        fine("7541 6.1", "indexed fields", with(&[])),
        fine(
            "7541 6.2.1",
            "a literal that is indexed",
            with(&[0x40, 1, b'x', 1, b'y']),
        ),
        fine(
            "7541 6.2.2",
            "a literal that is not indexed",
            with(&[0, 1, b'x', 1, b'y']),
        ),
        fine(
            "7541 6.2.3",
            "a literal that is never indexed",
            with(&[0x10, 1, b'x', 1, b'y']),
        ),
        fine(
            "7541 5.2",
            "a Huffman-coded value",
            with(&[0, 1, b'x', 0x81, 0x1f]),
        ),
        case(
            "7541 2.3",
            "the dynamic table serves the next request",
            &[hello.clone(), with(&[]), again],
            Answer(3, 200),
        ),
        broken("7541 6.1", "index 0", with(&[0x80])),
        broken(
            "7541 2.3.3",
            "an index that does not exist",
            with(&[0xff, 0x7f]),
        ),
        broken(
            "7541 2.3.3",
            "a name's index that does not exist",
            with(&[0x7f, 0x7f, 1, b'x']),
        ),
        broken("7541 5.1", "an integer without end", with(&[0xff; 12])),
        broken(
            "7541 5.2",
            "a string longer than the block",
            with(&[0, 1, b'x', 0x7e, b'y']),
        ),
        broken(
            "7541 5.2",
            "Huffman padding of more than 7 bits",
            with(&[0, 1, b'x', 0x82, 0x1f, 0xff]),
        ),
        broken(
            "7541 5.2",
            "Huffman padding of zeros",
            with(&[0, 1, b'x', 0x81, 0x18]),
        ),
        broken(
            "7541 5.2",
            "the Huffman code of EOS",
            with(&[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]),
        ),
        fine(
            "7541 6.3",
            "a table size at the start",
            before(&[resized(0)]),
        ),
        fine(
            "7541 6.3",
            "two table sizes at the start",
            before(&[resized(0), resized(4096)]),
        ),
        broken(
            "7541 6.3",
            "a table size above what we allow",
            before(&[resized(4097)]),
        ),
        broken("7541 4.2", "a table size at the end", with(&resized(0))),
    ]
}
