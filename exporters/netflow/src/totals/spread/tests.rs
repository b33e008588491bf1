use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn flow(bytes: u64, start_ms: u32, end_ms: u32) -> Flow {
    Flow {
        bytes,
        packets: bytes / 1_000,
        span: Some(Span {
            start_ms,
            end_ms,
            ahead: false,
        }),
        ..Flow::default()
    }
}

/// 100 Mbit/s without an end, told of each 60 s (with a jitter of what exporters do), in one record; scraped each 15 s and drawn as a rate over
/// a minute.
#[test]
fn a_constant_flow_with_an_active_timeout_of_a_minute_is_flat_within_5_percent() {
    const EACH_MS: u64 = 12_500;
    let begin = Instant::now();
    let mut timeline = Timeline::new(Accounting::Spread, begin);
    let mut series = Series::default();
    let (mut told, mut samples) = (0_u64, Vec::new());
    for ms in (500..1_200_000_u64).step_by(500) {
        let now = begin + Duration::from_millis(ms);
        let due = told + 60_000 + told % 7_000 / 10;
        if ms >= due {
            let late = u32::try_from(ms - due).unwrap();
            let length = u32::try_from(due - told).unwrap();
            let lay = timeline.lay(&flow(EACH_MS * (due - told), late + length, late), now);
            series.add(&lay);
            told = due;
        }
        if let Some(buckets) = timeline.advance(now) {
            series.take_over(&buckets);
        }
        if ms % 15_000 == 0 {
            samples.push(series.shown.bytes);
        }
    }
    let begun = samples.iter().position(|bytes| *bytes > 0).unwrap();
    let rates: Vec<f64> = samples[begun..]
        .windows(5)
        .map(|window| (window[4] - window[0]) as f64 / 60_000.0)
        .collect();
    assert!(rates.len() > 50, "{}", rates.len());
    for rate in &rates {
        assert!((rate / EACH_MS as f64 - 1.0).abs() < 0.05, "{rates:?}");
    }
    assert_eq!(timeline.late_bytes, 0);
}

#[test]
fn by_arrival_a_flow_counts_at_once() {
    let now = Instant::now();
    let mut timeline = Timeline::new(Accounting::Arrival, now);
    let mut series = Series::default();
    series.add(&timeline.lay(&flow(60_000, 60_000, 0), now));
    assert_eq!((series.shown.bytes, series.shown.flows), (60_000, 1));
    assert_eq!(timeline.advance(now + Duration::from_secs(100)), None);
}

/// The first long flow of a device that had told of short ones only: what it did before the oldest open bucket is not lost.
#[test]
fn what_comes_too_late_for_its_bucket_counts_in_the_oldest_open_one_and_is_told() {
    let begin = Instant::now();
    let mut timeline = Timeline::new(Accounting::Spread, begin);
    let mut series = Series::default();
    series.add(&timeline.lay(&flow(10, 0, 0), begin));
    let later = begin + Duration::from_secs(60);
    let buckets = timeline.advance(later).unwrap();
    series.take_over(&buckets);
    assert_eq!(series.shown.bytes, 10);
    series.add(&timeline.lay(&flow(60_000, 60_000, 0), later));
    assert_eq!(timeline.late_bytes, 60_000);
    assert_eq!(
        timeline.advance(later),
        None,
        "from now on its lag is a minute"
    );
    let buckets = timeline.advance(later + Duration::from_secs(62)).unwrap();
    series.take_over(&buckets);
    assert_eq!(series.shown.bytes, 60_010);
}

proptest! {
    #[test]
    fn a_share_is_that_of_a_division(amount in prop_oneof![0_u64..1 << 20, 0_u64..1 << 40, any::<u64>()], lasted in 2..=MOST_LAG_MS, part in 0_u64..=90_000) {
        let passed = part.min(lasted);
        let exact = u128::from(amount) * u128::from(passed) / u128::from(lasted);
        prop_assert_eq!(u128::from(Shares::of(lasted).share(amount, passed)), exact);
    }

    /// Whatever comes when: two counters that share the flows between them show, together and at each moment, what one of all flows shows; none
    /// falls, and in the end nothing is missing.
    #[test]
    fn parts_and_total_agree_at_every_moment(
        steps in proptest::collection::vec((0_u64..30_000, 0_u32..200_000, 0_u32..100_000, 0_u64..1_000_000, any::<bool>()), 1..200),
    ) {
        let begin = Instant::now();
        let mut timeline = Timeline::new(Accounting::Spread, begin);
        let (mut now, mut sum, mut before) = (begin, 0, 0);
        let mut all = Series::default();
        let mut parts = [Series::default(), Series::default()];
        for (wait, start, end, bytes, which) in steps {
            now += Duration::from_millis(wait);
            if let Some(buckets) = timeline.advance(now) {
                for series in parts.iter_mut().chain([&mut all]) {
                    series.take_over(&buckets);
                }
            }
            let lay = timeline.lay(&flow(bytes, start.max(end), end), now);
            all.add(&lay);
            parts[usize::from(which)].add(&lay);
            sum += bytes;
            prop_assert_eq!(parts[0].shown.bytes + parts[1].shown.bytes, all.shown.bytes);
            prop_assert!(all.shown.bytes >= before && all.shown.bytes <= sum);
            before = all.shown.bytes;
        }
        let buckets = timeline.advance(now + Duration::from_secs(200)).unwrap();
        let [mut one, mut other] = parts;
        for series in [&mut all, &mut one, &mut other] {
            series.take_over(&buckets);
        }
        prop_assert_eq!((all.shown.bytes, one.shown.bytes + other.shown.bytes), (sum, sum));
        prop_assert_eq!((all.level.bytes, all.level.packets), (0, 0), "nothing goes on");
    }
}
