//! The loop itself: read what came, count what timed out, send what is due, sleep.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use netio::option::Family;

use super::Command;
use super::host::Host;
use super::pace;
use super::ping_socket::SocketContext;
use super::ping_sockets::PingSockets;
use super::socket::{Opener, Port};
use super::stats::Stats;
use super::table::{Change, Table};
use crate::clock::Clock;
use crate::echo::Token;
use crate::wheel::Wheel;

/// Length of a tick in nanoseconds.
const TICK: u64 = 10_000_000;
/// Requests that are worth a wake-up: where there are fewer in a tick, several ticks are taken together. Waking costs more than sending.
const WORTHWHILE: f64 = 128.0;
/// Ticks taken together at most.
const MOST_TICKS: u64 = 10;
/// Ticks between two wake-ups when nothing is due: how old what a scrape sees may be.
const IDLE_TICKS: u64 = 10;
/// Events whose targets are brought into the processor's cache together.
const WARMED: usize = 32;
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
    /// Cut to 32 bits: it only tells events of one target apart.
    tick: u32,
    what: What,
}

/// What the threads of an engine have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) stats: Arc<Stats>,
    pub(super) pace: Arc<pace::Shared>,
    pub(super) opener: Opener,
    /// The state of this host's own network.
    pub(super) host: Arc<Host>,
    /// When all their clocks began.
    pub(super) start: Instant,
}

/// The state of the thread.
pub(super) struct Loop {
    v4: PingSockets,
    v6: PingSockets,
    table: Table,
    wheel: Wheel<Event>,
    /// Ticks from one wake-up to the next.
    stride: u64,
    clock: Clock,
    common: Common,
    measured: u64,
    /// Which thread it is; what concerns all of them is the business of the first.
    shard: usize,
    /// What of the numbers of all threads is this one's.
    targets: u64,
    rate: u64,
}

impl Loop {
    pub(super) fn new(shard: usize, ports: [Option<Port>; 2], common: Common) -> Self {
        // Each thread its own: an answer that comes by another's socket belongs to nobody there.
        let token = Token::from(fastrand::u64(..).to_ne_bytes());
        let [v4, v6] = ports;
        Self {
            v4: PingSockets::new(Family::V4, v4, token, &common.stats),
            v6: PingSockets::new(Family::V6, v6, token, &common.stats),
            table: Table::default(),
            wheel: Wheel::new(common.start.elapsed().as_nanos() as u64 / TICK),
            stride: 1,
            clock: Clock::since(common.start),
            common,
            measured: 0,
            shard,
            targets: 0,
            rate: 0,
        }
    }

