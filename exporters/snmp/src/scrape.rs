//! One scrape of one target as a state machine: requests out, answers and time in. It owns no socket and no clock.
//!
//! Invariants:
//! - Every column that was asked for ends in exactly one of two ways: the agent showed that nothing more follows, or a
//!   [`Failure`] names it. An answer that is short, empty, malformed or out of order never ends a column by itself.
//! - At most `window` requests are under way. The window grows by one per answer while the round trip stays flat, shrinks
//!   when the round trip grows, and halves on loss: an agent that answers one request at a time is asked one at a time.
//! - A request keeps its id when it is sent again, so a late answer counts.

mod cursor;
mod pace;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use cursor::{Cursor, Task};
pub use pace::Pace;

use crate::codec::{self, Kind, Operation};
use crate::oid::{self, Oid};
use crate::reason::Reason;
use crate::value::{Raw, Table};

/// How requests of one piece of work are made.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// `max_repetitions` of the module.
    pub repetitions: u32,
    /// `retries` of the module.
    pub retries: u32,
    /// `timeout` of the module.
    pub timeout: Duration,
    /// `allow_nonincreasing_oids` of the module.
    pub allow_nonincreasing: bool,
}

/// One subtree to walk or list of instances to get.
#[derive(Clone, Debug)]
pub struct Work {
    /// What failures name: the walk as configured, or the first instance.
    pub root: Oid,
    /// How to ask.
    pub params: Params,
    /// The parts of the subtree that matter, sorted; or the instances.
    pub oids: Vec<Oid>,
    /// Whether `oids` are instances.
    pub get: bool,
    /// Whether only the first instance below each of `oids` is asked for, to see whether there is one.
    pub probe: bool,
}

/// Bounds of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When it must be over.
    pub deadline: Instant,
    /// Version 1: no GETBULK, one instance per GET.
    pub v1: bool,
    /// One request at a time with exactly the configured repetitions.
    pub strict: bool,
    /// Octets of answers that may be kept.
    pub octets: usize,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Request id.
    pub id: i32,
    /// What to do.
    pub operation: Operation,
    /// To which objects.
    pub oids: Vec<Vec<u32>>,
    /// Whether it was sent before.
    pub again: bool,
}

/// A part that could not be collected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// Which piece of work.
    pub work: usize,
    /// Why.
    pub reason: Reason,
}

/// Counts of one piece of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent, repeated ones too.
    pub sent: u64,
    /// Messages sent again.
    pub again: u64,
    /// Values received that lie in what was asked for.
    pub values: u64,
}

/// What a scrape ended with.
#[derive(Debug)]
pub struct Outcome {
    /// What was learnt, sorted.
    pub table: Table,
    /// What is missing and why; empty when the scrape is complete.
    pub failures: Vec<Failure>,
    /// Counts by piece of work.
    pub counts: Vec<Counts>,
    /// Whether the target answered at all.
    pub answered: bool,
    /// What to remember for the next scrape.
    pub pace: Pace,
}

/// The fewest and the most repetitions that are worked out from the size of answers.
const REPETITIONS: std::ops::RangeInclusive<u32> = 10..=100;
/// Octets of varbinds that fit an Ethernet frame beside the headers.
const FRAME: f64 = 1380.0;
/// The fewest answers that a walk must still be worth for a part of it to be given away: a part costs one answer more.
const SPLIT: f64 = 6.0;
/// The least time that the rest of a walk must take for a part of it to be given away.
const WORTH: Duration = Duration::from_millis(10);
/// Repeats beyond the module's `retries` that the round trip may cause.
const QUICK_REPEATS: u32 = 4;

struct Flight {
    ids: Vec<i32>,
    first: Instant,
    sent: Instant,
    tries: u32,
    next: Instant,
    wait: Duration,
    repetitions: u32,
}

struct Progress {
    work: Work,
    counts: Counts,
}

/// The state machine.
pub struct Scrape {
    works: Vec<Progress>,
    limits: Limits,
    cursors: Vec<Option<Cursor>>,
    ready: VecDeque<usize>,
    flights: HashMap<usize, Flight>,
    ids: HashMap<i32, usize>,
    table: Table,
    pace: Pace,
    failures: Vec<Failure>,
    answered: bool,
    names: Vec<u32>,
}

