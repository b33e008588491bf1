//! Compression of answers.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

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

/// Level 7 gives what Go's usual level gives; of a large page it would cost three times the scrape, for a twentieth less.
fn pack(text: &[u8]) -> Vec<u8> {
    let level = Compression::new(if text.len() > LARGE { 4 } else { 7 });
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 6 + 64), level);
    // Writing into memory cannot fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks() {
        let mut out = String::new();
        let packed = pack(b"a 1\n");
        std::io::Read::read_to_string(
            &mut flate2::read::GzDecoder::new(packed.as_slice()),
            &mut out,
        )
        .unwrap();
        assert_eq!(out, "a 1\n");
    }
}