    /// Runs until the other end of `commands` is gone.
    pub(super) fn run(mut self, commands: &Receiver<Vec<Command>>) {
        let mut due = Vec::new();
        loop {
            let now = self.clock.now().mono;
            let tick = now / TICK;
            let all_read = self.receive(now);
            self.wheel.take(tick, &mut due);
            // Who waited goes before who is due now, else the same ones would wait for ever.
            if due.iter().any(|event| event.what == What::Resume) {
                due.sort_by_key(|event| event.what != What::Resume);
            }
            for events in due.chunks(WARMED) {
                self.table.warm(events.iter().map(|event| event.number));
                for &event in events {
                    match event.what {
                        What::Send | What::Resume => self.send(event, now, all_read),
                        What::Expire => self.expire(event, now, all_read),
                    }
                }
            }
            due.clear();
            self.flush();
            self.measure(tick);

            let planned = self.wheel.next(tick + IDLE_TICKS).max(tick + 1);
            let planned = planned.next_multiple_of(self.stride) * TICK;
            let now = self.clock.now().mono;
            match commands.recv_timeout(Duration::from_nanos(planned.saturating_sub(now))) {
                Ok(commands) => self.obey(commands),
                Err(RecvTimeoutError::Timeout) => {
                    if self.clock.now().mono > planned + TICK {
                        self.common.stats.late_ticks.add(1);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn parts(&mut self) -> ([&mut PingSockets; 2], SocketContext<'_>) {
        let Self {
            v4,
            v6,
            table,
            clock,
            common,
            ..
        } = self;
        let (stats, host) = (&common.stats, &common.host);
        (
            [v4, v6],
            SocketContext {
                table,
                clock,
                stats,
                host,
            },
        )
    }

    fn receive(&mut self, now: u64) -> bool {
        let (lanes, mut context) = self.parts();
        let mut all = true;
        for lanes in lanes {
            all &= lanes.receive(now, &mut context);
        }
        all
    }

    fn flush(&mut self) {
        let (lanes, mut context) = self.parts();
        for lanes in lanes {
            lanes.flush(&mut context);
        }
    }

    fn measure(&mut self, tick: u64) {
        if tick < self.measured + MEASURE_TICKS {
            return;
        }
        self.measured = tick;
        if self.shard == 0 {
            self.common.pace.tidy(tick * TICK);
            self.common.host.look(tick * TICK);
            self.common.stats.clock_steps.set(self.clock.steps().into());
        }
        let opener = self.common.opener.clone();
        let (lanes, context) = self.parts();
        for lanes in lanes {
            lanes.measure(context.stats);
            lanes.relieve(&opener, context.stats);
        }
    }

    /// `now` is a time before the last reading of the sockets, which read all there was or not.
    fn send(&mut self, event: Event, now: u64, all_read: bool) {
        let Some(target) = self.table.get(event.number, event.generation) else {
            return;
        };
        if target.send_tick != event.tick {
            return;
        }
        let address = target.address;
        // What was lost meanwhile is counted on the way: most requests need no event of their own for their timeout.
        let host = &self.common.host;
        let deadline = match all_read {
            true => target.expire(now, host),
            false => Some(now + TICK),
        };
        let paced = address.is_some_and(|address| !self.common.pace.allows(address, now));
        let Some((target, profile)) = self.table.by_number(event.number) else {
            return;
        };
        if paced {
            self.common.stats.paced.add(u64::from(!target.waits));
            target.waits = true;
            self.expect(event.number, deadline);
            self.wait(event);
            return;
        }
        let (family, timing) = (profile.family, profile.timing);
        // Within a tick of its time a request is not late, else those a tick apart would be left out by the time waking takes.
        let passed = target.advance(&timing, now.saturating_sub(TICK));
        target.waits = false;
        let next = target.next_send;
        let mut deadline = deadline;
        let changed = address.is_some() && target.changes_identifier(&timing);
        let other = target.other_identifier;
        if let Some(address) = address {
            self.common.stats.skipped.add(passed);
            self.common.stats.identifier_changes.add(changed.into());
            let opener = other.then(|| self.common.opener.clone());
            let ([v4, v6], mut context) = self.parts();
            let lanes = match family {
                Family::V4 => v4,
                Family::V6 => v6,
            };
            let made = lanes.request(event.number, address, opener.as_ref(), &mut context);
            if !made.unwrap_or_else(|| refuse(event.number, family, &mut context)) {
                self.common.stats.skipped.add(1);
            }
            // Not before the next one is due, unless that is later.
            let timeout = now.saturating_add(timing.timeout);
            deadline = deadline.or((timeout < next).then_some(timeout));
        }
        self.expect(event.number, deadline);
        self.schedule_send(event.number);
    }

    /// Looks at the target when a request of it times out, if no look is planned.
    fn expect(&mut self, number: u32, deadline: Option<u64>) {
        if let (Some(deadline), Some((target, _))) = (deadline, self.table.by_number(number))
            && target.expire_tick.is_none()
        {
            self.schedule_expiry_at(number, deadline);
        }
    }

    /// The request of `event` again at the next tick.
    fn wait(&mut self, event: Event) {
        let tick = self.wheel.soonest();
        if let Some((target, _)) = self.table.by_number(event.number) {
            let short = tick as u32;
            target.send_tick = short;
            let what = What::Resume;
            self.wheel.add(
                tick,
                Event {
                    tick: short,
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
            target.expire(now, &self.common.host)
        } else {
            Some(now + TICK)
        };
        if let Some(deadline) = deadline {
            self.schedule_expiry_at(event.number, deadline);
        }
    }

    fn schedule_send(&mut self, number: u32) {
        let Some((target, _)) = self.table.by_number(number) else {
            return;
        };
        let tick = target.next_send.div_ceil(TICK).max(self.wheel.soonest());
        target.send_tick = tick as u32;
        let event = Event {
            number,
            generation: target.generation,
            tick: target.send_tick,
            what: What::Send,
        };
        self.wheel.add(tick, event);
    }

    fn schedule_expiry_at(&mut self, number: u32, deadline: u64) {
        let Some((target, _)) = self.table.by_number(number) else {
            return;
        };
        let tick = deadline.div_ceil(TICK).max(self.wheel.soonest());
        target.expire_tick = Some(tick as u32);
        let event = Event {
            number,
            generation: target.generation,
            tick: tick as u32,
            what: What::Expire,
        };
        self.wheel.add(tick, event);
    }

    fn obey(&mut self, commands: Vec<Command>) {
        let now = self.clock.now().mono;
        self.table.reserve(commands.len());
        let mut began = None;
        for command in commands {
            match command {
                Command::Put(id, spec, counters) => {
                    let (number, change) = self.table.put(id, &spec, counters, now);
                    if change == Change::Timing {
                        self.schedule_send(number);
                        // Once at the old and once at the new timeout is harmless: nothing is lost before its time.
                        self.schedule_expiry_at(number, now);
                    }
                }
                Command::Remove(id) => self.table.remove(id),
                Command::Pace(rules) => self.common.pace.set(rules),
                Command::Mark(at) => began = Some(at),
            }
        }
        self.adjust();
        let stats = &self.common.stats;
        stats
            .targets
            .change(&mut self.targets, self.table.len() as u64);
        if let Some(began) = began {
            // Of several threads the slowest writes last.
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            stats.change_nanos.set(took);
        }
    }

    /// Fits wake-ups and sockets to what the targets ask for.
    fn adjust(&mut self) {
        let (rate, closest) = self.table.rhythm();
        self.stride = stride(rate, closest);
        let stats = &self.common.stats;
        stats.rate.change(&mut self.rate, (rate * 1e3) as u64);
        let (mut rates, mut largest) = ([0.0; 2], [0; 2]);
        for (profile, targets) in self.table.profiles() {
            let at = super::stats::place(profile.family);
            rates[at] += f64::from(targets) * profile.timing.rate();
            largest[at] = largest[at].max(profile.size);
        }
        let seconds = (self.stride * TICK) as f64 / 1e9;
        let families = [&mut self.v4, &mut self.v6];
        for ((lanes, rate), largest) in families.into_iter().zip(rates).zip(largest) {
            lanes.fit(largest);
            lanes.widen(rate * seconds, &self.common.opener, stats);
        }
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
fn refuse(number: u32, family: Family, context: &mut SocketContext<'_>) -> bool {
    /// "Address family not supported by protocol" on Linux.
    const EAFNOSUPPORT: i32 = 97;
    let moment = context.clock.now();
    let Some((target, _)) = context.table.by_number(number) else {
        return false;
    };
    let Some(sequence) = target.accounting.sent(moment) else {
        return false;
    };
    target
        .accounting
        .failed(sequence, crate::reason::Reason::NoRoute, moment.mono);
    let error = std::io::Error::from_raw_os_error(EAFNOSUPPORT);
    context.stats.refused(family, &error, moment.mono);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_requests_are_taken_together_unless_they_are_close() {
        const SECOND: u64 = 1_000_000_000;
        for (rate, closest, expected) in [
            (0.0, u64::MAX, 10),
            (1_000.0, SECOND, 10),
            (3_200.0, SECOND, 4),
            (10_000.0, SECOND, 1),
            (1e6, SECOND, 1),
            (1_000.0, SECOND / 10, 2),
            (10.0, SECOND / 100, 1),
        ] {
            assert_eq!(stride(rate, closest), expected, "{rate} {closest}");
        }
    }
}
