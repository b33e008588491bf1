//! The audit log: who did what, when and with what outcome, in a chain that cannot be quietly changed.
//!
//! Each record is one line of JSON with the SHA-256 of the record before, in files that are only appended to. A change is recorded
//! before it is made ([`Audit::begin`]) and again with its outcome ([`Pending::finish`]); what cannot be recorded must not be made.
//! [`verify`] finds what was changed, dropped, inserted or reordered. Whoever can write the files can also write a whole new chain, or
//! cut its end off: against that stands the head, which is a metric, is in the log line of each record, and is anchored outside.

mod anchor;
mod head;
mod line;
mod logins;
pub(crate) mod pages;
mod readings;
mod recover;
mod refusals;
mod resume;
mod segment;
mod series;
mod store;
pub mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::action::Action;
use crate::caller::{Caller, Role, Via};
use line::{Entry, Event, Hash, What, hex};
use readings::Readings;
use refusals::Refusals;
use writer::{Ask, Ended, Writer};

pub use anchor::{Anchor, NoAnchor};
pub use logins::wrong_logins;
pub use resume::{Declared, Resume, ResumeError, resume};
pub use verify::{Finding, Report};

/// What is about to be done, recorded before it is; or what was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who, with the role with which they were let through; `None` for somebody who is not known, to whom only a refusal happens.
    pub caller: Option<Caller>,
    /// The verb, as the service names it.
    pub verb: String,
    /// What it is done to: `device/r1`.
    pub object: String,
    /// The trace of the request, where there is one.
    pub trace_id: Option<String>,
    /// SHA-256 of what was asked, [`request_hash`].
    pub request_hash: [u8; 32],
}

impl Record {
    /// What a service does by itself, on its schedule or because of what it saw; `hash` is of that.
    #[must_use]
    pub fn of_service(service: &str, action: &Action, hash: [u8; 32]) -> Self {
        Self {
            caller: Some(Caller {
                subject: service.to_owned(),
                display: service.to_owned(),
                role: Role::Admin,
                via: Via::Service,
            }),
            verb: action.verb().name().to_owned(),
            object: action.object(),
            trace_id: toolkit::trace::current_id(),
            request_hash: hash,
        }
    }
}

/// How it ended. A detail of more than 512 characters is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done; the detail says what came of it: a version, a job id.
    Done(String),
    /// Not done, because of what was asked: invalid, in conflict.
    Refused(String),
    /// Not done, or in part, because something broke.
    Failed(String),
}

/// Bounds of the log, and where its newest record is noted.
#[derive(Debug, Clone)]
pub struct Options {
    /// A file that has grown to so many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// Records that may wait for their outcome at a time.
    pub most_pending: usize,
    /// File in which the newest record is noted, by which a start sees that the log was taken away or cut; without it, the folder's path
    /// with `.head` behind. It should not lie in the folder.
    pub head: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            most_pending: 1024,
            head: None,
        }
    }
}

/// Why the log cannot be opened, or something cannot be recorded; then it must not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The folder or a file in it cannot be read.
    #[error("audit log {folder} cannot be opened")]
    Open {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another process writes to it.
    #[error("audit log {0} is open in another process")]
    Locked(String),
    /// Its last files are not what was written.
    #[error(
        "audit log {folder} is damaged: {finding}; see `sotp-audit verify` and `sotp-audit resume`"
    )]
    Damaged {
        /// The folder.
        folder: String,
        /// The first thing that is wrong.
        finding: Box<Finding>,
    },
    /// It vanished, was replaced or cut.
    #[error("audit log {folder} is not what was written: {what}")]
    Lost {
        /// The folder.
        folder: String,
        /// What is wrong with it.
        what: String,
    },
    /// A record cannot be written.
    #[error("audit record cannot be written")]
    Write(#[source] std::io::Error),
    /// Too many records wait for their outcome.
    #[error("too many changes at a time")]
    Busy,
    /// Names of the record are longer than a record may be.
    #[error("the record has {found} bytes, expected at most {most}")]
    TooLong {
        /// Bytes it would have.
        found: usize,
        /// Bytes it may have.
        most: usize,
    },
    /// The writing thread is gone.
    #[error("the audit log is closed")]
    Closed,
}

