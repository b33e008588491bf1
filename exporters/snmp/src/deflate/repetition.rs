//! Repetitions of what was said before, RFC 1951 §3.2.5.

use super::block::Token;

/// The least and most octets of a repetition.
pub(super) const LEAST: usize = 3;
pub(super) const MOST: usize = 258;
/// How far back a repetition may begin.
pub(super) const WINDOW: usize = 32_768;
/// Three octets are not worth the distance when it is larger.
const NEAR: usize = 1024;

/// So many octets from so far back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repetition {
    pub(super) len: usize,
    pub(super) distance: usize,
}

impl Repetition {
    /// What an octet costs, in bits, about.
    pub(super) const OCTET: usize = 6;

    /// The bits that it saves, about; 0 where it saves none.
    pub(super) fn worth(self) -> usize {
        if self.len < LEAST || (self.len == LEAST && self.distance > NEAR) {
            return 0;
        }
        // Sixteen bits are the most for a distance.
        self.len * Self::OCTET + 16 - (usize::BITS - self.distance.leading_zeros()) as usize
    }

    /// This one, or the one from so far back when that is better.
    pub(super) fn or(self, text: &[u8], at: usize, distance: usize) -> Self {
        let other = Self {
            len: common(text, at - distance, at),
            distance,
        };
        if other.worth() > self.worth() {
            other
        } else {
            self
        }
    }
}

/// Says a repetition, together with what was said last where that stands before its source too.
pub(super) fn repeat(
    tokens: &mut Vec<Token>,
    text: &[u8],
    mut at: usize,
    Repetition { mut len, distance }: Repetition,
) {
    while let Some(last) = tokens.last() {
        let more = last.len();
        if len + more > MOST
            || distance + more > at
            || text[at - more..at] != text[at - more - distance..at - distance]
        {
            break;
        }
        tokens.pop();
        at -= more;
        len += more;
    }
    tokens.push(Token::repeat(len, distance));
}

/// Makes the repetition said last longer, if what it repeats goes on like the octets from `at` on.
pub(super) fn lengthen(tokens: &mut [Token], text: &[u8], at: usize, more: usize) -> bool {
    let Some(last) = tokens.last_mut().filter(|last| last.distance() > 0) else {
        return false;
    };
    let (len, distance) = (last.len() + more, last.distance());
    let goes_on = len <= MOST && text[at..at + more] == text[at - distance..at + more - distance];
    if goes_on {
        *last = Token::repeat(len, distance);
    }
    goes_on
}

/// How many octets are the same at two places, the first before the second; at most [`MOST`].
pub(super) fn common(text: &[u8], first: usize, second: usize) -> usize {
    let most = MOST.min(text.len() - second);
    let (first, second) = (&text[first..first + most], &text[second..second + most]);
    let mut len = 0;
    while let (Some(one), Some(other)) = (word(first, len), word(second, len)) {
        if one != other {
            return len + ((one ^ other).trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let rest = first[len..].iter().zip(&second[len..]);
    len + rest.take_while(|(one, other)| one == other).count()
}

/// Eight octets.
pub(super) fn word(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*text.get(at..)?.first_chunk()?))
}
