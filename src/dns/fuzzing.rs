//! What tests/fuzz does with this room.

use domain::base::iana::Rtype;

use super::answer::{Answer, Reading, read};
use super::question::{Question, name};

/// Understands any bytes as an answer, or as what follows the question in one, or does not.
pub fn answer(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let kind = [Rtype::A, Rtype::AAAA, Rtype::SRV][usize::from(first % 3)];
    let name = name("www.a.test").expect("it is a name");
    let question = Question { name, kind };
    check(read(rest, &question, 7));
    let mut message = question.message(7, false).expect("it is short");
    let counts = rest.len().min(6);
    // That it is an answer, its code, and how many records it has.
    message[2] |= 0x80;
    message[3] = first >> 4;
    message[6..6 + counts].copy_from_slice(&rest[..counts]);
    message.extend_from_slice(&rest[counts..]);
    check(read(&message, &question, 7));
}

fn check(reading: Reading) {
    match reading {
        Reading::Answer(Answer::Records(records, _)) => assert!(!records.is_empty()),
        Reading::Answer(Answer::Alias(target, _)) => {
            name(&target.to_string()).expect("a name that was read can be asked for");
        }
        _ => {}
    }
}