impl Scrape {
    /// Begins a scrape of `works`.
    #[must_use]
    pub fn new(works: Vec<Work>, limits: Limits, mut pace: Pace) -> Self {
        pace.begin(limits.strict);
        let table = Table::new(works.iter().flat_map(|work| work.oids.iter().cloned()));
        let mut scrape = Self {
            works: Vec::new(),
            limits,
            cursors: Vec::new(),
            ready: VecDeque::new(),
            flights: HashMap::new(),
            ids: HashMap::new(),
            table,
            pace,
            failures: Vec::new(),
            answered: false,
            names: Vec::new(),
        };
        for (at, work) in works.into_iter().enumerate() {
            if work.get || work.probe {
                let chunk = if limits.v1 {
                    1
                } else {
                    work.params.repetitions.clamp(1, 60) as usize
                };
                for oids in work.oids.chunks(chunk) {
                    scrape.push(Cursor {
                        next: work.probe,
                        ..Cursor::get(at, oids.to_vec())
                    });
                }
            } else if !work.oids.is_empty() {
                scrape.push(Cursor::walk(at, work.oids.iter().cloned().collect()));
            }
            scrape.works.push(Progress {
                work,
                counts: Counts::default(),
            });
        }
        scrape
    }

    /// Whether everything is answered or given up.
    #[must_use]
    pub fn done(&self) -> bool {
        self.ready.is_empty() && self.flights.is_empty()
    }

    /// The next message to send now, if any. Call until it gives nothing.
    pub fn poll(&mut self, now: Instant) -> Option<Outgoing> {
        if now >= self.limits.deadline {
            let reason = if self.answered {
                Reason::Deadline
            } else {
                Reason::Timeout
            };
            self.abort(reason);
            return None;
        }
        if let Some(again) = self.repeat(now) {
            return Some(again);
        }
        if self.flights.len() >= self.pace.window() {
            return None;
        }
        if self.ready.is_empty() {
            self.split();
        }
        let at = self.ready.pop_front()?;
        Some(self.send(at, now))
    }

    /// When [`Self::poll`] must be called again, if nothing comes before.
    #[must_use]
    pub fn wake(&self) -> Instant {
        self.flights
            .values()
            .map(|flight| flight.next)
            .fold(self.limits.deadline, Instant::min)
    }

    /// Takes an answer of `octets` octets. Gives the round trip when the request was sent once.
    pub fn reply(&mut self, pdu: &codec::Pdu<'_>, octets: usize, now: Instant) -> Option<Duration> {
        if pdu.kind != Kind::Response {
            return None;
        }
        let at = *self.ids.get(&pdu.id)?;
        let flight = self.flights.remove(&at)?;
        for id in &flight.ids {
            self.ids.remove(id);
        }
        let mut cursor = self.cursors.get_mut(at)?.take()?;
        self.answered = true;
        let trip = (flight.tries == 1).then(|| now - flight.sent);
        self.pace.answered(trip);
        if flight.ids.first() != Some(&pdu.id) {
            self.pace.cap_repetitions(flight.repetitions);
        }
        let after = if cursor.is_get() {
            self.got(&mut cursor, pdu)
        } else {
            self.walked(&mut cursor, pdu, octets, flight.repetitions)
        };
        match after {
            After::Done => {}
            After::Again => {
                self.cursors[at] = Some(cursor);
                self.ready.push_front(at);
            }
        }
        if self.table.octets_held() > self.limits.octets {
            self.abort(Reason::TooLarge);
        }
        trip
    }

    /// Gives everything up that is still open.
    pub fn abort(&mut self, reason: Reason) {
        for at in 0..self.cursors.len() {
            if let Some(cursor) = self.cursors[at].take() {
                self.fail(cursor.work, reason);
            }
        }
        self.ready.clear();
        self.flights.clear();
        self.ids.clear();
    }

    /// Makes every request under way due at once, as after a version-3 engine has named its clock.
    pub fn resend(&mut self, now: Instant) {
        for flight in self.flights.values_mut() {
            flight.next = now;
            flight.tries = flight.tries.saturating_sub(1);
        }
    }

    /// Whether this id is under way.
    #[must_use]
    pub fn expects(&self, id: i32) -> bool {
        self.ids.contains_key(&id)
    }

