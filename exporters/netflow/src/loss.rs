//! What was lost between an exporter and us, by its sequence numbers: exact, in the unit that the protocol counts.
//!
//! NetFlow v5 counts flows, IPFIX records (RFC 7011 section 3.1), v9 and sFlow datagrams. What is missing counts as lost only when
//! [`WINDOW`] further datagrams have come without it, so that reordering is none; what comes twice is a duplicate and must not be counted
//! again by whoever reads it. An exporter that restarts begins anew without a loss.

use std::collections::VecDeque;

/// Datagrams that may overtake one.
pub const WINDOW: u64 = 64;
/// So many datagrams with numbers of others are no accident: softflowd's IPFIX counts a message before it is numbered, and no options (RFC 7011
/// section 3.1 says otherwise). Gaps in such numbers tell nothing.
const OVERLAPS: u8 = 3;
/// Further back or ahead than this is no reordering and no loss, but another numbering.
const FARTHEST: u32 = 1 << 20;

/// The sequence of one session.
#[derive(Debug, Default)]
pub struct Sequence {
    next: Option<u32>,
    missing: VecDeque<Gap>,
    /// The last datagrams, to tell a duplicate from a restart.
    seen: VecDeque<Seen>,
    uptime_ms: Option<u32>,
    /// Of the datagram that is taken.
    fingerprint: u64,
    datagrams: u64,
    /// Datagrams whose numbers others had already: when there are more than a few, the exporter numbers otherwise.
    overlaps: u8,
    /// The last datagram, when its number was far from all others: number, units, fingerprint.
    stray: Option<(u32, Option<u32>, u64)>,
    /// Units that never came.
    pub lost: u64,
    /// Datagrams that came after a later one.
    pub late: u64,
    /// Datagrams that had come before.
    pub duplicates: u64,
    /// Times that the numbering began anew.
    pub restarts: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    start: u32,
    units: u32,
    fingerprint: u64,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    start: u32,
    units: u32,
    since: u64,
}

/// What a datagram is to the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The next one, one after a gap, the first, or the first after a restart.
    Fresh,
    /// One that others had overtaken.
    Late,
    /// One that was there already: its records are not to be counted again.
    Duplicate,
}

impl Sequence {
    /// Whether this very datagram has been taken already: its number and its content (a fingerprint of it); asked before its records are
    /// read. An exporter that begins anew has the numbers of others, but not their content.
    #[must_use]
    pub fn is_duplicate(&self, sequence: u32, fingerprint: u64) -> bool {
        // A datagram of no units (templates alone) has the number of the next one.
        let same = |seen: &Seen| {
            seen.start == sequence && seen.units > 0 && seen.fingerprint == fingerprint
        };
        self.seen.iter().any(same)
    }

    /// Takes a datagram over that is no duplicate; `units` is by how much it moves the sequence on, `None` when that is not known.
    pub fn take(
        &mut self,
        sequence: u32,
        units: Option<u32>,
        uptime_ms: Option<u32>,
        fingerprint: u64,
    ) -> Place {
        self.datagrams += 1;
        self.fingerprint = fingerprint;
        let restarted = restarted(self.uptime_ms, uptime_ms);
        if uptime_ms.is_some() {
            self.uptime_ms = uptime_ms;
        }
        let place = match self.next {
            None => {
                self.begin(sequence, units);
                Place::Fresh
            }
            Some(_) if restarted => {
                self.restart(sequence, units);
                Place::Fresh
            }
            Some(next) => self.compare(next, sequence, units),
        };
        self.settle();
        place
    }

