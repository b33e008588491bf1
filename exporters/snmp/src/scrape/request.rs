//! What leaves: requests, their repeats, and the share of work between cursors.

use std::time::{Duration, Instant};

use super::cursor::{Cursor, Task};
use super::{Outgoing, Scrape};
use crate::codec::Operation;
use crate::reason::Reason;

/// The fewest and the most repetitions that are worked out from the size of answers.
pub(super) const REPETITIONS: std::ops::RangeInclusive<u32> = 10..=100;
/// Octets of varbinds that fit an Ethernet frame beside the headers.
pub(super) const FRAME: f64 = 1380.0;
/// The fewest answers that a walk must still be worth for a part of it to be given away: a part costs one answer more.
const SPLIT: f64 = 6.0;
/// The fewest answers of the whole scrape for each part that was given away, so that parts never cost more than an eighth.
const FOR_EACH_PART: f64 = 8.0;
/// The least time that the rest of a walk must take for a part of it to be given away.
const WORTH: Duration = Duration::from_millis(10);
/// Repeats beyond the module's `retries` that the round trip may cause.
const QUICK_REPEATS: u32 = 4;

/// A request under way.
pub(super) struct Flight {
    pub(super) ids: Vec<i32>,
    pub(super) first: Instant,
    pub(super) sent: Instant,
    pub(super) tries: u32,
    pub(super) next: Instant,
    pub(super) wait: Duration,
    pub(super) repetitions: u32,
}

impl Scrape {
    pub(super) fn repetitions(&self, cursor: &Cursor) -> u32 {
        let configured = match self.params(cursor).repetitions {
            0 => 50,
            given => given,
        };
        if self.limits.strict {
            return configured.min(cursor.repetitions);
        }
        let wanted = if configured < 25 {
            configured
        } else {
            self.pace
                .repetitions(FRAME, &REPETITIONS)
                .unwrap_or(configured)
        };
        wanted.min(cursor.repetitions).max(1)
    }

    pub(super) fn send(&mut self, at: usize, now: Instant) -> Outgoing {
        let id = self.fresh_id();
        let timeout = self.timeout_of(at);
        let wait = if self.limits.strict {
            timeout
        } else {
            self.pace.timeout(timeout)
        };
        let outgoing = self.outgoing(at, id, false);
        // Of columns in step, what counts is how many values an answer holds.
        let repetitions = if let Operation::GetBulk(repetitions) = outgoing.operation {
            repetitions * u32::try_from(outgoing.oids.len()).unwrap_or(1)
        } else {
            1
        };
        self.ids.insert(id, at);
        self.flights.insert(
            at,
            Flight {
                ids: vec![id],
                first: now,
                sent: now,
                tries: 1,
                next: now + wait,
                wait,
                repetitions,
            },
        );
        outgoing
    }

    pub(super) fn timeout_of(&self, at: usize) -> Duration {
        self.cursors[at]
            .as_ref()
            .map_or(Duration::from_secs(5), |cursor| self.params(cursor).timeout)
    }

    pub(super) fn fresh_id(&self) -> i32 {
        loop {
            let id = fastrand::i32(1..i32::MAX);
            if !self.ids.contains_key(&id) {
                return id;
            }
        }
    }

    pub(super) fn outgoing(&mut self, at: usize, id: i32, again: bool) -> Outgoing {
        let Some(cursor) = &self.cursors[at] else {
            unreachable!("a cursor that is sent for is open")
        };
        let (operation, oids) = match &cursor.task {
            Task::Get(oids) => (
                if cursor.next {
                    Operation::GetNext
                } else {
                    Operation::Get
                },
                oids.iter().map(|oid| oid.ids().to_vec()).collect(),
            ),
            Task::Walk(walk) if self.limits.v1 || walk.single => {
                (Operation::GetNext, vec![walk.next()])
            }
            Task::Rows(rows) => {
                let most = cursor.repetitions / rows.open.len().max(1) as u32;
                (
                    Operation::GetBulk(rows.repetitions.min(most).max(1)),
                    rows.next(),
                )
            }
            Task::Walk(walk) => (
                Operation::GetBulk(self.repetitions(cursor)),
                vec![walk.next()],
            ),
        };
        let counts = &mut self.works[cursor.work].counts;
        counts.sent += 1;
        counts.again += u64::from(again);
        Outgoing {
            id,
            operation,
            oids,
            again,
        }
    }

    /// A request whose time is over: sent again, or given up.
    pub(super) fn repeat(&mut self, now: Instant) -> Option<Outgoing> {
        loop {
            let at = *self
                .flights
                .iter()
                .find(|(_, flight)| flight.next <= now)?
                .0;
            let flight = self.flights.get_mut(&at)?;
            let params = self.cursors[at]
                .as_ref()
                .map(|cursor| self.works[cursor.work].work.params)?;
            let patience = params.timeout * (params.retries + 1);
            let most = if params.retries == 0 || self.limits.strict {
                params.retries + 1
            } else {
                params.retries + 1 + QUICK_REPEATS
            };
            if now >= flight.first + patience {
                self.give_up(at);
                continue;
            }
            if flight.tries >= most {
                flight.next = flight.first + patience;
                continue;
            }
            flight.tries += 1;
            flight.sent = now;
            flight.wait = (flight.wait * 2)
                .min(params.timeout)
                .max(Duration::from_millis(1));
            flight.next = (now + flight.wait).min(flight.first + patience);
            let tries = flight.tries;
            self.pace.lost();
            // An agent may drop what would not fit its answer: from the third try on, ask for less under a new id.
            if tries >= 3 && !self.limits.strict && flight.repetitions > 4 {
                let id = self.fresh_id();
                self.ids.insert(id, at);
                let flight = self.flights.get_mut(&at)?;
                flight.ids.push(id);
                flight.repetitions /= 4;
                let fewer = flight.repetitions;
                if let Some(cursor) = &mut self.cursors[at] {
                    cursor.repetitions = fewer;
                }
                return Some(self.outgoing(at, id, true));
            }
            let id = *flight.ids.last()?;
            return Some(self.outgoing(at, id, true));
        }
    }

    pub(super) fn give_up(&mut self, at: usize) {
        if let Some(flight) = self.flights.remove(&at) {
            for id in flight.ids {
                self.ids.remove(&id);
            }
        }
        if !self.answered {
            self.abort(Reason::Timeout);
        } else if let Some(cursor) = self.cursors[at].take() {
            self.fail_all(&cursor, Reason::Timeout);
        }
    }

    /// Gives the half of the longest walk to a new cursor, when that saves round trips.
    pub(super) fn split(&mut self) {
        if self.limits.strict {
            return;
        }
        let per_answer = f64::from(self.pace.repetitions(FRAME, &REPETITIONS).unwrap_or(25));
        let walks = || {
            self.cursors.iter().enumerate().filter_map(|(at, cursor)| {
                let walk = cursor.as_ref()?.as_walk()?;
                Some((at, walk.remaining() / per_answer, walk.columns.len()))
            })
        };
        let sent: u64 = self.works.iter().map(|work| work.counts.sent).sum();
        let whole = sent as f64 + walks().map(|(_, answers, _)| answers).sum::<f64>();
        let longest = walks()
            .filter(|(.., columns)| *columns > 1)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((at, answers, _)) = longest else {
            return;
        };
        if answers < SPLIT
            || self.pace.expected(answers) < WORTH
            || f64::from(self.parts + 1) * FOR_EACH_PART > whole
        {
            return;
        }
        let Some(half) = self.cursors[at].as_mut().and_then(Cursor::split) else {
            return;
        };
        self.parts += 1;
        self.push(half);
    }
}
