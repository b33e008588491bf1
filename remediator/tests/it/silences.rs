//! What somebody has silenced in a real Alertmanager is not worked on, however late the silence came.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use promapi::{Matcher, NewSilence, Section};
use sotp_remediator::job::State;
use sotp_remediator::rails::Rail;
use sotp_remediator::runbook::Level;
use testkit::{Server, eventually};

use crate::bench::{BEGIN, Bench, alert};

const CONFIG: &str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";

/// An Alertmanager is started.
#[tokio::test]
async fn repair_of_what_is_silenced_waits_and_goes_on_after_it() {
    let server = Server::alertmanager(CONFIG).await.unwrap();
    let client = Section::new(&server.url).alertmanager(Path::new("/"));
    let client = client.map_err(|wrong| wrong.message).unwrap();
    let now = Timestamp::now();
    let silence = NewSilence {
        matchers: vec![Matcher {
            name: "device".to_owned(),
            value: "r[12]".to_owned(),
            is_regex: true,
            is_equal: true,
        }],
        starts_at: now.to_string(),
        ends_at: (now + Duration::from_secs(3_600)).to_string(),
        created_by: "alice".to_owned(),
        comment: "a new optic".to_owned(),
    };
    let id = client.silence(&silence).await.unwrap();
    eventually(Duration::from_secs(10), || async {
        let all = client.silences().await?;
        anyhow::ensure!(
            all.iter().any(|own| own.id == id && own.is_active()),
            "{all:?}"
        );
        Ok(())
    })
    .await
    .unwrap();

    let mut bench = Bench::new(Level::Auto);
    bench.silences = Arc::new(client);
    let works = bench.works().await;
    bench.port("r3", "r1", |port| port.up = false);
    works.send(vec![alert("r3", "r1", BEGIN, true)]).await;
    works.newest(1, State::Succeeded).await;
    bench.later(1_000);
    bench.port("r1", "r2", |port| port.up = false);
    works.send(vec![alert("r1", "r2", BEGIN, true)]).await;
    let job = works.newest(2, State::Deferred).await;
    assert_eq!(job.reason, "alice silenced it: a new optic");
    assert_eq!(
        job.not_before,
        BEGIN + 61_000,
        "it may be taken back before its end"
    );
    assert_eq!(bench.metrics.suppressions(Rail::Window), 1);
    works.end().await;

    // Nobody can tell: nothing is done until somebody can.
    drop(server);
    bench.later(60_000);
    let works = bench.works().await;
    eventually(Duration::from_secs(10), || async {
        let job = works.jobs().await.remove(0);
        anyhow::ensure!(job.reason.contains("cannot be told"), "{}", job.reason);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(bench.typed().len(), 2, "of r3 only");
    works.end().await;

    bench.silences = Arc::new(sotp_remediator::silences::Unasked);
    bench.later(60_000);
    let works = bench.works().await;
    works.newest(2, State::Succeeded).await;
    works.end().await;
}
