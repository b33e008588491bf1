//! What a terminal would show of the bytes of a device: lines, without control sequences.

use std::ops::Range;

/// Most bytes of a control sequence; a longer one is given up as text.
const LONGEST_SEQUENCE: usize = 64;

/// Lines that are complete, and the one that the cursor is in.
///
/// Carriage return, backspace and the sequences that move within a line or erase it do what they do on a terminal, so that a
/// pager that erases itself leaves nothing behind. Other control sequences are dropped.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// The complete lines, each with a line end.
    text: Vec<u8>,
    /// Where each complete line ends in `text`, its line end included.
    ends: Vec<usize>,
    line: Vec<u8>,
    column: usize,
    sequence: Option<Vec<u8>>,
    bytes: usize,
}

impl Screen {
    /// Takes what came from the device.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            // Most of it is text that is written behind the text of the same line.
            if self.sequence.is_none() && self.column == self.line.len() {
                let text = rest.iter().position(|byte| !is_text(*byte));
                let (text, other) = rest.split_at(text.unwrap_or(rest.len()));
                if !text.is_empty() {
                    self.line.extend_from_slice(text);
                    self.column = self.line.len();
                    rest = other;
                    continue;
                }
            }
            match self.sequence.take() {
                Some(sequence) => self.continued(sequence, *byte),
                None => self.plain(*byte),
            }
            rest = after;
        }
    }

    /// Bytes that were taken.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many lines are complete.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// A complete line, without trailing spaces; empty where there is none.
    pub(crate) fn line(&self, number: usize) -> &[u8] {
        let line = self.text(number..number + 1);
        line.strip_suffix(b"\n").unwrap_or(line)
    }

    /// The complete lines, without trailing spaces.
    pub(crate) fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        (0..self.count()).map(|number| self.line(number))
    }

    /// Complete lines one behind the other, each with a line end.
    pub(crate) fn text(&self, lines: Range<usize>) -> &[u8] {
        let at = |number: usize| match number.checked_sub(1) {
            Some(before) => self.ends.get(before).map_or(self.text.len(), |end| *end),
            None => 0,
        };
        self.text
            .get(at(lines.start)..at(lines.end))
            .unwrap_or_default()
    }

    /// [`Screen::text`], with nothing else of the screen kept in memory.
    pub(crate) fn into_text(mut self, lines: Range<usize>) -> Box<[u8]> {
        let length = self.text(lines.clone()).len();
        let begin = lines.start.checked_sub(1);
        let begin = begin.and_then(|before| self.ends.get(before)).copied();
        let mut text = std::mem::take(&mut self.text);
        let begin = begin.unwrap_or(0);
        text.truncate(begin + length);
        text.drain(..begin.min(text.len()));
        text.into_boxed_slice()
    }

    /// The line that the cursor is in, without trailing spaces.
    pub(crate) fn current(&self) -> &[u8] {
        self.line.trim_ascii_end()
    }

    /// Empties the line that the cursor is in, as if its text had never come.
    pub(crate) fn clear_current(&mut self) {
        self.line.clear();
        self.column = 0;
    }

    fn plain(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.text.extend_from_slice(self.line.trim_ascii_end());
                self.text.push(b'\n');
                self.ends.push(self.text.len());
                self.clear_current();
            }
            b'\r' => self.column = 0,
            8 => self.column = self.column.saturating_sub(1),
            0x1b => self.sequence = Some(Vec::new()),
            _ if is_text(byte) => self.write(byte),
            _ => {}
        }
    }

    fn write(&mut self, byte: u8) {
        match self.line.get_mut(self.column) {
            Some(place) => *place = byte,
            None => {
                self.line.resize(self.column, b' ');
                self.line.push(byte);
            }
        }
        self.column += 1;
    }

    /// The next byte of a control sequence (ECMA-48: CSI, OSC, or two bytes).
    fn continued(&mut self, mut sequence: Vec<u8>, byte: u8) {
        sequence.push(byte);
        let ended = match sequence[0] {
            b'[' => sequence.len() > 1 && (0x40..=0x7e).contains(&byte),
            b']' => byte == 7 || sequence.ends_with(b"\x1b\\"),
            b'(' | b')' | b'#' | b' ' => sequence.len() == 2,
            _ => true,
        };
        if ended {
            self.obey(&sequence);
        } else if sequence.len() < LONGEST_SEQUENCE {
            self.sequence = Some(sequence);
        }
    }

    fn obey(&mut self, sequence: &[u8]) {
        let [b'[', parameters @ .., last] = sequence else {
            // Next line, and one line down.
            if matches!(sequence, [b'E' | b'D']) {
                self.plain(b'\n');
            }
            return;
        };
        let number = std::str::from_utf8(parameters)
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        match last {
            b'K' => match number.unwrap_or(0) {
                0 => self.line.truncate(self.column),
                2 => self.line.clear(),
                _ => {}
            },
            b'D' => self.column = self.column.saturating_sub(number.unwrap_or(1).max(1)),
            // A terminal is no wider than this.
            b'C' => self.column = (self.column + number.unwrap_or(1).max(1)).min(4096),
            b'G' => self.column = number.unwrap_or(1).clamp(1, 4096) - 1,
            // Row and column: what is written line by line is written into the last row.
            b'H' | b'f' => self.column = column(parameters).clamp(1, 4096) - 1,
            // A line is put in at the bottom, as the others have moved up.
            b'L' => self.plain(b'\n'),
            _ => {}
        }
    }
}

