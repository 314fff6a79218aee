//! What tests/fuzz does with this room.

use super::frames;
use super::framing::{Scanner, cut, served, sifted, verdict};

/// HTTP/1: any cut gives the same verdict, and hyper reads as many messages as the gate let through.
pub fn framing(places: &[u8], bytes: &[u8]) {
    let places: Vec<usize> = places.iter().map(|place| usize::from(*place) * 3).collect();
    let (passed, refusal) = verdict(bytes);
    let pieces = cut(bytes, &places);
    assert_eq!(sifted(&pieces), (bytes[..passed].to_vec(), refusal));
    let mut scanner = Scanner::default();
    scanner.scan(bytes);
    let complete = scanner.take_heads() as usize - usize::from(scanner.in_body());
    if complete == 0 {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let bodies = runtime
        .expect("a runtime")
        .block_on(served(&pieces, complete));
    assert_eq!(bodies.len(), complete, "hyper saw other messages");
}

/// HTTP/2: any cut of the same frames gives the same bytes to hyper.
pub fn frames(size: u8, bytes: &[u8]) {
    let whole = frames::sifted(bytes, bytes.len().max(1));
    assert_eq!(frames::sifted(bytes, usize::from(size).max(1)), whole);
}
