//! A process that ends at any row of the journal: nothing is lost, nothing is done twice without a look.

use std::time::Duration;

use sotp_remediator::job::{Job, State};
use sotp_remediator::runbook::Level;

use crate::bench::{BEGIN, Bench, Strike, alert};

/// The job of a bench brought to this state, as the last process left it, with the device as given.
async fn left_at(bench: &Bench, state: State, up: bool, attempts: u32) -> Job {
    // A process that stopped right after the plan, with the level that lets it.
    let works = bench.works().await;
    bench.port("r1", "r2", |port| port.up = false);
    bench.change(|setup| setup.levels[0].level = Level::Approve);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let mut job = works.newest(1, State::AwaitingApproval).await;
    let journal = works.engine.parts.journal.clone();
    works.end().await;
    let way = [State::Claimed, State::Running, State::Verifying];
    let steps = way.iter().position(|step| *step == state).unwrap();
    for next in &way[..=steps] {
        let from = job.state;
        job.state = *next;
        job.attempts = attempts;
        journal.step(from, &job).await.unwrap();
    }
    bench.change(|setup| setup.levels[0].level = Level::Auto);
    bench.port("r1", "r2", |port| port.up = up);
    job
}

#[tokio::test]
async fn what_was_being_typed_is_unknown_until_the_device_was_looked_at() {
    for state in [State::Running, State::Verifying] {
        let bench = Bench::new(Level::Auto);
        left_at(&bench, state, true, 1).await;
        let works = bench.works().await;
        let job = works.newest(1, State::Succeeded).await;
        let rows = works.rows(&job).await;
        assert_eq!(rows[rows.len() - 2..], ["unknown", "succeeded"], "{rows:?}");
        assert_eq!(
            bench.typed(),
            [""; 0],
            "it had helped: nothing is typed again"
        );
        works.end().await;
    }
}

/// Ten seconds: so long the runbook waits for the proof.
#[tokio::test]
async fn what_had_not_helped_is_decided_anew_once_and_then_left_to_people() {
    let bench = Bench::new(Level::Auto);
    left_at(&bench, State::Running, false, 2).await;
    let works = bench.works().await;
    let job = works.newest_within(1, State::Escalated, 20).await;
    assert!(job.reason.contains("nobody knows"), "{}", job.reason);
    assert_eq!(bench.typed(), [""; 0]);
    works.end().await;
}

#[tokio::test]
async fn what_was_claimed_only_is_looked_at_again_and_then_done() {
    let bench = Bench::new(Level::Auto);
    left_at(&bench, State::Claimed, false, 0).await;
    let works = bench.works().await;
    works.newest(1, State::Succeeded).await;
    assert_eq!(bench.typed().len(), 2);
    works.end().await;

    let bench = Bench::new(Level::Auto);
    left_at(&bench, State::Claimed, true, 0).await;
    let works = bench.works().await;
    works.newest(1, State::Cancelled).await;
    assert_eq!(bench.typed(), [""; 0], "it was up by then");
    works.end().await;
}

#[tokio::test]
async fn alerts_that_came_before_the_end_are_looked_at_after_it() {
    let bench = Bench::new(Level::Auto);
    bench.port("r1", "r2", |port| port.up = false);
    let engine = bench.engine().await;
    engine
        .parts
        .journal
        .receive(vec![alert("r1", "r2", BEGIN, true)])
        .await
        .unwrap();
    drop(engine);
    let works = bench.works().await;
    works.newest(1, State::Succeeded).await;
    works.end().await;
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// What came of an incident whose first process ended behind `points` rows and lines: the state, the rows, the lines and whether the port is
/// up.
fn struck_behind(points: i64, idempotent: bool) -> (State, Vec<String>, Vec<String>, bool) {
    let mut bench = Bench::new(Level::Auto);
    let idempotence = format!("idempotent: {idempotent}");
    bench.port_up(&[
        ("verify_within: 10s", "verify_within: 1s"),
        ("idempotent: true", &idempotence),
    ]);
    bench.port("r1", "r2", |port| port.up = false);
    let (strike, told) = Strike::behind(points);
    bench.struck(Some(&strike));
    let first = runtime();
    first.block_on(async {
        let works = bench.works().await;
        works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
        let told = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(30)));
        told.await.unwrap().unwrap();
        // What is stopped now is what was under way.
        std::mem::forget(works);
    });
    first.shutdown_background();
    bench.struck(None);
    // Behind the cooldown, which counts what the first process began.
    bench.later(901_000);
    let after = runtime().block_on(async {
        let works = bench.works().await;
        let job = testkit::eventually(Duration::from_secs(20), || async {
            let jobs = works.jobs().await;
            let job = jobs.first().cloned();
            anyhow::ensure!(
                jobs.len() == 1 && job.as_ref().is_some_and(|job| job.state.is_final()),
                "{jobs:?}"
            );
            Ok(job.unwrap())
        });
        let job = job.await.unwrap();
        let rows = works.rows(&job).await;
        works.end().await;
        (job.state, rows)
    });
    (after.0, after.1, bench.typed(), bench.is_up("r1", "r2"))
}

/// Every point between the alert and the proof, side by side; some wait a second for a proof that does not come.
#[test]
fn whatever_row_or_line_was_the_last_of_a_process_nothing_is_lost_and_nothing_is_done_twice() {
    for idempotent in [true, false] {
        // matched, prechecked, claimed, running, a line, a line, verifying, succeeded.
        let points = 1..=8;
        let runs: Vec<_> = std::thread::scope(|scope| {
            let begun: Vec<_> = points
                .map(|points| scope.spawn(move || struck_behind(points, idempotent)))
                .collect();
            begun.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert_eq!(runs[7].1.len(), 6, "there is no ninth point: {:?}", runs[7]);
        for (index, run) in runs.into_iter().enumerate() {
            let (state, rows, typed, up) = run;
            let told = format!(
                "behind point {}, idempotent {idempotent}: {rows:?} {typed:?}",
                index + 1
            );
            let opened = typed.iter().filter(|line| *line == "no shutdown").count();
            // Behind `running` nobody knows what was typed: before the second line the port is down still.
            let lost = (index == 3 || index == 4) && !idempotent;
            let wanted = if lost {
                State::Escalated
            } else {
                State::Succeeded
            };
            assert_eq!(
                (state, up, opened),
                (wanted, !lost, usize::from(!lost)),
                "{told}"
            );
            let begun = rows.iter().filter(|row| *row == "running").count();
            assert!(begun == 1 || rows.contains(&"unknown".to_owned()), "{told}");
            assert_eq!(
                begun,
                if index == 3 || index == 4 {
                    1 + usize::from(idempotent)
                } else {
                    1
                },
                "{told}"
            );
        }
    }
}
