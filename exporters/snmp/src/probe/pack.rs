//! Compression of answers.

use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};

use super::Answer;

impl Answer {
    /// The same with a compressed body; an error stays as it is.
    pub(super) fn packed(mut self) -> Self {
        if self.status == 200 {
            self.body = pack(&self.body).into();
            self.packed = true;
        }
        self
    }
}

/// Pages of more octets than this are packed with less effort.
const LARGE: usize = 1 << 19;
/// Base-2 logarithm of the octets that a repetition may lie back, RFC 1951.
const WINDOW: u8 = 15;

/// Compressors that wait for the next page of usual size: to make one costs more than to pack the page of a small device.
static IDLE: Mutex<Vec<Compress>> = Mutex::new(Vec::new());
/// No more wait than that: more threads than this seldom pack at once.
const MOST_IDLE: usize = 16;

/// Level 7 gives what Go's usual level gives; of a large page it would cost three times the scrape, for a twentieth less.
fn pack(text: &[u8]) -> Vec<u8> {
    if text.len() > LARGE {
        return pack_with(&mut Compress::new_gzip(Compression::new(5), WINDOW), text);
    }
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let waiting = idle().pop();
    let mut compressor = waiting.unwrap_or_else(|| Compress::new_gzip(Compression::new(7), WINDOW));
    let packed = pack_with(&mut compressor, text);
    compressor.reset();
    let mut idle = idle();
    if idle.len() < MOST_IDLE {
        idle.push(compressor);
    }
    packed
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
        for text in [
            b"a 1\n".as_slice(),
            &noise,
            b"",
            &large,
            b"a 1\nb 2\n",
            b"a 1\n",
        ] {
            assert!(unpacked(&pack(text)) == text, "{} octets", text.len());
        }
        assert_eq!(pack(&noise), pack(&noise));
        let fresh = pack_with(&mut Compress::new_gzip(Compression::new(7), WINDOW), &noise);
        assert!(pack(&noise) == fresh, "nothing is left of the page before");
    }

    #[test]
    fn a_compressor_is_used_again() {
        drop(pack(b"a 1\n"));
        assert!(!IDLE.lock().unwrap().is_empty());
    }
}
