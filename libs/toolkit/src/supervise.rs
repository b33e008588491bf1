//! Named tasks: restarted with backoff or fatal, by declaration; readiness; the stop signal.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use prometheus::{IntCounterVec, IntGaugeVec};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What to do when a task ends, fails or panics before the service stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEnd {
    /// Start it again after a pause that doubles from half a second to half a minute, with jitter.
    Restart,
    /// The service cannot go on without it: drain and exit 1.
    Fail,
}

/// The signal to stop: a task that sees it finishes what it holds and returns.
#[derive(Debug, Clone)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A signal that nothing triggers but [`trigger`](Self::trigger): for tests of a task.
    #[must_use]
    pub fn new() -> Self {
        Self(CancellationToken::new())
    }

    /// Triggers the signal, for good.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Waits for the signal.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

/// One condition of readiness; it starts closed and `/-/ready` answers 503 while any is closed.
#[derive(Debug, Clone)]
pub struct Latch(Arc<AtomicBool>);

impl Latch {
    /// The condition holds.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// The condition does not hold any more.
    pub fn close(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The conditions of readiness.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gates(Arc<Mutex<Vec<(String, Latch)>>>);

impl Gates {
    pub(crate) fn add(&self, name: &str) -> Latch {
        let latch = Latch(Arc::new(AtomicBool::new(false)));
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name.to_owned(), latch.clone()));
        latch
    }

    /// Names of the closed ones.
    pub(crate) fn closed(&self) -> Vec<String> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates
            .iter()
            .filter(|(_, open)| !open.0.load(Ordering::Acquire))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that ran for so long starts again with the first pause.
const STEADY: Duration = Duration::from_secs(60);

/// Starts supervised tasks on the main pool, during and after the build.
#[derive(Debug, Clone)]
pub struct Spawner {
    pool: tokio::runtime::Handle,
    stop: Stop,
    started: CancellationToken,
    tracker: TaskTracker,
    failed: mpsc::Sender<&'static str>,
    restarts: IntCounterVec,
    running: IntGaugeVec,
}

impl Spawner {
    pub(crate) fn new(
        pool: tokio::runtime::Handle,
        registry: &prometheus::Registry,
    ) -> prometheus::Result<(Self, mpsc::Receiver<&'static str>)> {
        let restarts = IntCounterVec::new(
            prometheus::opts!(
                "sotp_task_restarts_total",
                "Starts of a supervised task after its first."
            ),
            &["task"],
        )?;
        let running = IntGaugeVec::new(
            prometheus::opts!("sotp_tasks_running", "Supervised tasks that run now."),
            &["task"],
        )?;
        registry.register(Box::new(restarts.clone()))?;
        registry.register(Box::new(running.clone()))?;
        let (failed, failures) = mpsc::channel(16);
        let spawner = Self {
            pool,
            stop: Stop::new(),
            started: CancellationToken::new(),
            tracker: TaskTracker::new(),
            failed,
            restarts,
            running,
        };
        Ok((spawner, failures))
    }

    /// Starts a task; `name` is its label in logs and metrics, so it comes from a fixed set.
    pub fn spawn<F, M>(&self, name: &'static str, policy: OnEnd, make: M)
    where
        M: Fn(Stop) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.restarts.with_label_values(&[name]);
        let own = self.clone();
        self.tracker.spawn_on(
            async move { own.supervise(name, policy, make).await },
            &self.pool,
        );
    }

    /// Lets the tasks run; before it they wait.
    pub(crate) fn start(&self) {
        self.started.cancel();
    }

    /// Asks every task to end and waits until all have.
    pub(crate) async fn drain(&self) {
        self.stop.trigger();
        self.started.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Tasks that have not ended.
    pub(crate) fn left(&self) -> usize {
        self.tracker.len()
    }

    async fn supervise<F, M>(&self, name: &'static str, policy: OnEnd, make: M)
    where
        M: Fn(Stop) -> F,
        F: Future<Output = anyhow::Result<()>>,
    {
        self.started.cancelled().await;
        let mut pause = FIRST_PAUSE;
        let running = self.running.with_label_values(&[name]);
        while !self.stop.is_requested() {
            let began = Instant::now();
            running.inc();
            // The call that makes the future may panic as well as its polls.
            let made = std::panic::catch_unwind(AssertUnwindSafe(|| make(self.stop.clone())));
            let end = match made {
                Ok(task) => AssertUnwindSafe(task).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            running.dec();
            let reason = match end {
                _ if self.stop.is_requested() => {
                    if let Ok(Err(error)) = end {
                        tracing::error!(
                            task = name,
                            error = format!("{error:#}"),
                            "task failed while draining"
                        );
                    }
                    return;
                }
                Ok(Ok(())) => "ended".to_owned(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(panic) => format!("panicked: {}", panic_text(&*panic)),
            };
            if policy == OnEnd::Fail {
                tracing::error!(task = name, reason, "task ended, the service cannot go on");
                let _ = self.failed.try_send(name);
                return;
            }
            if began.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            let wait = jittered(pause);
            tracing::error!(
                task = name,
                reason,
                restart_in_seconds = wait.as_secs_f64(),
                "task ended, it starts again"
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.requested() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.restarts.with_label_values(&[name]).inc();
        }
    }
}

/// Between half of the pause and the whole.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