    /// Whether this id is under way and was sent more than once.
    #[must_use]
    pub fn repeated(&self, id: i32) -> bool {
        self.ids
            .get(&id)
            .and_then(|at| self.flights.get(at))
            .is_some_and(|flight| flight.tries > 1)
    }

    /// How often the most patient request was sent while nothing was answered at all.
    #[must_use]
    pub fn silence(&self) -> u32 {
        if self.answered {
            0
        } else {
            self.flights
                .values()
                .map(|flight| flight.tries)
                .max()
                .unwrap_or(0)
        }
    }

    /// Ends the scrape.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.abort(Reason::Deadline);
        self.table.sort();
        self.failures.sort();
        self.failures.dedup();
        let counts = self.works.iter().map(|progress| progress.counts).collect();
        Outcome {
            table: self.table,
            failures: self.failures,
            counts,
            answered: self.answered,
            pace: self.pace,
        }
    }

    fn push(&mut self, cursor: Cursor) {
        self.ready.push_back(self.cursors.len());
        self.cursors.push(Some(cursor));
    }

    fn fail(&mut self, work: usize, reason: Reason) {
        self.failures.push(Failure { work, reason });
    }

    fn params(&self, cursor: &Cursor) -> Params {
        self.works[cursor.work].work.params
    }

    fn repetitions(&self, cursor: &Cursor) -> u32 {
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

    fn send(&mut self, at: usize, now: Instant) -> Outgoing {
        let id = self.fresh_id();
        let wait = self.pace.timeout(self.timeout_of(at));
        let outgoing = self.outgoing(at, id, false);
        let repetitions = if let Operation::GetBulk(repetitions) = outgoing.operation {
            repetitions
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

    fn timeout_of(&self, at: usize) -> Duration {
        self.cursors[at]
            .as_ref()
            .map_or(Duration::from_secs(5), |cursor| self.params(cursor).timeout)
    }

    fn fresh_id(&self) -> i32 {
        loop {
            let id = fastrand::i32(1..i32::MAX);
            if !self.ids.contains_key(&id) {
                return id;
            }
        }
    }

    fn outgoing(&mut self, at: usize, id: i32, again: bool) -> Outgoing {
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
    fn repeat(&mut self, now: Instant) -> Option<Outgoing> {
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
            let most = if params.retries == 0 {
                1
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

    fn give_up(&mut self, at: usize) {
        if let Some(flight) = self.flights.remove(&at) {
            for id in flight.ids {
                self.ids.remove(&id);
            }
        }
        if !self.answered {
            self.abort(Reason::Timeout);
        } else if let Some(cursor) = self.cursors[at].take() {
            self.fail(cursor.work, Reason::Timeout);
        }
    }

    /// Gives the half of the longest walk to a new cursor, when that saves round trips.
    fn split(&mut self) {
        if self.limits.strict {
            return;
        }
        let per_answer = f64::from(self.pace.repetitions(FRAME, &REPETITIONS).unwrap_or(25));
        let longest = self.cursors.iter().enumerate().filter_map(|(at, cursor)| {
            let walk = cursor.as_ref()?.as_walk()?;
            (walk.columns.len() > 1).then(|| (at, walk.remaining() / per_answer))
        });
        let Some((at, answers)) = longest.max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return;
        };
        if answers < SPLIT || self.pace.expected(answers) < WORTH {
            return;
        }
        let Some(half) = self.cursors[at].as_mut().and_then(Cursor::split) else {
            return;
        };
        self.push(half);
    }

    fn walked(
        &mut self,
        cursor: &mut Cursor,
        pdu: &codec::Pdu<'_>,
        octets: usize,
        asked: u32,
    ) -> After {
        if pdu.status != 0 {
            return self.refused_walk(cursor, pdu.status, asked);
        }
        let params = self.params(cursor);
        if let Some(walk) = cursor.as_walk_mut() {
            walk.last = walk.next();
        }
        let mut names = std::mem::take(&mut self.names);
        let answer = Answer::read(pdu, &mut names);
        let after = self.take_answer(cursor, &answer, &names, octets, params);
        self.names = names;
        after
    }

    fn take_answer(
        &mut self,
        cursor: &mut Cursor,
        answer: &Answer<'_>,
        names: &[u32],
        octets: usize,
        params: Params,
    ) -> After {
        // Out of order, nothing in it can be trusted: a value may have been passed over.
        if !params.allow_nonincreasing
            && !answer.increases(names, cursor.as_walk().map_or(&[], |walk| &walk.last))
        {
            return self.doubt(cursor, Reason::NonIncreasing);
        }
        let mut kept = 0;
        let mut wrong = answer.cut;
        for (name, value) in &answer.values {
            match self.take(cursor, &names[name.clone()], *value) {
                Ok(Taken::Kept) => kept += 1,
                Ok(Taken::End) => {
                    if kept > 0 {
                        self.pace.size(octets, kept);
                    }
                    return self.end_of_walk(cursor);
                }
                Err(reason) => {
                    wrong = Some(reason);
                    break;
                }
            }
        }
        if kept == 0 {
            return self.doubt(cursor, wrong.unwrap_or(Reason::BadAnswer));
        }
        // What came before a bad value counts; the next request begins at the bad one.
        self.pace.size(octets, kept);
        cursor.trust();
        After::Again
    }

    /// Takes one value of a walk.
    fn take(&mut self, cursor: &mut Cursor, ids: &[u32], value: Raw<'_>) -> Result<Taken, Reason> {
        let work = cursor.work;
        let Some(walk) = cursor.as_walk_mut() else {
            return Err(Reason::BadAnswer);
        };
        match value {
            Raw::EndOfMibView => return Ok(Taken::End),
            // Not an answer to GETNEXT; some agents mean the end by it.
            Raw::Missing => {
                return if walk.rows == 0 {
                    Ok(Taken::End)
                } else {
                    Err(Reason::BadAnswer)
                };
            }
            _ => {}
        }
        let forward = ids > walk.last.as_slice();
        loop {
            let Some(column) = walk.columns.front() else {
                return Ok(Taken::End);
            };
            if oid::within(ids, column.ids()) {
                self.table.insert(ids, value).map_err(|_| Reason::Decode)?;
                self.works[work].counts.values += 1;
                walk.rows += 1;
                break;
            }
            if ids < column.ids() {
                if !forward {
                    return Ok(Taken::End);
                }
                break;
            }
            let ended = walk.next_column();
            self.column_ended(work, ended);
        }
        walk.last.clear();
        walk.last.extend_from_slice(ids);
        Ok(Taken::Kept)
    }

    /// A column that is a walk's own root and showed nothing may be an instance: it is asked for directly.
    fn column_ended(&mut self, work: usize, ended: Option<(Oid, u32)>) {
        if let Some((column, 0)) = ended
            && column == self.works[work].work.root
        {
            self.push(Cursor::get(work, vec![column]));
        }
    }

    fn end_of_walk(&mut self, cursor: &mut Cursor) -> After {
        let work = cursor.work;
        loop {
            let Some(ended) = cursor.as_walk_mut().and_then(cursor::Walk::next_column) else {
                return After::Done;
            };
            self.column_ended(work, Some(ended));
        }
    }

    /// An answer that cannot be right: asked again for one instance alone, then given up.
    fn doubt(&mut self, cursor: &mut Cursor, reason: Reason) -> After {
        if cursor.doubts < 2 {
            cursor.doubts += 1;
            cursor.repetitions = 1;
            if let Some(walk) = cursor.as_walk_mut() {
                walk.single = true;
            }
            return After::Again;
        }
        self.fail(cursor.work, reason);
        self.skip_column(cursor)
    }

    /// Leaves the column at hand and goes on with the next.
    fn skip_column(&mut self, cursor: &mut Cursor) -> After {
        cursor.trust();
        let Some(walk) = cursor.as_walk_mut() else {
            return After::Done;
        };
        walk.single = false;
        walk.next_column();
        if walk.columns.is_empty() {
            After::Done
        } else {
            After::Again
        }
    }

    fn refused_walk(&mut self, cursor: &mut Cursor, status: i64, asked: u32) -> After {
        if status == 1 && asked > 1 {
            cursor.repetitions = (asked / 2).max(1);
            self.pace.cap_repetitions(cursor.repetitions);
            return After::Again;
        }
        // Only version 1 says the end of the tree this way (RFC 1157 §4.1.3).
        if status == 2 && self.limits.v1 {
            return self.end_of_walk(cursor);
        }
        self.doubt(cursor, of_status(status))
    }

    fn got(&mut self, cursor: &mut Cursor, pdu: &codec::Pdu<'_>) -> After {
        let Task::Get(oids) = &mut cursor.task else {
            return After::Done;
        };
        if pdu.status == 2 {
            // noSuchName names the culprit; the others are asked for again.
            let culprit = usize::try_from(pdu.index)
                .ok()
                .and_then(|index| index.checked_sub(1))
                .filter(|at| *at < oids.len());
            if let Some(at) = culprit {
                oids.remove(at);
                return if oids.is_empty() {
                    After::Done
                } else {
                    After::Again
                };
            }
            if oids.len() == 1 {
                return After::Done;
            }
        }
        let reason = if pdu.status == 0 {
            match self.take_all(cursor, pdu) {
                Ok(()) => return After::Done,
                Err(reason) => reason,
            }
        } else {
            of_status(pdu.status)
        };
        let Task::Get(oids) = &mut cursor.task else {
            return After::Done;
        };
        if oids.len() > 1 {
            let rest = oids.split_off(oids.len() / 2);
            let work = cursor.work;
            let next = cursor.next;
            self.push(Cursor {
                next,
                ..Cursor::get(work, rest)
            });
            return After::Again;
        }
        if cursor.doubts < 2 {
            cursor.doubts += 1;
            return After::Again;
        }
        self.fail(cursor.work, reason);
        After::Done
    }

    fn take_all(&mut self, cursor: &Cursor, pdu: &codec::Pdu<'_>) -> Result<(), Reason> {
        let Task::Get(oids) = &cursor.task else {
            return Err(Reason::BadAnswer);
        };
        let varbinds: Vec<_> = codec::Varbinds::new(pdu.varbinds)
            .collect::<Result<_, _>>()
            .map_err(|_| Reason::Decode)?;
        if varbinds.len() != oids.len() {
            return Err(Reason::BadAnswer);
        }
        let (mut name, mut names) = (Vec::new(), Vec::new());
        for ((octets, _), oid) in varbinds.iter().zip(oids) {
            name.clear();
            oid::decode(octets, &mut name).map_err(|_| Reason::Decode)?;
            if name != oid.ids() && !cursor.next {
                return Err(Reason::BadAnswer);
            }
            names.push(name.clone());
        }
        for (((_, value), oid), name) in varbinds.into_iter().zip(oids).zip(&names) {
            let there = !matches!(value, Raw::Missing | Raw::EndOfMibView);
            if there && oid::within(name, oid.ids()) {
                self.works[cursor.work].counts.values += 1;
                self.table.insert(name, value).map_err(|_| Reason::Decode)?;
            }
        }
        Ok(())
    }
}

/// The values of an answer up to the first that cannot be read.
struct Answer<'a> {
    values: Vec<(std::ops::Range<usize>, Raw<'a>)>,
    cut: Option<Reason>,
}

impl<'a> Answer<'a> {
    fn read(pdu: &codec::Pdu<'a>, names: &mut Vec<u32>) -> Self {
        names.clear();
        let mut answer = Self {
            values: Vec::with_capacity(64),
            cut: None,
        };
        for varbind in codec::Varbinds::new(pdu.varbinds) {
            let start = names.len();
            match varbind {
                Ok((octets, value)) if oid::decode(octets, names).is_ok() => {
                    answer.values.push((start..names.len(), value));
                }
                _ => {
                    answer.cut = Some(Reason::Decode);
                    break;
                }
            }
        }
        answer
    }

    /// Whether every name lies behind the one before, and the first behind `last`. What follows the end of the view does not count.
    fn increases(&self, names: &[u32], last: &[u32]) -> bool {
        let mut last = last;
        for (name, value) in &self.values {
            if matches!(value, Raw::EndOfMibView | Raw::Missing) {
                return true;
            }
            let name = &names[name.clone()];
            if name <= last {
                return false;
            }
            last = name;
        }
        true
    }
}

enum After {
    Done,
    Again,
}

enum Taken {
    Kept,
    End,
}

fn of_status(status: i64) -> Reason {
    match status {
        1 => Reason::TooBig,
        5 => Reason::GenErr,
        6 | 16 => Reason::Authorization,
        _ => Reason::ErrorStatus,
    }
}

#[cfg(test)]
mod tests;
