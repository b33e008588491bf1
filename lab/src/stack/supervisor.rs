//! A small supervisor: starts processes in order, starts them again when they end, ends them all.
//!
//! Invariants: a process runs in its own process group, so that a Ctrl-C at the terminal reaches the
//! launcher alone; it dies with the launcher (`setpriv --pdeathsig`); after [`Supervisor::end`] none
//! of the processes and nothing of their groups is left.

mod child;

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufRead, BufReader};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::http;
use super::output::Output;
use super::process::{ListError, Process, order};
use super::status::{Board, State, States};
use super::tls::Certificates;
use child::Running;

/// First pause before a restart; it doubles with each end that follows soon.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest pause before a restart, jitter aside.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that ran this long starts with the first pause again.
const LONG_ENOUGH: Duration = Duration::from_secs(30);
/// Time between two looks at a readiness URL.
const LOOK: Duration = Duration::from_millis(50);
/// Exit status of a bad command line or configuration: starting again cannot help.
const USAGE: i32 = 64;
/// Exit status by which `setpriv`, like a shell, says that the program is not one.
const CANNOT_RUN: i32 = 126;
/// Exit status by which `setpriv`, like a shell, says that there is no such program.
const NOT_FOUND: i32 = 127;

/// Processes under supervision.
#[derive(Debug)]
pub(crate) struct Supervisor {
    processes: Vec<Process>,
    groups: Vec<Vec<usize>>,
    board: Arc<Board>,
    output: Arc<Output>,
    stops: Vec<watch::Sender<bool>>,
    tasks: Vec<JoinHandle<()>>,
    again: Again,
}

/// The processes that run, each by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Again(Arc<Mutex<BTreeMap<String, Pid>>>);

