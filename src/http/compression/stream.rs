//! A body that is compressed while it is sent.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;

use super::compressors::{Compressors, Share, StoreKey};
use super::encoder::{Encoder, Strength};
use crate::config::types::Algorithm;
use crate::http::body::{Body, BodyError, Chunk, file_shrank};

/// Bytes compressed before the other connections have their turn: one to three milliseconds.
const TURN: usize = 32 * 1024;
/// Less is collected until more comes, or the source pauses.
const PORTION: usize = 8 * 1024;

/// The compressed form of a body. What the source has sent when it pauses goes out at once.
pub(in crate::http) struct Compressed {
    source: Body,
    /// What of the source is still to be compressed.
    rest: Option<Chunk>,
    /// None at the end.
    encoder: Option<Encoder>,
    trailers: Option<HeaderMap>,
    /// Bytes since the other connections had their turn.
    spent: usize,
    /// Something was written since the last flush.
    dirty: bool,
    /// Why the source broke off, until what came before has left.
    broken: Option<BodyError>,
    copy: Option<Copy>,
    _share: Share,
}

/// What came out so far, to be kept when it is whole.
struct Copy {
    compressors: Compressors,
    key: StoreKey,
    bytes: Vec<u8>,
}

impl Compressed {
    /// None when the thread has no memory to spare. `length`: of `source`, when that is known for certain.
    pub(in crate::http) fn new(
        source: Body,
        algorithm: Algorithm,
        strength: Strength,
        length: Option<u64>,
        compressors: &Compressors,
    ) -> Result<Self, Body> {
        let Some(share) = compressors.admit(algorithm, length) else {
            return Err(source);
        };
        let Ok(encoder) = Encoder::new(algorithm, strength, length) else {
            return Err(source);
        };
        Ok(Self {
            source,
            rest: None,
            encoder: Some(encoder),
            trailers: None,
            spent: 0,
            dirty: false,
            broken: None,
            copy: None,
            _share: share,
        })
    }

    /// Keeps the whole, unless it becomes too long, for the next who asks for it.
    pub(in crate::http) fn keeping(mut self, compressors: &Compressors, key: StoreKey) -> Self {
        self.copy = Some(Copy {
            compressors: compressors.clone(),
            key,
            bytes: Vec::new(),
        });
        self
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if self.spent >= TURN {
                self.spent = 0;
                // Ready never comes of the first poll: it wakes us when the others had their turn.
                ready!(pin!(tokio::task::yield_now()).poll(context));
            }
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(self.trailers.take().map(|it| Ok(Frame::trailers(it))));
            };
            let portion = if self.broken.is_some() { 1 } else { PORTION };
            if encoder.has_output(portion) {
                return self.give();
            }
            if let Some(error) = self.broken.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if let Some(chunk) = self.rest.take() {
                self.compress(chunk)?;
                continue;
            }
            match self.source.poll_chunk(context) {
                Poll::Pending if self.dirty => {
                    encoder.flush()?;
                    self.dirty = false;
                    if encoder.has_output(1) {
                        return self.give();
                    }
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return self.end(),
                Poll::Ready(Some(Ok(frame))) => self.note(frame),
                Poll::Ready(Some(Err(error))) => {
                    encoder.flush()?;
                    self.broken = Some(error);
                }
            }
        }
    }

    fn note(&mut self, frame: Frame<Chunk>) {
        match frame.into_data() {
            Ok(chunk) => self.rest = Some(chunk),
            Err(other) => self.trailers = other.into_trailers().ok(),
        }
    }

    /// Compresses the beginning of `chunk`, as much as fits into this turn.
    fn compress(&mut self, chunk: Chunk) -> io::Result<()> {
        let room = TURN - self.spent;
        let (bytes, rest) = match chunk {
            Chunk::Bytes(mut bytes) => {
                let part = bytes.split_to(bytes.len().min(room));
                (part, bytes.has_remaining().then_some(Chunk::Bytes(bytes)))
            }
            Chunk::File(mut slice) => {
                slice.file.check_unchanged()?;
                let length = usize::try_from(slice.length).unwrap_or(room).min(room);
                let mut part = vec![0; length];
                let count = slice.file.read_at(&mut part, slice.offset)?;
                if count == 0 {
                    return Err(file_shrank());
                }
                part.truncate(count);
                slice.offset += count as u64;
                slice.length -= count as u64;
                let rest = (slice.length > 0).then_some(Chunk::File(slice));
                (Bytes::from(part), rest)
            }
        };
        self.rest = rest;
        self.spent += bytes.len();
        if let (Some(encoder), false) = (&mut self.encoder, bytes.is_empty()) {
            encoder.write(&bytes)?;
            self.dirty = true;
        }
        Ok(())
    }

    fn give(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let output = match &mut self.encoder {
            Some(encoder) => encoder.take_output(),
            None => Bytes::new(),
        };
        self.copy_output(&output);
        Poll::Ready(Some(Ok(Frame::data(output))))
    }

    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let output = match self.encoder.take() {
            Some(encoder) => encoder.finish()?,
            None => Bytes::new(),
        };
        self.copy_output(&output);
        if let Some(copy) = self.copy.take() {
            copy.compressors.keep(copy.key, copy.bytes.into());
        }
        Poll::Ready(Some(Ok(Frame::data(output))))
    }

    fn copy_output(&mut self, output: &[u8]) {
        let fits = |copy: &mut Copy| Compressors::may_keep(copy.bytes.len() + output.len());
        match self.copy.take_if(|copy| !fits(copy)) {
            Some(_) => {}
            None => self
                .copy
                .iter_mut()
                .for_each(|copy| copy.bytes.extend_from_slice(output)),
        }
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.poll(context);
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.encoder = None;
            self.copy = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}

#[cfg(test)]
pub(in crate::http) mod testing {
    use std::io::Read;

    use crate::config::types::Algorithm;

    /// What can be decoded, and whether that is all.
    pub(in crate::http) fn decode(algorithm: Algorithm, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut reader: Box<dyn Read> = match algorithm {
            Algorithm::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
            Algorithm::Br => Box::new(brotli::Decompressor::new(bytes, 4096)),
            Algorithm::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        };
        let mut decoded = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return (decoded, true),
                Ok(count) => decoded.extend_from_slice(&buffer[..count]),
                Err(_) => return (decoded, false),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::decode;
    use super::*;

    /// Breaks off behind its only part.
    struct Breaking(Option<Bytes>);

    impl http_body::Body for Breaking {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            let part = self.0.take().map(Frame::data);
            Poll::Ready(Some(part.ok_or_else(|| "the source broke off".into())))
        }
    }

    #[test]
    fn what_came_before_the_source_broke_off_is_given_and_no_end() {
        for algorithm in [Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip] {
            let source = Body::Stream(Box::pin(Breaking(Some("hello".into()))));
            let compressors = Compressors::default();
            let compressed =
                Compressed::new(source, algorithm, Strength::of_level(6), None, &compressors);
            let Ok(mut compressed) = compressed else {
                panic!("there is memory");
            };
            let mut context = Context::from_waker(std::task::Waker::noop());
            let mut bytes = Vec::new();
            while let Poll::Ready(Some(Ok(frame))) = compressed.poll(&mut context) {
                bytes.extend_from_slice(frame.data_ref().unwrap());
            }
            assert_eq!(decode(algorithm, &bytes), (b"hello".to_vec(), false));
        }
    }
}
