//! One history, in two bytes for a value.

use super::{LEARNT_DAYS, TREND_DAYS};
use crate::DAY;
use crate::capacity::busy;

/// Values are kept as logarithms with this many steps to a factor of e: off by a fortieth of a percent at most.
const STEPS: f64 = 1_100.0;
/// The logarithm of the smallest value that is kept as more than 0: a millionth of a millionth.
const LEAST: f64 = -27.7;
/// The code of nothing, of 0 and of what is below 0; all others are logarithms.
const NOTHING: u16 = u16::MAX;
const ZERO: u16 = 0;
const NEGATIVE: u16 = u16::MAX - 1;
const HIGHEST: u16 = u16::MAX - 2;

/// One series. Ten thousand of them are in memory at a time, so that a value takes two bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// The last [`LEARNT_DAYS`], oldest first; the last is that of the end.
    slots: Box<[u16]>,
    /// The 95th percentile of each of the last [`TREND_DAYS`], oldest first, NaN where unknown.
    days: Box<[f32]>,
}

fn code(value: f64) -> u16 {
    if value.is_nan() {
        NOTHING
    } else if value < 0.0 {
        NEGATIVE
    } else {
        let log = (value.ln() - LEAST) * STEPS + 1.0;
        // What does not fit is at the nearest edge.
        if log < 1.0 {
            ZERO
        } else {
            (log.round() as u16).min(HIGHEST)
        }
    }
}

fn value(code: u16) -> f64 {
    match code {
        NOTHING => f64::NAN,
        NEGATIVE => -1.0,
        ZERO => 0.0,
        log => (f64::from(log - 1) / STEPS + LEAST).exp(),
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            slots: vec![NOTHING; LEARNT_DAYS * DAY].into(),
            days: vec![f32::NAN; TREND_DAYS].into(),
        }
    }
}

impl Raw {
    /// The newest of `slots` and of the 95th percentiles of `days`, oldest first; NaN where there is nothing.
    #[must_use]
    pub fn new(slots: impl Iterator<Item = f64>, days: impl Iterator<Item = f64>) -> Self {
        let mut raw = Self::default();
        let given: Vec<u16> = slots.map(code).collect();
        let kept = given.len().min(raw.slots.len());
        let begin = raw.slots.len() - kept;
        raw.slots[begin..].copy_from_slice(&given[given.len() - kept..]);
        let given: Vec<f32> = days.map(|day| day as f32).collect();
        let kept = given.len().min(raw.days.len());
        let begin = raw.days.len() - kept;
        raw.days[begin..].copy_from_slice(&given[given.len() - kept..]);
        raw
    }

    /// The values of the last [`LEARNT_DAYS`], oldest first, NaN where there is none, below 0 where it was; the last is that of the end.
    pub fn slots(&self) -> impl Iterator<Item = f64> {
        self.slots.iter().map(|code| value(*code))
    }

    /// The 95th percentile of each of the last [`TREND_DAYS`], oldest first, NaN where unknown.
    pub fn days(&self) -> impl Iterator<Item = f64> {
        self.days.iter().copied().map(f64::from)
    }

    /// Takes in `days` days, the last of which ends `back` days before the end.
    pub(super) fn put(&mut self, back: usize, days: usize, values: &[f64]) {
        for (index, day) in values.chunks_exact(DAY).enumerate() {
            let ago = back + days - 1 - index;
            if let Some(place) = TREND_DAYS.checked_sub(ago + 1) {
                self.days[place] = busy(day) as f32;
            }
            if let Some(begin) = LEARNT_DAYS.checked_sub(ago + 1) {
                let slots = &mut self.slots[begin * DAY..(begin + 1) * DAY];
                for (slot, value) in slots.iter_mut().zip(day) {
                    *slot = code(*value);
                }
            }
        }
    }

    /// Goes on by what came after the end: one value for each slot.
    pub(crate) fn advance(&mut self, values: &[f64]) {
        let kept = values.len().min(self.slots.len());
        self.slots.copy_within(kept.., 0);
        let begin = self.slots.len() - kept;
        for (slot, value) in self.slots[begin..]
            .iter_mut()
            .zip(&values[values.len() - kept..])
        {
            *slot = code(*value);
        }
    }

    /// Takes in the day that ended `back` slots before the end as the newest one of the trend.
    pub(crate) fn close_day(&mut self, back: usize) {
        let end = self.slots.len().saturating_sub(back);
        let day: Vec<f64> = self.slots[end.saturating_sub(DAY)..end]
            .iter()
            .map(|code| value(*code))
            .collect();
        self.days.copy_within(1.., 0);
        if let Some(last) = self.days.last_mut() {
            *last = busy(&day) as f32;
        }
    }

