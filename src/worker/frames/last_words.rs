//! What `h2` gets instead of the frame that was too much. It ends each connection with GOAWAY and the right code when it
//! reads something of the kind, in order, after what it has still to write; so it does here.

use super::{Fault, HEAD, kind};

/// More than the CONTINUATION frames that `h2` takes of one block: a quarter more than the longest header list fills.
const CONTINUATIONS: usize = 64;

/// Frames that `h2` answers with the code of `fault`. `block`: the stream of a header block that has not ended, else 0.
pub fn of(fault: Fault, block: u32) -> Vec<u8> {
    match fault {
        // A block that nothing begins, or another frame within one.
        Fault::Protocol if block == 0 => frame(0, kind::CONTINUATION, 1).to_vec(),
        Fault::Protocol => frame(0, kind::HEADERS, block).to_vec(),
        Fault::FrameSize => frame(0x00ff_ffff, kind::DATA, 1).to_vec(),
        Fault::EnhanceYourCalm => {
            let stream = if block == 0 { 1 } else { block };
            let begin = (block == 0).then(|| frame(0, kind::HEADERS, stream));
            let more = std::iter::repeat_n(frame(0, kind::CONTINUATION, stream), CONTINUATIONS);
            begin.into_iter().chain(more).flatten().collect()
        }
    }
}

fn frame(length: u32, kind: u8, stream: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..3].copy_from_slice(&length.to_be_bytes()[1..]);
    head[3] = kind;
    head[5..].copy_from_slice(&stream.to_be_bytes());
    head
}
