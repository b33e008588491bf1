//! The targets of the engine, by number and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use netio::control::Outgoing;
use netio::option::Family;

use super::Id;
use crate::account::{Account, Timing};
use crate::echo::Tag;
use crate::tally::Tally;

/// How a target is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Which socket.
    pub family: Family,
    /// Where to; `None` while no address is known.
    pub address: Option<IpAddr>,
    /// When.
    pub timing: Timing,
    /// Bytes of payload.
    pub size: usize,
    /// Hop limit, DSCP, source and interface.
    pub out: Outgoing,
    /// Where in the interval, any number; the same target keeps the same.
    pub phase: u64,
}

/// One target of the engine.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) generation: u32,
    pub(super) spec: Spec,
    /// Address and size before the last change: answers to requests on their way are still right.
    before: (Option<IpAddr>, usize),
    pub(super) account: Account,
    pub(super) tally: Arc<Tally>,
    /// Monotonic nanoseconds of the next request.
    pub(super) next_send: u64,
    /// It is held back by the rate of its prefix.
    pub(super) waits: bool,
    /// How many of its burst went before it.
    place: u32,
    /// Ticks of the events that count; others in the wheel are left over from a change.
    pub(super) send_tick: u64,
    pub(super) expire_tick: Option<u64>,
}

impl Target {
    /// It was probed at `address`.
    pub(super) fn is_at(&self, address: IpAddr) -> bool {
        [self.spec.address, self.before.0].contains(&Some(address))
    }

    /// Payload sizes its requests on their way may have.
    pub(super) fn sizes(&self) -> [usize; 2] {
        [self.spec.size, self.before.1]
    }

    /// Lets the readers see the account.
    pub(super) fn publish(&mut self) {
        self.account.publish(&self.tally);
    }

    /// Moves the next request to the first time of its rhythm after `now`, and answers how many were passed over.
    pub(super) fn advance(&mut self, now: u64) -> u64 {
        let timing = self.spec.timing;
        let interval = timing.interval.max(1);
        let mut passed = 0;
        loop {
            if self.place + 1 < timing.burst {
                self.place += 1;
                self.next_send += timing.spacing.max(1);
            } else {
                let next = self.burst_began() + interval;
                // Whole intervals at once: a long pause costs no more than a short one.
                let whole = now.saturating_sub(next) / interval;
                self.next_send = next + whole * interval;
                self.place = 0;
                passed += whole * u64::from(timing.burst.max(1));
            }
            if self.next_send > now {
                return passed;
            }
            passed += 1;
        }
    }

    /// When the first request of the present burst was due.
    fn burst_began(&self) -> u64 {
        let since = u64::from(self.place) * self.spec.timing.spacing;
        self.next_send.saturating_sub(since)
    }

    /// Sets the first request after `now` of a new target or interval: soon, then in phase.
    fn align(&mut self, now: u64) {
        /// A long interval does not keep a new target waiting.
        const SOON: u64 = 1_000_000_000;
        let interval = self.spec.timing.interval.max(1);
        self.next_send = now + self.spec.phase % interval.min(SOON);
    }
}

/// All targets. Numbers of removed ones are used again, with another generation.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Target>>,
    free: Vec<u32>,
    by_id: HashMap<Id, u32>,
    by_address: HashMap<IpAddr, Vec<u32>>,
    generations: u32,
}