    /// The value `back` slots before the last; NaN where there is none.
    pub(crate) fn back(&self, back: usize) -> f64 {
        let at = self.slots.len().checked_sub(back + 1);
        at.map_or(f64::NAN, |at| value(self.slots[at]))
    }

    /// Whether there is any value.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|code| *code == NOTHING)
    }

    /// All of it as bytes.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> {
        let slots = self.slots.iter().flat_map(|code| code.to_le_bytes());
        slots.chain(self.days.iter().flat_map(|day| day.to_le_bytes()))
    }

    /// How many bytes that are.
    pub(crate) const BYTES: usize = 2 * LEARNT_DAYS * DAY + 4 * TREND_DAYS;

    /// From bytes; nothing when they are not as many as [`Raw::BYTES`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (slots, days) =
            (bytes.len() == Self::BYTES).then(|| bytes.split_at(2 * LEARNT_DAYS * DAY))?;
        let slots = slots
            .chunks_exact(2)
            .map(|two| u16::from_le_bytes([two[0], two[1]]));
        let days = days
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        Some(Self {
            slots: slots.collect(),
            days: days.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_land_where_they_belong() {
        let mut raw = Raw::default();
        raw.put(0, 1, &[7.0; DAY]);
        // Two days, of which the younger one is still learnt from.
        let two = [vec![1.0; DAY], vec![2.0; DAY]].concat();
        raw.put(LEARNT_DAYS - 1, 2, &two);
        let slots: Vec<f64> = raw.slots().collect();
        assert!((slots[0] / 2.0 - 1.0).abs() < 5e-4);
        assert!((slots[DAY - 1] / 2.0 - 1.0).abs() < 5e-4);
        assert!(slots[DAY].is_nan());
        assert!((slots[LEARNT_DAYS * DAY - 1] / 7.0 - 1.0).abs() < 5e-4);
        assert_eq!(raw.days[TREND_DAYS - 1], 7.0);
        assert_eq!(raw.days[TREND_DAYS - LEARNT_DAYS], 2.0);
        assert_eq!(raw.days[TREND_DAYS - LEARNT_DAYS - 1], 1.0);
    }

    #[test]
    fn a_value_is_kept_in_two_bytes() {
        for exact in [0.0, 1e-11, 3.2e-5, 1.0, 4.2e11, 9e12] {
            let kept = value(code(exact));
            assert!((kept - exact).abs() <= 5e-4 * exact, "{exact} is {kept}");
        }
        assert!(value(code(f64::NAN)).is_nan());
        assert!(value(code(-3.0)) < 0.0);
        assert!(value(code(1e300)) > 1e13 && value(code(f64::INFINITY)).is_finite());
        assert!(value(code(1e-300)).abs() < 1e-30);
    }

    #[test]
    fn what_comes_after_pushes_out_the_oldest_and_a_day_is_closed_when_it_is_over() {
        let mut raw = Raw::new(
            (0..LEARNT_DAYS * DAY).map(|slot| 1.0 + (slot / DAY) as f64),
            [5.0; TREND_DAYS].into_iter(),
        );
        raw.advance(&[100.0, f64::NAN, 300.0]);
        assert!((raw.back(2) / 100.0 - 1.0).abs() < 1e-3 && raw.back(1).is_nan());
        assert!((raw.back(3) / 28.0 - 1.0).abs() < 1e-3);
        assert_eq!(raw.slots().count(), LEARNT_DAYS * DAY);
        raw.close_day(3);
        let days: Vec<f64> = raw.days().collect();
        assert_eq!(days.len(), TREND_DAYS);
        assert!((days[TREND_DAYS - 1] / 28.0 - 1.0).abs() < 1e-3, "{days:?}");
        raw.advance(&vec![2.0; 2 * LEARNT_DAYS * DAY]);
        assert!(raw.slots().all(|value| (value / 2.0 - 1.0).abs() < 1e-3));
    }

    #[test]
    fn bytes_are_the_same_history() {
        let raw = Raw::new([0.0, f64::NAN, 3.0].into_iter(), [7.0].into_iter());
        let bytes: Vec<u8> = raw.bytes().collect();
        let read = Raw::from_bytes(&bytes).unwrap();
        assert_eq!(read.bytes().collect::<Vec<_>>(), bytes);
        assert!(Raw::from_bytes(&bytes[1..]).is_none());
    }
}