/// What the service noted of the newest record, beside a log in this folder: an anchor for [`verify`] that costs nothing.
///
/// # Errors
/// There is a note, and it cannot be read.
pub fn noted(folder: &Path) -> Result<Option<Anchor>, String> {
    head::read(&head::beside(folder))
}

/// Longest line of a beginning; its outcome repeats it and has room for more.
const LONGEST_BEGUN: usize = 16 * 1024;
/// Most characters of a detail.
const LONGEST_DETAIL: usize = 512;

/// The open log; clones write to the same one.
#[derive(Clone)]
pub struct Audit {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("head", &self.head()).finish()
    }
}

/// What callers share with the writing thread.
struct Inner {
    ask: Mutex<Option<Sender<Ask>>>,
    places: Arc<Semaphore>,
    most_pending: usize,
    state: Arc<State>,
    refusals: Refusals,
    readings: Readings,
    /// Where its files are; not set while a test has it elsewhere.
    folder: OnceLock<PathBuf>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread tells.
#[derive(Default)]
pub(crate) struct State(Mutex<Progress>, Mutex<Option<String>>);

#[derive(Default, Clone, Copy)]
pub(crate) struct Progress {
    sequence: u64,
    hash: Hash,
    failures: u64,
    recovered: u64,
}

impl Progress {
    fn head(&self) -> Anchor {
        Anchor {
            sequence: self.sequence,
            hash: self.hash,
        }
    }
}

impl State {
    fn told(&self) -> Progress {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, sequence: u64, hash: Hash) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (told.sequence, told.hash) = (sequence, hash);
    }

    fn failed(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failures += 1;
    }

    /// Notes why nothing can be recorded; `true` when that is news.
    fn refuses(&self, why: Option<String>) -> bool {
        let mut refusing = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let news = why.is_some() && *refusing != why;
        *refusing = why;
        news
    }

