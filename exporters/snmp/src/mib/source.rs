//! Where MIB files come from.

use std::io;

use mib_rs::source::{Source, SourceCandidate};

/// A source whose texts lose commas that stand one behind another (`INDEX { a, , b }`), over which net-snmp reads and vendors' files rely
/// on it.
pub(super) struct Lenient(pub(super) Box<dyn Source>);

impl Source for Lenient {
    fn find(&self, name: &str) -> io::Result<Option<SourceCandidate>> {
        Ok(self.0.find(name)?.map(mended))
    }

    fn find_candidates<'a>(
        &'a self,
        name: &'a str,
    ) -> Box<dyn Iterator<Item = io::Result<SourceCandidate>> + 'a> {
        Box::new(self.0.find_candidates(name).map(|one| one.map(mended)))
    }

    fn list_modules(&self) -> io::Result<Vec<String>> {
        self.0.list_modules()
    }
}

/// Blanks in the place of the commas, so that places in messages stay true.
fn mended(candidate: SourceCandidate) -> SourceCandidate {
    let mut bytes: Option<Vec<u8>> = None;
    let mut after_comma = false;
    for (at, byte) in candidate.bytes().iter().enumerate() {
        match byte {
            b',' if after_comma => {
                bytes.get_or_insert_with(|| candidate.bytes().to_vec())[at] = b' ';
            }
            b',' => after_comma = true,
            _ if byte.is_ascii_whitespace() => {}
            _ => after_comma = false,
        }
    }
    match bytes {
        Some(bytes) => {
            let label = candidate.label().to_owned();
            SourceCandidate::new(
                candidate.identity().clone(),
                candidate.origin().clone(),
                label,
                bytes,
            )
        }
        None => candidate,
    }
}
