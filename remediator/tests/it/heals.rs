//! What is repaired, what is proposed, and what is left alone.

use sotp_remediator::job::{State, Who};
use sotp_remediator::journal::{Hint, Switch};
use sotp_remediator::rails::Rail;
use sotp_remediator::runbook::Level;

use crate::bench::{BEGIN, Bench, alert};

#[tokio::test]
async fn port_that_nobody_shut_is_brought_up_and_proven() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let job = works.newest(1, State::Succeeded).await;
    assert!(bench.is_up("r1", "r2"));
    assert_eq!(bench.typed(), ["interface r2", "no shutdown"]);
    assert_eq!(
        works.rows(&job).await,
        [
            "matched",
            "prechecked",
            "claimed",
            "running",
            "verifying",
            "succeeded"
        ]
    );
    works.end().await;
}

#[tokio::test]
async fn port_that_a_person_shut_is_proposed_and_not_touched() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    bench.port("r1", "r2", |port| (port.up, port.shutdown) = (false, true));
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let job = works.newest(1, State::AwaitingApproval).await;
    assert!(job.reason.starts_with("a person did it"), "{}", job.reason);
    assert_eq!(bench.typed(), [""; 0]);
    assert_eq!(bench.metrics.suppressions(Rail::Person), 1);
    // Nobody comes: it is over, and stays untouched however often Alertmanager repeats it.
    bench.later(901_000);
    works.engine.wake();
    works.newest(1, State::Expired).await;
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    works.quiet().await;
    assert_eq!(works.jobs().await.len(), 1);
    assert!(!bench.is_up("r1", "r2"));
    works.end().await;
}

#[tokio::test]
async fn change_that_syslog_told_of_counts_as_a_persons_unless_it_is_our_own() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    let hint = |device: &str, user: &str, text: &str| Hint {
        at: BEGIN - 20_000,
        device: device.to_owned(),
        user: user.to_owned(),
        source: "syslog".to_owned(),
        text: text.to_owned(),
        anything: false,
    };
    for (device, user, text) in [
        ("r1", "alice", "interface r2 shut"),
        ("r3", "sotp", "interface r1 shut"),
        ("r3", "alice", "interface r17 shut"),
    ] {
        works
            .engine
            .parts
            .journal
            .hint(hint(device, user, text))
            .await
            .unwrap();
    }
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let job = works.newest(1, State::AwaitingApproval).await;
    assert!(job.reason.contains("alice"), "{}", job.reason);
    // Our own change, and one of another port, are no person's.
    bench.port("r3", "r1", |port| port.up = false);
    bench.later(1_000);
    works.send(vec![alert("r3", "r1", BEGIN, true)]).await;
    works.newest(2, State::Succeeded).await;
    works.end().await;
}

#[tokio::test]
async fn change_of_which_nobody_says_what_it_was_may_have_been_of_this_port() {
    for (anything, state) in [(true, State::AwaitingApproval), (false, State::Succeeded)] {
        let bench = Bench::new(Level::Auto);
        let works = bench.works().await;
        let hint = Hint {
            at: BEGIN - 20_000,
            device: "r1".to_owned(),
            user: "alice".to_owned(),
            source: "syslog".to_owned(),
            text: "Configured from console by alice on vty0".to_owned(),
            anything,
        };
        works.engine.parts.journal.hint(hint).await.unwrap();
        bench.port("r1", "r2", |port| port.up = false);
        works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
        works.newest(1, state).await;
        works.end().await;
    }
}

#[tokio::test]
async fn port_that_the_inventory_wants_up_is_brought_back_from_a_person_but_not_from_a_hold() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    bench.port("r1", "r9", |port| (port.up, port.shutdown) = (false, true));
    works.send(vec![alert("r1", "r9", BEGIN, true)]).await;
    works.newest(1, State::Succeeded).await;
    assert!(bench.is_up("r1", "r9"));
    bench.later(3_600_000);
    bench.port("r1", "r9", |port| {
        (port.up, port.shutdown, port.description) = (false, true, "sotp-hold: optic".to_owned());
    });
    works
        .send(vec![alert("r1", "r9", BEGIN + 3_600_000, true)])
        .await;
    works.newest(2, State::Suppressed).await;
    assert!(!bench.is_up("r1", "r9"));
    works.end().await;
}

#[tokio::test]
async fn each_level_goes_as_far_as_it_says_and_observing_is_what_happens_without_one() {
    for (level, state, lines) in [
        (None, State::Observed, 0),
        (Some(Level::Observe), State::Observed, 0),
        (Some(Level::Propose), State::Proposed, 0),
        (Some(Level::Approve), State::AwaitingApproval, 0),
        (Some(Level::Auto), State::Succeeded, 2),
    ] {
        let bench = Bench::new(level.unwrap_or_default());
        if level.is_none() {
            bench.change(|setup| setup.levels.clear());
        }
        let works = bench.works().await;
        bench.port("r1", "r2", |port| port.up = false);
        works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
        let job = works.newest(1, state).await;
        assert!(job.plan.is_some(), "the plan is there at every level");
        assert_eq!(bench.typed().len(), lines, "{level:?}");
        works.end().await;
    }
}