    /// Why nothing can be recorded now.
    fn refusing(&self) -> Option<String> {
        self.1
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn recovered(&self, count: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recovered += count;
    }
}

impl Inner {
    fn ask(&self, ask: Ask) -> bool {
        let sender = self.ask.lock().unwrap_or_else(PoisonError::into_inner);
        sender
            .as_ref()
            .is_some_and(|sender| sender.send(ask).is_ok())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The thread writes what waits, ends, and lets go of the folder.
        drop(
            self.ask
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread.filter(|it| it.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Audit {
    /// Opens the log in a folder, which is made, for this user alone, when it is not there.
    ///
    /// The last two files are read and verified. A last line without an end, which a crash leaves, is recovered, and whatever was
    /// begun without an outcome gets the outcome `unknown`; both are recorded.
    ///
    /// A log that cannot be made or read, is damaged, or does not hold the record that was noted last is open all the same, so that
    /// what only reads goes on: it tells why in the log and in `sotp_audit_refusing`, and takes no record until it is whole again or
    /// [`resume`] declared what is lost.
    ///
    /// # Errors
    /// Another process has it open.
    pub fn open(folder: &Path, options: Options) -> Result<Self, AuditError> {
        let Options {
            segment_bytes,
            most_pending,
            head,
        } = options;
        let head = head.unwrap_or_else(|| head::beside(folder));
        let options = Options {
            segment_bytes,
            most_pending,
            head: None,
        };
        let (store, found) = store::Files::open(folder, &head)?;
        let expected = store.expected();
        let audit = match found {
            Ok(found) => Self::start(store, &found, &options)?,
            Err(error) => {
                let why = toolkit::chain(&error);
                tracing::error!(
                    error = why,
                    "the audit log takes no record, and nothing is changed"
                );
                let none = recover::Recovered {
                    at: segment::Position {
                        sequence: expected.map_or(0, |it| it.sequence),
                        hash: expected.map_or(line::GENESIS, |it| it.hash),
                        len: 0,
                    },
                    events: Vec::new(),
                };
                let audit = Self::start(store, &none, &options)?;
                audit.inner.state.refuses(Some(why));
                audit
            }
        };
        let _ = audit.inner.folder.set(folder.to_owned());
        Ok(audit)
    }

    fn start<S: store::Store>(
        store: S,
        found: &recover::Recovered,
        options: &Options,
    ) -> Result<Self, AuditError> {
        let (ask, asked) = channel();
        let state = Arc::new(State::default());
        let inner = Arc::new(Inner {
            ask: Mutex::new(Some(ask)),
            places: Arc::new(Semaphore::new(options.most_pending)),
            most_pending: options.most_pending,
            state: Arc::clone(&state),
            refusals: Refusals::default(),
            readings: Readings::default(),
            folder: OnceLock::new(),
            thread: Mutex::default(),
        });
        let weak = Arc::downgrade(&inner);
        let mut writer = Writer::new(store, found.at, options.segment_bytes, weak, state);
        if !found.events.is_empty() {
            writer.state.recovered(found.events.len() as u64);
            writer.first(&found.events);
        }
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(&asked))
            .map_err(AuditError::Write)?;
        *inner.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Self { inner })
    }

    /// Records what is about to be done; it is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be recorded, and must not be done.
    pub async fn begin(&self, record: Record) -> Result<Pending, AuditError> {
        let answer = self.asked(record)?;
        answer.await.unwrap_or(Err(AuditError::Closed))
    }

    fn asked(
        &self,
        record: Record,
    ) -> Result<oneshot::Receiver<Result<Pending, AuditError>>, AuditError> {
        let what = Box::new(What::from(record));
        check(&what)?;
        let places = Arc::clone(&self.inner.places);
        let permit = places.try_acquire_owned().map_err(|_| AuditError::Busy)?;
        let (reply, answer) = oneshot::channel();
        if !self.inner.ask(Ask::Begin(writer::Begin {
            what,
            permit,
            reply,
        })) {
            return Err(AuditError::Closed);
        }
        Ok(answer)
    }

    /// Records that something was refused, soon. The detail is cut as that of an outcome.
    ///
    /// Who is refused costs the log a bounded amount: of those who are not known one a second is recorded after the first
    /// sixty, of those who are ten a second after the first three hundred. The rest is counted, and the next record says how many.
    pub fn refuse(&self, record: Record, detail: &str) {
        let known = record.caller.is_some();
        let Ok(skipped) = self.inner.refusals.take(known) else {
            return;
        };
        let mut detail: String = detail.chars().take(LONGEST_DETAIL).collect();
        if skipped > 0 {
            detail.push_str(&format!("; {skipped} more were refused and not recorded"));
        }
        let what = Box::new(What::from(record));
        let fits = check(&what).is_ok();
        if !(fits && self.inner.ask(Ask::Refuse(what, detail))) {
            self.inner.refusals.lost(known);
        }
    }

    /// Records, soon, that something was read which is not for everybody; the same by the same caller within ten minutes is one record.
    ///
    /// Who reads without end costs the log a bounded amount: ten records a second after the first three hundred. The rest is counted.
    pub fn read(&self, record: Record) {
        if !self.inner.readings.take(&record) {
            return;
        }
        let what = Box::new(What::from(record));
        if !(check(&what).is_ok() && self.inner.ask(Ask::Read(what))) {
            self.inner.readings.lost();
        }
    }

    /// As [`begin`](Self::begin), on a thread that may block; never on one that drives tasks.
    ///
    /// # Errors
    /// It cannot be recorded, and must not be done.
    pub fn begin_blocking(&self, record: Record) -> Result<Pending, AuditError> {
        self.asked(record)?
            .blocking_recv()
            .unwrap_or(Err(AuditError::Closed))
    }

    /// Why nothing can be recorded now: the log vanished, was replaced, cut or damaged.
    #[must_use]
    pub fn refusing(&self) -> Option<String> {
        self.inner.state.refusing()
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.inner.folder.get().map(PathBuf::as_path)
    }

    /// The newest record, to be kept elsewhere; number 0 before the first.
    #[must_use]
    pub fn head(&self) -> Anchor {
        self.inner.state.told().head()
    }
}

/// Whether a record stays within what a line may have.
fn check(what: &What) -> Result<(), AuditError> {
    let entry = Entry {
        seq: u64::MAX,
        time: String::new(),
        event: Event::Begun(what.clone()),
        prev: String::new(),
    };
    let (line, _) = entry
        .line()
        .map_err(|error| AuditError::Write(error.into()))?;
    if line.len() > LONGEST_BEGUN {
        return Err(AuditError::TooLong {
            found: line.len(),
            most: LONGEST_BEGUN,
        });
    }
    Ok(())
}

impl From<Record> for What {
    fn from(record: Record) -> Self {
        let (via, role) = match &record.caller {
            Some(caller) => (caller.via.as_str(), caller.role.as_str()),
            None => ("none", "none"),
        };
        let (via, role) = (via.to_owned(), role.to_owned());
        let (subject, display) = record
            .caller
            .map(|caller| (caller.subject, caller.display))
            .unwrap_or_default();
        Self {
            subject,
            display,
            via,
            role,
            verb: record.verb,
            object: record.object,
            trace_id: record.trace_id,
            request_hash: hex(&record.request_hash),
        }
    }
}

/// What was recorded as begun and waits for its outcome. Dropped without one it is recorded as abandoned.
#[must_use = "what was begun must be finished with its outcome"]
pub struct Pending {
    inner: Arc<Inner>,
    of: u64,
    /// Until it is finished: what it was, its place among the pending ones, and the room that is kept for its outcome.
    open: Option<(Box<What>, (OwnedSemaphorePermit, u64))>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("of", &self.of)
            .finish_non_exhaustive()
    }
}

impl Pending {
    fn new(
        inner: Arc<Inner>,
        of: u64,
        what: Box<What>,
        place: (OwnedSemaphorePermit, u64),
    ) -> Self {
        Self {
            inner,
            of,
            open: Some((what, place)),
        }
    }

