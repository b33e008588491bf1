//! What holds when: a value for each millisecond of a period, as few spans.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::month::{Millis, Period};

/// Whether a device answers. The greater of two is what holds when it is watched in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is known: no sample, or one that is too old.
    Unknown,
    /// It does not answer.
    Down,
    /// It answers.
    Up,
}

impl State {
    /// Its name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Up => "up",
        }
    }

    /// Of a sample of `ping_up`.
    #[must_use]
    pub fn of(value: f64) -> Self {
        // Anything else is no statement about the device.
        match value {
            1.0 => Self::Up,
            0.0 => Self::Down,
            _ => Self::Unknown,
        }
    }
}

/// Whether planned work is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    /// Nothing is known.
    Unknown,
    /// There is none.
    No,
    /// There is.
    Yes,
}

impl Planned {
    /// Of a sample of `sotp_device_maintenance`.
    #[must_use]
    pub fn of(value: f64) -> Self {
        match value {
            1.0 => Self::Yes,
            0.0 => Self::No,
            _ => Self::Unknown,
        }
    }
}

/// From `start` to before `end` it is `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<S> {
    /// Its first millisecond.
    pub start: Millis,
    /// The first one after it.
    pub end: Millis,
    /// What holds.
    pub value: S,
}

/// Spans that follow each other without a gap and differ from their neighbours, and that together are the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline<S>(Vec<Span<S>>);

/// As it stands in a file: `[[start, end, value], …]`, times in milliseconds since the epoch.
impl<S: Serialize + Copy> Serialize for Timeline<S> {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        to.collect_seq(self.0.iter().map(|span| (span.start, span.end, span.value)))
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Timeline<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spans = Vec::<(Millis, Millis, S)>::deserialize(from)?.into_iter();
        let span = |(start, end, value)| Span { start, end, value };
        Ok(Self(spans.map(span).collect()))
    }
}

impl<S: Copy + Ord> Timeline<S> {
    /// The same value all the time.
    #[must_use]
    pub fn constant(period: Period, value: S) -> Self {
        let (start, end) = (period.start, period.end);
        let spans = (start < end).then_some(Span { start, end, value });
        Self(spans.into_iter().collect())
    }

    /// Its spans, in the order of time.
    #[must_use]
    pub fn spans(&self) -> &[Span<S>] {
        &self.0
    }

    /// At each time the greater of the two. Both are of the same period.
    #[must_use]
    pub fn greater(&self, other: &Self) -> Self {
        let mut spans = Vec::new();
        for (start, end, one, two) in self.beside(other) {
            push(&mut spans, start, end, one.max(two));
        }
        Self(spans)
    }

    /// What each span becomes.
    #[must_use]
    pub fn map<T: Copy + Ord>(&self, value: impl Fn(S) -> T) -> Timeline<T> {
        let mut spans = Vec::new();
        for span in &self.0 {
            push(&mut spans, span.start, span.end, value(span.value));
        }
        Timeline(spans)
    }

    /// Of spans in the order of time that leave nothing out.
    pub fn of(parts: impl IntoIterator<Item = (Millis, Millis, S)>) -> Self {
        let mut spans = Vec::new();
        for (start, end, value) in parts {
            push(&mut spans, start, end, value);
        }
        Self(spans)
    }

    /// Both side by side: spans in which neither changes.
    pub fn beside<'a, T: Copy + Ord>(
        &'a self,
        other: &'a Timeline<T>,
    ) -> impl Iterator<Item = (Millis, Millis, S, T)> + 'a {
        let (mut left, mut right) = (0, 0);
        std::iter::from_fn(move || {
            let (one, two) = (self.0.get(left)?, other.0.get(right)?);
            let (start, end) = (one.start.max(two.start), one.end.min(two.end));
            left += usize::from(one.end == end);
            right += usize::from(two.end == end);
            Some((start, end, one.value, two.value))
        })
    }
}

/// Appends a span, or lengthens the last one where it goes on with the same value.
pub fn push<S: PartialEq>(spans: &mut Vec<Span<S>>, start: Millis, end: Millis, value: S) {
    if start >= end {
        return;
    }
    match spans.last_mut() {
        Some(last) if last.value == value && last.end == start => last.end = end,
        _ => spans.push(Span { start, end, value }),
    }
}

