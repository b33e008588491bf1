use std::collections::BTreeMap;
use std::path::Path;

use testkit::TempDir;

use super::*;
use crate::stack::output::Show;

const LIMIT: Duration = Duration::from_secs(10);

fn shell(name: &str, script: &str) -> Process {
    Process::new(name, vec!["/bin/sh".into(), "-c".into(), script.into()])
}

fn start(processes: &[Process], logs: Option<&Path>) -> Supervisor {
    let names = || processes.iter().map(|process| process.name.as_str());
    let output = Output::new(names(), Show::Events, logs).unwrap();
    let board = Board::new(names(), None);
    Supervisor::start(processes.to_vec(), Arc::new(output), Arc::new(board), None).unwrap()
}

async fn wait(supervisor: &Supervisor, what: impl FnMut(&States) -> bool) -> States {
    let mut states = supervisor.states();
    timeout(LIMIT, states.wait_for(what))
        .await
        .expect("in time")
        .unwrap()
        .clone()
}

/// Pids of the processes whose environment holds `mark`.
fn marked(mark: &str) -> Vec<i32> {
    let of = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let environ = std::fs::read(entry.path().join("environ")).ok()?;
        let zombie = std::fs::read_to_string(entry.path().join("stat"))
            .ok()?
            .contains(") Z ");
        let found = environ
            .windows(mark.len())
            .any(|part| part == mark.as_bytes());
        (found && !zombie).then_some(pid)
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(of)
        .collect()
}

fn mark() -> String {
    format!(
        "SOTP_TEST_MARK={}-{}",
        std::process::id(),
        fastrand::u64(..)
    )
}

fn with(mut process: Process, mark: &str) -> Process {
    let (key, value) = mark.split_once('=').unwrap();
    process.env = BTreeMap::from([(key.into(), value.into())]);
    process
}

#[tokio::test]
async fn a_process_that_ends_is_started_again_after_a_pause() {
    let folder = TempDir::new().unwrap();
    let count = folder.join("count");
    let script = format!(
        "echo x >> {0}; [ $(wc -l < {0}) -ge 3 ] && exec sleep 60; exit 7",
        count.display()
    );
    let began = Instant::now();
    let supervisor = start(&[shell("flaky", &script)], None);
    let lines = || {
        std::fs::read_to_string(&count)
            .unwrap_or_default()
            .lines()
            .count()
    };
    wait(&supervisor, |states| {
        matches!(&states["flaky"], State::Restarting { why } if why == "ended with status 7")
    })
    .await;
    while lines() < 3 {
        assert!(began.elapsed() < LIMIT, "started {} times", lines());
        sleep(Duration::from_millis(10)).await;
    }
    // Two pauses: at least three quarters of 0.25 s and of 0.5 s.
    assert!(
        began.elapsed() >= Duration::from_millis(560),
        "{:?}",
        began.elapsed()
    );
    supervisor.end(LIMIT).await;
}

#[tokio::test]
async fn bad_usage_and_missing_programs_are_not_started_again() {
    let mut needed = Process::new("missing", vec!["/nonexistent/program".into()]);
    needed.needed = true;
    let supervisor = start(
        &[
            shell("usage", "echo bad flag >&2; exit 64").needed(),
            needed,
        ],
        None,
    );
    wait(&supervisor, |states| {
        states
            .values()
            .all(|state| matches!(state, State::Failed { .. }))
    })
    .await;
    let error = supervisor.ready(LIMIT).await.unwrap_err().to_string();
    assert!(
        error.contains("usage ended with status 64 (bad flag)"),
        "{error}"
    );
    assert!(error.contains("missing"), "{error}");
    assert!(error.contains("/nonexistent/program"), "{error}");
    supervisor.end(LIMIT).await;
}

#[tokio::test]
async fn one_waits_for_the_readiness_of_another() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ready", listener.local_addr().unwrap());
    let first = shell("first", "exec sleep 60").ready_at(url);
    let second = shell("second", "exec sleep 60").after("first").needed();
    let supervisor = start(&[first, second], None);
    wait(&supervisor, |states| states["first"] == State::Starting).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(supervisor.states().borrow()["second"], State::Waiting);
    let error = supervisor
        .ready(Duration::from_millis(100))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("second is not ready"), "{error}");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncWriteExt::write_all(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            )
            .await;
        }
    });
    let states = supervisor.ready(LIMIT).await.unwrap();
    assert!(
        states
            .values()
            .all(|state| matches!(state, State::Ready { .. })),
        "{states:?}"
    );
    supervisor.end(LIMIT).await;
}

#[tokio::test]
async fn the_end_goes_backwards_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let note = folder.join("order");
    let mark = mark();
    let polite = |name: &str| {
        let script = format!(
            "trap 'echo {name} >> {}; exit 0' TERM; echo up; while :; do sleep 0.05; done",
            note.display()
        );
        with(shell(name, &script), &mark)
    };
    // It ignores SIGTERM, and its child would outlive it.
    let stubborn = with(
        shell(
            "stubborn",
            "trap '' TERM; sleep 1000 & while :; do sleep 0.05; done",
        ),
        &mark,
    );
    let supervisor = start(
        &[
            polite("one"),
            polite("two").after("one"),
            polite("three").after("two"),
            stubborn,
        ],
        Some(folder.path()),
    );
    let up = |name: &str| {
        std::fs::read_to_string(folder.join(format!("{name}.log"))).is_ok_and(|log| log == "up\n")
    };
    let began = Instant::now();
    while !(up("one") && up("two") && up("three")) {
        assert!(began.elapsed() < LIMIT);
        sleep(Duration::from_millis(10)).await;
    }
    assert!(marked(&mark).len() >= 5, "{:?}", marked(&mark));
    let began = Instant::now();
    supervisor.end(Duration::from_secs(8)).await;
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(std::fs::read_to_string(&note).unwrap(), "three\ntwo\none\n");
    let began = Instant::now();
    while !marked(&mark).is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "left: {:?}",
            marked(&mark)
        );
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_pause_is_jittered_by_a_quarter_at_most() {
    for _ in 0..1000 {
        let pause = jittered(Duration::from_secs(4)).as_secs_f64();
        assert!((3.0..=5.0).contains(&pause), "{pause}");
    }
}