/// Whether a byte is written as it is.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

/// The column of `row;column`.
fn column(parameters: &[u8]) -> usize {
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    let number = text.split(';').nth(1).and_then(|text| text.parse().ok());
    number.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut screen = Screen::default();
        screen.push(bytes);
        let mut text = Vec::new();
        for line in screen.lines() {
            text.extend_from_slice(line);
            text.push(b'|');
        }
        text.extend_from_slice(screen.current());
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn line_ends_of_every_kind_end_a_line_once() {
        assert_eq!(shown(b"a\r\nb\r\r\nc\nd"), "a|b|c|d");
    }

    #[test]
    fn pagers_that_erase_themselves_leave_nothing() {
        assert_eq!(shown(b"a\r\n --More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08          \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08b\r\n"), "a|b|");
        assert_eq!(shown(b"a\r\n---(more)---\r             \rb\r\n"), "a|b|");
        assert_eq!(shown(b"a\r\n  ---- More ----\x1b[42D                                          \x1b[42Db\r\n"), "a|b|");
        assert_eq!(shown(b"a\r\n--More--\r\x1b[Kb\r\n"), "a|b|");
    }

    #[test]
    fn lines_that_are_drawn_into_the_last_row_are_lines() {
        assert_eq!(
            shown(b"\x1b[24;1HSW# \x1b[24;5H\x1b[?25h\x1b[24;5Hshow\x1b[24;9H\x1b[1;0H\x1b[1M\x1b[24;1H\x1b[1L\x1b[24;9H\x1b[24;1H\x1b[2Kvlan 1\x1bESW# \x1b[24;1H\x1b[24;5H"),
            "SW# show|vlan 1|SW#"
        );
    }

    #[test]
    fn colours_titles_and_bells_are_dropped() {
        assert_eq!(
            shown(b"\x1b]0;title\x07\x1b[?2004h\x1b[01;32mr1\x1b[0m#\x07 \x00"),
            "r1#"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_show_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
            let cut = cut.min(bytes.len());
            let mut pieces = Screen::default();
            pieces.push(&bytes[..cut]);
            pieces.push(&bytes[cut..]);
            let mut whole = Screen::default();
            whole.push(&bytes);
            prop_assert_eq!(&pieces.text, &whole.text);
            prop_assert_eq!(&pieces.ends, &whole.ends);
            prop_assert_eq!(pieces.current(), whole.current());
            let lines = whole.count().min(2)..whole.count();
            let text = whole.text(lines.clone()).to_vec();
            prop_assert_eq!(&*whole.into_text(lines), &*text);
        }
    }
}
