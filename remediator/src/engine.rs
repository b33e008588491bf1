//! The state machine at work: alerts become jobs, jobs are driven from state to state, each step on disk before what it announces.
//!
//! One loop takes what the journal holds: alerts without jobs, jobs whose time has come. Each job is driven in a task of its own; what two
//! of them may not do at once is kept apart by the journal (claims, steps), by a lock for each device and by the rails.

mod bench;
mod confirm;
mod drive;
mod intake;
mod propose;
mod typing;
mod verify;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inventory::{Device, Feed};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use toolkit::Stop;

use crate::clock::Clock;
use crate::drift::Archive;
use crate::job::{Job, State};
use crate::journal::{Answered, CommandJob, Filter, Journal, JournalError, Switch};
use crate::metrics::Metrics;
use crate::proof::Proof;
use crate::rails::{Rails, Subject};
use crate::session::Access;
use crate::setup::Setup;
use crate::silences::Silences;

/// The longest time between two looks at the journal.
const LOOK: Duration = Duration::from_secs(1);
/// Jobs that are driven at once.
const AT_ONCE: usize = 64;
/// Sessions at once.
const SESSIONS: usize = 16;
/// Open jobs that are looked at in one round.
const ROUND: u32 = 1_000;
/// How long alerts that are done, and what others reported, are kept.
const SHORT: i64 = 7 * 24 * 3_600_000;
/// How long jobs that are over are kept.
const LONG: i64 = 400 * 24 * 3_600_000;

/// Told of every row of a job.
pub trait Witness: Send + Sync + 'static {
    /// A job moved; its output is in the job.
    fn moved(&self, job: &Job, from: Option<State>);

    /// A device answered a console command, or did not.
    fn answered(&self, job: &CommandJob, device: &Device, answer: &Answered);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Witness for Silent {
    fn moved(&self, _: &Job, _: Option<State>) {}

    fn answered(&self, _: &CommandJob, _: &Device, _: &Answered) {}
}

/// What the engine works with.
pub struct Parts {
    /// The journal.
    pub journal: Journal,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The devices.
    pub access: Arc<dyn Access>,
    /// Prometheus.
    pub proof: Arc<dyn Proof>,
    /// Alertmanager's silences.
    pub silences: Arc<dyn Silences>,
    /// The history of configurations.
    pub archive: Arc<dyn Archive>,
    /// The inventory.
    pub feed: Feed,
    /// What is in force.
    pub setup: Box<dyn Fn() -> Arc<Setup> + Send + Sync>,
    /// The series.
    pub metrics: Arc<Metrics>,
    /// Who is told of what happens.
    pub witness: Arc<dyn Witness>,
}