    /// Its number in the log.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.of
    }

    /// Records how it ended. An outcome that cannot be written now is written before anything else is begun.
    pub async fn finish(self, outcome: Outcome) {
        let _ = self.finishing(outcome).await;
    }

    /// As [`finish`](Self::finish), on a thread that may block.
    pub fn finish_blocking(self, outcome: Outcome) {
        let _ = self.finishing(outcome).blocking_recv();
    }

    fn finishing(mut self, outcome: Outcome) -> oneshot::Receiver<()> {
        let (outcome, detail) = match outcome {
            Outcome::Done(detail) => ("done", detail),
            Outcome::Refused(detail) => ("refused", detail),
            Outcome::Failed(detail) => ("failed", detail),
        };
        let (reply, written) = oneshot::channel();
        self.end(outcome, &detail, Some(reply));
        written
    }

    fn end(&mut self, outcome: &'static str, detail: &str, reply: Option<oneshot::Sender<()>>) {
        let Some((what, (permit, room))) = self.open.take() else {
            return;
        };
        self.inner.ask(Ask::End(Ended {
            of: self.of,
            what,
            outcome,
            detail: detail.chars().take(LONGEST_DETAIL).collect(),
            reply,
            room,
            _permit: permit,
        }));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.end("abandoned", "", None);
    }
}

/// SHA-256 over method, path with query, and body of a request, each with its length in 64 bits, little end first.
#[must_use]
pub fn request_hash(request: &toolkit::Request) -> [u8; 32] {
    use sha2::Digest as _;
    let mut digest = sha2::Sha256::new();
    let path = request.uri().path_and_query().map_or("", |it| it.as_str());
    for part in [
        request.method().as_str().as_bytes(),
        path.as_bytes(),
        request.body(),
    ] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