    /// Units that are missing and may still come.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing.iter().map(|gap| u64::from(gap.units)).sum()
    }

    /// Whether the exporter numbers otherwise than its protocol says, so that gaps tell nothing.
    #[must_use]
    pub fn overlapping(&self) -> bool {
        self.overlaps >= OVERLAPS
    }

    /// Counts a datagram that [`Sequence::is_duplicate`] told of.
    pub fn duplicate(&mut self) {
        self.duplicates += 1;
    }

    fn compare(&mut self, next: u32, sequence: u32, units: Option<u32>) -> Place {
        let ahead = sequence.wrapping_sub(next);
        let behind = next.wrapping_sub(sequence);
        if ahead < FARTHEST {
            self.stray = None;
            if ahead > 0 && self.overlaps < OVERLAPS {
                self.missing.push_back(Gap {
                    start: next,
                    units: ahead,
                    since: self.datagrams,
                });
            }
            self.begin(sequence, units);
            return Place::Fresh;
        }
        let again = |seen: &Seen| seen.start == sequence && seen.units > 0;
        let numbered_anew = units.is_some_and(|units| units > 0)
            && !self.overlapping()
            && self.seen.iter().any(again);
        if behind < FARTHEST && !numbered_anew && self.overtaken(next, sequence) {
            self.stray = None;
            self.late += 1;
            if !self.fill(sequence, units.unwrap_or(0)) && units.is_some_and(|units| units > 0) {
                self.overlaps = self.overlaps.saturating_add(1);
                if self.overlaps == OVERLAPS {
                    self.missing.clear();
                }
            }
            self.remember(sequence, units.unwrap_or(0));
            return Place::Late;
        }
        // Once may be a stray datagram; twice is another numbering, which began with the first of the two.
        let Some((first, first_units, first_fingerprint)) = self.stray.take() else {
            self.stray = Some((sequence, units, self.fingerprint));
            return Place::Fresh;
        };
        let fingerprint = std::mem::replace(&mut self.fingerprint, first_fingerprint);
        self.restart(first, first_units);
        self.fingerprint = fingerprint;
        match self.next {
            None => {
                self.begin(sequence, units);
                Place::Fresh
            }
            Some(next) => self.compare(next, sequence, units),
        }
    }

    /// Whether a number behind the next one is of the window: missing still, or no older than what was seen last. An older one is another
    /// numbering; IPFIX tells no uptime that would say so.
    fn overtaken(&self, next: u32, sequence: u32) -> bool {
        let missing = |gap: &Gap| sequence.wrapping_sub(gap.start) < gap.units;
        let behind = |start: u32| next.wrapping_sub(start);
        let oldest = self.seen.iter().map(|seen| behind(seen.start)).max();
        oldest.is_some_and(|oldest| behind(sequence) <= oldest) || self.missing.iter().any(missing)
    }

    fn begin(&mut self, sequence: u32, units: Option<u32>) {
        self.next = units.map(|units| sequence.wrapping_add(units));
        self.remember(sequence, units.unwrap_or(0));
    }

    fn restart(&mut self, sequence: u32, units: Option<u32>) {
        self.restarts += 1;
        self.stray = None;
        // What was missing before the restart never comes.
        self.lost += self
            .missing
            .drain(..)
            .map(|gap| u64::from(gap.units))
            .sum::<u64>();
        self.seen.clear();
        self.begin(sequence, units);
    }

    fn remember(&mut self, sequence: u32, units: u32) {
        if self.seen.len() as u64 >= WINDOW {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            start: sequence,
            units,
            fingerprint: self.fingerprint,
        });
    }

    /// Takes units out of a gap; whether there is one that has them all.
    fn fill(&mut self, start: u32, units: u32) -> bool {
        let Some(at) = self.missing.iter().position(|gap| {
            let offset = start.wrapping_sub(gap.start);
            offset < gap.units && units <= gap.units - offset
        }) else {
            return false;
        };
        let Some(gap) = self.missing.remove(at) else {
            return false;
        };
        let before = start.wrapping_sub(gap.start);
        let after = gap.units - before - units;
        for part in [
            Gap {
                units: after,
                start: start.wrapping_add(units),
                ..gap
            },
            Gap {
                units: before,
                ..gap
            },
        ] {
            if part.units > 0 {
                self.missing.insert(at, part);
            }
        }
        true
    }

    fn settle(&mut self) {
        while let Some(gap) = self
            .missing
            .front()
            .filter(|gap| self.datagrams - gap.since >= WINDOW)
        {
            self.lost += u64::from(gap.units);
            self.missing.pop_front();
        }
    }
}

