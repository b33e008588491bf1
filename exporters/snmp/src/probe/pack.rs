//! Compression of answers.

use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};

use super::Answer;
use crate::deflate::Deflate;

impl Answer {
    /// The same with a compressed body; an error stays as it is.
    pub(super) fn packed(mut self) -> Self {
        if self.status == 200 {
            self.body = pack(&self.body, self.protobuf).into();
            self.packed = true;
        }
        self
    }
}

/// Pages of more octets than this are packed with less effort.
const LARGE: usize = 1 << 19;
/// Base-2 logarithm of the octets that a repetition may lie back, RFC 1951.
const WINDOW: u8 = 15;

/// What is made once and used for page after page, with what it keeps of them.
#[derive(Debug)]
struct Idle<T>(Mutex<Vec<T>>);

impl<T> Idle<T> {
    /// No more wait than that: more threads than this seldom pack at once.
    const MOST: usize = 8;

    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Uses one that waits, or a new one.
    fn with<R>(&self, new: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let idle = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let mut one = waiting.unwrap_or_else(new);
        let done = work(&mut one);
        let mut idle = idle();
        if idle.len() < Self::MOST {
            idle.push(one);
        }
        done
    }
}

static OF_TEXT: Idle<Deflate> = Idle::new();
static OF_PROTOBUF: Idle<Compress> = Idle::new();

/// As small as what Go's usual level gives, where the page is of usual size; of a large one that would cost three times the scrape, for a
/// twentieth less.
fn pack(page: &[u8], protobuf: bool) -> Vec<u8> {
    if page.len() > LARGE {
        return pack_with(&mut Compress::new_gzip(Compression::new(5), WINDOW), page);
    }
    if !protobuf {
        return OF_TEXT.with(Deflate::default, |deflate| deflate.gzip(page));
    }
    let new = || Compress::new_gzip(Compression::new(7), WINDOW);
    OF_PROTOBUF.with(new, |compressor| {
        let packed = pack_with(compressor, page);
        compressor.reset();
        packed
    })
}

fn pack_with(compressor: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 6 + 64);
    loop {
        let read = compressor.total_in() as usize;
        match compressor.compress_vec(&text[read..], &mut out, FlushCompress::Finish) {
            Ok(Status::Ok | Status::BufError) => out.reserve(out.capacity()),
            // It is told what to do in a wrong order, which this is not.
            Ok(Status::StreamEnd) | Err(_) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_packed_unpacks_whatever_was_packed_before() {
        let mut random = fastrand::Rng::with_seed(1);
        // What has no repetitions is larger than the room that is made at first.
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(100_000)
            .collect();
        let large = b"a{b=\"c\"} 1\n".repeat(LARGE / 10);
        for page in [b"a 1\n".as_slice(), &noise, b"", &large, b"a 1\nb 2\n"] {
            for protobuf in [false, true] {
                let packed = pack(page, protobuf);
                assert!(unpacked(&packed) == page, "{} octets", page.len());
            }
        }
        let fresh = pack_with(&mut Compress::new_gzip(Compression::new(7), WINDOW), &noise);
        assert!(
            pack(&noise, true) == fresh,
            "nothing is left of the page before"
        );
    }

    #[test]
    fn what_was_used_is_used_again() {
        let idle: Idle<Vec<u8>> = Idle::new();
        idle.with(Vec::new, |one| one.push(1));
        assert_eq!(idle.with(Vec::new, |one| one.clone()), [1]);
        // Two at a time are two, and both wait then.
        idle.with(Vec::new, |_| idle.with(Vec::new, |_| ()));
        assert_eq!(idle.0.lock().unwrap().len(), 2);
    }
}
