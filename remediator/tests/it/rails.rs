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
