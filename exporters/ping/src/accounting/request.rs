//! One request in sixteen bytes.

use crate::clock::{Moment, Source, round_trip};

/// What has become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    InFlight,
    Answered,
    /// Lost or failed.
    Missed,
}

/// One request. Its times are kept as distances from the monotonic one, which are short while no step of the clock comes between; across
/// a step nothing but the monotonic time counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request {
    /// Monotonic time of sending; once answered, the round trip in nanoseconds, or 0 when that was not within the timeout.
    time: u64,
    /// Nanoseconds from the time of sending, by [`Moment::offset`], to the kernel's transmit stamp.
    transmitted: i32,
    /// From low to high: two bits [`Outcome`], six bits of [`Moment::steps`], 24 bits of signed nanoseconds from the time of sending by
    /// [`Moment::offset`] to [`Moment::real`].
    about: u32,
}

impl Request {
    /// In the place of a distance: it is not known.
    const UNKNOWN: i32 = i32::MIN;
    const FATE: u32 = 0b11;
    const STEPS: u32 = 0x3f;
    /// Where the signed nanoseconds begin.
    const REAL: u32 = 8;

    pub(super) fn sent(moment: Moment) -> Self {
        let real = distance(moment.real, moment.mono, moment.offset);
        // Of the 24 bits the lowest number is for what does not fit.
        let limit = i32::MAX >> Self::REAL;
        let real = real
            .filter(|real| real.abs() <= limit)
            .unwrap_or(-limit - 1);
        Self {
            time: moment.mono,
            transmitted: Self::UNKNOWN,
            about: (real as u32) << Self::REAL | (moment.steps & Self::STEPS) << 2,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.about & Self::FATE {
            0 => Outcome::InFlight,
            1 => Outcome::Answered,
            _ => Outcome::Missed,
        }
    }

    /// The monotonic time of sending while it is in flight.
    pub(super) fn in_flight_since(&self) -> Option<u64> {
        (self.outcome() == Outcome::InFlight).then_some(self.time)
    }

    /// The round trip in nanoseconds; 0 when it was not answered, or not within the timeout.
    pub(super) fn answered_in(&self) -> u64 {
        match self.outcome() {
            Outcome::Answered => self.time,
            Outcome::InFlight | Outcome::Missed => 0,
        }
    }

    pub(super) fn answered(&mut self, round_trip_nanos: u64) {
        self.time = round_trip_nanos;
        self.about = self.about & !Self::FATE | 1;
    }

    pub(super) fn missed(&mut self) {
        self.about = self.about & !Self::FATE | 2;
    }

    /// The kernel's transmit stamp, read at `read`.
    pub(super) fn transmitted(&mut self, nanos: u64, read: Moment) {
        if self.outcome() != Outcome::Answered && self.is_before_steps_of(read) {
            self.transmitted = distance(nanos, self.time, read.offset).unwrap_or(Self::UNKNOWN);
        }
    }

    /// The round trip of a request that is not answered yet, and what it was measured with.
    pub(super) fn round_trip(&self, received: Option<u64>, read: Moment) -> (u64, Source) {
        let since = |distance: i32| {
            let at = self.time.wrapping_add(read.offset);
            at.wrapping_add_signed(distance.into())
        };
        let real = self.about as i32 >> Self::REAL;
        let known = real != i32::MIN >> Self::REAL && self.is_before_steps_of(read);
        let sent = Moment {
            mono: self.time,
            real: since(real),
            // Any other number than that of `read` says that a step came between.
            steps: read.steps.wrapping_add(u32::from(!known)),
            offset: read.offset,
        };
        let transmitted = Some(self.transmitted).filter(|&distance| distance != Self::UNKNOWN);
        round_trip(sent, transmitted.map(since), received, read)
    }

    /// No step came between sending and `read`.
    fn is_before_steps_of(&self, read: Moment) -> bool {
        self.about >> 2 & Self::STEPS == read.steps & Self::STEPS
    }
}

/// From the monotonic time `mono` to `real`, when it fits.
fn distance(real: u64, mono: u64, offset: u64) -> Option<i32> {
    let nanos = real.wrapping_sub(mono.wrapping_add(offset)) as i64;
    i32::try_from(nanos)
        .ok()
        .filter(|&nanos| nanos != Request::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_700_000_000_000_000_000;

    proptest! {
        /// Packed or not, the round trip is the same, with its source.
        #[test]
        fn packing_changes_no_round_trip(
            mono in 0_u64..1 << 56,
            late in -400_000_i64..400_000,
            stamp in proptest::option::of(0_u64..3_000_000),
            took in 0_u64..4_000_000_000,
            received in proptest::option::of(0_u64..4_000_000_000),
            steps: u32,
            stepped in proptest::bool::weighted(0.2),
        ) {
            let offset = START;
            let sent = Moment { mono, real: (mono + offset).wrapping_add_signed(late), steps, offset };
            let read = Moment {
                mono: mono + took,
                real: mono + offset + took,
                steps: steps.wrapping_add(stepped.into()),
                offset: offset + 7_000_000 * u64::from(stepped),
            };
            let stamp = stamp.map(|after| sent.real + after);
            let received = received.map(|after| sent.real + after);
            let mut request = Request::sent(sent);
            prop_assert_eq!(request.in_flight_since(), Some(mono));
            if let Some(stamp) = stamp {
                request.transmitted(stamp, read);
            }
            prop_assert_eq!(request.round_trip(received, read), round_trip(sent, stamp, received, read));
            request.missed();
            prop_assert_eq!((request.outcome(), request.answered_in()), (Outcome::Missed, 0));
            request.answered(took);
            prop_assert_eq!((request.outcome(), request.answered_in()), (Outcome::Answered, took));
        }
    }

    #[test]
    fn what_does_not_fit_is_not_known() {
        let sent = Moment {
            mono: 5,
            real: START + 20_000_000,
            steps: 0,
            offset: START,
        };
        let read = Moment {
            mono: 1_005,
            real: START + 1_005,
            ..sent
        };
        let mut request = Request::sent(sent);
        request.transmitted(START + 10_000_000_000, read);
        let measured = request.round_trip(Some(START + 20_000_500), read);
        assert_eq!(measured, (1_000, Source::Userland));
        assert_eq!(size_of::<Request>(), 16);
    }
}
