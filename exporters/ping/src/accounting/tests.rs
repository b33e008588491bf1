use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::counters::State;

const MILLI: u64 = 1_000_000;
const START: u64 = 1_700_000_000_000_000_000;

fn timing(interval: u64, timeout: u64) -> Timing {
    Timing {
        burst: 1,
        spacing: interval,
        interval: interval * MILLI,
        timeout: timeout * MILLI,
        down_after: 3,
    }
}

fn at(millis: u64) -> Moment {
    Moment {
        mono: millis * MILLI,
        real: START + millis * MILLI,
        steps: 0,
        offset: START,
    }
}

fn accounting(timing: Timing, first: u32) -> TargetCounters {
    TargetCounters::new(timing, first, Arc::default())
}

fn answer(sequence: u32, received: Option<u64>, whole: bool) -> Answer {
    Answer {
        sequence,
        received,
        hop_limit: Some(64),
        traffic_class: Some(0),
        whole,
    }
}

fn balance(counters: &Counters) {
    let errors: u64 = counters.errors.iter().sum();
    assert_eq!(
        counters.requests,
        counters.responses + counters.lost + errors + counters.in_flight,
        "{counters:?}"
    );
    assert_eq!(
        counters.buckets.iter().sum::<u64>(),
        counters.responses,
        "{counters:?}"
    );
}

/// What happens to one request, by thousandths of its timeout after it was sent: up to twice the timeout, which is
/// as long as a request is remembered for certain.
#[derive(Debug, Clone)]
enum Event {
    Reply { whole: bool },
    Error(Reason),
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = prop_oneof![
        6 => Just(Event::Reply { whole: true }),
        1 => Just(Event::Reply { whole: false }),
        1 => (0..Reason::ALL.len()).prop_map(|at| Event::Error(Reason::ALL[at])),
    ];
    vec((0_u64..=2_000, event), 0..4)
}

/// What the definitions say of one request, without a state machine: the earliest event that ends it, and what the
/// others are then. `None` as horizon: everything has ended.
fn by_definition(events: &[(u64, Event)], timeout: u64, horizon: u64, sum: &mut Counters) -> End {
    let mut events: Vec<_> = events
        .iter()
        .filter(|(after, _)| *after <= horizon)
        .collect();
    events.sort_by_key(|(after, _)| *after);
    let ends = |event: &Event| !matches!(event, Event::Reply { whole: false });
    let ending = events
        .iter()
        .position(|(after, event)| *after <= timeout && ends(event));
    sum.requests += 1;
    let mut answered = false;
    let mut end = End::Missed;
    match ending.map(|at| events[at]) {
        Some((after, Event::Reply { .. })) => {
            sum.observe(after * MILLI);
            answered = true;
            end = End::Answered(after * MILLI);
        }
        Some((_, Event::Error(reason))) => sum.errors[reason.index()] += 1,
        None if horizon > timeout => sum.lost += 1,
        None => {
            sum.in_flight += 1;
            end = End::Open;
        }
    }
    for (position, (_, event)) in events.iter().enumerate() {
        match event {
            Event::Reply { whole: false } => sum.corrupt += 1,
            Event::Reply { whole: true } if Some(position) != ending => {
                if std::mem::replace(&mut answered, true) {
                    sum.duplicates += 1;
                } else {
                    sum.late += 1;
                }
            }
            _ => {}
        }
    }
    end
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answered(u64),
    Missed,
    Open,
}

