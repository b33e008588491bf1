//! Lines, and where what they say was said before.

use super::repetition::{WINDOW, word};
use super::slots::{Slots, hash};

/// Lines with the same labels of which the one with the most similar value is chosen.
const TWINS: usize = 4;
/// No distance at all.
const NOWHERE: usize = usize::MAX;

/// A line: where its labels and its value begin, and where it ends. It begins with the end of the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    labels: usize,
    pub(super) value: usize,
    pub(super) end: usize,
    /// The number of the line before with the same labels; 0 for none.
    twin: usize,
}

/// The lines of a page.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// By number from 1 on.
    all: Vec<Line>,
    /// The newest with a label set, and with a label set and value.
    labels: Slots,
    values: Slots,
    /// The one behind that which the last one was like.
    likely: usize,
}

impl Lines {
    /// Begins a page of so many octets.
    pub(super) fn begin(&mut self, len: usize) {
        self.all.clear();
        self.all.push(Line::default());
        self.labels.begin(len + 1);
        self.values.begin(len + 1);
        self.likely = 0;
    }

    /// Reads the line between two places, and finds one before it that says about the same.
    pub(super) fn read(&mut self, text: &[u8], start: usize, end: usize) -> (Line, Option<Line>) {
        let value = memchr::memrchr(b' ', &text[start..end]).map_or(start, |at| start + at + 1);
        let labels = memchr::memchr(b'{', &text[start..value]).map_or(start, |at| start + at);
        let number = self.all.len();
        let of_labels = hash(&text[labels..value]);
        let of_value = hash(&text[value..end]);
        let same = self
            .values
            .replace(of_labels ^ of_value.rotate_left(1), number);
        let twin = self.labels.replace(of_labels, number);
        let line = Line {
            labels,
            value,
            end,
            twin,
        };
        let best = self.most_alike(text, &line, same);
        self.likely = if best > 0 { best + 1 } else { 0 };
        let best = self.all.get(best).copied().filter(|_| best > 0);
        self.all.push(line);
        (line, best)
    }

    /// The number of the line with the same labels, or else in the place where the same row is likely, whose value begins most alike; 0 for
    /// none.
    fn most_alike(&self, text: &[u8], line: &Line, same: usize) -> usize {
        let near = |number: usize| {
            let other = self.all.get(number).filter(|_| number > 0)?;
            (line.value - other.value <= WINDOW && line.labels - other.labels <= WINDOW)
                .then_some(other)
        };
        let value = &text[line.value..line.end];
        if near(same).is_some_and(|same| text[same.value..].starts_with(value)) {
            return same;
        }
        let mut next = if near(line.twin).is_some() {
            line.twin
        } else {
            self.likely
        };
        let (mut best, mut most) = (0, None);
        for _ in 0..TWINS {
            let Some(twin) = near(next) else { break };
            let pair = (word(text, line.value), word(text, twin.value));
            let alike = Some(if let (Some(one), Some(other)) = pair {
                (one ^ other).trailing_zeros() / 8
            } else {
                0
            });
            if alike > most {
                (best, most) = (next, alike);
            }
            next = twin.twin;
        }
        best
    }
}

/// How far back that may be which a line says.
#[derive(Debug)]
pub(super) struct Places {
    /// The line before, aligned by labels, value and end.
    before: [usize; 3],
    /// One that says about the same, aligned by labels and value.
    twin: [usize; 2],
}

impl Places {
    /// Of a line, by the one before and the one that says about the same.
    pub(super) fn of(line: Line, before: Option<Line>, twin: Option<Line>) -> Self {
        Self {
            before: before.map_or([NOWHERE; 3], |before| {
                [
                    line.labels - before.labels,
                    line.value - before.value,
                    line.end - before.end,
                ]
            }),
            twin: twin.map_or([NOWHERE; 2], |twin| {
                [line.labels - twin.labels, line.value - twin.value]
            }),
        }
    }

    /// Whether the row was there before.
    pub(super) fn known(&self) -> bool {
        self.twin[0] != NOWHERE
    }

    /// The distances for a place of the line.
    pub(super) fn at(&self, at: usize, line: &Line) -> [usize; 3] {
        let ([by_labels, by_value, by_end], [labels, value]) = (self.before, self.twin);
        if at < line.value {
            [labels, by_labels, by_value]
        } else {
            [value, by_value, by_end]
        }
    }
}
