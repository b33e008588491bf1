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
/// How often what only we want to know is asked for.
const OWN_TRIES: u32 = 2;
/// How often a request of several names is sent before it is parted.
const SEVERAL_TRIES: u32 = 3;
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
        let repetitions = if let Operation::GetBulk {
            non_repeaters,
            max_repetitions,
        } = outgoing.operation
        {
            let names = u32::try_from(outgoing.oids.len()).unwrap_or(1);
            max_repetitions * (names - non_repeaters)
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
                oids.iter().map(|oid| cursor.asked(oid)).collect(),
            ),
            Task::Walk(walk) if self.limits.v1 || walk.single => {
                (Operation::GetNext, vec![walk.next()])
            }
            Task::Rows(rows) => {
                let most = cursor.repetitions / rows.open.len().max(1) as u32;
                let operation = Operation::GetBulk {
                    non_repeaters: rows.questions.len() as u32,
                    max_repetitions: rows.repetitions.min(most).max(1),
                };
                (operation, rows.next())
            }
            Task::Walk(walk) => {
                let operation = Operation::GetBulk {
                    non_repeaters: 0,
                    max_repetitions: self.repetitions(cursor),
                };
                (operation, vec![walk.next()])
            }
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
            let alone = self.own_alone();
            let at = *self
                .flights
                .iter()
                .find(|(_, flight)| self.due(flight, alone) <= now)?
                .0;
            if self.silent(at) {
                continue;
            }
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

    /// Whether nothing is under way any more but what only we want to know, of a target that answers.
    pub(super) fn own_alone(&self) -> bool {
        let own = |at: &usize| self.cursors[*at].as_ref().is_some_and(Cursor::is_own);
        self.answered && self.ready.is_empty() && self.flights.keys().all(own)
    }

    /// When a request must be looked at. Nobody waits longer than a round trip for our own questions.
    pub(super) fn due(&self, flight: &Flight, own_alone: bool) -> Instant {
        if own_alone {
            flight
                .next
                .min(flight.sent + self.pace.timeout(flight.wait))
        } else {
            flight.next
        }
    }

    /// A request that was not answered: our own is dropped, one of several names is parted, of which the target may not answer some, or
    /// not more than one at a time. Says whether that was done.
    fn silent(&mut self, at: usize) -> bool {
        let Some(tries) = self.flights.get(&at).map(|flight| flight.tries) else {
            return false;
        };
        let Some(cursor) = &self.cursors[at] else {
            return false;
        };
        let (own, several) = (cursor.is_own(), cursor.names() > 1);
        let enough = if own { OWN_TRIES } else { SEVERAL_TRIES };
        if self.limits.strict || !self.answered || !(own || several) || tries < enough {
            return false;
        }
        self.end_flight(at);
        let Some(cursor) = self.cursors[at].take() else {
            return false;
        };
        if !several {
            self.unheard = true;
            return true;
        }
        self.pace.silent_to_several();
        self.part(cursor);
        true
    }

    /// Makes of a request of several names ones of fewer.
    pub(super) fn part(&mut self, cursor: Cursor) {
        let single = self.pace.one_at_a_time();
        match cursor.task {
            Task::Get(oids) => {
                let size = if single {
                    1
                } else if (1..oids.len()).contains(&cursor.own) {
                    cursor.own
                } else {
                    oids.len().div_ceil(2)
                };
                for (first, part) in (0..).step_by(size).zip(oids.chunks(size)) {
                    let own = match cursor.own {
                        usize::MAX => usize::MAX,
                        own => own.saturating_sub(first),
                    };
                    self.push(Cursor {
                        next: cursor.next,
                        own: if own >= part.len() { usize::MAX } else { own },
                        ..Cursor::get(cursor.work, part.to_vec())
                    });
                }
            }
            Task::Rows(rows) => {
                self.ask_apart(&rows.questions);
                self.walk_again(rows.open);
            }
            Task::Walk(_) => {}
        }
    }

    fn end_flight(&mut self, at: usize) {
        if let Some(flight) = self.flights.remove(&at) {
            for id in flight.ids {
                self.ids.remove(&id);
            }
        }
    }

    pub(super) fn give_up(&mut self, at: usize) {
        self.end_flight(at);
        if self.cursors[at].as_ref().is_some_and(Cursor::is_own) {
            self.cursors[at] = None;
            self.unheard = true;
        } else if !self.answered {
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
