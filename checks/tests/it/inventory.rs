//! A router is added through the API of the inventory and taken out again, in a real network: pinged, collected by SNMP, scraped by a
//! real Prometheus, and shown by the queries of the dashboards; then gone from all of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inventory::Inventory;
use inventory::edit::{Edit, Kind};
use serde_json::Value;
use sotp_checks::prometheus::Prometheus;
use sotp_checks::variables::{Values, names};
use sotp_checks::{dashboards, root};
use testkit::grafana::{Basic, Grafana, Setup, User};
use testkit::lab::said;
use testkit::services::program;
use testkit::{Lab, Process, Server, Spawn, client, eventually};

/// In our own services a change is everywhere within this time.
const OURS: Duration = Duration::from_secs(5);
/// Prometheus looks at a list each second, hands it on once in five seconds, and then scrapes. Its own part is measured and not judged.
const THEIRS: Duration = Duration::from_secs(60);
const ROUTER: &str = "r3";
const INSIDE: &str = "SOTP_TEST_INSIDE_LAB";

/// The scenario, in a lab that is calm.
pub(crate) fn a_router_that_is_added_is_watched_and_one_that_is_deleted_is_not(lab: &Lab) {
    let listed = lab.run(&["inventory"]);
    lab.folder.write("lab.yaml", &listed.stdout).unwrap();
    let state = lab
        .folder
        .join(format!("sotp-lab/{}/credentials.json", lab.name()));
    std::fs::copy(state, lab.folder.join("credentials.json")).unwrap();
    // The rest goes on where the network is.
    let here = std::env::current_exe().unwrap();
    let inside = format!("{INSIDE}={}", lab.folder.path().display());
    let output = lab.run(&[
        "exec",
        "box",
        "--",
        "env",
        &inside,
        here.to_str().unwrap(),
        "--ignored",
        "--exact",
        "inventory::inside_the_lab",
        "--nocapture",
    ]);
    assert!(said(&output).contains("1 passed"), "{}", said(&output));
    for line in said(&output)
        .lines()
        .filter(|line| line.starts_with("after "))
    {
        println!("{line}");
    }
}

/// What runs in the box.
struct Watchers {
    inventory: Process,
    ping: Process,
    prometheus: Prometheus,
    grafana: Grafana,
    _server: Server,
    _snmp: Process,
}

fn services(folder: &Path) -> (Value, String) {
    let text = std::fs::read_to_string(folder.join("lab.yaml")).unwrap();
    let (mut document, _) = Inventory::parse_both(&text, "lab.yaml".as_ref()).unwrap();
    let router = document.entry(Kind::Device, ROUTER).unwrap().to_json();
    document.apply(&Edit::Delete(Kind::Device, ROUTER.to_owned()));
    let json = String::from_utf8(document.to_json()).unwrap();
    (serde_json::from_str(&router).unwrap(), json)
}

/// The lab's credentials alone, so that the exporter's own modules answer for those that the lab's inventory names.
fn snmp_configuration(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("credentials.json")).unwrap();
    let secrets: Value = serde_json::from_str(&text).unwrap();
    let secret = |name: &str| secrets[name].as_str().unwrap().to_owned();
    format!(
        "auths:\n  lab_v3: {{version: 3, security_level: authPriv, username: {}, password: {}, auth_protocol: SHA, \
         priv_protocol: AES, priv_password: {}}}\n",
        secret("user"),
        secret("snmp_auth_password"),
        secret("snmp_privacy_password"),
    )
}

async fn start(folder: &Path, inventory: &str) -> Watchers {
    let network = folder.join("network");
    std::fs::create_dir(&network).unwrap();
    std::fs::write(network.join("inventory.yaml"), inventory).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    // Whoever is in here may look; who changes something comes through Grafana.
    let grafana = Grafana::start(Setup {
        users: vec![User::new("ed", Basic::Editor)],
        ..Setup::default()
    })
    .await
    .unwrap();
    let config = write(
        "config.yaml",
        format!(
            "access:\n  grafana: {{url: '{}'}}\naudit: {{folder: {}}}\n",
            grafana.url(),
            folder.join("audit").display()
        ),
    );
    let service = |name: &str| Spawn::new(program(name));
    let inventory = service("sotp-inventory")
        .args([
            format!(
                "--inventory.source={}",
                network.join("inventory.yaml").display()
            ),
            format!("--config.file={config}"),
        ])
        .start()
        .await
        .unwrap();
    let ping = service("sotp-ping")
        .args([format!("--inventory.source={}", inventory.url(""))])
        .start()
        .await
        .unwrap();
    let snmp = service("sotp-snmp")
        .args([format!(
            "--config.file={}",
            write("snmp.yml", snmp_configuration(folder))
        )])
        .start()
        .await
        .unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  \
             - job_name: inventory\n    static_configs: [{{targets: ['{at}']}}]\n  \
             - job_name: ping\n    static_configs: [{{targets: ['{}']}}]\n  \
             - job_name: snmp\n    scrape_interval: 2s\n    scrape_timeout: 2s\n    metrics_path: /snmp\n    http_sd_configs:\n      - url: http://{at}/sd/snmp\n        refresh_interval: 1s\n    \
             relabel_configs:\n      - {{source_labels: [__address__], target_label: __param_target}}\n      \
             - {{source_labels: [__param_target], target_label: instance}}\n      - {{target_label: __address__, replacement: '{}'}}\n",
        ping.address(),
        snmp.address(),
        at = inventory.address(),
    );
    // Targets are handed on twice, each time once in five seconds. The first cannot be made shorter.
    let handed_on = ["--scrape.discovery-reload-interval=100ms"];
    let server = Server::prometheus_with(&config, &handed_on).await.unwrap();
    Watchers {
        inventory,
        ping,
        grafana,
        prometheus: Prometheus::new(&server.url).unwrap(),
        _server: server,
        _snmp: snmp,
    }
}

