use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;

/// What the definitions say of single events, for the tests of all who show counters.
impl Counters {
    pub(crate) fn observe(&mut self, round_trip_nanos: u64) {
        let bucket = BOUNDS_NANOS.partition_point(|&bound| bound < round_trip_nanos);
        self.buckets[bucket] += 1;
        self.responses += 1;
        self.sum_nanos += round_trip_nanos;
        self.last_nanos = round_trip_nanos;
        self.smooth_rtt_nanos = match self.responses {
            1 => round_trip_nanos,
            _ => smoothed(self.smooth_rtt_nanos, round_trip_nanos, 16),
        };
    }

    pub(crate) fn vary(&mut self, nanos: u64) {
        let bucket = VARIATION_NANOS.partition_point(|&bound| bound < nanos);
        self.variation[bucket] += 1;
        self.variation_sum_nanos += nanos;
        self.smooth_variation_nanos = smoothed(self.smooth_variation_nanos, nanos, 16);
    }

    pub(crate) fn burst(&mut self, length: u64) {
        let bucket = BURST_REQUESTS.partition_point(|&bound| bound < length);
        self.bursts[bucket] += 1;
        self.burst_requests += length;
    }
}

impl SharedCounters {
    /// Makes `counters` what readers see; there is no native histogram of them.
    pub(crate) fn publish(&self, counters: &Counters) {
        let mut counters = *counters;
        self.write(|writer| {
            for (word, value) in [
                (Word::Requests, counters.requests),
                (Word::Responses, counters.responses),
                (Word::Lost, counters.lost),
                (Word::InFlight, counters.in_flight),
                (Word::SumNanos, counters.sum_nanos),
                (Word::LastNanos, counters.last_nanos),
                (Word::VariationSumNanos, counters.variation_sum_nanos),
                (Word::SmoothRtt, counters.smooth_rtt_nanos),
                (Word::SmoothVariation, counters.smooth_variation_nanos),
                (Word::SmoothLoss, counters.smooth_loss),
            ] {
                writer.set(word, value);
            }
            writer.marks(|marks| {
                *marks = Marks {
                    unasked: 0,
                    state: counters.state,
                    hop_limit: counters.hop_limit as u8,
                    dscp: counters.reply_dscp as u8,
                    failures: counters.failures as u32,
                };
            });
            for key in 0..key::NATIVE {
                if let Some(&mut count) = counters.by_key(key).filter(|count| **count > 0) {
                    self.slot(key).set(key, count);
                }
            }
        });
    }
}

#[test]
fn buckets_hold_their_upper_bound() {
    for (round_trip, bucket) in [
        (0, 0),
        (50_000, 0),
        (50_001, 1),
        (100_000, 1),
        (u64::MAX, 20),
    ] {
        let shared = SharedCounters::default();
        shared.write(|writer| writer.answered(round_trip));
        assert_eq!(shared.read().buckets[bucket], 1, "{round_trip}");
    }
    assert_eq!(BOUNDS_NANOS[19], 26_214_400_000);
}

#[test]
fn what_is_published_is_read() {
    // Every counter another number, so that none can be left out or exchanged.
    let mut numbers = 1_u64..;
    let mut next = || numbers.next().unwrap_or_default();
    let mut counters = Counters {
        requests: next(),
        responses: next(),
        lost: next(),
        in_flight: next(),
        sum_nanos: next(),
        last_nanos: next(),
        variation_sum_nanos: next(),
        smooth_rtt_nanos: next(),
        smooth_variation_nanos: next(),
        smooth_loss: next(),
        hop_limit: next(),
        reply_dscp: next(),
        failures: next(),
        state: State::Up,
        ..Counters::default()
    };
    for key in 0..key::NATIVE {
        *counters.by_key(key).unwrap() = next();
    }
    let shared = SharedCounters::default();
    assert_eq!(shared.read(), Counters::default());
    shared.publish(&counters);
    assert_eq!(shared.read(), counters);
    // Again, with the memory there already.
    shared.publish(&counters);
    assert_eq!(shared.read(), counters);
    assert!(counters.by_key(key::NATIVE).is_none());
}

