//! The loop itself: read what came, count what timed out, send what is due, sleep.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use netio::option::Family;

use super::Command;
use super::lane::{Hands, Lane};
use super::pace::Pace;
use super::socket::Sockets;
use super::stats::Stats;
use super::table::{Change, Table};
use crate::clock::Clock;
use crate::echo::Token;
use crate::wheel::Wheel;

/// Length of a tick in nanoseconds.
const TICK: u64 = 10_000_000;
/// Requests that are worth a wake-up: where there are fewer in a tick, several ticks are taken together. Waking costs more than sending.
const WORTHWHILE: f64 = 64.0;
/// Ticks taken together at most.
const MOST_TICKS: u64 = 5;
/// Ticks between two wake-ups when nothing is due: how old what a scrape sees may be.
const IDLE_TICKS: u64 = 10;
/// Ticks between two looks at the socket buffers.
const MEASURE_TICKS: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Send,
    /// A request that was held back by the rate of its prefix.
    Resume,
    Expire,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    number: u32,
    generation: u32,
    tick: u64,
    what: What,
}

/// The state of the thread.
pub(super) struct Loop {
    v4: Option<Lane>,
    v6: Option<Lane>,
    table: Table,
    wheel: Wheel<Event>,
    pace: Pace,
    /// Ticks from one wake-up to the next.
    stride: u64,
    clock: Clock,
    stats: Arc<Stats>,
    measured: u64,
}

impl Loop {
    pub(super) fn new(sockets: Sockets, token: Token, stats: Arc<Stats>) -> Self {
        Self {
            v4: sockets.v4.map(|port| Lane::new(port, token)),
            v6: sockets.v6.map(|port| Lane::new(port, token)),
            table: Table::default(),
            wheel: Wheel::new(0),
            pace: Pace::default(),
            stride: 1,
            clock: Clock::start(),
            stats,
            measured: 0,
        }
    }

