//! One scrape of one target as a state machine: requests out, answers and time in. It owns no socket and no clock.
//!
//! Invariants:
//! - Every column that was asked for ends in exactly one of two ways: the agent showed that nothing more follows, or a
//!   [`Failure`] names it. An answer that is short, empty, malformed or out of order never ends a column by itself.
//! - At most `window` requests are under way. The window grows by one per answer while the round trip stays flat, shrinks
//!   when the round trip grows, and halves on loss: an agent that answers one request at a time is asked one at a time.
//! - A request keeps its id when it is sent again, so a late answer counts.

mod answer;
mod cursor;
mod get;
mod pace;
mod request;
mod rows;
mod sizes;
mod walk;
mod work;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use cursor::{Cursor, Task};
pub use pace::Pace;
use request::Flight;
use sizes::Group;
pub use sizes::Sizes;
pub use work::{Counts, Failure, Limits, Outcome, Outgoing, Params, Work};

use crate::budget::Claim;
use crate::codec::{self, Kind};
use crate::oid::Oid;
use crate::reason::Reason;
use crate::value::Table;

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
    /// Answers to what only we want to know.
    own: Table,
    /// Whether such a question stayed without an answer.
    unheard: bool,
    pace: Pace,
    failures: Vec<Failure>,
    answered: bool,
    names: Vec<u32>,
    /// Parts of walks that were given away.
    parts: u32,
    claim: Option<Claim>,
    /// Places of columns that had to be walked from their beginning.
    walked_again: HashSet<usize>,
}

impl Scrape {
    /// Begins a scrape of `works`.
    #[must_use]
    pub fn new(works: Vec<Work>, limits: Limits, pace: Pace) -> Self {
        Self::of_known(works, limits, pace, &Sizes::default())
    }

    /// The same for a target whose columns were of these sizes last time.
    #[must_use]
    pub fn of_known(works: Vec<Work>, limits: Limits, mut pace: Pace, sizes: &Sizes) -> Self {
        pace.begin(limits.strict);
        let wanted = |own: bool| {
            let works = works.iter().filter(move |work| work.own == own);
            Table::new(works.flat_map(|work| work.oids.iter().cloned()))
        };
        let (table, own) = (wanted(false), wanted(true));
        let mut scrape = Self {
            works: Vec::new(),
            limits,
            cursors: Vec::new(),
            ready: VecDeque::new(),
            flights: HashMap::new(),
            ids: HashMap::new(),
            table,
            own,
            unheard: false,
            pace,
            failures: Vec::new(),
            answered: false,
            names: Vec::new(),
            parts: 0,
            walked_again: HashSet::new(),
            claim: None,
        };
        scrape.begin(&works, sizes);
        scrape.works = works
            .into_iter()
            .map(|work| Progress {
                work,
                counts: Counts::default(),
            })
            .collect();
        scrape
    }

