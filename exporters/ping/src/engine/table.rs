//! The targets of the engine, by number and by address.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use netio::control::Outgoing;
use netio::option::Family;

use super::Id;
use super::host::Host;
use crate::accounting::{TargetCounters, Timing};
use crate::counters::SharedCounters;
use crate::echo::Tag;

/// How a target is probed: what it shares with others, and what is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What it has in common with others.
    pub profile: Arc<ProbeProfile>,
    /// Where to; `None` while no address is known.
    pub address: Option<IpAddr>,
    /// Where in the interval, any number; the same target keeps the same.
    pub phase: u64,
}

impl Spec {
    /// When after the start of a new target its first request is due, in nanoseconds: soon, and in phase. A long interval does not keep it
    /// waiting.
    pub fn first(&self) -> u64 {
        const SOON: u64 = 1_000_000_000;
        self.phase % self.profile.timing.interval.clamp(1, SOON)
    }
}

/// What many targets have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProbeProfile {
    /// Which socket.
    pub family: Family,
    /// When.
    pub timing: Timing,
    /// Bytes of payload.
    pub size: usize,
    /// Hop limit, DSCP, source and interface.
    pub out: Outgoing,
}

/// The profiles there are, each once.
#[derive(Debug, Default)]
pub struct ProbeProfiles(HashSet<Arc<ProbeProfile>>);

impl ProbeProfiles {
    /// The one that is equal to `profile`.
    pub fn shared(&mut self, profile: ProbeProfile) -> Arc<ProbeProfile> {
        if let Some(known) = self.0.get(&profile) {
            return Arc::clone(known);
        }
        let new = Arc::new(profile);
        self.0.insert(Arc::clone(&new));
        new
    }

    /// Forgets those that nobody else has.
    pub fn tidy(&mut self) {
        self.0.retain(|profile| Arc::strong_count(profile) > 1);
    }
}

/// One target of the engine. What each request and each answer touches is side by side.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) generation: u32,
    profile: u32,
    pub(super) accounting: TargetCounters,
    /// Monotonic nanoseconds of the next request.
    pub(super) next_send: u64,
    phase: u64,
    pub(super) address: Option<IpAddr>,
    /// It is held back by the rate of its prefix.
    pub(super) waits: bool,
    /// Ticks, cut to 32 bits, of the events that count; others in the wheel are left over from a change.
    pub(super) send_tick: u32,
    pub(super) expire_tick: Option<u32>,
    /// How many of its burst went before it.
    place: u32,
    /// Its requests bear the other identifier.
    pub(super) other_identifier: bool,
    /// Failures in a row at the last change of it; 0 without one since the last answer.
    changed_at: u32,
}

/// A firewall or NAT on the way remembers a flow by its identifier, for 30 s after its last packet in Linux: the other one rests for longer.
const REST: u64 = 40_000_000_000;

impl Target {
    /// Counts as lost what has waited for the timeout at the monotonic time `now`; answers when the next request in flight will have.
    pub(super) fn expire(&mut self, now: u64, host: &Host) -> Option<u64> {
        let address = self.address;
        let blocked = || address.is_some_and(|address| host.blocks(address, now));
        self.accounting.expire_unless(now, blocked)
    }

    /// Whether the identifier of its requests changes now: once it is down, and again after each rest. What a firewall or NAT on the way
    /// remembers wrongly of the one does not keep the target down for ever.
    pub(super) fn changes_identifier(&mut self, timing: &Timing) -> bool {
        let failures = self.accounting.failures_in_a_row();
        if failures < timing.down_after {
            self.changed_at = 0;
            return false;
        }
        let rest = (REST / timing.interval.max(1)).max(1) * u64::from(timing.burst.max(1));
        let rest = u32::try_from(rest).unwrap_or(u32::MAX);
        if self.changed_at > 0 && failures < self.changed_at.saturating_add(rest) {
            return false;
        }
        self.changed_at = failures.max(1);
        self.other_identifier = !self.other_identifier;
        true
    }

