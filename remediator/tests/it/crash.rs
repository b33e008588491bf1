//! A process that ends at any row of the journal: nothing is lost, nothing is done twice without a look.

use sotp_remediator::job::{Job, State};
use sotp_remediator::runbook::Level;

use crate::bench::{BEGIN, Bench, alert};

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