/// Delay variation and loss bursts of requests that ended so, in their order.
fn across(ends: &[End], sum: &mut Counters) {
    for pair in ends.windows(2) {
        if let [End::Answered(first), End::Answered(second)] = pair {
            // A round trip of nothing is counted as one nanosecond.
            sum.vary((*first).max(1).abs_diff((*second).max(1)));
        }
    }
    let closed = ends.iter().position(|end| *end == End::Open);
    let closed = &ends[..closed.unwrap_or(ends.len())];
    let mut run = 0;
    for end in closed {
        if *end == End::Missed {
            run += 1;
        } else if run > 0 {
            sum.burst(std::mem::take(&mut run));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 2_000 }))]

    /// Random replies, errors and losses, read in ticks of random length: the counters balance after every event, and
    /// in the end says what the definitions say, to the packet.
    #[test]
    fn every_schedule_is_counted_as_defined(
        schedule in vec(events(), 1..20),
        interval in 20_u64..120,
        timeout in 30_u64..250,
        tick in 1_u64..40,
        first: u32,
        cut in 0_u64..3_000,
    ) {
        let schedule: Vec<Vec<_>> = schedule
            .into_iter()
            .map(|events| events.into_iter().map(|(part, event)| (part * timeout / 1_000, event)).collect())
            .collect();
        let mut accounting = accounting(timing(interval, timeout), first);
        let mut timeline: Vec<(u64, usize, Option<&Event>)> = Vec::new();
        for (number, events) in schedule.iter().enumerate() {
            let sent = number as u64 * interval;
            timeline.push((sent, number, None));
            timeline.extend(events.iter().map(|(after, event)| (sent + after, number, Some(event))));
        }
        timeline.retain(|(when, ..)| *when <= cut);
        timeline.sort_by_key(|(when, number, event)| (*when, event.is_some(), *number));

        // As the engine does: at each tick first read what came, then expire, then send. Requests are sent and
        // stamps taken at their true times; only the reading is late.
        let mut expired_at = 0;
        let mut sequences = Vec::new();
        for (when, number, event) in timeline {
            if when / tick != expired_at / tick {
                accounting.expire(when / tick * tick * MILLI - 1);
                expired_at = when;
            }
            match event {
                None => sequences.push(accounting.sent(at(when)).unwrap()),
                Some(Event::Reply { whole }) => {
                    accounting.answered(answer(sequences[number], Some(at(when).real), *whole), at(when));
                }
                Some(Event::Error(reason)) => {
                    accounting.failed(sequences[number], *reason, at(when).mono);
                }
            }
            balance(&accounting.counters());
        }
        accounting.expire(cut * MILLI - u64::from(cut > 0));
        balance(&accounting.counters());

        let mut expected = Counters::default();
        let mut ends = Vec::new();
        for (number, events) in schedule.iter().enumerate().take(sequences.len()) {
            let sent = number as u64 * interval;
            ends.push(by_definition(events, timeout, cut - sent, &mut expected));
        }
        across(&ends, &mut expected);
        let mut counted = accounting.counters();
        // These depend on the order among requests and have tests of their own.
        expected.last_nanos = counted.last_nanos;
        counted.reordered = 0;
        counted.hop_limit = 0;
        counted.failures = 0;
        counted.reply_dscp = 0;
        for smooth in [&mut counted, &mut expected] {
            smooth.smooth_rtt_nanos = 0;
            smooth.smooth_variation_nanos = 0;
            smooth.smooth_loss = 0;
        }
        counted.state = State::Unknown;
        prop_assert_eq!(counted, expected);
    }

    /// Whatever is said about whatever numbers, in whatever order: no panic, and the counters balance.
    #[test]
    fn nonsense_keeps_the_balance(
        first: u32,
        events in vec((0_u8..5, any::<u32>(), 0_u64..2_000, any::<bool>()), 0..300),
    ) {
        let mut accounting = accounting(timing(10, 100), first);
        for (kind, number, millis, whole) in events {
            let near = first.wrapping_add(number % 64);
            match kind {
                0 => { let _ = accounting.sent(at(millis)); }
                1 => { accounting.answered(answer(near, Some(number.into()), whole), at(millis)); }
                2 => { accounting.failed(near, Reason::OtherIcmp, millis * MILLI); }
                3 => { accounting.expire(millis * MILLI); }
                _ => accounting.retime(timing(millis + 1, u64::from(number % 5_000) + 1)),
            }
            let _ = accounting.by_low_bits(number as u16);
            balance(&accounting.counters());
        }
    }
}

#[test]
fn nothing_is_lost_before_its_timeout() {
    let mut accounting = accounting(timing(1_000, 2_000), 0);
    accounting.sent(at(0));
    assert_eq!(accounting.expire(2_000 * MILLI - 1), Some(2_000 * MILLI));
    assert_eq!(
        (accounting.counters().lost, accounting.counters().in_flight),
        (0, 1)
    );
    assert_eq!(accounting.expire(2_000 * MILLI), None);
    assert_eq!(
        (accounting.counters().lost, accounting.counters().in_flight),
        (1, 0)
    );
}

#[test]
fn three_failures_in_a_row_are_down_and_one_answer_is_up() {
    let mut accounting = accounting(timing(1_000, 1_000), 0);
    for number in 0..3 {
        assert_eq!(accounting.counters().state, State::Unknown);
        accounting.sent(at(number * 1_000));
        accounting.expire((number + 1) * 1_000 * MILLI);
    }
    assert_eq!(accounting.counters().state, State::Down);
    assert_eq!(accounting.counters().failures, 3);
    let sequence = accounting.sent(at(3_000)).unwrap();
    accounting.answered(answer(sequence, None, true), at(3_001));
    assert_eq!(accounting.counters().state, State::Up);
    assert_eq!(accounting.counters().failures, 0);
}

#[test]
fn what_never_left_this_host_says_nothing_about_the_target() {
    let mut accounting = accounting(timing(100, 1_000), 0);
    let sequence = accounting.sent(at(0)).unwrap();
    accounting.answered(answer(sequence, None, true), at(1));
    // Five are on their way when the link goes, and are lost after the first refusals.
    for number in 1..6 {
        accounting.sent(at(number * 100));
    }
    let refused = |accounting: &mut TargetCounters, millis: u64, reason| {
        let sequence = accounting.sent(at(millis)).unwrap();
        accounting.failed(sequence, reason, at(millis).mono);
    };
    for (number, before) in [(6, State::Up), (7, State::Up), (8, State::Up)] {
        assert_eq!(accounting.counters().state, before);
        let reason = if number == 7 {
            Reason::NotSent
        } else {
            Reason::NoRoute
        };
        refused(&mut accounting, number * 100, reason);
    }
    assert_eq!(accounting.counters().state, State::Unasked);
    accounting.expire(2_000 * MILLI);
    let counters = accounting.counters();
    assert_eq!((counters.lost, counters.state), (5, State::Unasked));
    // One that was sent and lost is one failure, not three.
    accounting.sent(at(2_000));
    accounting.expire(3_100 * MILLI);
    assert_eq!(accounting.counters().state, State::Unasked);
    refused(&mut accounting, 3_200, Reason::NoRoute);
    for number in 0..3 {
        accounting.sent(at(4_000 + number * 1_100));
        accounting.expire((5_050 + number * 1_100) * MILLI);
    }
    assert_eq!(accounting.counters().state, State::Down);
}

