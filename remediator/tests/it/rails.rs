//! Rails over the whole engine: whatever Alertmanager sends, no more is typed than the bounds let.

use sotp_remediator::job::State;
use sotp_remediator::rails::Rail;
use sotp_remediator::runbook::Level;

use crate::bench::{BEGIN, Bench, Port, alert};

#[tokio::test]
async fn storm_of_alerts_starts_no_more_than_the_bounds_let() {
    let bench = Bench::new(Level::Auto);
    for n in 0..20 {
        let port = ("r1".to_owned(), format!("p{n}"));
        bench
            .devices
            .0
            .lock()
            .unwrap()
            .ports
            .insert(port, Port::default());
    }
    let works = bench.works().await;
    works
        .send(
            (0..20)
                .map(|n| alert("r1", &format!("p{n}"), BEGIN, true))
                .collect(),
        )
        .await;
    testkit::eventually(std::time::Duration::from_secs(10), || async {
        let jobs = works.jobs().await;
        let of = |state| jobs.iter().filter(|job| job.state == state).count();
        anyhow::ensure!(
            of(State::Succeeded) == 3 && of(State::Deferred) == 17,
            "{:?}",
            jobs.iter().map(|j| j.state).collect::<Vec<_>>()
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(
        bench.typed().len(),
        6,
        "three ports of one device in ten minutes"
    );
    assert!(bench.metrics.suppressions(Rail::BlastRadius) >= 17);
    works.end().await;
}

/// An outage that began before a restart is one after it too.
#[tokio::test]
async fn correlated_outage_is_still_one_after_a_restart() {
    let bench = Bench::new(Level::Auto);
    bench.change(|setup| setup.bounds.correlated_least = 1);
    let outage = ["r2", "r3"].map(|device| {
        let mut alert = alert(device, "r1", BEGIN, true);
        alert.labels.insert("alertname".into(), "DeviceDown".into());
        alert
    });
    let works = bench.works().await;
    works.send(outage.to_vec()).await;
    works.quiet().await;
    works.end().await;
    let works = bench.works().await;
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let job = works.newest(1, State::Escalated).await;
    assert!(job.reason.contains("correlated"), "{}", job.reason);
    assert_eq!(bench.typed(), [""; 0]);
    works.end().await;
}