#[tokio::test]
async fn auto_has_to_be_earned() {
    let bench = Bench::new(Level::Auto);
    bench.change(|setup| setup.successes = 1);
    let works = bench.works().await;
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let mut job = works.newest(1, State::AwaitingApproval).await;
    job.approver = Some(Who {
        subject: "alice".into(),
        display: "alice".into(),
        via: "web_user".into(),
    });
    works
        .engine
        .parts
        .journal
        .step(State::AwaitingApproval, &{
            job.state = State::Claimed;
            job
        })
        .await
        .unwrap();
    works.engine.wake();
    works.newest(1, State::Succeeded).await;
    bench.later(1_000);
    bench.port("r3", "r1", |port| port.up = false);
    works.send(vec![alert("r3", "r1", BEGIN, true)]).await;
    works.newest(2, State::Succeeded).await;
    works.end().await;
}

#[tokio::test]
async fn doubles_repeats_and_reordering_make_one_job_and_one_repair() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    bench.port("r1", "r2", |port| port.up = false);
    let fires = alert("r1", "r2", BEGIN, true);
    // Both of a pair, the same one again, and the other's clock a little behind.
    let behind = alert("r1", "r2", BEGIN - 40, true);
    works.send(vec![fires.clone(), fires.clone(), behind]).await;
    works.newest(1, State::Succeeded).await;
    works.send(vec![fires.clone()]).await;
    works
        .send(vec![alert("r1", "r2", BEGIN, false), fires])
        .await;
    works.quiet().await;
    assert_eq!(works.jobs().await.len(), 1);
    assert_eq!(bench.typed().len(), 2);
    works.end().await;
}

#[tokio::test]
async fn alert_that_is_resolved_before_anything_was_done_is_left_alone() {
    let bench = Bench::new(Level::Approve);
    let works = bench.works().await;
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    works.newest(1, State::AwaitingApproval).await;
    works.send(vec![alert("r1", "r2", BEGIN, false)]).await;
    works.newest(1, State::Cancelled).await;
    // A port that is up again although nobody said so: there is nothing to do.
    bench.later(60_000);
    works.send(vec![alert("r3", "r1", BEGIN, true)]).await;
    let job = works.newest(2, State::Cancelled).await;
    assert!(job.reason.contains("nothing to do"), "{}", job.reason);
    assert_eq!(bench.typed(), [""; 0]);
    works.end().await;
}

#[tokio::test]
async fn planned_work_and_the_switch_hold_back_what_is_done_afterwards() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    bench.port("r2", "r1", |port| port.up = false);
    works.send(vec![alert("r2", "r1", BEGIN, true)]).await;
    let job = works.newest(1, State::Deferred).await;
    assert_eq!(job.not_before, BEGIN + 600_000, "the end of the window");
    assert_eq!(bench.metrics.suppressions(Rail::Window), 1);
    let switch = |paused| Switch {
        paused,
        by: "alice".into(),
        ..Switch::default()
    };
    works.engine.switch(switch(true)).await.unwrap();
    bench.later(700_000);
    bench.port("r3", "r1", |port| port.up = false);
    works.send(vec![alert("r3", "r1", BEGIN, true)]).await;
    works.newest(2, State::Deferred).await;
    assert_eq!(bench.metrics.suppressions(Rail::Paused), 1);
    assert_eq!(bench.typed(), [""; 0]);
    bench.later(10_000);
    works.engine.switch(switch(false)).await.unwrap();
    works.newest(2, State::Succeeded).await;
    testkit::eventually(std::time::Duration::from_secs(5), || async {
        anyhow::ensure!(bench.is_up("r2", "r1"));
        Ok(())
    })
    .await
    .unwrap();
    works.end().await;
}

#[tokio::test]
async fn what_does_not_help_is_given_to_people_and_not_tried_again() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    // The built-in runbook waits ten seconds for its proof; here is no need to.
    bench.port_up(&[("verify_within: 10s", "verify_within: 1s")]);
    bench.port("r1", "r2", |port| (port.up, port.broken) = (false, true));
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let job = works.newest(1, State::Escalated).await;
    assert!(job.reason.contains("did not help"), "{}", job.reason);
    assert_eq!(bench.metrics.suppressions(Rail::Postcheck), 1);
    // A new alert of the same port waits for the cooldown.
    bench.later(60_000);
    works
        .send(vec![alert("r1", "r2", BEGIN + 60_000, true)])
        .await;
    let job = works.newest(2, State::Deferred).await;
    assert_eq!(job.not_before, BEGIN + 900_000);
    assert_eq!(bench.typed().len(), 2);
    works.end().await;
}

#[tokio::test]
async fn nothing_of_an_alert_reaches_a_device_that_the_inventory_and_the_device_do_not_know() {
    let bench = Bench::new(Level::Auto);
    let works = bench.works().await;
    let bad =
        ["r2; reload", "r2\nreload", "-r2", "", "r2|x"].map(|port| alert("r1", port, BEGIN, true));
    works.send(bad.to_vec()).await;
    works.send(vec![alert("r77", "r2", BEGIN, true)]).await;
    works.quiet().await;
    assert_eq!(works.jobs().await.len(), 0);
    // A name that could be a port and is none of the device's.
    works.send(vec![alert("r1", "r4", BEGIN, true)]).await;
    let job = works.newest(1, State::Escalated).await;
    assert!(job.reason.contains("no such thing"), "{}", job.reason);
    bench.devices.0.lock().unwrap().unreachable = true;
    bench.later(1_000);
    works.send(vec![alert("r3", "r1", BEGIN, true)]).await;
    works.newest(2, State::Escalated).await;
    assert_eq!(bench.typed(), [""; 0]);
    works.end().await;
}
