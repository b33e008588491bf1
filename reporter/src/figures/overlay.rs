//! Several devices at once.

use crate::history::Device;
use crate::month::{Millis, Period};
use crate::timeline::{Planned, State};

/// How many of the devices are what, at some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) up: i64,
    pub(super) down: i64,
    pub(super) unknown: i64,
    /// Known, planned work or not.
    known: i64,
}

/// Calls `each` with every time between two changes and what holds in it.
pub(super) fn sweep(devices: &[&Device], mut each: impl FnMut(Millis, Millis, Count)) {
    let mut changes: Vec<(Millis, Count, i64)> = Vec::new();
    for device in devices {
        for (start, end, state, planned) in device.state.beside(&device.planned) {
            let counted = planned != Planned::Yes;
            let count = Count {
                up: i64::from(counted && state == State::Up),
                down: i64::from(counted && state == State::Down),
                unknown: i64::from(counted && state == State::Unknown),
                known: i64::from(state != State::Unknown),
            };
            changes.push((start, count, 1));
            changes.push((end, count, -1));
        }
    }
    changes.sort_unstable_by_key(|(at, ..)| *at);
    let mut now = Count::default();
    let mut from = None;
    for (at, count, sign) in changes {
        if let Some(from) = from.filter(|from| *from < at) {
            each(from, at, now);
        }
        from = Some(at);
        now.up += sign * count.up;
        now.down += sign * count.down;
        now.unknown += sign * count.unknown;
        now.known += sign * count.known;
    }
}

/// How long at least one of the devices was down and none up, planned work left out.
pub(super) fn outage(devices: &[&Device]) -> Millis {
    let mut total = 0;
    sweep(devices, |start, end, count| {
        if count.down > 0 && count.up == 0 {
            total += end - start;
        }
    });
    total
}

/// Times in which nothing is known of any device.
pub(super) fn gaps(devices: &[Device], period: Period) -> Vec<Period> {
    let all: Vec<&Device> = devices.iter().collect();
    let mut gaps: Vec<Period> = Vec::new();
    sweep(&all, |start, end, count| {
        if count.known > 0 {
            return;
        }
        match gaps.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => gaps.push(Period { start, end }),
        }
    });
    if devices.is_empty() {
        gaps.push(period);
    }
    gaps
}