/// Makes a timeline of samples: each holds until the next one, but never longer than `stale_after`; then nothing is known. That is what
/// Prometheus itself answers at each time, with `stale_after` as its lookback.
#[derive(Debug)]
pub struct Recorder<S> {
    period: Period,
    stale_after: Millis,
    unknown: S,
    last: Option<(Millis, S)>,
    spans: Vec<Span<S>>,
    /// Samples inside the period.
    pub samples: u64,
    /// Times of the first and the last of them.
    pub seen: Option<(Millis, Millis)>,
}

impl<S: Copy + Ord> Recorder<S> {
    /// A recorder for the period; `unknown` is what holds without samples.
    pub fn new(period: Period, stale_after: Millis, unknown: S) -> Self {
        Self {
            period,
            stale_after,
            unknown,
            last: None,
            spans: Vec::new(),
            samples: 0,
            seen: None,
        }
    }

    /// Takes the next sample; one that is not after the last one is the same one, told twice.
    pub fn take(&mut self, at: Millis, value: S) {
        if self.last.is_some_and(|(last, _)| at <= last) {
            return;
        }
        self.close(at);
        self.last = Some((at, value));
        if (self.period.start..self.period.end).contains(&at) {
            self.samples += 1;
            let first = self.seen.map_or(at, |(first, _)| first);
            self.seen = Some((first, at));
        }
    }

    /// Ends what the last sample said, at the latest at `until`.
    fn close(&mut self, until: Millis) {
        let Some((from, value)) = self.last else {
            return;
        };
        let end = until
            .min(from.saturating_add(self.stale_after))
            .min(self.period.end);
        let start = from.max(self.period.start);
        let known = self.spans.last().map_or(self.period.start, |last| last.end);
        if start < end {
            push(&mut self.spans, known, start, self.unknown);
            push(&mut self.spans, start, end, value);
        }
    }

    /// The timeline.
    #[must_use]
    pub fn finish(mut self) -> Timeline<S> {
        self.close(Millis::MAX);
        let known = self.spans.last().map_or(self.period.start, |last| last.end);
        let (end, unknown) = (self.period.end, self.unknown);
        push(&mut self.spans, known, end, unknown);
        Timeline(self.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Down, Unknown, Up};

    fn of(samples: &[(Millis, State)]) -> Vec<(Millis, Millis, State)> {
        let period = Period {
            start: 0,
            end: 1_000,
        };
        let mut recorder = Recorder::new(period, 100, Unknown);
        for (at, state) in samples {
            recorder.take(*at, *state);
        }
        let timeline = recorder.finish();
        timeline
            .spans()
            .iter()
            .map(|span| (span.start, span.end, span.value))
            .collect()
    }

    #[test]
    fn samples_hold_until_the_next_one_and_no_longer_than_they_may() {
        assert_eq!(of(&[]), [(0, 1_000, Unknown)]);
        // One from before the period, a gap, and one that ends with the period.
        assert_eq!(
            of(&[
                (-50, Up),
                (20, Down),
                (80, Down),
                (500, Up),
                (990, Up),
                (990, Down)
            ]),
            [
                (0, 20, Up),
                (20, 180, Down),
                (180, 500, Unknown),
                (500, 600, Up),
                (600, 990, Unknown),
                (990, 1_000, Up)
            ]
        );
        assert_eq!(of(&[(-200, Up)]), [(0, 1_000, Unknown)], "too old");
    }

    #[test]
    fn of_two_ways_to_a_device_the_better_one_counts_and_unknown_is_less_than_down() {
        let period = Period { start: 0, end: 10 };
        let line = |at: Millis, value| {
            let mut recorder = Recorder::new(period, 100, Unknown);
            recorder.take(at, value);
            recorder.finish()
        };
        let both = line(2, Down).greater(&line(5, Up));
        let spans: Vec<_> = both
            .spans()
            .iter()
            .map(|one| (one.start, one.value))
            .collect();
        assert_eq!(spans, [(0, Unknown), (2, Down), (5, Up)]);
        assert_eq!(State::of(f64::NAN), Unknown);
        assert_eq!(State::of(0.5), Unknown);
    }
}
