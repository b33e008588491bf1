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

/// Runs `tests`, at most `at_once` at a time, and tells `done` of each as it ends.
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
    for (mut waiting, at_once) in [(beside, at_once.max(1)), (alone, 1)] {
        let mut busy: BTreeSet<&str> = BTreeSet::new();
        let mut running = 0;
        let (tell, told) = mpsc::channel::<(Outcome, Option<&str>)>();
        std::thread::scope(|scope| {
            while running > 0 || !waiting.is_empty() {
                let next = waiting
                    .iter()
                    .position(|(_, group)| group.is_none_or(|group| !busy.contains(group)));
                if let Some((test, group)) = next
                    .filter(|_| running < at_once)
                    .and_then(|at| waiting.remove(at))
                {
                    running += 1;
                    busy.extend(group);
                    let tell = tell.clone();
                    // The receiver lives as long as something runs.
                    scope.spawn(move || drop(tell.send((one(test), group))));
                    continue;
                }
                let Ok((outcome, group)) = told.recv() else {
                    break;
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