    /// Moves the next request to the first time of its rhythm after `now`, and answers how many were passed over.
    pub(super) fn advance(&mut self, timing: &Timing, now: u64) -> u64 {
        let interval = timing.interval.max(1);
        let mut passed = 0;
        loop {
            if self.place + 1 < timing.burst {
                self.place += 1;
                self.next_send += timing.spacing.max(1);
            } else {
                let next = self.burst_began(timing) + interval;
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
    fn burst_began(&self, timing: &Timing) -> u64 {
        let since = u64::from(self.place) * timing.spacing;
        self.next_send.saturating_sub(since)
    }
}

/// All targets. Numbers of removed ones are used again, with another generation.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Target>>,
    free: Vec<u32>,
    /// Each with the number of targets that have it.
    profiles: Vec<(ProbeProfile, u32)>,
    /// Places of profiles that no target has.
    unused: Vec<u32>,
    by_profile: HashMap<ProbeProfile, u32>,
    /// Address and size before the last change: answers to requests on their way are still right.
    before: HashMap<u32, (Option<IpAddr>, usize)>,
    by_id: HashMap<Id, u32>,
    by_address: HashMap<IpAddr, Numbers>,
    generations: u32,
}

/// The targets at one address: nearly always one.
#[derive(Debug)]
struct Numbers {
    first: u32,
    #[expect(
        clippy::box_collection,
        reason = "nearly always absent, so that it takes one word"
    )]
    others: Option<Box<Vec<u32>>>,
}