#[test]
fn requests_lost_before_the_last_answer_do_not_bring_it_down() {
    let mut accounting = accounting(timing(1_000, 5_000), 0);
    for number in 0..5 {
        accounting.sent(at(number * 1_000));
    }
    accounting.answered(answer(4, None, true), at(4_001));
    accounting.expire(60_000 * MILLI);
    assert_eq!(accounting.counters().lost, 4);
    assert_eq!(accounting.counters().state, State::Up);
}

#[test]
fn a_change_of_timing_keeps_counters_and_requests_in_flight() {
    let mut accounting = accounting(timing(100, 1_000), u32::MAX - 3);
    for number in 0..6 {
        accounting.sent(at(number * 100));
    }
    for new in [timing(10, 4_000), timing(60_000, 1_000), timing(100, 1_000)] {
        accounting.retime(new);
        assert_eq!(
            (
                accounting.counters().requests,
                accounting.counters().in_flight
            ),
            (6, 6)
        );
    }
    for number in 0..6_u32 {
        let sequence = (u32::MAX - 3).wrapping_add(number);
        let verdict = accounting.answered(answer(sequence, None, true), at(600));
        assert_eq!(verdict, Verdict::Counted(Some(Source::Userland)));
    }
    assert_eq!(accounting.counters().responses, 6);
}

#[test]
fn a_full_ring_makes_no_request_and_loses_none() {
    let mut accounting = accounting(timing(1_000, 1_000), 0);
    let made = std::iter::from_fn(|| accounting.sent(at(0)))
        .take(1_000)
        .count();
    assert!((8..1_000).contains(&made));
    assert_eq!(accounting.counters().in_flight, made as u64);
    accounting.expire(1_000 * MILLI);
    assert_eq!(accounting.counters().lost, made as u64);
    assert!(accounting.sent(at(1_000)).is_some());
}

#[test]
fn low_bits_find_the_newest_request() {
    let mut accounting = accounting(timing(1_000, 1_000), 0x0001_fffe);
    let sequences: Vec<_> = (0..4)
        .map_while(|number| accounting.sent(at(number)))
        .collect();
    for sequence in sequences {
        assert_eq!(accounting.by_low_bits(sequence as u16), Some(sequence));
    }
    assert_eq!(accounting.by_low_bits(2), None);
    assert_eq!(accounting.by_low_bits(0xfffd), None);
}

#[test]
fn an_answer_behind_a_later_one_is_reordered() {
    let mut accounting = accounting(timing(100, 1_000), u32::MAX);
    for number in 0..4 {
        accounting.sent(at(number * 100));
    }
    let order = [0_u32, 2, 1, 1, 3];
    for back in order {
        accounting.answered(answer(u32::MAX.wrapping_add(back), None, true), at(400));
    }
    let counters = accounting.counters();
    assert_eq!(
        (counters.responses, counters.reordered, counters.duplicates),
        (4, 1, 1)
    );
}

#[test]
fn a_change_of_the_hop_limit_is_counted() {
    let mut accounting = accounting(timing(100, 1_000), 0);
    for (number, hop_limit) in [Some(61), Some(61), None, Some(60), Some(61)]
        .into_iter()
        .enumerate()
    {
        let sequence = accounting.sent(at(number as u64 * 100)).unwrap();
        accounting.answered(
            Answer {
                hop_limit,
                ..answer(sequence, None, true)
            },
            at(number as u64 * 100 + 1),
        );
    }
    assert_eq!(
        (
            accounting.counters().hop_limit,
            accounting.counters().hop_limit_changes
        ),
        (61, 2)
    );
}

#[test]
fn what_is_lost_while_this_host_is_at_fault_says_nothing_about_the_target() {
    let mut accounting = accounting(timing(1_000, 2_000), 1);
    let mut lose = |from: u64, blocked: bool| {
        for number in from..from + 3 {
            accounting.sent(at(number * 1_000));
        }
        accounting.expire_unless(at((from + 20) * 1_000).mono, || blocked);
        accounting.counters()
    };
    let unknown = lose(1, true);
    assert_eq!((unknown.lost, unknown.state), (3, State::Unasked));
    let down = lose(30, false);
    assert_eq!((down.lost, down.state), (6, State::Down));
    let unknown = lose(60, true);
    assert_eq!((unknown.lost, unknown.state), (9, State::Unasked));
}