    /// Runs until the other end of `commands` is gone.
    pub(super) fn run(mut self, commands: &Receiver<Vec<Command>>) {
        let mut due = Vec::new();
        loop {
            let now = self.clock.now().mono;
            let tick = now / TICK;
            let all_read = self.receive();
            self.wheel.take(tick, &mut due);
            // Who waited goes before who is due now, else the same ones would wait for ever.
            if due.iter().any(|event| event.what == What::Resume) {
                due.sort_by_key(|event| event.what != What::Resume);
            }
            for event in due.drain(..) {
                match event.what {
                    What::Send | What::Resume => self.send(event, now),
                    What::Expire => self.expire(event, now, all_read),
                }
            }
            self.flush();
            self.measure(tick);

            let planned = self.wheel.next(tick + IDLE_TICKS).max(tick + 1);
            let planned = planned.next_multiple_of(self.stride) * TICK;
            let now = self.clock.now().mono;
            match commands.recv_timeout(Duration::from_nanos(planned.saturating_sub(now))) {
                Ok(commands) => self.obey(commands),
                Err(RecvTimeoutError::Timeout) => {
                    if self.clock.now().mono > planned + TICK {
                        self.stats.late_ticks.add(1);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn parts(&mut self) -> ([Option<&mut Lane>; 2], Hands<'_>) {
        let Self {
            v4,
            v6,
            table,
            clock,
            stats,
            ..
        } = self;
        (
            [v4.as_mut(), v6.as_mut()],
            Hands {
                table,
                clock,
                stats,
            },
        )
    }

    fn receive(&mut self) -> bool {
        let (lanes, mut hands) = self.parts();
        let mut all = true;
        for lane in lanes.into_iter().flatten() {
            if lane.is_used(hands.clock) {
                all &= lane.receive(&mut hands);
            }
        }
        all
    }

    fn flush(&mut self) {
        let (lanes, mut hands) = self.parts();
        for lane in lanes.into_iter().flatten() {
            lane.flush(&mut hands);
        }
    }

    fn measure(&mut self, tick: u64) {
        if tick < self.measured + MEASURE_TICKS {
            return;
        }
        self.measured = tick;
        self.pace.tidy(tick * TICK);
        self.stats.clock_steps.set(self.clock.steps().into());
        let (lanes, hands) = self.parts();
        for lane in lanes.into_iter().flatten() {
            lane.measure(hands.stats);
        }
    }

    fn send(&mut self, event: Event, now: u64) {
        let Some(target) = self.table.get(event.number, event.generation) else {
            return;
        };
        if target.send_tick != event.tick {
            return;
        }
        let Some(address) = target.spec.address else {
            target.advance(now);
            self.schedule_send(event.number);
            return;
        };
        if !self.pace.allows(address, now) {
            self.stats.paced.add(u64::from(!target.waits));
            target.waits = true;
            self.wait(event);
            return;
        }
        target.waits = false;
        self.stats.skipped.add(target.advance(now));
        let (family, armed) = (target.spec.family, target.expire_tick.is_some());
        let ([v4, v6], mut hands) = self.parts();
        let lane = match family {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        let made = match lane {
            Some(lane) => lane.request(event.number, address, &mut hands),
            None => refuse(event.number, &mut hands),
        };
        if !made {
            self.stats.skipped.add(1);
        }
        if !armed {
            self.schedule_expiry(event.number, now);
        }
        self.schedule_send(event.number);
    }

    /// The request of `event` again at the next tick.
    fn wait(&mut self, event: Event) {
        let tick = self.wheel.soonest();
        if let Some(target) = self.table.by_number(event.number) {
            target.send_tick = tick;
            let what = What::Resume;
            self.wheel.add(
                tick,
                Event {
                    tick,
                    what,
                    ..event
                },
            );
        }
    }

    /// Counts what has waited for its timeout at `now`, a time before the last reading of the sockets.
    fn expire(&mut self, event: Event, now: u64, all_read: bool) {
        let Some(target) = self.table.get(event.number, event.generation) else {
            return;
        };
        if target.expire_tick != Some(event.tick) {
            return;
        }
        target.expire_tick = None;
        let deadline = if all_read {
            target.account.expire(now)
        } else {
            Some(now + TICK)
        };
        target.publish();
        if let Some(deadline) = deadline {
            self.schedule_expiry_at(event.number, deadline);
        }
    }

    fn schedule_send(&mut self, number: u32) {
        let Some(target) = self.table.by_number(number) else {
            return;
        };
        let tick = target.next_send.div_ceil(TICK);
        target.send_tick = tick.max(self.wheel.soonest());
        let event = Event {
            number,
            generation: target.generation,
            tick: target.send_tick,
            what: What::Send,
        };
        self.wheel.add(event.tick, event);
    }

    fn schedule_expiry(&mut self, number: u32, now: u64) {
        let Some(target) = self.table.by_number(number) else {
            return;
        };
        let deadline = now.saturating_add(target.spec.timing.timeout);
        self.schedule_expiry_at(number, deadline);
    }

    fn schedule_expiry_at(&mut self, number: u32, deadline: u64) {
        let Some(target) = self.table.by_number(number) else {
            return;
        };
        let tick = deadline.div_ceil(TICK).max(self.wheel.soonest());
        target.expire_tick = Some(tick);
        let event = Event {
            number,
            generation: target.generation,
            tick,
            what: What::Expire,
        };
        self.wheel.add(tick, event);
    }

    fn obey(&mut self, commands: Vec<Command>) {
        let now = self.clock.now().mono;
        for command in commands {
            match command {
                Command::Put(id, spec, tally) => {
                    let lane = match spec.family {
                        Family::V4 => &mut self.v4,
                        Family::V6 => &mut self.v6,
                    };
                    if let Some(lane) = lane {
                        lane.fit(spec.size);
                    }
                    let (number, change) = self.table.put(id, spec, tally, now);
                    if change == Change::Timing {
                        self.schedule_send(number);
                        // Once at the old and once at the new timeout is harmless: nothing is lost before its time.
                        self.schedule_expiry_at(number, now);
                    }
                }
                Command::Remove(id) => self.table.remove(id),
                Command::Pace(rules) => self.pace.set(rules),
                Command::Mark(began) => {
                    let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    self.stats.change_nanos.set(took);
                }
            }
        }
        self.stats.targets.set(self.table.len() as u64);
        let (rate, closest) = self.table.rhythm();
        self.stride = stride(rate, closest);
    }
}

/// Ticks from one wake-up to the next for so many requests a second, the closest of them so many nanoseconds apart: each is late by a quarter
/// of that at most.
fn stride(rate: f64, closest: u64) -> u64 {
    let per_tick = rate * TICK as f64 / 1e9;
    let wanted = (WORTHWHILE / per_tick.max(1.0)) as u64;
    wanted.min(closest / 4 / TICK).clamp(1, MOST_TICKS)
}

/// Counts a request of a family that this host has not.
fn refuse(number: u32, hands: &mut Hands<'_>) -> bool {
    let moment = hands.clock.now();
    let Some(target) = hands.table.by_number(number) else {
        return false;
    };
    let Some(sequence) = target.account.sent(moment) else {
        return false;
    };
    target
        .account
        .failed(sequence, crate::reason::Reason::NoRoute, moment.mono);
    target.publish();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_requests_are_taken_together_unless_they_are_close() {
        const SECOND: u64 = 1_000_000_000;
        for (rate, closest, expected) in [
            (0.0, u64::MAX, 5),
            (1_000.0, SECOND, 5),
            (3_200.0, SECOND, 2),
            (10_000.0, SECOND, 1),
            (1e6, SECOND, 1),
            (1_000.0, SECOND / 10, 2),
            (10.0, SECOND / 100, 1),
        ] {
            assert_eq!(stride(rate, closest), expected, "{rate} {closest}");
        }
    }
}