impl Again {
    /// Ends a process, which its keeper starts again; nothing when it does not run.
    pub(crate) fn start(&self, name: &str) {
        if let Some(pid) = self.running().get(name) {
            let _ = kill(*pid, Signal::SIGTERM);
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Needed processes that did not become ready.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub(crate) struct NotReady(pub(crate) Vec<String>);

impl Supervisor {
    /// Starts `processes`, each when those it comes after are ready. Must run inside a Tokio runtime
    /// whose thread lives as long as the processes shall.
    ///
    /// # Errors
    /// The list itself is at fault; then nothing was started.
    pub(crate) fn start(
        processes: Vec<Process>,
        output: Arc<Output>,
        board: Arc<Board>,
        certificates: Option<&Certificates>,
    ) -> Result<Self, ListError> {
        let groups = order(&processes)?;
        let again = Again::default();
        let (stops, tasks) = processes
            .iter()
            .map(|process| {
                let (stop, stopped) = watch::channel(false);
                let keeper = Keeper {
                    process: process.clone(),
                    output: Arc::clone(&output),
                    board: Arc::clone(&board),
                    certificates: certificates.cloned(),
                    again: again.clone(),
                    stopped,
                };
                (stop, tokio::spawn(keeper.keep()))
            })
            .unzip();
        Ok(Self {
            processes,
            groups,
            board,
            output,
            stops,
            tasks,
            again,
        })
    }

    /// A way to start single processes again.
    pub(crate) fn again(&self) -> Again {
        self.again.clone()
    }

    /// Waits until every needed process is ready and every other is ready or has failed, for `limit` at most.
    ///
    /// # Errors
    /// Names each needed process that is not ready, with the reason.
    pub(crate) async fn ready(&self, limit: Duration) -> Result<States, NotReady> {
        settle(self.board.watch(), &self.processes, limit).await
    }

    /// A view of the states that can be waited on.
    #[cfg(test)]
    pub(crate) fn states(&self) -> watch::Receiver<States> {
        self.board.watch()
    }

    /// Ends all, those that came last first; what is not gone after its share of `limit` is killed.
    pub(crate) async fn end(self, limit: Duration) {
        let share = limit / u32::try_from(self.groups.len().max(1)).unwrap_or(1);
        let mut tasks: Vec<Option<JoinHandle<()>>> = self.tasks.into_iter().map(Some).collect();
        for group in self.groups.iter().rev() {
            for &at in group {
                self.stops[at].send_replace(true);
            }
            let deadline = Instant::now() + share;
            for &at in group {
                let Some(mut task) = tasks[at].take() else {
                    continue;
                };
                if timeout_at(deadline, &mut task).await.is_err() {
                    self.output
                        .event(&format!("{} does not end, killed", self.processes[at].name));
                    // Dropping the child of an aborted task kills it and its group.
                    task.abort();
                    let _ = task.await;
                }
                self.board.set(&self.processes[at].name, State::Ended);
            }
        }
    }
}

/// Waits on `states` as [`Supervisor::ready`] says.
///
/// # Errors
/// Names each needed process that is not ready, with the reason.
pub(crate) async fn settle(
    mut states: watch::Receiver<States>,
    processes: &[Process],
    limit: Duration,
) -> Result<States, NotReady> {
    let settled = |states: &States| {
        let mut all = true;
        for process in processes {
            match states.get(&process.name) {
                Some(State::Ready { .. }) => {}
                Some(State::Failed { .. }) if process.needed => return true,
                Some(State::Failed { .. }) => {}
                _ => all = false,
            }
        }
        all
    };
    let _ = timeout(limit, states.wait_for(settled)).await;
    let states = states.borrow().clone();
    let missing: Vec<String> = processes
        .iter()
        .filter(|process| process.needed)
        .filter_map(|process| Some((&process.name, states.get(&process.name)?)))
        .filter_map(|(name, state)| match state {
            State::Ready { .. } => None,
            State::Failed { why } | State::Restarting { why } => Some(format!("{name} {why}")),
            _ => Some(format!(
                "{name} is not ready after {:.0} s",
                limit.as_secs_f64()
            )),
        })
        .collect();
    if missing.is_empty() {
        Ok(states)
    } else {
        Err(NotReady(missing))
    }
}

/// The task that keeps one process running.
struct Keeper {
    process: Process,
    output: Arc<Output>,
    board: Arc<Board>,
    certificates: Option<Certificates>,
    again: Again,
    stopped: watch::Receiver<bool>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = self.turn() => {}
        }
        let mut pause = PAUSE;
        loop {
            let began = Instant::now();
            let why = match self.run().await {
                End::Stopped => return,
                End::Hopeless(why) => return self.fail(why),
                End::Again(why) => why,
            };
            if began.elapsed() > LONG_ENOUGH {
                pause = PAUSE;
            }
            let wait = jittered(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            let name = &self.process.name;
            self.output.event(&format!(
                "{name} {why}; starts again in {:.1} s",
                wait.as_secs_f64()
            ));
            self.board.set(name, State::Restarting { why });
            tokio::select! {
                _ = self.stopped.wait_for(|stop| *stop) => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// Ends when those this process comes after are ready.
    async fn turn(&self) {
        let mut states = self.board.watch();
        let after = &self.process.after;
        let turn = |states: &States| {
            let ready = |name: &String| matches!(states.get(name), Some(State::Ready { .. }));
            after.iter().all(ready)
        };
        let _ = states.wait_for(turn).await;
    }

    fn fail(&self, why: String) {
        let name = &self.process.name;
        self.output
            .event(&format!("{name} {why}; not started again"));
        self.board.set(name, State::Failed { why });
    }

    /// One life of the process.
    async fn run(&mut self) -> End {
        let name = self.process.name.clone();
        self.board.set(&name, State::Starting);
        let began = Instant::now();
        let mut child = match Running::spawn(&self.process) {
            Ok(child) => child,
            Err(error) => {
                return End::Hopeless(format!(
                    "cannot be started: {}: {error}",
                    self.process.argv[0]
                ));
            }
        };
        let words = Arc::new(Words::default());
        let out = child.child.stdout.take().map(BufReader::new);
        let err = child.child.stderr.take().map(BufReader::new);
        let mut copies = JoinSet::new();
        if let Some(out) = out {
            copies.spawn(copy(
                Arc::clone(&self.output),
                name.clone(),
                out,
                Arc::clone(&words),
            ));
        }
        if let Some(err) = err {
            copies.spawn(copy(
                Arc::clone(&self.output),
                name.clone(),
                err,
                Arc::clone(&words),
            ));
        }
        let ready = async {
            if let Some(url) = &self.process.ready {
                let client = http::of_launcher(self.certificates.as_ref());
                while !http::answers(&client, url).await {
                    sleep(LOOK).await;
                }
            }
            let took = began.elapsed();
            self.output
                .event(&format!("{name} ready after {:.2} s", took.as_secs_f64()));
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.board.set(&name, State::Ready { took_ms });
            std::future::pending::<()>().await;
        };
        let mut stopped = self.stopped.clone();
        let pid = child.pid;
        self.again.running().insert(name.clone(), pid);
        let stop = async {
            let _ = stopped.wait_for(|stop| *stop).await;
            let _ = kill(pid, Signal::SIGTERM);
            std::future::pending::<()>().await;
        };
        let status = tokio::select! {
            biased;
            status = child.wait() => status,
            () = stop => unreachable!("it never ends"),
            () = ready => unreachable!("it never ends"),
        };
        self.again.running().remove(&name);
        if *self.stopped.borrow() {
            return End::Stopped;
        }
        // What it said last is still in the pipes; a grandchild may hold them open for ever.
        let _ = timeout(Duration::from_millis(200), async {
            while copies.join_next().await.is_some() {}
        })
        .await;
        ending(status, &words.last())
    }
}

/// Why a process is no more.
enum End {
    /// The launcher ended it.
    Stopped,
    /// Starting it again may help.
    Again(String),
    /// Starting it again cannot help.
    Hopeless(String),
}

/// The last line that a process wrote.
#[derive(Debug, Default)]
struct Words(Mutex<String>);

impl Words {
    fn hear(&self, line: &str) {
        if !line.is_empty()
            && let Ok(mut last) = self.0.lock()
        {
            line.clone_into(&mut last);
        }
    }

    fn last(&self) -> String {
        self.0.lock().map(|last| last.clone()).unwrap_or_default()
    }
}

async fn copy(
    output: Arc<Output>,
    name: String,
    from: impl AsyncBufRead + Unpin,
    words: Arc<Words>,
) {
    output.copy(&name, from, |line| words.hear(line)).await;
}

fn ending(status: std::io::Result<ExitStatus>, said: &str) -> End {
    let status = match status {
        Ok(status) => status,
        Err(error) => return End::Again(format!("cannot be waited for: {error}")),
    };
    let mut why = match (
        status.code(),
        std::os::unix::process::ExitStatusExt::signal(&status),
    ) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => {
            let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
            format!("was ended by {name}")
        }
        (None, None) => "ended".to_owned(),
    };
    if !said.is_empty() {
        why = format!("{why} ({said})");
    }
    match status.code() {
        Some(USAGE | CANNOT_RUN | NOT_FOUND) => End::Hopeless(why),
        _ => End::Again(why),
    }
}

/// `pause` give or take a quarter, so that processes that fell together do not rise together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests;
