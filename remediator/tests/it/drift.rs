//! The way back of a configuration that broke a rule: proposed by the real archive of sotp-ssh-config, and never typed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use promapi::{BasicAuth, Section};
use sotp_remediator::drift::{Archive, Drift, WayBack};
use sotp_remediator::job::State;
use sotp_remediator::journal::Alert;
use sotp_remediator::rails::Rail;
use sotp_remediator::runbook::Level;
use testkit::ssh::Device;
use testkit::{Spawn, TempDir, eventually};

use crate::bench::{BEGIN, Bench, alert};

struct Says(Result<Drift, String>);

impl Archive for Says {
    fn drift<'a>(&'a self, device: &'a str, rule: &'a str) -> BoxFuture<'a, Result<Drift, String>> {
        assert_eq!((device, rule), ("r1", "ntp-server"));
        Box::pin(async { self.0.clone() })
    }
}

fn broken() -> Alert {
    let mut broken = alert("r1", "r2", BEGIN, true);
    broken.labels = [
        ("alertname", "ConfigurationRuleBroken"),
        ("device", "r1"),
        ("rule", "ntp-server"),
        ("severity", "warning"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    broken
}

fn back() -> WayBack {
    WayBack {
        title: "Time comes from us".to_owned(),
        by: "alice".to_owned(),
        at: 1_767_225_500,
        from: "f".repeat(40),
        to: "0".repeat(40),
        lines: vec!["no ntp server 192.0.2.66".to_owned()],
        secrets: 0,
    }
}

#[tokio::test]
async fn way_back_is_proposed_at_every_level_and_bound_to_its_hash() {
    let mut hashes = Vec::new();
    for (level, state) in [
        (Level::Observe, State::Observed),
        (Level::Propose, State::Proposed),
        (Level::Approve, State::Proposed),
        (Level::Auto, State::Proposed),
    ] {
        let mut bench = Bench::new(level);
        bench.archive = Arc::new(Says(Ok(Drift::Back(back()))));
        let works = bench.works().await;
        works.send(vec![broken()]).await;
        let job = works.newest(1, state).await;
        assert!(
            job.reason.contains("alice broke the rule") && job.reason.contains("1 lines back"),
            "{}",
            job.reason
        );
        let plan = job.plan.unwrap();
        assert_eq!(plan.lines(), ["no ntp server 192.0.2.66"]);
        assert_eq!(plan.hash(), job.plan_hash);
        hashes.push(job.plan_hash);
        assert_eq!(bench.typed(), [""; 0]);
        works.end().await;
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    // Another line, or another version to start from, is another plan.
    let mut bench = Bench::new(Level::Propose);
    let other = WayBack {
        from: "e".repeat(40),
        ..back()
    };
    bench.archive = Arc::new(Says(Ok(Drift::Back(other))));
    let works = bench.works().await;
    works.send(vec![broken()]).await;
    let job = works.newest(1, State::Proposed).await;
    assert_ne!(job.plan_hash, hashes[0]);
    works.end().await;
}

#[tokio::test]
async fn what_is_no_drift_any_more_is_nothing_and_what_has_no_way_back_is_for_people() {
    for (says, state, word) in [
        (
            Ok(Drift::None("r1 keeps the rule".to_owned())),
            State::Cancelled,
            "keeps the rule",
        ),
        (
            Ok(Drift::NoWay("no version keeps it".to_owned())),
            State::Escalated,
            "no version keeps it",
        ),
        (
            Err("sotp-ssh-config answered 500".to_owned()),
            State::Escalated,
            "cannot be asked",
        ),
    ] {
        let mut bench = Bench::new(Level::Auto);
        bench.archive = Arc::new(Says(says));
        let works = bench.works().await;
        works.send(vec![broken()]).await;
        let job = works.newest(1, state).await;
        assert!(job.reason.contains(word), "{}", job.reason);
        assert_eq!(job.plan, None);
        works.end().await;
    }
    // Planned work and the stop switch hold it back as any other.
    let mut bench = Bench::new(Level::Auto);
    bench.archive = Arc::new(Says(Ok(Drift::Back(back()))));
    let works = bench.works().await;
    let stop = sotp_remediator::journal::Switch {
        paused: true,
        ..Default::default()
    };
    works.engine.switch(stop).await.unwrap();
    works.send(vec![broken()]).await;
    works.newest(1, State::Deferred).await;
    assert_eq!(bench.metrics.suppressions(Rail::Paused), 1);
    works.end().await;
}

const GOOD: &str = "frr version 8.4\n!\nntp server 192.0.2.1\n!\nend\n";
const BAD: &str = "frr version 8.4\n!\nntp server 192.0.2.1\nntp server 192.0.2.66\n!\nend\n";

/// sotp-ssh-config collects a device whose configuration changes.
#[tokio::test]
async fn real_archive_knows_the_way_back() {
    let device = Device::new("r1", "reader", "s3cret").answer("show running-config", GOOD);
    let device = device.start().await.unwrap();
    let dir = TempDir::new().unwrap();
    dir.write("known_hosts", &device.known_host).unwrap();
    dir.write("password", "s3cret\n").unwrap();
    dir.write("word", "word\n").unwrap();
    let hash = bcrypt::hash("word", 4).unwrap();
    dir.write(
        "web.yaml",
        format!("basic_auth_users: {{remediator: '{hash}', bob: '{hash}'}}\n"),
    )
    .unwrap();
    std::fs::create_dir(dir.join("rules")).unwrap();
    dir.write(
        "rules/ours.yaml",
        "rules:\n  - {id: ntp-server, title: Time comes from us, severity: major, why: it is ours, platforms: [frr], must_not: ['^ntp server 192\\.0\\.2\\.66$'], \
         fix: no ntp server ADDRESS, tests: {pass: [\"ntp server 192.0.2.1\\n\"], fail: [\"ntp server 192.0.2.66\\n\"]}}\n",
    )
    .unwrap();
    dir.write(
        "config.yaml",
        "data: data\nhost_keys: {file: known_hosts}\nrules: rules\nmasking_key_file: masking.key\n\
         credentials: [{name: lab, user: reader, password_file: password, everywhere: true}]\n\
         access: {web_users: {remediator: viewer, bob: operator}}\naudit: {folder: audit}\n",
    )
    .unwrap();
    dir.write("masking.key", format!("{}\n", "k".repeat(64)))
        .unwrap();
    dir.write(
        "inventory.yaml",
        format!(
            "devices: [{{name: r1, address: 127.0.0.1, platform: frr, ssh: {{port: {}, credentials: lab}}}}]\n",
            device.address.port()
        ),
    )
    .unwrap();
    let flag = |name: &str, file: &str| format!("--{name}={}", dir.join(file).display());
    let process = Spawn::new(testkit::services::program("sotp-ssh-config"))
        .args([
            flag("config.file", "config.yaml"),
            flag("web.config.file", "web.yaml"),
            flag("inventory.source", "inventory.yaml"),
        ])
        .start()
        .await
        .unwrap();
    let archive = |user: &str| {
        let mut section = Section::new(process.url(""));
        section.basic_auth = Some(BasicAuth {
            username: user.to_owned(),
            password_file: dir.join("word"),
        });
        let pages = section.pages(Path::new("/"));
        pages.map_err(|wrong| wrong.message).unwrap()
    };
    let remediator = archive("remediator");
    // The rule holds as soon as there is a version.
    eventually(Duration::from_secs(30), || async {
        let path = ["api", "v1", "devices", "r1", "versions"];
        let (status, body) = remediator.get(&path, &[]).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        anyhow::ensure!(
            status == 200 && text.contains("\"version\":"),
            "{status} {text} {}",
            process.log()
        );
        Ok(())
    })
    .await
    .unwrap();
    let drift = remediator.drift("r1", "ntp-server").await.unwrap();
    assert!(matches!(drift, Drift::None(_)), "{drift:?}");
    device.answer("show running-config", BAD);
    let asked = testkit::client()
        .post(process.url("/api/v1/devices/r1/collect"))
        .basic_auth("bob", Some("word"))
        .send();
    assert_eq!(asked.await.unwrap().status(), 202);
    let back = eventually(Duration::from_secs(30), || async {
        match remediator.drift("r1", "ntp-server").await {
            Ok(Drift::Back(back)) => Ok(back),
            other => anyhow::bail!("{other:?} {}", process.log()),
        }
    })
    .await
    .unwrap();
    assert_eq!(back.lines, ["no ntp server 192.0.2.66"]);
    assert_eq!((&*back.title, back.secrets), ("Time comes from us", 0));
    assert!(back.from != back.to && back.to.len() == 40, "{back:?}");
    let unknown = remediator.drift("r9", "ntp-server").await;
    assert!(unknown.unwrap_err().contains("404"));
    let stranger = archive("nobody").drift("r1", "ntp-server").await;
    assert!(stranger.unwrap_err().contains("configuration.read"));
    assert_eq!(
        device
            .typed()
            .iter()
            .filter(|line| line.contains("ntp"))
            .count(),
        0
    );
}
