//! A hashed timer wheel: what is due at a tick, in constant time per event.

/// One event and its tick.
#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    tick: u64,
    event: T,
}

/// Events by tick. A tick is a plain count; its length is the owner's business.
#[derive(Debug)]
pub struct Wheel<T> {
    slots: Vec<Vec<Entry<T>>>,
    /// The last tick that was taken.
    now: u64,
    len: usize,
    /// Memory of slots that are empty, for those that come next: a wheel in which everything comes round soon has few slots in use.
    spare: Vec<Vec<Entry<T>>>,
    /// Memory for [`take`](Self::take), empty between two calls.
    taken: Vec<Entry<T>>,
}

impl<T: Copy> Wheel<T> {
    /// Slots of the wheel; events further away than this many ticks go round more than once.
    const SLOTS: usize = 1024;

    /// An empty wheel that stands at `now`.
    pub fn new(now: u64) -> Self {
        Self {
            slots: (0..Self::SLOTS).map(|_| Vec::new()).collect(),
            now,
            len: 0,
            spare: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// The first tick that an event can still be due at.
    pub fn soonest(&self) -> u64 {
        self.now + 1
    }

    /// Adds an event; one in the past is due at the next tick.
    pub fn add(&mut self, tick: u64, event: T) {
        let tick = tick.max(self.now + 1);
        let slot = &mut self.slots[tick as usize % Self::SLOTS];
        if slot.capacity() == 0 {
            *slot = self.spare.pop().unwrap_or_default();
        }
        slot.push(Entry { tick, event });
        self.len += 1;
    }

    /// Moves all events due up to and with `tick` to the end of `due`, earliest first.
    pub fn take(&mut self, tick: u64, due: &mut Vec<T>) {
        // After a long pause each slot is visited once, and what is due in it is put in order below.
        let first = self.now + 1;
        let last = tick.min(self.now + Self::SLOTS as u64);
        let Self {
            slots,
            taken,
            spare,
            ..
        } = self;
        for visited in first..=last {
            let slot = &mut slots[visited as usize % Self::SLOTS];
            slot.retain(|entry| {
                let is_due = entry.tick <= tick;
                if is_due {
                    taken.push(*entry);
                }
                !is_due
            });
            if slot.is_empty() && slot.capacity() > 0 {
                spare.push(std::mem::take(slot));
            }
        }
        self.now = self.now.max(tick);
        self.len -= taken.len();
        taken.sort_by_key(|entry| entry.tick);
        due.extend(taken.drain(..).map(|entry| entry.event));
    }

    /// The tick of the next slot with an event in it, looked for up to `limit`: no event is due before it.
    pub fn next(&self, limit: u64) -> u64 {
        let limit = limit.min(self.now + Self::SLOTS as u64);
        let occupied = |tick: &u64| !self.slots[*tick as usize % Self::SLOTS].is_empty();
        if self.len == 0 {
            limit
        } else {
            (self.now + 1..limit).find(occupied).unwrap_or(limit)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain sorted list, with jumps of time past the size of the wheel.
        #[test]
        fn events_come_at_their_tick_and_in_order(
            adds in vec((0_u64..5_000, 0_usize..20), 1..100),
            jumps in vec(1_u64..2_500, 1..20),
        ) {
            let mut wheel = Wheel::new(0);
            let mut model: Vec<(u64, usize)> = Vec::new();
            let mut now = 0;
            for (round, jump) in jumps.into_iter().enumerate() {
                for (number, (delay, _)) in adds.iter().enumerate().filter(|(_, add)| add.1 == round) {
                    wheel.add(now + delay, number);
                    model.push(((now + delay).max(now + 1), number));
                }
                let next = model.iter().map(|entry| entry.0).min();
                prop_assert!(next.is_none_or(|next| wheel.next(u64::MAX) <= next));
                now += jump;
                let mut due = Vec::new();
                wheel.take(now, &mut due);
                let tick_of = |number: &usize| model.iter().find(|entry| entry.1 == *number).unwrap().0;
                prop_assert!(due.is_sorted_by_key(tick_of));
                due.sort_unstable();
                let mut expected: Vec<_> =
                    model.iter().filter(|entry| entry.0 <= now).map(|entry| entry.1).collect();
                expected.sort_unstable();
                prop_assert_eq!(due, expected);
                model.retain(|entry| entry.0 > now);
            }
        }
    }

    #[test]
    fn memory_is_for_what_waits_and_not_for_what_passed() {
        let mut wheel = Wheel::new(0);
        let mut due = Vec::new();
        for event in 0..1_000 {
            wheel.add(1 + event % 100, event);
        }
        for tick in 1..10_000 {
            wheel.take(tick, &mut due);
            for event in due.drain(..) {
                wheel.add(tick + 100, event);
            }
        }
        let slots = wheel.slots.iter().chain(&wheel.spare);
        let room: usize = slots.map(Vec::capacity).sum();
        assert!((1_000..4_000).contains(&room), "{room}");
    }
}
