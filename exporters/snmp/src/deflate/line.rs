//! Lines, and where what they say was said before.

use super::repetition::{WINDOW, word};
use super::slots::{Slots, hash};

/// Lines with the same labels of which the one with the most similar value is chosen.
const TWINS: usize = 4;
/// Octets at the end of a value, such as an exponent.
const TAIL: usize = 4;
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
    /// The newest whose value ends so.
    tails: Slots,
    /// The one behind the newest of the last one's row.
    likely: usize,
}

impl Lines {
    /// Begins a page of so many octets.
    pub(super) fn begin(&mut self, len: usize) {
        self.all.clear();
        self.all.push(Line::default());
        self.labels.begin(len + 1);
        self.values.begin(len + 1);
        self.tails.begin(len + 1);
        self.likely = 0;
    }

    /// Reads the line between two places, and where it was said before, the line before it being the one given.
    pub(super) fn read(
        &mut self,
        text: &[u8],
        (start, end): (usize, usize),
        before: Option<Line>,
    ) -> (Line, Places) {
        let value = memchr::memrchr(b' ', &text[start..end]).map_or(start, |at| start + at + 1);
        let labels = memchr::memchr(b'{', &text[start..value]).map_or(start, |at| start + at);
        let number = self.all.len();
        let of_labels = hash(&text[labels..value]);
        let of_value = hash(&text[value..end]);
        let same = self
            .values
            .replace(of_labels ^ of_value.rotate_left(1), number);
        let twin = self.labels.replace(of_labels, number);
        // Another hash may have the same place.
        let is_twin = |other: &Line| text[other.labels..other.value] == text[labels..value];
        let twin = if self.all.get(twin).is_some_and(is_twin) {
            twin
        } else {
            0
        };
        let tail = &text[value.max(end.saturating_sub(TAIL))..end];
        let tail = self.tails.replace(hash(tail), number);
        let line = Line {
            labels,
            value,
            end,
            twin,
        };
        // The newest one of the row, or of the row where it is likely to be.
        let near = |number: usize| self.near(number, &line).is_some();
        let newest = [twin, self.likely]
            .into_iter()
            .find(|number| near(*number))
            .unwrap_or(0);
        let best = if near(same) && text[self.all[same].value..].starts_with(&text[value..end]) {
            same
        } else {
            self.most_alike(text, &line, newest)
        };
        self.likely = if newest > 0 { newest + 1 } else { 0 };
        let places = Places::of(
            &line,
            before,
            self.near(best, &line),
            self.near(tail, &line),
        );
        self.all.push(line);
        (line, places)
    }

    /// The line of this number, if what it says may be repeated.
    fn near(&self, number: usize, line: &Line) -> Option<&Line> {
        let other = self.all.get(number).filter(|_| number > 0)?;
        (line.value - other.value <= WINDOW && line.labels - other.labels <= WINDOW)
            .then_some(other)
    }

    /// Of the newest line of the row and those before it the number of the one whose value begins most alike; 0 for none.
    fn most_alike(&self, text: &[u8], line: &Line, newest: usize) -> usize {
        let (mut next, mut best, mut most) = (newest, 0, None);
        for _ in 0..TWINS {
            let Some(twin) = self.near(next, line) else {
                break;
            };
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
    /// The line before, aligned by labels and by value.
    before: [usize; 2],
    /// One that says about the same, aligned by labels and by value.
    twin: [usize; 2],
    /// One whose value ends like this one's, aligned by the end.
    tail: usize,
}

impl Places {
    fn of(line: &Line, before: Option<Line>, twin: Option<&Line>, tail: Option<&Line>) -> Self {
        let aligned = |other: &Line| [line.labels - other.labels, line.value - other.value];
        Self {
            before: before.as_ref().map_or([NOWHERE; 2], aligned),
            twin: twin.map_or([NOWHERE; 2], aligned),
            tail: tail.map_or(NOWHERE, |tail| line.end - tail.end),
        }
    }

    /// Whether the row was there before.
    pub(super) fn known(&self) -> bool {
        self.twin[0] != NOWHERE
    }

    /// The distances for a place of the line.
    pub(super) fn at(&self, at: usize, line: &Line) -> [usize; 3] {
        let ([by_labels, by_value], [labels, value]) = (self.before, self.twin);
        if at < line.value {
            [labels, by_labels, by_value]
        } else {
            [value, by_value, self.tail]
        }
    }
}