impl Numbers {
    fn iter(&self) -> impl Iterator<Item = u32> {
        let others = self.others.iter().flat_map(|others| others.iter().copied());
        std::iter::once(self.first).chain(others)
    }
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

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        let more = more.saturating_sub(self.free.len());
        self.slots.reserve_exact(more);
        self.by_id.reserve(more);
        self.by_address.reserve(more);
    }

    /// ProbeProfiles that are in use, and how many targets have each.
    pub(super) fn profiles(&self) -> impl Iterator<Item = (&ProbeProfile, u32)> {
        let used = self.profiles.iter().filter(|(_, uses)| *uses > 0);
        used.map(|(profile, uses)| (profile, *uses))
    }

    /// Requests a second of all targets together, and the shortest time between two of one target in nanoseconds.
    pub(super) fn rhythm(&self) -> (f64, u64) {
        let mut rate = 0.0;
        let mut closest = u64::MAX;
        for (profile, uses) in self.profiles() {
            let timing = profile.timing;
            rate += f64::from(uses) * timing.rate();
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
    pub(super) fn put(
        &mut self,
        id: Id,
        spec: &Spec,
        counters: Arc<SharedCounters>,
        now: u64,
    ) -> (u32, Change) {
        if let Some(&number) = self.by_id.get(&id) {
            return (number, self.change(number, spec));
        }
        self.generations = self.generations.wrapping_add(1);
        let timing = spec.profile.timing;
        let target = Target {
            generation: self.generations,
            profile: self.take_profile(*spec.profile),
            // A random start tells apart targets that share an address, also where routers quote only the header.
            accounting: TargetCounters::new(timing, fastrand::u32(..), counters),
            next_send: now + spec.first(),
            phase: spec.phase,
            address: spec.address,
            waits: false,
            send_tick: 0,
            expire_tick: None,
            place: 0,
            other_identifier: false,
            changed_at: 0,
        };
        let number = self.free.pop().unwrap_or(self.slots.len() as u32);
        if number as usize == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[number as usize] = Some(target);
        self.by_id.insert(id, number);
        self.index(spec.address, number);
        (number, Change::Timing)
    }

    fn change(&mut self, number: u32, spec: &Spec) -> Change {
        let profile = *spec.profile;
        let wanted = self.take_profile(profile);
        let Some(Some(target)) = self.slots.get_mut(number as usize) else {
            return Change::None;
        };
        let left = std::mem::replace(&mut target.profile, wanted);
        let address = std::mem::replace(&mut target.address, spec.address);
        let phase = std::mem::replace(&mut target.phase, spec.phase);
        let Some(&(old, _)) = self.profiles.get(left as usize) else {
            return Change::None;
        };
        let mut change = Change::None;
        if old.timing != profile.timing {
            target.accounting.retime(profile.timing);
            change = Change::Timing;
        }
        let rhythm = |timing: Timing| (timing.interval, timing.burst, timing.spacing);
        if rhythm(old.timing) != rhythm(profile.timing) || phase != spec.phase {
            // The rest of a burst is not made up for.
            target.place = 0;
            let last = target.next_send.saturating_sub(old.timing.interval);
            target.next_send = target
                .next_send
                .min(last.saturating_add(profile.timing.interval));
            change = Change::Timing;
        }
        self.leave_profile(left);
        self.moved(number, (address, old.size), spec);
        change
    }

    /// Keeps the address and size from before a change. An address stays in the index as long as answers from it are taken.
    fn moved(&mut self, number: u32, old: (Option<IpAddr>, usize), spec: &Spec) {
        self.index(spec.address, number);
        if old == (spec.address, spec.profile.size) {
            return;
        }
        let before = self.before.get(&number).and_then(|before| before.0);
        let kept = old.0.or(before);
        self.before.insert(number, (kept, old.1));
        if before != kept && before != spec.address {
            self.unindex(before, number);
        }
    }

    pub(super) fn remove(&mut self, id: Id) {
        let Some(number) = self.by_id.remove(&id) else {
            return;
        };
        let before = self.before.remove(&number);
        if let Some(target) = self.slots.get_mut(number as usize).and_then(Option::take) {
            self.unindex(target.address, number);
            self.unindex(before.and_then(|before| before.0), number);
            self.leave_profile(target.profile);
        }
        self.free.push(number);
    }

    /// The place of a profile that one more target has.
    fn take_profile(&mut self, profile: ProbeProfile) -> u32 {
        let place = match self.by_profile.entry(profile) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let place = self.unused.pop();
                *new.insert(place.unwrap_or(self.profiles.len() as u32))
            }
        };
        match self.profiles.get_mut(place as usize) {
            Some(slot) => *slot = (profile, slot.1 + 1),
            None => self.profiles.push((profile, 1)),
        }
        place
    }

    /// One target less has the profile at this place.
    fn leave_profile(&mut self, place: u32) {
        if let Some((profile, uses)) = self.profiles.get_mut(place as usize) {
            *uses -= 1;
            if *uses == 0 {
                self.by_profile.remove(profile);
                self.unused.push(place);
            }
        }
    }

    fn index(&mut self, address: Option<IpAddr>, number: u32) {
        let Some(address) = address else { return };
        match self.by_address.entry(address) {
            Entry::Vacant(new) => {
                let others = None;
                let first = number;
                new.insert(Numbers { first, others });
            }
            Entry::Occupied(mut known) => {
                let numbers = known.get_mut();
                if numbers.iter().all(|other| other != number) {
                    numbers.others.get_or_insert_default().push(number);
                }
            }
        }
    }

    fn unindex(&mut self, address: Option<IpAddr>, number: u32) {
        let Some(address) = address else { return };
        let Entry::Occupied(mut known) = self.by_address.entry(address) else {
            return;
        };
        let mut left: Vec<u32> = known
            .get()
            .iter()
            .filter(|&other| other != number)
            .collect();
        match left.pop() {
            None => _ = known.remove(),
            Some(first) => {
                let others = (!left.is_empty()).then(|| Box::new(left));
                known.insert(Numbers { first, others });
            }
        }
    }

    /// Touches what the next request of these targets needs. It waits for the memory of all of them at once, where one after the other
    /// would wait for each.
    pub(super) fn warm(&self, numbers: impl Iterator<Item = u32>) {
        let slots = numbers.filter_map(|number| self.slots.get(number as usize));
        let touched = slots.flatten().map(|target| target.accounting.touch());
        std::hint::black_box(touched.fold(0, u64::wrapping_add));
    }

    pub(super) fn get(&mut self, number: u32, generation: u32) -> Option<&mut Target> {
        let target = self.slots.get_mut(number as usize)?.as_mut()?;
        (target.generation == generation).then_some(target)
    }

    /// The target of this number and how it is probed.
    pub(super) fn by_number(&mut self, number: u32) -> Option<(&mut Target, &ProbeProfile)> {
        let target = self.slots.get_mut(number as usize)?.as_mut()?;
        let (profile, _) = self.profiles.get(target.profile as usize)?;
        Some((target, profile))
    }

    /// Which payload sizes an answer to a request of `tag` from `address` may have; `None` when it may not be from there.
    pub(super) fn expected(
        &self,
        tag: Tag,
        address: Option<IpAddr>,
    ) -> Result<[usize; 2], Unexpected> {
        let slot = self.slots.get(tag.target as usize);
        let target = slot.and_then(Option::as_ref);
        let target = target
            .filter(|target| target.generation == tag.generation)
            .ok_or(Unexpected::Removed)?;
        let profile = self.profiles.get(target.profile as usize);
        let size = profile.map_or(0, |(profile, _)| profile.size);
        let before = match self.before.is_empty() {
            true => None,
            false => self.before.get(&tag.target),
        };
        let before = before.copied().unwrap_or((target.address, size));
        if address.is_some() && [target.address, before.0].contains(&address) {
            Ok([size, before.1])
        } else {
            Err(Unexpected::WrongSource)
        }
    }

    /// The target and sequence number a quoted request without a tag belongs to: one at that address that made a
    /// request with these low bits.
    pub(super) fn by_quote(&self, address: IpAddr, low: u16) -> Option<Tag> {
        self.by_address.get(&address)?.iter().find_map(|number| {
            let target = self.slots.get(number as usize)?.as_ref()?;
            let sequence = target.accounting.by_low_bits(low)?;
            Some(Tag {
                target: number,
                generation: target.generation,
                sequence,
            })
        })
    }
}