impl Watchers {
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let method = method.parse().unwrap();
        let mut request = client()
            .request(method, self.inventory.url(path))
            .header("x-grafana-id", self.grafana.token("ed"));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.header("if-match", "*").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until a query answers series, or none.
    async fn shows(&self, query: &str, there: bool, within: Duration) {
        let shown = eventually(within, || async {
            let count = self.prometheus.instant(query).await?;
            anyhow::ensure!((count > 0) == there, "{query}: {count} series");
            Ok(())
        });
        shown.await.unwrap();
    }

    /// Whether the ping service sends to the router and hears of it.
    async fn pinged(&self, there: bool) {
        let pinged = eventually(OURS, || async {
            let samples = self.ping.scrape().await?;
            let up = samples.value("ping_up", &[("device", ROUTER)]);
            anyhow::ensure!(up == there.then_some(1.0), "ping_up of {ROUTER} is {up:?}");
            Ok(())
        });
        pinged.await.unwrap();
    }

    async fn listed(&self, there: bool) {
        for job in ["ping", "snmp"] {
            let (status, list) = self.call("GET", &format!("/sd/{job}"), None).await;
            let known = list.contains(&format!("\"{ROUTER}\""));
            assert_eq!((status, known), (200, there), "{job}: {list}");
        }
    }
}

/// The queries of the dashboard of one device that ask for what the ping service and the inventory say of it.
fn queries() -> Vec<String> {
    let mut values = Values::builtin(60, 1, 1);
    let all = dashboards::read(&root().join("dashboards")).unwrap();
    let mut found = Vec::new();
    for query in all
        .iter()
        .flat_map(sotp_checks::dashboards::Dashboard::queries)
    {
        let text = query.text;
        let plain = |name: &&str| !name.starts_with("__");
        for name in names(&text).into_iter().filter(plain) {
            values.set(name, if name == "device" { ROUTER } else { ".*" });
        }
        // Of what is now; what was is shown as long as it is kept.
        let now = !text.contains("_over_time(");
        if now && names(&text).contains("device") && text.contains("ping_up") {
            found.push(values.fill(&text).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs inside a lab, started by the test of the triangle"]
async fn inside_the_lab() {
    let Some(folder) = std::env::var_os(INSIDE).map(PathBuf::from) else {
        return;
    };
    let (router, others) = services(&folder);
    let watchers = start(&folder, &others).await;
    let (shown, there) = (queries(), format!("{{device=\"{ROUTER}\"}}"));
    assert!(
        !shown.is_empty(),
        "no dashboard asks for ping_up of a device"
    );
    // The others are watched, this one is not: it is the change that brings it.
    watchers
        .shows(
            "up{job=\"snmp\",device=\"r1\"} == 1 and on () (ping_up{device=\"r1\"} == 1)",
            true,
            THEIRS,
        )
        .await;
    for query in &shown {
        watchers.shows(query, false, OURS).await;
    }
    watchers.listed(false).await;

    let began = Instant::now();
    let (status, text) = watchers
        .call("POST", "/api/v1/devices", Some(&router))
        .await;
    assert_eq!(status, 201, "{text}");
    let told = |what: &str| println!("after {:.1} s {what}", began.elapsed().as_secs_f64());
    watchers.listed(true).await;
    told("the router is in the lists of discovery");
    watchers.pinged(true).await;
    told("it is pinged and answers");
    assert!(began.elapsed() < OURS, "{:?}", began.elapsed());
    watchers
        .shows(&format!("ping_up{there} == 1"), true, OURS)
        .await;
    told("Prometheus has its ping");
    for query in &shown {
        watchers.shows(query, true, OURS).await;
    }
    told("the dashboards' queries show it");
    watchers
        .shows(&format!("sysUpTime{there} > 0"), true, THEIRS)
        .await;
    told("Prometheus has discovered it and collected it by SNMP");

    let began = Instant::now();
    let (status, text) = watchers
        .call("DELETE", &format!("/api/v1/devices/{ROUTER}"), None)
        .await;
    assert_eq!(status, 204, "{text}");
    let told = |what: &str| println!("after {:.1} s {what}", began.elapsed().as_secs_f64());
    watchers.listed(false).await;
    watchers.pinged(false).await;
    told("the deleted router is not pinged and in no list");
    assert!(began.elapsed() < OURS, "{:?}", began.elapsed());
    // Stale, which an instant query shows at once: nothing lingers for the five minutes of the look-back.
    for query in &shown {
        watchers.shows(query, false, OURS).await;
    }
    watchers
        .shows(
            &format!("{{__name__=~\"ping_.+\",device=\"{ROUTER}\"}}"),
            false,
            OURS,
        )
        .await;
    told("its ping series are stale, and no dashboard shows it");
    watchers
        .shows(
            &format!("{{job=\"snmp\",device=\"{ROUTER}\"}}"),
            false,
            THEIRS,
        )
        .await;
    told("Prometheus has dropped the target, and its series are stale");
    // Nothing of the others went with it.
    assert!(
        watchers
            .prometheus
            .instant("ping_up{device=\"r1\"} == 1")
            .await
            .unwrap()
            > 0
    );
    assert!(
        watchers
            .prometheus
            .instant("sysUpTime{device=\"r1\"} > 0")
            .await
            .unwrap()
            > 0
    );
}
