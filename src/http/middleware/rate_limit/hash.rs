//! SipHash-2-4 (Aumasson and Bernstein, 2012) of whole words. Nobody without the key can choose addresses that meet in
//! the table; unlike that of the standard library it is the same in every version of the program.

pub(super) type Key = [u64; 2];

pub(super) fn hash(key: Key, words: &[u64]) -> u64 {
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    // The last word holds the length in bytes, modulo 256.
    let length = (words.len() as u64 * 8) << 56;
    for word in words.iter().copied().chain([length]) {
        state[3] ^= word;
        mix(&mut state, 2);
        state[0] ^= word;
    }
    state[2] ^= 0xff;
    mix(&mut state, 4);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn mix(state: &mut [u64; 4], rounds: u32) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..rounds {
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32);
        c = c.wrapping_add(b);
        a = a.wrapping_add(d);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        c = c.rotate_left(32);
    }
    *state = [a, b, c, d];
}

/// The same of a text.
pub(super) fn hash_text(key: Key, text: &str) -> u64 {
    let mut words = vec![text.len() as u64];
    for chunk in text.as_bytes().chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        words.push(u64::from_le_bytes(bytes));
    }
    hash(key, &words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the reference implementation: key 00 01 … 0f, message 00 01 … of 0 and 8 bytes.
    #[test]
    fn it_is_siphash() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(hash(key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(hash(key, &[key[0]]), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn texts_differ_by_length_as_well() {
        assert_ne!(hash_text([1, 2], "a"), hash_text([1, 2], "a\0"));
        assert_ne!(hash_text([1, 2], "a"), hash_text([1, 3], "a"));
    }
}