/// Why an answer belongs to no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unexpected {
    Removed,
    WrongSource,
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn spec(last: u8, interval: u64) -> Spec {
        let timing = Timing {
            burst: 1,
            spacing: interval,
            interval,
            timeout: 2 * SECOND,
            down_after: 3,
        };
        let profile = ProbeProfile {
            family: Family::V4,
            timing,
            size: 56,
            out: Outgoing::default(),
        };
        Spec {
            profile: Arc::new(profile),
            address: Some(Ipv4Addr::new(198, 18, 0, last).into()),
            phase: 250_000_000,
        }
    }

    #[test]
    fn a_change_keeps_the_account_and_the_rhythm() {
        let mut table = Table::default();
        let (number, change) = table.put(Id(1), &spec(1, SECOND), Arc::default(), 0);
        assert_eq!(change, Change::Timing);
        let (target, profile) = table.by_number(number).unwrap();
        assert_eq!(target.next_send, 250_000_000);
        assert_eq!(target.advance(&profile.timing, 260_000_000), 0);
        let sequence = target
            .accounting
            .sent(crate::clock::Moment::default())
            .unwrap();
        let tag = Tag {
            target: number,
            generation: target.generation,
            sequence,
        };

        let moved = table.put(Id(1), &spec(2, SECOND), Arc::default(), SECOND);
        assert_eq!(moved, (number, Change::None));
        let (target, _) = table.by_number(number).unwrap();
        assert_eq!(
            (target.next_send, target.accounting.counters().requests),
            (1_250_000_000, 1)
        );
        for (last, expected) in [
            (1, Ok([56, 56])),
            (2, Ok([56, 56])),
            (3, Err(Unexpected::WrongSource)),
        ] {
            let from = Some(Ipv4Addr::new(198, 18, 0, last).into());
            assert_eq!(table.expected(tag, from), expected, "answers on their way");
        }
        assert_eq!(table.expected(tag, None), Err(Unexpected::WrongSource));

        let faster = table.put(Id(1), &spec(2, SECOND / 10), Arc::default(), SECOND);
        assert_eq!(faster, (number, Change::Timing));
        assert_eq!(table.by_number(number).unwrap().0.next_send, 350_000_000);
    }

    #[test]
    fn what_was_passed_over_is_counted_and_the_phase_kept() {
        let mut table = Table::default();
        let (number, _) = table.put(Id(1), &spec(1, SECOND), Arc::default(), 0);
        let (target, profile) = table.by_number(number).unwrap();
        assert_eq!(target.advance(&profile.timing, 3_300_000_000), 3);
        assert_eq!(target.next_send, 4_250_000_000);
    }

    #[test]
    fn bursts_keep_their_rhythm_and_what_is_passed_over_is_counted() {
        let mut spec = spec(1, SECOND);
        spec.phase = 0;
        let profile = Arc::make_mut(&mut spec.profile);
        profile.timing.burst = 3;
        profile.timing.spacing = SECOND / 100;
        let mut table = Table::default();
        let (number, _) = table.put(Id(1), &spec, Arc::default(), 0);
        let (target, profile) = table.by_number(number).unwrap();
        let timing = &profile.timing;
        let mut times = Vec::new();
        for _ in 0..7 {
            times.push(target.next_send / (SECOND / 100));
            assert_eq!(target.advance(timing, target.next_send), 0);
        }
        assert_eq!(times, [0, 1, 2, 100, 101, 102, 200]);
        // Due at 2.01 s, looked at at 5.015 s: 2.02, six of two bursts, 5.00 and 5.01 are over.
        assert_eq!(target.next_send, 2_010_000_000);
        assert_eq!(target.advance(timing, 5_015_000_000), 9);
        assert_eq!(target.next_send, 5_020_000_000);
        assert_eq!(target.advance(timing, 5_020_000_000), 0);
        assert_eq!(target.next_send, 6_000_000_000);
    }

    #[test]
    fn a_removed_target_leaves_nothing_and_its_number_gets_a_new_generation() {
        let mut table = Table::default();
        let (number, _) = table.put(Id(1), &spec(1, SECOND), Arc::default(), 0);
        for last in 2..6 {
            table.put(Id(1), &spec(last, SECOND), Arc::default(), 0);
        }
        assert_eq!(table.by_address.len(), 2, "the address and the one before");
        let generation = table.by_number(number).unwrap().0.generation;
        table.remove(Id(1));
        assert_eq!((table.len(), table.by_address.len()), (0, 0));
        let (again, _) = table.put(Id(2), &spec(1, SECOND), Arc::default(), 0);
        assert_eq!(again, number);
        assert!(table.get(number, generation).is_none());
        assert_eq!((table.profiles.len(), table.before.len()), (1, 0));
    }

    #[test]
    fn targets_that_are_probed_alike_share_their_profile() {
        let mut table = Table::default();
        for id in 0..100 {
            table.put(Id(id), &spec(id as u8, SECOND), Arc::default(), 0);
        }
        assert_eq!((table.profiles.len(), table.rhythm()), (1, (100.0, SECOND)));
        for id in 0..50 {
            table.put(Id(id), &spec(id as u8, 2 * SECOND), Arc::default(), 0);
        }
        assert_eq!((table.profiles.len(), table.rhythm()), (2, (75.0, SECOND)));
        for id in 50..100 {
            table.remove(Id(id));
        }
        assert_eq!(table.rhythm(), (25.0, 2 * SECOND));
        table.put(Id(0), &spec(0, SECOND / 2), Arc::default(), 0);
        assert_eq!((table.profiles.len(), table.profiles().count()), (2, 2));
        assert_eq!(table.by_profile.len(), 2);
        let (_, profile) = table.by_number(0).unwrap();
        assert_eq!(profile.timing.interval, SECOND / 2);
        assert!(size_of::<Option<Target>>() <= 256);
    }

    #[test]
    fn a_bare_quote_is_told_apart_by_its_low_bits() {
        let mut table = Table::default();
        let mut tags = Vec::new();
        for id in 0..2 {
            let (number, _) = table.put(Id(id), &spec(1, SECOND), Arc::default(), 0);
            let (target, _) = table.by_number(number).unwrap();
            let sequence = target
                .accounting
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
