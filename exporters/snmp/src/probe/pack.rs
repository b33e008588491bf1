//! Compression of answers.

use std::sync::{Mutex, PoisonError};

use libdeflater::{CompressionLvl, Compressor};

use super::Answer;

impl Answer {
    /// The same with a compressed body; an error stays as it is.
    pub(super) fn packed(mut self) -> Self {
        if self.status == 200
            && let Some(packed) = pack(&self.body)
        {
            self.body = packed.into();
            self.packed = true;
        }
        self
    }
}

/// Pages of more octets than this are packed with less effort.
const LARGE: usize = 1 << 19;
/// Gives somewhat less than Go's usual level does.
const LEVEL: i32 = 6;
/// The same of a large page, for three fifths of the time.
const LEVEL_OF_LARGE: i32 = 5;

/// Compressors that wait for the next page of usual size: to make one costs more than to pack the page of a small device.
static IDLE: Mutex<Vec<Compressor>> = Mutex::new(Vec::new());
/// No more wait than that: more threads than this seldom pack at once.
const MOST_IDLE: usize = 8;

/// The page as one gzip member (RFC 1952); `None` when it cannot be.
fn pack(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > LARGE {
        return pack_with(&mut compressor(LEVEL_OF_LARGE)?, text);
    }
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let waiting = idle().pop();
    let mut compressor = waiting.or_else(|| compressor(LEVEL))?;
    let packed = pack_with(&mut compressor, text);
    let mut idle = idle();
    if idle.len() < MOST_IDLE {
        idle.push(compressor);
    }
    packed
}

fn compressor(level: i32) -> Option<Compressor> {
    CompressionLvl::new(level).ok().map(Compressor::new)
}

fn pack_with(compressor: &mut Compressor, text: &[u8]) -> Option<Vec<u8>> {
    // What has no repetitions is a little larger when it is packed.
    let mut out = vec![0; compressor.gzip_compress_bound(text.len())];
    let length = compressor.gzip_compress(text, &mut out).ok()?;
    out.truncate(length);
    out.shrink_to_fit();
    Some(out)
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
        for text in [
            b"a 1\n".as_slice(),
            &noise,
            b"",
            &large,
            b"a 1\nb 2\n",
            b"a 1\n",
        ] {
            let packed = pack(text).unwrap();
            assert!(unpacked(&packed) == text, "{} octets", text.len());
        }
        assert_eq!(pack(&noise), pack(&noise));
        let fresh = pack_with(&mut compressor(LEVEL).unwrap(), &noise);
        assert!(pack(&noise) == fresh, "nothing is left of the page before");
    }

    #[test]
    fn a_compressor_is_used_again() {
        assert!(pack(b"a 1\n").is_some());
        assert!(!IDLE.lock().unwrap().is_empty());
    }
}
