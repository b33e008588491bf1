//! Messages out of a byte stream: octet counting and line ends (RFC 6587), told apart frame by frame.

use serde::{Deserialize, Serialize};

/// A message, or a piece of one that was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The bytes of the message without its framing.
    pub bytes: &'a [u8],
    /// It was longer than the limit; the rest is skipped.
    pub truncated: bool,
}

/// What is to be skipped of a message that was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Nothing: the next byte begins a frame, or goes on with one.
    Open,
    /// So many bytes of a counted frame.
    Counted(usize),
    /// Everything to the next line end.
    Line,
}

/// A decoder for one connection. It never holds more than the longest message and one read.
#[derive(Debug)]
pub struct Framing {
    buffer: Vec<u8>,
    at: usize,
    searched: usize,
    limit: usize,
    state: Skip,
}

/// Messages that one datagram is taken apart into at most.
pub const TOGETHER: usize = 64;

/// The messages of a datagram: one (RFC 5426), or up to `most` where a sender put them together, each on a line that begins with a
/// priority; the last keeps the rest.
pub fn messages(datagram: &[u8], most: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(datagram);
    let mut left = if prioritised(datagram) { most } else { 1 };
    std::iter::from_fn(move || {
        let bytes = rest.take()?;
        left -= 1;
        let end = if left == 0 {
            None
        } else {
            memchr::memmem::find_iter(bytes, b"\n<").find(|at| prioritised(&bytes[at + 1..]))
        };
        let (message, behind) = match end {
            Some(at) => (
                bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]),
                Some(&bytes[at + 1..]),
            ),
            None => (bytes, None),
        };
        rest = behind;
        Some(message)
    })
}

/// Whether it begins with a priority, `<0>` to `<191>`.
fn prioritised(bytes: &[u8]) -> bool {
    let Some(inner) = bytes.strip_prefix(b"<") else {
        return false;
    };
    let digits = inner
        .iter()
        .take(4)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let number = inner[..digits]
        .iter()
        .fold(0, |n, b| n * 10 + u32::from(b - b'0'));
    (1..=3).contains(&digits) && inner.get(digits) == Some(&b'>') && number < 192
}

/// Longest number of a counted frame.
const COUNT_DIGITS: usize = 7;