/// The engine; one in a process.
pub struct Engine {
    /// What it works with.
    pub parts: Parts,
    rails: Mutex<Rails>,
    wake: Notify,
    driven: Mutex<HashSet<String>>,
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    sessions: Semaphore,
    paused: AtomicBool,
    /// The journal cannot be written now.
    failing: AtomicBool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// The engine as the journal left it: what was being typed when the last process ended is unknown now.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, JournalError> {
        let engine = Self {
            rails: Mutex::default(),
            wake: Notify::new(),
            driven: Mutex::default(),
            locks: Mutex::default(),
            sessions: Semaphore::new(SESSIONS),
            paused: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            parts,
        };
        let switch = engine.parts.journal.switch().await?;
        engine.apply(&switch);
        engine.recall().await?;
        let now = engine.parts.clock.now();
        engine.parts.journal.forget_running(now).await?;
        for state in [State::Running, State::Verifying] {
            for mut job in engine.open(Some(state)).await? {
                engine
                    .step(
                        &mut job,
                        State::Unknown,
                        "the process ended while it was at work",
                    )
                    .await?;
            }
        }
        Ok(Arc::new(engine))
    }

    /// Fills the rails with what was done within the last day.
    async fn recall(&self) -> Result<(), JournalError> {
        let now = self.parts.clock.now();
        let since = now - 24 * 3_600_000;
        let filter = Filter {
            since,
            most: 10_000,
            ..Filter::default()
        };
        let jobs = self.parts.journal.jobs(filter).await?;
        let mut starts: Vec<(i64, Subject)> = Vec::new();
        for job in &jobs {
            if job.starts_at > 0 {
                locked(&self.rails).incident(&job.key(), job.starts_at);
            }
            for row in self.parts.journal.rows(&job.id).await? {
                if row.to == State::Running.as_str() {
                    starts.push((row.at, subject(job)));
                }
            }
        }
        starts.sort_by_key(|(at, _)| *at);
        let firing = self.parts.journal.firing(since).await?;
        let mut rails = locked(&self.rails);
        for (fingerprint, device, at) in firing {
            rails.alert(&fingerprint, &device, true, at);
        }
        for (at, subject) in starts {
            rails.recall(subject, at);
        }
        Ok(())
    }

    /// Looks at the journal now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Whether everything is stopped.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire) || self.is_failing()
    }

    /// Whether the journal cannot be written now: nothing is begun meanwhile.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    fn apply(&self, switch: &Switch) {
        self.paused.store(switch.paused, Ordering::Release);
        self.show();
    }

    fn show(&self) {
        self.parts.metrics.paused.set(i64::from(self.is_paused()));
    }

    /// The journal cannot be written now.
    pub(crate) fn fails(&self, error: &JournalError) {
        if !self.failing.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the journal cannot be written: nothing is begun, and webhooks are answered 503, until it can");
        }
        self.show();
    }

    /// Whether the journal can be written again.
    async fn recovers(&self) -> Result<bool, JournalError> {
        match self.parts.journal.probe().await {
            Ok(()) => {
                self.failing.store(false, Ordering::Release);
                self.show();
                tracing::info!("the journal can be written again: work goes on");
                Ok(true)
            }
            Err(error) if error.may_pass() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stops everything, or lets it go on; on disk when it answers.
    ///
    /// # Errors
    /// It cannot be stored; a stop holds for this process all the same.
    pub async fn switch(&self, switch: Switch) -> Result<(), JournalError> {
        // A stop comes before the disk, letting go on after it.
        if switch.paused {
            self.apply(&switch);
        }
        self.parts.journal.set_switch(switch.clone()).await?;
        self.apply(&switch);
        self.wake();
        Ok(())
    }

    /// Works until told to stop, then finishes what is being typed.
    ///
    /// # Errors
    /// The journal cannot be read or written: nothing is done without it.
    pub async fn run(self: &Arc<Self>, stop: &Stop) -> Result<(), JournalError> {
        let mut tasks = JoinSet::new();
        let mut pruned = 0;
        loop {
            let woken = self.wake.notified();
            while tasks.try_join_next().is_some() {}
            let mut done = Ok(());
            if !self.is_failing() || self.recovers().await? {
                done = self.round(&mut tasks).await;
                let now = self.parts.clock.now();
                if done.is_ok() && now - pruned > 3_600_000 {
                    pruned = now;
                    done = self.parts.journal.prune(now - SHORT, now - LONG).await;
                }
            }
            match done {
                Ok(()) => {}
                Err(error) if error.may_pass() => self.fails(&error),
                Err(error) => {
                    // It cannot be said what is true; nothing more is begun before somebody has looked.
                    self.paused.store(true, Ordering::Release);
                    self.show();
                    while tasks.join_next().await.is_some() {}
                    return Err(error);
                }
            }
            // Without the journal nothing is done in a hurry.
            if self.is_failing() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => continue,
                    () = stop.requested() => break,
                }
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(LOOK) => {}
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                () = stop.requested() => break,
            }
        }
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    async fn round(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Result<(), JournalError> {
        while self.take_alerts().await? > 0 {}
        let now = self.parts.clock.now();
        let open = self.open(None).await?;
        let mut counts: HashMap<State, i64> = HashMap::new();
        for job in &open {
            *counts.entry(job.state).or_default() += 1;
        }
        self.parts.metrics.open(&counts);
        // The oldest first.
        for mut job in open.into_iter().rev() {
            let due = match job.state {
                State::AwaitingApproval if job.expires <= now => {
                    self.parts.metrics.suppressed(crate::rails::Rail::Approval);
                    self.step(&mut job, State::Expired, "nobody approved it in time")
                        .await
                        .or_else(moved)?;
                    false
                }
                State::AwaitingApproval => false,
                State::Deferred => job.not_before <= now && !self.is_paused(),
                _ => true,
            };
            if due && tasks.len() < AT_ONCE && locked(&self.driven).insert(job.id.clone()) {
                let engine = Arc::clone(self);
                tasks.spawn(async move {
                    let id = job.id.clone();
                    engine.drive(job).await;
                    locked(&engine.driven).remove(&id);
                });
            }
        }
        self.parts
            .metrics
            .journal_seq
            .set(self.parts.journal.last_row().await?);
        Ok(())
    }

    async fn open(&self, state: Option<State>) -> Result<Vec<Job>, JournalError> {
        self.parts
            .journal
            .jobs(Filter {
                state,
                open: true,
                most: ROUND,
                ..Filter::default()
            })
            .await
    }

    /// Moves the job on disk, then in memory; metrics and witness follow.
    pub(crate) async fn step(
        &self,
        job: &mut Job,
        to: State,
        reason: impl Into<String>,
    ) -> Result<(), JournalError> {
        let (from, reason) = (job.state, reason.into());
        let mut next = job.clone();
        next.state = to;
        next.reason = reason.chars().take(2_000).collect();
        next.updated = self.parts.clock.now();
        self.parts.journal.step(from, &next).await?;
        *job = next;
        tracing::info!(
            job = job.id,
            runbook = job.runbook,
            device = job.device,
            port = job.port,
            from = from.as_str(),
            to = to.as_str(),
            reason = job.reason,
            "job moved"
        );
        if to.is_final() {
            self.parts.metrics.ended(job);
        }
        self.parts.witness.moved(job, Some(from));
        Ok(())
    }

    /// One session at a time on a device.
    pub(crate) fn lock_of(&self, device: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = locked(&self.locks);
        if locks.len() > 10_000 {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        Arc::clone(locks.entry(device.to_owned()).or_default())
    }

    /// A place among the sessions at once.
    pub(crate) async fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.sessions.acquire().await.ok()
    }
}

/// Somebody else moved the job meanwhile: that is no fault.
fn moved(error: JournalError) -> Result<(), JournalError> {
    match error {
        JournalError::Moved(_) | JournalError::Missing => Ok(()),
        error => Err(error),
    }
}

pub(crate) use drive::bounded;

pub(crate) fn subject(job: &Job) -> Subject {
    Subject {
        key: job.key(),
        runbook: job.runbook.clone(),
        device: job.device.clone(),
        site: job.site.clone(),
        role: job.role.clone(),
    }
}
