//! Gzip (RFC 1952) of expositions in text.
//!
//! A page says little that it has not said before: its lines name the same rows in family after family, and what stands before a family is
//! the same in every page. A general compressor searches for that at every octet; this one knows where to look. A line is held against the
//! line before and against one with the same labels in a family before, and a head is parsed once for all pages. Only lines whose labels
//! are new are searched for. Whatever the text is, what comes out unpacks to it; text that is no exposition only becomes larger
//! than it had to be.

mod block;
mod head;
mod huffman;
mod line;
mod repetition;
mod search;
mod slots;

use block::{Bits, Token};
use head::{Head, Heads};
use line::{Line, Lines, Places};
use repetition::{LEAST, Repetition, WINDOW, repeat};
use search::Search;

/// Tokens of a block, about: a longer page gets several, each with a code of its own.
const BLOCK: usize = 1 << 15;
/// A repetition of so many octets is taken as it is, though one that begins later could be better.
const PATIENCE: usize = 32;
/// Deflate, no time, no system: RFC 1952 §2.3.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses pages one after the other. What it keeps of them, about a megabyte, is for speed.
#[derive(Debug, Default)]
pub struct Deflate {
    tokens: Vec<Token>,
    heads: Heads,
    lines: Lines,
    search: Search,
}

impl Deflate {
    /// The page as gzip; while it works it takes memory of a few times the page.
    pub fn gzip(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Bits::after(&HEADER);
        self.tokens.clear();
        self.heads.begin(text.len());
        self.lines.begin(text.len());
        self.search.begin(text.len());
        // Up to where all is said, and where the line at hand begins: with the end of the one before.
        let (mut at, mut start) = (0, 0);
        let mut before = None;
        while start < text.len() {
            if head::begins(text, start) {
                let head = Head::at(text, start);
                self.heads.say(text, &head, at, &mut self.tokens);
                if head.name < head.end {
                    // Labels may say the name again.
                    self.search.note(text, head.name);
                }
                start = head.end;
                at = at.max(start);
                continue;
            }
            let end =
                memchr::memchr(b'\n', &text[start + 1..]).map_or(text.len(), |at| start + 1 + at);
            let (line, places) = self.lines.read(text, (start, end), before);
            // What stands before a family is said as it was parsed.
            let until = if head::begins(text, end) {
                end
            } else {
                text.len()
            };
            at = self.say(&text[..until], at, &line, &places);
            before = Some(line);
            start = end;
            if self.tokens.len() > BLOCK {
                out.block(&self.tokens, false);
                self.tokens.clear();
            }
        }
        out.block(&self.tokens, true);
        let mut sum = flate2::Crc::new();
        sum.update(text);
        let mut out = out.finish();
        out.extend(sum.sum().to_le_bytes());
        out.extend(sum.amount().to_le_bytes());
        out
    }

    /// Says a line from a place on; gives up to where all is said then, which may be beyond it.
    fn say(&mut self, text: &[u8], mut at: usize, line: &Line, places: &Places) -> usize {
        let mut next = None;
        while at < line.end {
            let best = next
                .take()
                .unwrap_or_else(|| self.best(text, at, line, places));
            // Where all is searched for, the octet behind may begin something better.
            if !places.known() && (1..PATIENCE).contains(&best.len) && at + 1 < line.end {
                next = Some(self.best(text, at + 1, line, places));
            }
            let later = next.is_some_and(|next| next.worth() > best.worth() + Repetition::OCTET);
            if best.len == 0 || later {
                self.tokens.push(Token::octet(text[at]));
                at += 1;
            } else {
                repeat(&mut self.tokens, text, at, best);
                at += best.len;
                next = None;
            }
        }
        at
    }

    /// The best repetition at a place, of no octets where none is worth it.
    fn best(&mut self, text: &[u8], at: usize, line: &Line, places: &Places) -> Repetition {
        let mut best = Repetition::default();
        for distance in places.at(at, line) {
            if (1..=WINDOW.min(at)).contains(&distance) {
                best = best.or(text, at, distance);
            }
        }
        // Digits have no relations; what could be found of them is not worth the search.
        let whole = at > line.value || (places.known() && best.len > LEAST);
        if !whole {
            for place in self.search.places(text, at, search::STEPS) {
                if at - place > WINDOW {
                    break;
                }
                best = best.or(text, at, at - place);
            }
        }
        if best.worth() > 0 {
            best
        } else {
            Repetition::default()
        }
    }
}

/// For a fuzzer: pages unpack to what they were, whatever was packed before.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let mut deflate = Deflate::default();
    for text in [bytes, &bytes[bytes.len() / 3..], bytes] {
        let packed = deflate.gzip(text);
        let mut out = Vec::new();
        let unpacked =
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut out);
        assert!(unpacked.is_ok() && out == text, "{} octets", text.len());
    }
}

#[cfg(test)]
mod tests;