impl Framing {
    /// A decoder for messages of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            searched: 0,
            limit,
            state: Skip::Open,
        }
    }

    /// A decoder that goes on where another left off, see [`Framing::leave`].
    #[must_use]
    pub fn resume(limit: usize, bytes: Vec<u8>, skip: Skip) -> Self {
        Self {
            buffer: bytes,
            state: skip,
            ..Self::new(limit)
        }
    }

    /// What it holds of an unfinished message.
    #[must_use]
    pub fn leave(mut self) -> (Vec<u8>, Skip) {
        self.buffer();
        (self.buffer, self.state)
    }

    /// The buffer to read into; what is appended to it is decoded by [`Framing::next_frame`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.searched = self.searched.saturating_sub(self.at);
            self.at = 0;
        }
        &mut self.buffer
    }

    /// Gives back the memory of what was decoded; gives the bytes that are held of an unfinished message.
    pub fn settle(&mut self) -> usize {
        self.buffer().shrink_to_fit();
        self.buffer.len()
    }

    /// Gives up the unfinished message: what there is of it. The rest of it will be skipped, and the next message is whole.
    pub fn cut(&mut self) -> Option<Vec<u8>> {
        if !self.is_midway() {
            return None;
        }
        let mut bytes = std::mem::take(self.buffer());
        (self.at, self.searched) = (0, 0);
        self.state = match count(&bytes) {
            Count::Is { digits, length } => {
                bytes.drain(..=digits);
                Skip::Counted(length - bytes.len())
            }
            Count::None | Count::Unknown => Skip::Line,
        };
        Some(bytes)
    }

    /// Whether part of a message is waiting for the rest.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.state == Skip::Open && self.at < self.buffer.len()
    }

    /// The next whole message.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        loop {
            let waiting = self.buffer.len() - self.at;
            match self.state {
                Skip::Counted(left) => {
                    let skipped = left.min(waiting);
                    self.at += skipped;
                    self.state = if skipped == left {
                        Skip::Open
                    } else {
                        Skip::Counted(left - skipped)
                    };
                    if self.state != Skip::Open {
                        return None;
                    }
                }
                Skip::Line => match memchr::memchr(b'\n', &self.buffer[self.at..]) {
                    Some(end) => {
                        self.at += end + 1;
                        self.state = Skip::Open;
                    }
                    None => {
                        self.at = self.buffer.len();
                        return None;
                    }
                },
                Skip::Open => {
                    // Line ends and NULs between frames belong to none.
                    while matches!(self.buffer.get(self.at), Some(b'\n' | b'\r' | 0 | b' ')) {
                        self.at += 1;
                    }
                    self.searched = self.searched.max(self.at);
                    if self.at == self.buffer.len() {
                        return None;
                    }
                    match count(&self.buffer[self.at..]) {
                        Count::Unknown => return None,
                        Count::Is { digits, length } => return self.counted(digits, length),
                        Count::None => return self.line(),
                    }
                }
            }
        }
    }

    fn counted(&mut self, digits: usize, length: usize) -> Option<Frame<'_>> {
        let start = self.at + digits + 1;
        let have = self.buffer.len() - start;
        if length > self.limit {
            if have < self.limit {
                return None;
            }
            self.at = start + self.limit;
            self.state = Skip::Counted(length - self.limit);
            return Some(Frame {
                bytes: &self.buffer[start..start + self.limit],
                truncated: true,
            });
        }
        if have < length {
            return None;
        }
        self.at = start + length;
        Some(Frame {
            bytes: &self.buffer[start..start + length],
            truncated: false,
        })
    }

    fn line(&mut self) -> Option<Frame<'_>> {
        let start = self.at;
        match memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            Some(offset) if self.searched + offset - start <= self.limit => {
                let end = self.searched + offset;
                self.at = end + 1;
                Some(Frame {
                    bytes: &self.buffer[start..end],
                    truncated: false,
                })
            }
            None if self.buffer.len() - start <= self.limit => {
                self.searched = self.buffer.len();
                None
            }
            _ => {
                self.at = start + self.limit;
                self.searched = self.at;
                self.state = Skip::Line;
                Some(Frame {
                    bytes: &self.buffer[start..start + self.limit],
                    truncated: true,
                })
            }
        }
    }

    /// What is left when the sender goes away or falls silent.
    pub fn rest(&mut self) -> Option<&[u8]> {
        let midway = self.is_midway();
        let start = self.at;
        self.at = self.buffer.len();
        self.searched = self.at;
        midway.then(|| &self.buffer[start..])
    }
}

enum Count {
    Is {
        digits: usize,
        length: usize,
    },
    None,
    /// More bytes are needed to tell.
    Unknown,
}

