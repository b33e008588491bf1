//! The one thread that writes.
//!
//! Everything that waits is written together and made durable once, so that many callers at a time cost one. Outcomes come before new
//! beginnings, and nothing is begun while an outcome cannot be written. What an append left behind when it failed is cut off before
//! the next.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::line::{Entry, Event, Hash, What, hex};
use super::segment::Position;
use super::store::Store;
use super::{Anchor, AuditError, Inner, Pending, State};

/// Most messages that are taken together.
const BATCH: usize = 256;
/// How often outcomes that could not be written are tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Room for an outcome beside what it repeats of its beginning.
const OUTCOME: u64 = 4096;

/// What the thread is asked.
pub(super) enum Ask {
    Begin(Begin),
    End(Ended),
    /// What was refused, and why.
    Refuse(Box<What>, String),
    /// What was read.
    Read(Box<What>),
}

/// A beginning to be written.
pub(super) struct Begin {
    pub(super) what: Box<What>,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) reply: oneshot::Sender<Result<Pending, AuditError>>,
}

/// An outcome to be written.
pub(super) struct Ended {
    pub(super) of: u64,
    pub(super) what: Box<What>,
    pub(super) outcome: &'static str,
    pub(super) detail: String,
    pub(super) reply: Option<oneshot::Sender<()>>,
    /// Bytes that were kept free for it.
    pub(super) room: u64,
    /// Counts among those that are pending until it is written.
    pub(super) _permit: OwnedSemaphorePermit,
}

pub(super) struct Writer<S> {
    pub(super) store: S,
    pub(super) at: Position,
    pub(super) segment_bytes: u64,
    pub(super) inner: Weak<Inner>,
    pub(super) state: Arc<State>,
    /// Something may stand after the good bytes.
    dirty: bool,
    /// Bytes kept free for the outcomes of everything that is pending.
    held: u64,
    /// Outcomes that wait, oldest first.
    owed: VecDeque<Ended>,
    /// What an earlier run left behind and is not recorded yet.
    left: Vec<Event>,
    /// The log was what was written at least once.
    opened: bool,
}

impl<S: Store> Writer<S> {
    pub(super) fn new(
        store: S,
        at: Position,
        segment_bytes: u64,
        inner: Weak<Inner>,
        state: Arc<State>,
    ) -> Self {
        state.set(at.sequence, at.hash);
        Self {
            store,
            at,
            segment_bytes,
            inner,
            state,
            dirty: false,
            held: 0,
            owed: VecDeque::new(),
            left: Vec::new(),
            opened: false,
        }
    }

    /// Writes what must come first; what cannot be written waits, before anything else.
    pub(super) fn first(&mut self, events: &[Event]) {
        if let Err(error) = self.write(events, false) {
            self.state.failed();
            tracing::error!(%error, "what the last run left behind cannot be recorded, nothing is begun until it is");
            self.left = events.to_vec();
        }
    }

    /// Writes until nobody can ask any more.
    pub(super) fn run(mut self, asked: &Receiver<Ask>) {
        loop {
            let first = if self.owed.is_empty() && self.left.is_empty() {
                asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                asked.recv_timeout(AGAIN)
            };
            let (mut begins, mut notes) = (Vec::new(), Vec::new());
            match first {
                Ok(ask) => {
                    let more = asked.try_iter().take(BATCH);
                    for ask in std::iter::once(ask).chain(more) {
                        match ask {
                            Ask::Begin(begin) => begins.push(begin),
                            Ask::End(ended) => self.owed.push_back(ended),
                            Ask::Refuse(what, detail) => notes.push(Event::Refused {
                                what: *what,
                                detail,
                            }),
                            Ask::Read(what) => notes.push(Event::Read(*what)),
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.settle();
                    return;
                }
            }
            let settled = self.settle();
            self.note(&notes);
            self.begin(begins, settled);
        }
    }

    /// Writes the outcomes that wait.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if !self.left.is_empty() {
            let left = std::mem::take(&mut self.left);
            if let Err(error) = self.write(&left, false) {
                self.left = left;
                return Err(error);
            }
        }
        if self.owed.is_empty() {
            return Ok(());
        }
        let events = self.owed.iter().map(|ended| Event::Ended {
            of: ended.of,
            what: (*ended.what).clone(),
            outcome: ended.outcome.to_owned(),
            detail: ended.detail.clone(),
        });
        let events: Vec<Event> = events.collect();
        let written = self.write(&events, false);
        match &written {
            Ok(_) => {
                for ended in self.owed.drain(..) {
                    self.held = self.held.saturating_sub(ended.room);
                    // Its place is free before anybody hears that it is done.
                    drop(ended._permit);
                    ended.reply.map(|reply| reply.send(()));
                }
            }
            Err(error) => {
                self.state.failed();
                tracing::error!(%error, waiting = self.owed.len(), "outcome cannot be recorded, nothing is begun until it is");
                for ended in &mut self.owed {
                    ended.reply.take().map(|reply| reply.send(()));
                }
            }
        }
        written.map(|_| ())
    }