/// An uptime that went back by more than reordering explains; that it wraps after 49.7 days is none.
fn restarted(before: Option<u32>, now: Option<u32>) -> bool {
    const REORDERED_MS: u32 = 60_000;
    let (Some(before), Some(now)) = (before, now) else {
        return false;
    };
    let back = before.wrapping_sub(now);
    back > REORDERED_MS && back < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes datagrams of one unit, duplicates aside.
    fn feed(sequence: &mut Sequence, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            if sequence.is_duplicate(number, number.into()) {
                sequence.duplicate();
            } else {
                sequence.take(number, Some(1), None, number.into());
            }
        }
    }

    #[test]
    fn what_never_came_is_lost_exactly_once_the_window_has_passed() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, (0..10).chain(13..20));
        assert_eq!(sequence.lost, 0, "it may still come");
        feed(&mut sequence, 20..100);
        assert_eq!((sequence.lost, sequence.late, sequence.restarts), (3, 0, 0));
    }

    /// As softflowd 1.0 sends IPFIX: number and records of each message, of which the options in every message with templates are not numbered.
    #[test]
    fn numbers_that_overlap_are_no_loss() {
        let messages = [
            (2, 3),
            (4, 2),
            (7, 3),
            (8, 2),
            (11, 3),
            (13, 3),
            (16, 4),
            (19, 4),
            (22, 3),
            (23, 1),
            (24, 2),
            (26, 2),
        ];
        let mut sequence = Sequence::default();
        for round in 0..20 {
            for (number, records) in messages {
                let _ = sequence.take(
                    round * 26 + number,
                    Some(records),
                    None,
                    u64::from(round * 26 + number) << 8 | u64::from(records),
                );
            }
        }
        assert_eq!((sequence.lost, sequence.restarts), (0, 0));
    }

    #[test]
    fn what_was_overtaken_is_late_and_not_lost() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, [0, 1, 4, 3, 2, 5].into_iter().chain(6..200));
        assert_eq!((sequence.lost, sequence.late), (0, 2));
    }

    #[test]
    fn what_comes_twice_is_a_duplicate() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, [0, 1, 2, 2, 1, 3].into_iter().chain(4..200));
        assert_eq!((sequence.lost, sequence.duplicates), (0, 2));
    }

    #[test]
    fn the_number_wraps_without_a_loss() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, (u32::MAX - 5..=u32::MAX).chain(0..100));
        assert_eq!((sequence.lost, sequence.restarts), (0, 0));
    }

    #[test]
    fn a_restart_begins_anew_without_a_loss() {
        let mut sequence = Sequence::default();
        sequence.take(500_000, Some(30), Some(9_000_000), u64::from(500_000_u32));
        sequence.take(0, Some(30), Some(1_000), u64::from(0_u32));
        sequence.take(30, Some(30), Some(2_000), u64::from(30_u32));
        assert_eq!((sequence.lost, sequence.restarts), (0, 1));
    }

    /// IPFIX has no uptime.
    #[test]
    fn a_restart_without_an_uptime_begins_anew_and_what_is_lost_after_it_counts() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, 0..500);
        feed(&mut sequence, (0..10).chain(15..200));
        assert_eq!((sequence.restarts, sequence.late), (1, 0));
        assert_eq!((sequence.lost, sequence.duplicates), (5, 0));
    }

    /// IPFIX tells no uptime: within its first datagrams only their content tells an exporter that began anew from one that sent twice.
    #[test]
    fn a_restart_within_the_window_is_told_from_duplicates_by_content() {
        let mut sequence = Sequence::default();
        feed(&mut sequence, 0..10);
        for number in 0..200_u32 {
            let fingerprint = 1_000_000 + u64::from(number);
            assert!(!sequence.is_duplicate(number, fingerprint), "{number}");
            sequence.take(number, Some(1), None, fingerprint);
        }
        assert!(sequence.is_duplicate(199, 1_000_199));
        assert_eq!((sequence.restarts, sequence.lost, sequence.late), (1, 0, 0));
    }

    #[test]
    fn units_that_are_not_known_are_not_guessed() {
        let mut sequence = Sequence::default();
        sequence.take(0, None, None, u64::from(0_u32));
        sequence.take(17, Some(3), None, u64::from(17_u32));
        feed(&mut sequence, 20..200);
        assert_eq!(sequence.lost, 0);
    }

    #[test]
    fn a_part_of_a_gap_that_comes_late_leaves_the_rest_lost() {
        let mut sequence = Sequence::default();
        sequence.take(0, Some(10), None, u64::from(0_u32));
        sequence.take(40, Some(10), None, u64::from(40_u32));
        assert_eq!(
            sequence.take(20, Some(10), None, u64::from(20_u32)),
            Place::Late
        );
        for number in 5..100 {
            sequence.take(number * 10, Some(10), None, u64::from(number * 10));
        }
        assert_eq!(sequence.lost, 20, "10 to 19 and 30 to 39");
    }

    proptest::proptest! {
        #[test]
        fn loss_is_exact_under_drop_reorder_and_duplication(
            fates in proptest::collection::vec((0_u8..10, 0_usize..20), 200..600),
        ) {
            // 0 drops, 1 doubles, the rest is moved back by up to twenty places; the first and the tail arrive in order.
            let mut order: Vec<(usize, u32)> = Vec::new();
            let (mut dropped, mut doubled) = (0, 0);
            for (at, (fate, moved)) in fates.iter().enumerate() {
                let number = at as u32 + 1;
                match fate {
                    0 => dropped += 1,
                    1 => {
                        doubled += 1;
                        order.extend([(at + moved, number), (at + moved + 3, number)]);
                    }
                    _ => order.push((at + moved, number)),
                }
            }
            order.sort_by_key(|(place, number)| (*place, *number));
            let last = fates.len() as u32 + 1;
            let arriving = std::iter::once(0).chain(order.into_iter().map(|(_, number)| number)).chain(last..last + 70);
            let mut sequence = Sequence::default();
            feed(&mut sequence, arriving);
            proptest::prop_assert_eq!((sequence.lost, sequence.duplicates, sequence.restarts), (dropped, doubled, 0));
        }
    }
}
