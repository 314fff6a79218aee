//! The three algorithms behind one face: bytes in, compressed bytes out, as much at a time as the caller gives.

use std::io::{self, Write};

use bytes::Bytes;
use zstd::stream::raw::CParameter;

use crate::config::types::Algorithm;

/// Bytes of brotli's own output buffer.
const BROTLI_BUFFER: usize = 8 * 1024;
/// Logarithms of the windows: what lies further back is not looked at, so that a stream needs little memory.
const ZSTD_WINDOW: u32 = 19;
/// And of the tables that matches are found by.
const ZSTD_TABLES: u32 = 17;
const BROTLI_WINDOW: i32 = 18;

/// How hard each algorithm tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Strength {
    zstd: u8,
    br: u8,
    gzip: u8,
}

impl Strength {
    /// The configured level, as far as no algorithm is slower than some 30 MB/s. (Measured on program text with these
    /// windows, br gains nothing at 5 and 6, and takes two and three times as long.)
    pub(super) fn of_level(level: u32) -> Self {
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        let at_most = |limit: u8| level.clamp(1, limit);
        Self {
            zstd: at_most(9),
            br: at_most(4),
            gzip: at_most(9),
        }
    }

    /// Tells apart what was compressed otherwise.
    pub(super) fn of(self, algorithm: Algorithm) -> u8 {
        match algorithm {
            Algorithm::Zstd => self.zstd,
            Algorithm::Br => self.br,
            Algorithm::Gzip => self.gzip,
        }
    }
}

/// A compressed stream in the making.
pub(super) enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// `length`: of all that will be written, when that is known for certain.
    pub(super) fn new(
        algorithm: Algorithm,
        strength: Strength,
        length: Option<u64>,
    ) -> io::Result<Self> {
        Ok(match algorithm {
            Algorithm::Zstd => Self::Zstd(zstd(strength.zstd.into(), length)?),
            Algorithm::Br => Self::Br(Box::new(brotli(strength.br.into(), length))),
            Algorithm::Gzip => {
                let level = flate2::Compression::new(strength.gzip.into());
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
        })
    }

    /// About how much memory one takes, in bytes.
    pub(super) fn cost(algorithm: Algorithm, length: Option<u64>) -> usize {
        let most = match algorithm {
            Algorithm::Zstd | Algorithm::Br => 2 << 20,
            Algorithm::Gzip => 300 << 10,
        };
        let length = length.and_then(|length| usize::try_from(length).ok());
        length.map_or(most, |length| {
            most.min((256 << 10) + length.saturating_mul(6))
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Br(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    /// Brings everything that was written out, so that it can be decoded already.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Br(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }

    /// What came out since it was last asked for.
    pub(super) fn take_output(&mut self) -> Bytes {
        Bytes::from(std::mem::take(self.output()))
    }

    pub(super) fn has_output(&mut self, at_least: usize) -> bool {
        self.output().len() >= at_least
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Br(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        }
    }

    /// Ends the stream; the rest of its output.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::from(match self {
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Br(encoder) => encoder.into_inner(),
            Self::Gzip(encoder) => encoder.finish()?,
        }))
    }
}

fn zstd(
    level: i32,
    length: Option<u64>,
) -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
    encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
    encoder.set_parameter(CParameter::HashLog(ZSTD_TABLES))?;
    encoder.set_parameter(CParameter::ChainLog(ZSTD_TABLES))?;
    encoder.set_pledged_src_size(length)?;
    Ok(encoder)
}

fn brotli(quality: i32, length: Option<u64>) -> brotli::CompressorWriter<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality,
        lgwin: BROTLI_WINDOW,
        size_hint: length
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or(0),
        ..Default::default()
    };
    brotli::CompressorWriter::with_params(Vec::new(), BROTLI_BUFFER, &params)
}

/// Compresses `bytes`, which are few, in one go.
pub(in crate::http) fn encode_all(
    algorithm: Algorithm,
    strength: Strength,
    bytes: &[u8],
) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(algorithm, strength, Some(bytes.len() as u64))?;
    encoder.write(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::super::stream::testing::decode;
    use super::*;

    const ALL: [Algorithm; 3] = [Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip];

    #[test]
    fn what_went_in_comes_out() {
        let text = "the same words again and again, ".repeat(5000);
        for algorithm in ALL {
            for level in [1, 6, 11] {
                let strength = Strength::of_level(level);
                for part in [0, 1, 1024, text.len()] {
                    let small = encode_all(algorithm, strength, &text.as_bytes()[..part]).unwrap();
                    assert_eq!(decode(algorithm, &small).0, text.as_bytes()[..part]);
                    assert!(
                        part < text.len() || small.len() < part / 20,
                        "{algorithm:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_was_flushed_can_be_decoded() {
        for algorithm in ALL {
            let mut encoder = Encoder::new(algorithm, Strength::of_level(6), None).unwrap();
            let mut sent = Vec::new();
            for number in 0..5 {
                encoder.write(format!("part {number}").as_bytes()).unwrap();
                encoder.flush().unwrap();
                encoder.flush().unwrap();
                sent.extend_from_slice(&encoder.take_output());
                let (decoded, whole) = decode(algorithm, &sent);
                assert!(
                    decoded.ends_with(format!("part {number}").as_bytes()),
                    "{algorithm:?}"
                );
                assert!(!whole);
            }
            sent.extend_from_slice(&encoder.finish().unwrap());
            assert_eq!(
                decode(algorithm, &sent),
                (b"part 0part 1part 2part 3part 4".to_vec(), true)
            );
        }
    }
}