/// What a [`Table::put`] changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The times of the next events stay.
    None,
    /// They are to be set anew.
    Timing,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Requests a second of all targets together, and the shortest time between two of one target in nanoseconds.
    pub(super) fn rhythm(&self) -> (f64, u64) {
        let mut rate = 0.0;
        let mut closest = u64::MAX;
        for timing in self.slots.iter().flatten().map(|target| target.spec.timing) {
            rate += f64::from(timing.burst) * 1e9 / timing.interval.max(1) as f64;
            let apart = if timing.burst > 1 {
                timing.spacing
            } else {
                timing.interval
            };
            closest = closest.min(apart);
        }
        (rate, closest)
    }

    /// Adds or changes a target; answers its number.
    pub(super) fn put(&mut self, id: Id, spec: Spec, tally: Arc<Tally>, now: u64) -> (u32, Change) {
        if let Some(&number) = self.by_id.get(&id) {
            return (number, self.change(number, spec));
        }
        self.generations = self.generations.wrapping_add(1);
        let mut target = Target {
            generation: self.generations,
            spec,
            before: (spec.address, spec.size),
            // A random start tells apart targets that share an address, also where routers quote only the header.
            account: Account::new(spec.timing, fastrand::u32(..)),
            tally,
            next_send: 0,
            waits: false,
            place: 0,
            send_tick: 0,
            expire_tick: None,
        };
        target.align(now);
        target.publish();
        let number = self.free.pop().unwrap_or(self.slots.len() as u32);
        if number as usize == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[number as usize] = Some(target);
        self.by_id.insert(id, number);
        self.index(spec.address, number);
        (number, Change::Timing)
    }

    fn change(&mut self, number: u32, spec: Spec) -> Change {
        let Some(Some(target)) = self.slots.get_mut(number as usize) else {
            return Change::None;
        };
        let old = std::mem::replace(&mut target.spec, spec);
        let before = target.before;
        if old.address != spec.address || old.size != spec.size {
            target.before = (old.address.or(before.0), old.size);
        }
        let kept = [spec.address, target.before.0];
        let mut change = Change::None;
        if old.timing != spec.timing {
            target.account.retime(spec.timing);
            change = Change::Timing;
        }
        let rhythm = |timing: Timing| (timing.interval, timing.burst, timing.spacing);
        if rhythm(old.timing) != rhythm(spec.timing) || old.phase != spec.phase {
            // The rest of a burst is not made up for.
            target.place = 0;
            let last = target.next_send.saturating_sub(old.timing.interval);
            target.next_send = target
                .next_send
                .min(last.saturating_add(spec.timing.interval));
            change = Change::Timing;
        }
        // An address stays in the index as long as answers from it are taken.
        self.index(spec.address, number);
        if !kept.contains(&before.0) {
            self.unindex(before.0, number);
        }
        change
    }

    pub(super) fn remove(&mut self, id: Id) {
        let Some(number) = self.by_id.remove(&id) else {
            return;
        };
        if let Some(target) = self.slots.get_mut(number as usize).and_then(Option::take) {
            self.unindex(target.spec.address, number);
            self.unindex(target.before.0, number);
        }
        self.free.push(number);
    }

    fn index(&mut self, address: Option<IpAddr>, number: u32) {
        if let Some(address) = address {
            let numbers = self.by_address.entry(address).or_default();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }

    fn unindex(&mut self, address: Option<IpAddr>, number: u32) {
        let Some(address) = address else { return };
        if let Some(numbers) = self.by_address.get_mut(&address) {
            numbers.retain(|&other| other != number);
            if numbers.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }

    pub(super) fn get(&mut self, number: u32, generation: u32) -> Option<&mut Target> {
        let target = self.slots.get_mut(number as usize)?.as_mut()?;
        (target.generation == generation).then_some(target)
    }

    pub(super) fn by_number(&mut self, number: u32) -> Option<&mut Target> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    /// The target and sequence number a quoted request without a tag belongs to: one at that address that made a
    /// request with these low bits.
    pub(super) fn by_quote(&self, address: IpAddr, low: u16) -> Option<Tag> {
        self.by_address.get(&address)?.iter().find_map(|&number| {
            let target = self.slots.get(number as usize)?.as_ref()?;
            let sequence = target
                .account
                .by_low_bits(low)
                .filter(|_| target.is_at(address))?;
            Some(Tag {
                target: number,
                generation: target.generation,
                sequence,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn spec(last: u8, interval: u64) -> Spec {
        Spec {
            family: Family::V4,
            address: Some(Ipv4Addr::new(198, 18, 0, last).into()),
            timing: Timing {
                burst: 1,
                spacing: interval,
                interval,
                timeout: 2 * SECOND,
                down_after: 3,
            },
            size: 56,
            out: Outgoing::default(),
            phase: 250_000_000,
        }
    }

    #[test]
    fn a_change_keeps_the_account_and_the_rhythm() {
        let mut table = Table::default();
        let (number, change) = table.put(Id(1), spec(1, SECOND), Arc::default(), 0);
        assert_eq!(change, Change::Timing);
        let target = table.by_number(number).unwrap();
        assert_eq!(target.next_send, 250_000_000);
        assert_eq!(target.advance(260_000_000), 0);
        target.account.sent(crate::clock::Moment::default());

        let moved = table.put(Id(1), spec(2, SECOND), Arc::default(), SECOND);
        assert_eq!(moved, (number, Change::None));
        let target = table.by_number(number).unwrap();
        assert_eq!(
            (target.next_send, target.account.counters().requests),
            (1_250_000_000, 1)
        );
        assert!(
            target.is_at(Ipv4Addr::new(198, 18, 0, 1).into()),
            "answers on their way count"
        );

        let faster = table.put(Id(1), spec(2, SECOND / 10), Arc::default(), SECOND);
        assert_eq!(faster, (number, Change::Timing));
        assert_eq!(table.by_number(number).unwrap().next_send, 350_000_000);
    }

    #[test]
    fn what_was_passed_over_is_counted_and_the_phase_kept() {
        let mut table = Table::default();
        let (number, _) = table.put(Id(1), spec(1, SECOND), Arc::default(), 0);
        let target = table.by_number(number).unwrap();
        assert_eq!(target.advance(3_300_000_000), 3);
        assert_eq!(target.next_send, 4_250_000_000);
    }

    #[test]
    fn bursts_keep_their_rhythm_and_what_is_passed_over_is_counted() {
        let mut spec = spec(1, SECOND);
        spec.phase = 0;
        spec.timing.burst = 3;
        spec.timing.spacing = SECOND / 100;
        let mut table = Table::default();
        let (number, _) = table.put(Id(1), spec, Arc::default(), 0);
        let target = table.by_number(number).unwrap();
        let mut times = Vec::new();
        for _ in 0..7 {
            times.push(target.next_send / (SECOND / 100));
            assert_eq!(target.advance(target.next_send), 0);
        }
        assert_eq!(times, [0, 1, 2, 100, 101, 102, 200]);
        // Due at 2.01 s, looked at at 5.015 s: 2.02, six of two bursts, 5.00 and 5.01 are over.
        assert_eq!(target.next_send, 2_010_000_000);
        assert_eq!(target.advance(5_015_000_000), 9);
        assert_eq!(target.next_send, 5_020_000_000);
        assert_eq!(target.advance(5_020_000_000), 0);
        assert_eq!(target.next_send, 6_000_000_000);
    }

    #[test]
    fn a_removed_target_leaves_nothing_and_its_number_gets_a_new_generation() {
        let mut table = Table::default();
        let (number, _) = table.put(Id(1), spec(1, SECOND), Arc::default(), 0);
        for last in 2..6 {
            table.put(Id(1), spec(last, SECOND), Arc::default(), 0);
        }
        assert_eq!(table.by_address.len(), 2, "the address and the one before");
        let generation = table.by_number(number).unwrap().generation;
        table.remove(Id(1));
        assert_eq!((table.len(), table.by_address.len()), (0, 0));
        let (again, _) = table.put(Id(2), spec(1, SECOND), Arc::default(), 0);
        assert_eq!(again, number);
        assert!(table.get(number, generation).is_none());
    }

    #[test]
    fn a_bare_quote_is_told_apart_by_its_low_bits() {
        let mut table = Table::default();
        let mut tags = Vec::new();
        for id in 0..2 {
            let (number, _) = table.put(Id(id), spec(1, SECOND), Arc::default(), 0);
            let target = table.by_number(number).unwrap();
            let sequence = target
                .account
                .sent(crate::clock::Moment::default())
                .unwrap();
            tags.push(Tag {
                target: number,
                generation: target.generation,
                sequence,
            });
        }
        let address = Ipv4Addr::new(198, 18, 0, 1).into();
        if tags[0].sequence as u16 != tags[1].sequence as u16 {
            for tag in tags {
                assert_eq!(table.by_quote(address, tag.sequence as u16), Some(tag));
            }
        }
        assert_eq!(table.by_quote(Ipv4Addr::new(198, 18, 0, 9).into(), 0), None);
    }
}