    /// Writes what was refused and read; what cannot be written is counted, and nobody waits for it.
    fn note(&mut self, notes: &[Event]) {
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.write(notes, false) {
            self.state.failed();
            tracing::error!(%error, lost = notes.len(), "refusals and readings cannot be recorded");
            if let Some(inner) = self.inner.upgrade() {
                for event in notes {
                    match event {
                        Event::Refused { what, .. } => inner.refusals.lost(what.via != "none"),
                        _ => inner.readings.lost(),
                    }
                }
            }
        }
    }

    fn begin(&mut self, begins: Vec<Begin>, settled: io::Result<()>) {
        if begins.is_empty() {
            return;
        }
        let events: Vec<Event> = begins
            .iter()
            .map(|begin| Event::Begun((*begin.what).clone()))
            .collect();
        let written = settled.and_then(|()| self.write(&events, true));
        let refused = match written {
            Ok((first, rooms)) => {
                for ((of, begin), room) in (first..).zip(begins).zip(rooms) {
                    let Begin {
                        what,
                        permit,
                        reply,
                    } = begin;
                    let Some(inner) = self.inner.upgrade() else {
                        self.owed.push_back(Ended {
                            of,
                            what,
                            outcome: "abandoned",
                            detail: String::new(),
                            reply: None,
                            room,
                            _permit: permit,
                        });
                        continue;
                    };
                    // Who asked may be gone: then it is dropped here, which records it as abandoned.
                    let _ = reply.send(Ok(Pending::new(inner, of, what, (permit, room))));
                }
                return;
            }
            Err(error) => error,
        };
        self.state.failed();
        tracing::error!(error = %refused, "change cannot be recorded and is refused");
        for Begin { permit, reply, .. } in begins {
            drop(permit);
            let again = io::Error::new(refused.kind(), toolkit::chain(&refused));
            let _ = reply.send(Err(AuditError::Write(again)));
        }
    }

    /// Appends records and makes them durable, all or none; returns the number of the first. With `hold` room is kept free for an
    /// outcome of each, which repeats it; the bytes for each are returned.
    pub(super) fn write(&mut self, events: &[Event], hold: bool) -> io::Result<(u64, Vec<u64>)> {
        self.check()?;
        self.mend()?;
        self.rotate()?;
        let first = self.at.sequence + 1;
        let mut next = self.at;
        let mut bytes = Vec::new();
        let time = format!("{:.6}", jiff::Timestamp::now());
        let (mut hashes, mut rooms) = (Vec::new(), Vec::new());
        for event in events {
            next.sequence += 1;
            let entry = Entry {
                seq: next.sequence,
                time: time.clone(),
                event: event.clone(),
                prev: hex(&next.hash),
            };
            let (line, hash) = entry.line()?;
            next.hash = hash;
            hashes.push(hash);
            rooms.push(line.len() as u64 + OUTCOME);
            bytes.extend_from_slice(&line);
        }
        let size = bytes.len() as u64;
        next.len += size;
        let held = self.held + rooms.iter().sum::<u64>();
        if hold {
            self.store.reserve(size + held)?;
        }
        if let Err(error) = self.store.append(&bytes) {
            self.dirty = true;
            let _ = self.mend();
            return Err(error);
        }
        if hold {
            self.held = held;
        }
        self.at = next;
        self.state.set(next.sequence, next.hash);
        self.store.keep(&Anchor {
            sequence: next.sequence,
            hash: next.hash,
        });
        for ((sequence, event), hash) in (first..).zip(events).zip(&hashes) {
            report(sequence, event, hash);
        }
        Ok((first, rooms))
    }