    /// Makes the first requests: gets, columns of known size side by side, and a walk over the others of each piece of work.
    fn begin(&mut self, works: &[Work], sizes: &Sizes) {
        let plain = self.limits.v1
            || self.limits.strict
            || self.pace.one_at_a_time()
            || self.pace.is_disordered();
        let cap = self.pace.cap();
        let side_by_side = |work: &Work, column: &Oid| {
            !plain
                && sizes::may_group(&work.params, cap)
                && sizes.knows(column)
                && *column != work.root
        };
        let mut known: Vec<(Params, Vec<(usize, Oid)>)> = Vec::new();
        let mut questions: Vec<(usize, &Work)> = Vec::new();
        for (at, work) in works.iter().enumerate() {
            let had = || work.oids.iter().all(|oid| sizes.has(oid));
            if !work.probe && (work.own || work.get && work.oids.len() <= rows::FEW && had()) {
                questions.push((at, work));
                continue;
            }
            if work.get || work.probe {
                self.push_gets(at, work);
                continue;
            }
            let (grouped, walked): (Vec<Oid>, Vec<Oid>) = work
                .oids
                .iter()
                .cloned()
                .partition(|column| side_by_side(work, column));
            let grouped = grouped.into_iter().map(|column| (at, column));
            match known.iter_mut().find(|(params, _)| *params == work.params) {
                Some((_, all)) => all.extend(grouped),
                None => known.push((work.params, grouped.collect())),
            }
            if !walked.is_empty() {
                self.push(Cursor::walk(at, walked.into()));
            }
        }
        let frame = self.pace.frame();
        let mut groups: Vec<Group> = known
            .into_iter()
            .flat_map(|(_, columns)| sizes.groups(columns, cap, frame))
            .collect();
        // A few instances that the target is known to have go with a request that is made anyway.
        for (at, work) in questions {
            let mut in_front = self.pace.ask_in_front().then_some(&mut groups);
            let mut in_front = || {
                let frame = sizes.frame(frame);
                let mut groups = in_front.iter_mut().flat_map(|groups| groups.iter_mut());
                groups.any(|group| {
                    let of_group = group
                        .columns
                        .first()
                        .map(|(first, ..)| works[*first].params);
                    (work.own || of_group == Some(work.params))
                        && group.ask_in_front(at, work, frame)
                })
            };
            let placed = in_front() || work.own && self.join(work);
            if !placed {
                self.push_gets(at, work);
            }
        }
        for group in groups {
            self.push_rows(group);
        }
    }

    /// The same, keeping no more than there is room for.
    #[must_use]
    pub fn within(mut self, claim: Claim) -> Self {
        self.claim = Some(claim);
        self
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
        let alone = self.own_alone();
        self.flights
            .values()
            .map(|flight| self.due(flight, alone))
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
        if cursor.names() > 1 {
            self.pace.answers_several();
        }
        let trip = (flight.tries == 1).then(|| now - flight.sent);
        self.pace.answered(trip);
        if flight.ids.first() != Some(&pdu.id) {
            self.pace.cap_repetitions(flight.repetitions);
        }
        let after = match cursor.task {
            Task::Get(_) => self.got(&mut cursor, pdu),
            Task::Walk(_) => self.walked(&mut cursor, pdu, octets, flight.repetitions),
            Task::Rows(_) => self.stepped(&mut cursor, pdu, octets, flight.repetitions),
        };
        match after {
            After::Done => {}
            After::Again => {
                self.cursors[at] = Some(cursor);
                self.ready.push_front(at);
            }
        }
        let octets = self.table.octets_held() + self.own.octets_held();
        if !self.claim.as_mut().is_none_or(|claim| claim.grow(octets)) {
            self.abort(Reason::TooLarge);
            // What came is no answer, and others need the room.
            (self.table, self.own, self.claim) = (Table::default(), Table::default(), None);
        }
        trip
    }

    /// Gives everything up that is still open.
    pub fn abort(&mut self, reason: Reason) {
        for at in 0..self.cursors.len() {
            if let Some(cursor) = self.cursors[at].take() {
                self.fail_all(&cursor, reason);
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

    /// The ids under way.
    pub fn under_way(&self) -> impl Iterator<Item = i32> {
        self.ids.keys().copied()
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
        self.own.sort();
        self.failures.sort();
        self.failures.dedup();
        let counts = self.works.iter().map(|progress| progress.counts).collect();
        Outcome {
            table: self.table,
            failures: self.failures,
            counts,
            own: self.own,
            unheard: self.unheard,
            claim: self.claim,
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

    /// Fails every piece of work that the cursor is for.
    fn fail_all(&mut self, cursor: &Cursor, reason: Reason) {
        match &cursor.task {
            _ if cursor.is_own() => self.unheard = true,
            Task::Rows(rows) => {
                let asked = rows.questions.iter().filter(|question| !question.own);
                let works = asked.map(|question| question.work);
                for work in works.chain(rows.open.iter().map(|lane| lane.work)) {
                    self.failures.push(Failure { work, reason });
                }
            }
            _ => self.fail(cursor.work, reason),
        }
    }

    fn params(&self, cursor: &Cursor) -> Params {
        self.works[cursor.work].work.params
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
