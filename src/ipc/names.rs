//! What names stand for, in packets of the control channel.

use crate::dns::Word;

/// Bytes of the words in one packet: [`super::channel`] takes no larger ones.
const PACKET: usize = 24 * 1024;

/// The words in their order, in packets that are not too large. (One word is about as large as a packet at most.)
pub fn in_packets(words: impl IntoIterator<Item = Word>) -> Vec<Vec<Word>> {
    let (mut packets, mut room) = (Vec::<Vec<Word>>::new(), 0);
    for word in words {
        let size = postcard::to_allocvec(&word).map_or(PACKET, |bytes| bytes.len());
        match packets.last_mut().filter(|_| size <= room) {
            Some(packet) => packet.push(word),
            None => {
                packets.push(vec![word]);
                room = PACKET;
            }
        }
        room = room.saturating_sub(size);
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Meaning, Target};

    #[test]
    fn packets_are_not_too_large() {
        let target = |number: u16| Target {
            priority: 1,
            weight: 1,
            host: "h".repeat(255),
            port: number,
        };
        let word = |count: u16| Word {
            name: "n".repeat(255),
            meaning: Meaning::Targets((0..count).map(target).collect()),
        };
        let packets = in_packets((0..300).map(|number| word(number % 2)).chain([word(128)]));
        assert!(packets.len() > 3);
        assert_eq!(packets.iter().map(Vec::len).sum::<usize>(), 301);
        for packet in packets {
            assert!(postcard::to_allocvec(&packet).unwrap().len() < 60 * 1024);
        }
        assert!(in_packets([]).is_empty());
    }
}