#[test]
fn what_is_written_piece_by_piece_is_read_as_defined() {
    let shared = SharedCounters::default();
    let mut expected = Counters::default();
    for step in 0..400_u64 {
        let nanos = 1 << (step / 10);
        shared.write(|writer| writer.made());
        expected.requests += 1;
        match step % 4 {
            0 => {
                shared.write(|writer| writer.answered(nanos));
                expected.observe(nanos);
            }
            1 => {
                shared.write(|writer| {
                    writer.lost();
                    writer.varied(nanos);
                });
                expected.lost += 1;
                expected.vary(nanos);
            }
            2 => {
                shared.write(|writer| writer.burst(step));
                expected.in_flight += 1;
                expected.burst(step);
            }
            _ => {
                let reason = Reason::ALL[step as usize % Reason::ALL.len()];
                shared.write(|writer| writer.failed(reason));
                expected.errors[reason.index()] += 1;
            }
        }
        let (seen, zero, native) = shared.read_native();
        assert_eq!(seen, expected);
        assert_eq!(shared.read(), expected);
        let count = zero + native.iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(seen.responses, count);
        assert!(native.is_sorted());
    }
}

#[test]
fn memory_is_taken_for_what_has_a_count() {
    let shared = SharedCounters::default();
    for _ in 0..1_000 {
        shared.write(|writer| {
            writer.made();
            writer.answered(1_000_000);
            writer.varied(0);
            writer.seen(Some(64), Some(0));
        });
    }
    assert!(shared.more.get().is_none());
    for octave in 0..64 {
        for eighth in 0..8 {
            let nanos = 1_u64 << octave;
            shared.write(|writer| writer.answered(nanos + nanos / 8 * eighth));
        }
    }
    let mut chunks = 0;
    let mut more = &shared.more;
    while let Some(chunk) = more.get() {
        (chunks, more) = (chunks + 1, &chunk.next);
    }
    assert!((10..=20).contains(&chunks), "{chunks}");
    assert_eq!((size_of::<SharedCounters>(), size_of::<More>()), (184, 112));
}

#[test]
fn native_buckets_are_those_of_their_schema() {
    let bound = |index: i32| (f64::from(index) / f64::from(1 << NATIVE_SCHEMA)).exp2();
    for nanos in [
        7_000,
        8_000,
        50_000,
        1_000_000,
        999_999_999,
        1_000_000_001,
        63_000_000_000,
    ] {
        let shared = SharedCounters::default();
        shared.write(|writer| writer.answered(nanos));
        let (_, zero, native) = shared.read_native();
        let seconds = nanos as f64 / 1e9;
        if seconds <= native_zero_threshold() {
            assert_eq!((zero, native.len()), (1, 0));
            continue;
        }
        let [(index, 1)] = native[..] else {
            panic!("{nanos}: {native:?}");
        };
        assert!(
            bound(index - 1) < seconds && seconds <= bound(index),
            "{nanos}: {index}"
        );
    }
}

#[test]
fn readers_never_see_half_a_write() {
    let shared = Arc::new(SharedCounters::default());
    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (shared, done) = (shared.clone(), done.clone());
        move || {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                let (seen, zero, native) = shared.read_native();
                assert_eq!(seen.requests, seen.responses);
                assert_eq!(seen.requests, seen.buckets.iter().sum::<u64>());
                let count = zero + native.iter().map(|(_, count)| count).sum::<u64>();
                assert_eq!(seen.requests, count);
                most = most.max(seen.requests);
            }
            most
        }
    });
    let writes = if cfg!(miri) { 300 } else { 200_000 };
    for number in 0..writes {
        shared.write(|writer| {
            writer.made();
            writer.answered(1 << (number / 5_000));
        });
    }
    done.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() <= writes);
}
