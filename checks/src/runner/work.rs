//! Running tests: each in a process of its own, so many at once.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::list::Test;
use super::rules::{Place, Rules};

/// Longest life of a test: one that is not done by then never will be.
const LIMIT: Duration = Duration::from_secs(600);
/// Time between two looks at a running test.
const LOOK: Duration = Duration::from_millis(5);
/// Time over which the processors are watched before one more test begins.
const WATCHED: Duration = Duration::from_millis(500);
/// Per cent of the processors' time that is nobody's when there is room for one more test.
const SPARE: u64 = 15;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// Not as it should, or not at all.
    Failed,
    /// It was not run: it says so itself.
    Ignored,
}

/// A test that was run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The test.
    pub test: Test,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// What it wrote, when it failed.
    pub output: String,
}

/// What the processors had to do.
struct Processors {
    looked: Instant,
    before: Option<Ticks>,
}

impl Processors {
    fn new() -> Self {
        Self {
            looked: Instant::now(),
            before: Ticks::of(&stat()),
        }
    }

    /// Whether they had little to do lately; true at most once in [`WATCHED`].
    fn spare(&mut self) -> bool {
        if self.looked.elapsed() < WATCHED {
            return false;
        }
        let before = std::mem::replace(self, Self::new()).before;
        let now = self.before;
        now.zip(before)
            .is_some_and(|(now, before)| now.spare_since(before))
    }
}

/// Ticks of all processors: those without work (idle, and waiting for a disk), and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    all: u64,
}

impl Ticks {
    /// Those of the first line of `/proc/stat`.
    fn of(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .map_while(|number| number.parse().ok())
            .collect();
        Some(Self {
            idle: ticks.get(3)? + ticks.get(4)?,
            // What guests took is counted in the first two already.
            all: ticks.iter().take(8).sum(),
        })
    }

    /// Whether more than [`SPARE`] of those since `before` were without work.
    fn spare_since(self, before: Self) -> bool {
        let (idle, all) = (
            self.idle.saturating_sub(before.idle),
            self.all.saturating_sub(before.all),
        );
        100 * idle > SPARE * all
    }
}

/// Where the kernel says it: proc(5), `/proc/stat`; empty where it says nothing.
fn stat() -> String {
    std::fs::read_to_string("/proc/stat").unwrap_or_default()
}

/// Runs `tests`, `at_once` at a time and up to three times as many while the processors have little to do, and tells `done` of each as it ends.
pub fn run(
    mut tests: Vec<Test>,
    rules: &Rules,
    at_once: usize,
    mut done: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let (mut beside, mut alone) = (VecDeque::new(), VecDeque::new());
    tests.sort_by_key(|test| rules.turn(test));
    for test in tests {
        match rules.place(&test) {
            _ if test.ignored => outcomes.push(Outcome {
                test,
                verdict: Verdict::Ignored,
                took: Duration::ZERO,
                output: String::new(),
            }),
            Place::Group(group) => beside.push_back((test, Some(group))),
            Place::Anywhere => beside.push_back((test, None)),
            Place::Alone => alone.push_back((test, None)),
        }
    }
    let at_once = at_once.max(1);
    for (mut waiting, at_once, most) in [(beside, at_once, 3 * at_once), (alone, 1, 1)] {
        let mut busy: BTreeSet<&str> = BTreeSet::new();
        let mut running = 0;
        let mut processors = Processors::new();
        let (tell, told) = mpsc::channel::<(Outcome, Option<&str>)>();
        std::thread::scope(|scope| {
            while running > 0 || !waiting.is_empty() {
                let next = waiting
                    .iter()
                    .position(|(_, group)| group.is_none_or(|group| !busy.contains(group)));
                let room = running < at_once || running < most && processors.spare();
                if let Some((test, group)) = next.filter(|_| room).and_then(|at| waiting.remove(at))
                {
                    running += 1;
                    busy.extend(group);
                    let tell = tell.clone();
                    // The receiver lives as long as something runs.
                    scope.spawn(move || drop(tell.send((one(test), group))));
                    continue;
                }
                // The sender of this loop lives too: nothing is told only where time is over.
                let Ok((outcome, group)) = told.recv_timeout(WATCHED) else {
                    continue;
                };
                running -= 1;
                if let Some(group) = group {
                    busy.remove(group);
                }
                done(&outcome);
                outcomes.push(outcome);
            }
        });
    }
    outcomes
}

fn one(test: Test) -> Outcome {
    let began = Instant::now();
    let (verdict, output) = match process(&test) {
        Ok((Some(status), _)) if status.success() => (Verdict::Passed, String::new()),
        Ok((Some(status), output)) => (Verdict::Failed, format!("{output}\n{status}")),
        Ok((None, output)) => (
            Verdict::Failed,
            format!("{output}\nnot done after {LIMIT:?}"),
        ),
        Err(error) => (Verdict::Failed, format!("it cannot be run: {error}")),
    };
    Outcome {
        test,
        verdict,
        took: began.elapsed(),
        output,
    }
}

/// How the process of a test ended, or that it did not, and what it wrote.
fn process(test: &Test) -> std::io::Result<(Option<ExitStatus>, String)> {
    // A file and no pipe: what a test leaves behind may hold it open.
    let name = test.id().replace(|c: char| !c.is_alphanumeric(), "-");
    let folder = std::env::temp_dir().join(format!("sotp-tests-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}-{}.log", test.binary.target));
    let output = File::create(&path)?;
    let mut child = Command::new(&test.binary.executable)
        // More than one thread, or the test would run on the first one, which has not its name.
        .args(["--exact", &test.name, "--test-threads=2"])
        .current_dir(&test.binary.folder)
        // As cargo runs it.
        .env("CARGO_MANIFEST_DIR", &test.binary.folder)
        .env("CARGO_PKG_NAME", &test.binary.package)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if began.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(LOOK);
    };
    let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
    std::fs::remove_file(&path)?;
    // The last one takes it away.
    let _ = std::fs::remove_dir(&folder);
    Ok((status, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_without_work_is_that_of_nobody_and_of_disks() {
        let stat = "cpu  100 5 50 800 40 1 4 0 7 0\ncpu0 50 2 25 400 20 0 2 0 3 0\nintr 1\n";
        let ticks = |idle, all| Ticks { idle, all };
        assert_eq!(Ticks::of(stat), Some(ticks(840, 1_000)));
        assert_eq!(Ticks::of("cpu  1 2 3\n"), None);
        assert_eq!(Ticks::of(""), None);
        let since =
            |idle: u64, all: u64| ticks(840 + idle, 1_000 + all).spare_since(ticks(840, 1_000));
        assert!(since(16, 100) && !since(15, 100) && !since(0, 0));
    }

    #[test]
    fn processors_are_looked_at_once_in_a_while() {
        let mut processors = Processors::new();
        // As if all time since had been nobody's.
        processors.before = Some(Ticks {
            idle: 0,
            all: 1 << 40,
        });
        assert!(!processors.spare(), "too early");
        processors.looked = Instant::now().checked_sub(WATCHED).unwrap();
        assert!(processors.spare());
        assert!(!processors.spare(), "it was looked at just now");
    }
}