/// `NNN <` begins a counted frame; RFC 6587 asks for `<` behind the count, some senders omit the priority and
/// begin with a letter or the byte order mark.
fn count(bytes: &[u8]) -> Count {
    let digits = bytes
        .iter()
        .take(COUNT_DIGITS + 1)
        .take_while(|b| b.is_ascii_digit())
        .count();
    if digits == 0 || digits > COUNT_DIGITS || bytes[0] == b'0' {
        return Count::None;
    }
    match (bytes.get(digits), bytes.get(digits + 1)) {
        (None, _) | (Some(b' '), None) => Count::Unknown,
        (Some(b' '), Some(b'<')) => {
            let length = bytes[..digits]
                .iter()
                .fold(0usize, |n, d| n * 10 + usize::from(d - b'0'));
            if length == 0 {
                Count::None
            } else {
                Count::Is { digits, length }
            }
        }
        _ => Count::None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn together(datagram: &str) -> Vec<&str> {
        messages(datagram.as_bytes(), TOGETHER)
            .map(|message| std::str::from_utf8(message).expect("it was text"))
            .collect()
    }

    #[test]
    fn messages_put_together_in_a_datagram_are_taken_apart_and_lines_of_one_are_not() {
        assert_eq!(
            together("<13>one\r\n<14>two\nand more of it\n<191>three\n"),
            ["<13>one", "<14>two\nand more of it", "<191>three\n"]
        );
        for one in [
            "",
            "<13>one\n",
            "no priority\n<13>not another\n",
            "<13>a page:\n<html>\n<1000>\n<192>x\n<>\n<1",
        ] {
            assert_eq!(together(one), [one]);
        }
        let two = b"<13>one\n<14>two";
        assert_eq!(messages(two, 1).collect::<Vec<_>>(), [two]);
        let many = "<1>\n".repeat(1_000);
        assert_eq!(together(&many).len(), TOGETHER);
        assert_eq!(together(&many).join("\n"), many);
    }

    fn all(input: &[u8], limit: usize, step: usize) -> Vec<(Vec<u8>, bool)> {
        let mut framing = Framing::new(limit);
        let mut frames = Vec::new();
        for piece in input.chunks(step.max(1)) {
            framing.buffer().extend_from_slice(piece);
            while let Some(frame) = framing.next_frame() {
                frames.push((frame.bytes.to_vec(), frame.truncated));
            }
            assert!(framing.buffer.len() <= limit + step + COUNT_DIGITS + 2);
        }
        if let Some(rest) = framing.rest() {
            frames.push((rest.to_vec(), false));
        }
        frames
    }

    #[test]
    fn both_framings_in_one_connection() {
        let input = b"<13>one\n7 <13>two<14>three\r\n9 <15>fo\nur\n\0<16>five";
        for step in 1..input.len() {
            let frames: Vec<Vec<u8>> = all(input, 100, step).into_iter().map(|f| f.0).collect();
            assert_eq!(
                frames,
                [
                    &b"<13>one"[..],
                    b"<13>two",
                    b"<14>three\r",
                    b"<15>fo\nur",
                    b"<16>five"
                ],
                "in steps of {step}"
            );
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_next_message_is_whole() {
        let long = "x".repeat(5_000);
        for step in [1, 7, 100, 9_999] {
            let input = format!("{long}\n<13>next\n5000 <{}<14>last\n", "y".repeat(4_999));
            let frames = all(input.as_bytes(), 50, step);
            assert_eq!(frames.len(), 4, "in steps of {step}");
            assert_eq!(frames[0], (long.as_bytes()[..50].to_vec(), true));
            assert_eq!(frames[1], (b"<13>next".to_vec(), false));
            assert!(frames[2].1);
            assert_eq!(frames[3], (b"<14>last".to_vec(), false));
        }
    }

    #[test]
    fn what_is_given_up_halfway_is_skipped_to_its_end_and_the_next_message_is_whole() {
        for (begun, rest, expected) in [
            (
                &b"<13>one"[..],
                &b" goes on\n<13>next\n"[..],
                &b"<13>one"[..],
            ),
            (b"20 <13>half of", b" counted \n<13>next\n", b"<13>half of"),
            (b"<13>zero\n9", b"9 bottles\n<13>next\n", b"9"),
        ] {
            let mut framing = Framing::new(100);
            framing.buffer().extend_from_slice(begun);
            while framing.next_frame().is_some() {}
            assert!(framing.settle() > 0);
            assert_eq!(framing.cut().as_deref(), Some(expected));
            assert_eq!((framing.settle(), framing.is_midway()), (0, false));
            framing.buffer().extend_from_slice(rest);
            assert_eq!(
                framing.next_frame().map(|f| f.bytes),
                Some(&b"<13>next"[..])
            );
            assert_eq!(framing.cut(), None);
            assert_eq!((framing.settle(), framing.buffer.capacity()), (0, 0));
        }
    }

    proptest! {
        #[test]
        fn what_was_framed_comes_out_whole(messages in prop::collection::vec(("[ -~]{0,80}", any::<bool>()), 1..30), step in 1usize..200) {
            let mut input = Vec::new();
            let mut expected = Vec::new();
            for (text, counted) in &messages {
                let message = format!("<13>{text}x");
                let framed = if *counted { format!("{} {message}", message.len()) } else { format!("{message}\n") };
                input.extend_from_slice(framed.as_bytes());
                expected.push(message.into_bytes());
            }
            let got: Vec<Vec<u8>> = all(&input, 1_000, step).into_iter().map(|f| f.0).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn any_bytes_are_framed_within_bounds(input in prop::collection::vec(any::<u8>(), 0..2_000), limit in 1usize..100, step in 1usize..300) {
            for (frame, _) in all(&input, limit, step) {
                prop_assert!(frame.len() <= limit.max(300) + COUNT_DIGITS + 2);
            }
        }
    }
}