    /// Sees whether the log is what was written; goes on where it was restored.
    fn check(&mut self) -> io::Result<()> {
        match self.store.check(&self.at, self.dirty) {
            Ok(None) => self.opened = true,
            Ok(Some(found)) => {
                let at = found.at;
                tracing::warn!(
                    before = self.at.sequence,
                    sequence = at.sequence,
                    "the audit log goes on: it is whole again, or somebody declared what is lost"
                );
                self.at = at;
                self.dirty = false;
                // What this process began, it ends itself.
                if !std::mem::replace(&mut self.opened, true) {
                    self.left.extend(found.events);
                }
                self.state.set(at.sequence, at.hash);
            }
            Err(error) => {
                let why = toolkit::chain(&error);
                if self.state.refuses(Some(why.clone())) {
                    tracing::error!(
                        error = why,
                        "the audit log is not what was written: nothing is recorded, and nothing changed, until `sotp-audit resume` declares what is lost"
                    );
                }
                return Err(io::Error::other(error));
            }
        }
        self.state.refuses(None);
        Ok(())
    }

    /// Cuts off what a failed append left, which gives away the room that was kept, and takes that again.
    fn mend(&mut self) -> io::Result<()> {
        if self.dirty {
            self.store.cut(self.at.len)?;
            self.dirty = false;
            if self.held > 0 {
                let _ = self.store.reserve(self.held);
            }
        }
        Ok(())
    }

    /// Goes on in a new file when this one is full, as soon as nothing is pending; when that never happens, at twice the size.
    fn rotate(&mut self) -> io::Result<()> {
        let full = self.at.len >= self.segment_bytes;
        if full && (self.held == 0 || self.at.len / 2 >= self.segment_bytes) {
            // The room that was kept at the end is given back.
            self.store.cut(self.at.len)?;
            self.store.rotate(self.at.sequence + 1)?;
            self.at.len = 0;
        }
        Ok(())
    }
}

/// One log line a record, with which the record is anchored wherever the log goes.
fn report(seq: u64, event: &Event, hash: &Hash) {
    let hash = hex(hash);
    match event {
        Event::Begun(what) => tracing::info!(
            target: "audit", seq, hash, event = "begun", subject = what.subject, display = what.display, via = what.via,
            role = what.role, verb = what.verb, object = what.object, request_trace = what.trace_id, "audit"
        ),
        Event::Ended {
            of,
            what,
            outcome,
            detail,
        } => tracing::info!(
            target: "audit", seq, hash, event = "ended", of, subject = what.subject, display = what.display, via = what.via,
            role = what.role, verb = what.verb, object = what.object, request_trace = what.trace_id, outcome, detail, "audit"
        ),
        Event::Refused { what, detail } => tracing::info!(
            target: "audit", seq, hash, event = "refused", subject = what.subject, display = what.display, via = what.via,
            role = what.role, verb = what.verb, object = what.object, request_trace = what.trace_id, detail, "audit"
        ),
        Event::Read(what) => tracing::info!(
            target: "audit", seq, hash, event = "read", subject = what.subject, display = what.display, via = what.via,
            role = what.role, verb = what.verb, object = what.object, request_trace = what.trace_id, "audit"
        ),
        Event::Resumed { .. } => {}
        Event::Recovered { bytes, whole, .. } => {
            tracing::warn!(target: "audit", seq, hash, event = "recovered", bytes, whole, "audit");
        }
    }
}
