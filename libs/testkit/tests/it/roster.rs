//! The example service: what a new exporter needs is there, and it is small.

use std::path::PathBuf;
use std::time::Duration;

use testkit::loki::{Loki, Misbehave};
use testkit::{Process, Spawn, TempDir, eventually};

/// Long enough for a loaded machine; nothing waits for it when all is well.
const SOON: Duration = Duration::from_secs(20);

/// The example, which cargo builds with the tests.
fn roster() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(|deps| deps.parent()).unwrap();
    let binary = target.join("examples/roster");
    assert!(
        binary.exists(),
        "{} is not built: run `cargo build -p testkit --examples`",
        binary.display()
    );
    binary
}

/// A folder with the files of a service.
struct Place(TempDir);

impl Place {
    fn new(inventory: &str, loki: &Loki) -> Self {
        let place = Self(TempDir::new().unwrap());
        place.inventory(inventory);
        place.config(loki);
        place
    }

    fn inventory(&self, text: &str) {
        // Written beside and renamed, so that no half of it is read.
        std::fs::write(self.0.join("new"), text).unwrap();
        std::fs::rename(self.0.join("new"), self.0.join("inventory.yaml")).unwrap();
    }

    fn config(&self, loki: &Loki) {
        let text = format!(
            "loki: {{url: '{}', batch_age: 10ms}}\nqueue: {{path: lines}}\n",
            loki.push_url()
        );
        std::fs::write(self.0.join("roster.yaml"), text).unwrap();
    }

    async fn start(&self) -> Process {
        let flag = |name: &str, file: &str| format!("--{name}={}", self.0.join(file).display());
        let spawn = Spawn::new(roster()).args([
            flag("config.file", "roster.yaml"),
            flag("inventory.source", "inventory.yaml"),
        ]);
        let service = spawn.start().await.unwrap();
        service.ready(SOON).await.unwrap();
        service
    }
}

/// Waits until these lines are stored, and no others.
async fn stored(loki: &Loki, lines: &[&str]) {
    eventually(SOON, || async {
        let entries = loki.entries();
        let found: Vec<_> = entries.iter().map(|entry| entry.line.as_str()).collect();
        anyhow::ensure!(found == lines, "{found:?}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn becomes(service: &Process, name: &str, labels: &[(&str, &str)], value: f64) {
    eventually(SOON, || async {
        let found = service.scrape().await?.value(name, labels);
        anyhow::ensure!(found == Some(value), "{name}{labels:?} is {found:?}");
        Ok(())
    })
    .await
    .unwrap();
}

const ONE: &str = "devices: [{name: r1, address: 192.0.2.1, role: router}]";
const TWO: &str = "devices: [{name: r1, address: 192.0.2.1}, {name: r2, address: 192.0.2.2}]";
const OTHER: &str = "devices: [{name: r2, address: 192.0.2.2}]";

#[tokio::test]
async fn a_service_follows_devices_answers_metrics_and_writes_lines() {
    let loki = Loki::start(None).await.unwrap();
    let place = Place::new(ONE, &loki);
    let service = place.start().await;
    stored(&loki, &["came r1"]).await;
    assert_eq!(loki.entries()[0].get("job"), Some("roster"));
    let labels = [("device", "r1"), ("site", ""), ("role", "router")];
    becomes(&service, "roster_present", &labels, 1.0).await;
    let samples = service.scrape().await.unwrap();
    for (name, labels, value) in [
        ("sotp_inventory_source_up", &[][..], 1.0),
        ("sotp_inventory_source_failures_total", &[], 0.0),
        ("roster_lines_total", &[("result", "stored")], 1.0),
        ("roster_lines_total", &[("result", "failed")], 0.0),
        ("roster_pushes_total", &[("code", "204")], 1.0),
        ("roster_push_held", &[("destination", "loki")], 0.0),
        ("roster_spool_messages", &[("destination", "loki")], 0.0),
    ] {
        assert_eq!(samples.value(name, labels), Some(value), "{name}{labels:?}");
    }
    place.inventory(TWO);
    stored(&loki, &["came r1", "came r2"]).await;
    place.inventory("devices: [{name: r3}]");
    becomes(&service, "sotp_inventory_source_up", &[], 0.0).await;
    place.inventory(OTHER);
    stored(&loki, &["came r1", "came r2", "went r1"]).await;
    becomes(&service, "sotp_inventory_source_up", &[], 1.0).await;
}

#[tokio::test]
async fn a_reload_sends_lines_elsewhere_and_a_bad_one_changes_nothing() {
    let (first, second) = (Loki::start(None).await, Loki::start(None).await);
    let (first, second) = (first.unwrap(), second.unwrap());
    let place = Place::new(ONE, &first);
    let service = place.start().await;
    stored(&first, &["came r1"]).await;

    std::fs::write(place.0.join("roster.yaml"), "loki: {url: nowhere}\n").unwrap();
    let (status, body) = service.post("/-/reload", "").await.unwrap();
    assert_eq!(status, 500);
    assert!(
        body.contains("roster.yaml:1:13: loki.url: expected an http or https address"),
        "{body}"
    );
    place.inventory(TWO);
    stored(&first, &["came r1", "came r2"]).await;

    place.config(&second);
    let (status, _) = service.post("/-/reload", "").await.unwrap();
    assert_eq!(status, 200);
    service
        .logged("delivery goes on with its new settings", SOON)
        .await
        .unwrap();
    place.inventory(OTHER);
    stored(&second, &["went r1"]).await;
    assert_eq!(first.len(), 2);
}

#[tokio::test]
async fn what_loki_does_not_take_before_the_end_waits_for_the_next_start() {
    let loki = Loki::start(None).await.unwrap();
    loki.always(Some(Misbehave::Status(401, "who are you")));
    let place = Place::new(ONE, &loki);
    let mut service = place.start().await;
    let held = [("destination", "loki"), ("reason", "unauthorized")];
    becomes(&service, "roster_push_held", &held, 1.0).await;
    becomes(&service, "roster_spool_messages", &[], 1.0).await;
    service.terminate().unwrap();
    let ended = service.wait(SOON).await.unwrap();
    assert!(ended.success(), "{ended}: {}", service.log());
    assert!(loki.is_empty());

    loki.always(None);
    let _again = place.start().await;
    // The roll is empty at each start: r1 comes again, behind the line that waited.
    stored(&loki, &["came r1", "came r1"]).await;
}

#[test]
fn the_wiring_of_a_service_fits_on_two_pages() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/roster");
    let lines = ["main.rs", "app.rs", "flags.rs"].map(|file| {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        text.lines().count()
    });
    assert!(lines.iter().sum::<usize>() <= 120, "{lines:?}");
}
