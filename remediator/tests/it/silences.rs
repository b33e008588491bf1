//! What somebody has silenced in a real Alertmanager is not worked on, however late the silence came.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use promapi::{Matcher, NewSilence, Section};
use serde_json::{Value, json};
use sotp_remediator::job::State;
use sotp_remediator::rails::Rail;
use sotp_remediator::runbook::Level;
use testkit::{Server, eventually};

use crate::bench::{BEGIN, Bench, alert};
use crate::golden::Place;

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

/// By the interface of the service: what is made and ended is Alertmanager's own, and on record.
#[tokio::test]
async fn silences_are_made_and_ended_by_known_callers_in_a_real_alertmanager() {
    let server = Server::alertmanager(CONFIG).await.unwrap();
    let inventory = "devices: [{name: r1, address: 192.0.2.1, platform: frr, ssh: {}}]\n";
    let config = format!("alertmanager: {{url: '{}'}}\n", server.url);
    let place = Place::with(inventory, &config).await;
    let client = Section::new(&server.url).alertmanager(Path::new("/"));
    let client = client.map_err(|wrong| wrong.message).unwrap();
    let path = "/api/v1/silences";
    let of =
        |matchers: Value| json!({"matchers": matchers, "minutes": 30, "comment": "a new optic"});
    let device = json!([{"name": "device", "value": "r1", "isRegex": false}]);

    // Who may not, what is none, and what Alertmanager itself does not take.
    let long = "x".repeat(501);
    for (user, body, status, word) in [
        ("eve", of(device.clone()), 403, "silence.create"),
        ("alice", of(json!([])), 422, "matchers"),
        (
            "alice",
            of(json!([{"name": "device", "value": "r1\u{1b}[31m", "isRegex": false}])),
            422,
            "matchers[0].value",
        ),
        (
            "alice",
            of(json!([{"name": "device", "value": "(", "isRegex": true}])),
            422,
            "matchers[0].value",
        ),
        (
            "alice",
            of(json!([{"name": "de vice", "value": "r1", "isRegex": false}])),
            422,
            "matchers[0].name",
        ),
        (
            "alice",
            of(json!([{"name": "device", "value": long, "isRegex": false}])),
            422,
            "matchers[0].value",
        ),
        (
            "alice",
            json!({"matchers": device, "minutes": 0, "comment": "x"}),
            422,
            "minutes",
        ),
        (
            "alice",
            json!({"matchers": device, "minutes": 5, "comment": " "}),
            422,
            "comment",
        ),
        (
            "alice",
            of(json!([{"name": "device", "value": "", "isRegex": false}])),
            422,
            "empty value",
        ),
    ] {
        let (found, said) = place.ask("POST", path, user, Some(&body)).await.unwrap();
        assert_eq!(found, status, "{body} {said}");
        assert!(said.to_string().contains(word), "{word}: {said}");
    }
    let dry = place
        .ask(
            "POST",
            "/api/v1/silences?validate=true",
            "alice",
            Some(&of(device.clone())),
        )
        .await
        .unwrap();
    assert_eq!(dry.0, 200, "{dry:?}");
    assert_eq!(client.silences().await.unwrap(), []);

    let (status, made) = place
        .ask("POST", path, "alice", Some(&of(device)))
        .await
        .unwrap();
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    let found = eventually(Duration::from_secs(20), || async {
        let all = client.silences().await?;
        let own = all.into_iter().find(|own| own.id == id && own.is_active());
        own.ok_or_else(|| anyhow::anyhow!("not there"))
    })
    .await
    .unwrap();
    assert_eq!(
        (&*found.created_by, &*found.comment, &*found.ends_at),
        ("alice", "a new optic", {
            let ends: Timestamp = made["ends_at"].as_str().unwrap().parse().unwrap();
            let there: Timestamp = found.ends_at.parse().unwrap();
            assert!((ends.as_millisecond() - there.as_millisecond()).abs() < 1_000);
            &*found.ends_at
        })
    );
    let (_, shown) = place.ask("GET", path, "eve", None).await.unwrap();
    assert_eq!(shown["silences"][0]["id"], *id, "{shown}");

    let one = format!("{path}/{id}");
    let (status, said) = place.ask("DELETE", &one, "eve", None).await.unwrap();
    assert_eq!(status, 403, "{said}");
    // A double click: the second one is told.
    let (status, said) = place.ask("DELETE", &one, "bob", None).await.unwrap();
    assert_eq!(status, 200, "{said}");
    eventually(Duration::from_secs(20), || async {
        let (status, said) = place.ask("DELETE", &one, "bob", None).await?;
        anyhow::ensure!(status == 404, "{status} {said}");
        let all = client.silences().await?;
        anyhow::ensure!(all.iter().all(promapi::Silence::is_over), "{all:?}");
        Ok(())
    })
    .await
    .unwrap();
    let (status, said) = place
        .ask("DELETE", &format!("{path}/..%2Fstatus"), "bob", None)
        .await
        .unwrap();
    assert_eq!(status, 404, "{said}");
    let records: String = std::fs::read_dir(place.dir.join("audit"))
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    for verb in ["silence.create", "silence.end"] {
        assert!(records.contains(verb), "{verb} is not on record");
    }
}
