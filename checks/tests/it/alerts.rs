//! The alerts: rules, runbooks and tests belong together, and Prometheus' and Alertmanager's own tools accept them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};
use sotp_checks::alerts::{self, Case, Rule};
use sotp_checks::{files, root, tools};
use testkit::Server;

fn rules() -> Vec<Rule> {
    let rules = alerts::rules(&root().join("alerts/rules")).unwrap();
    assert!(alerts::names(&rules).len() > 10, "there are alerts");
    rules
}

fn paths(folder: &str, ending: &str) -> Vec<String> {
    let found = files(&root().join(folder), ending).unwrap();
    assert!(!found.is_empty(), "{folder} holds {ending} files");
    found
        .iter()
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn promtool_accepts_the_rules() {
    let files = paths("alerts/rules", ".yaml");
    let mut arguments = vec!["check", "rules", "--lint=all", "--lint-fatal"];
    arguments.extend(files.iter().map(String::as_str));
    tools::run("promtool", &arguments).unwrap();
}

/// Each file is a process of its own, as many at once as there are processors: two days of many series are not for free.
#[test]
fn promtool_passes_the_tests() {
    let files = Mutex::new(paths("alerts/tests", ".yaml"));
    let next = || files.lock().unwrap().pop();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(file) = next() {
                    // With the memory of a test of its own, a fifth of the work is saved that Go's collector makes.
                    let test = ["GOGC=400", "promtool", "test", "rules", &file];
                    tools::run("env", &test).unwrap();
                }
            });
        }
    });
}

#[test]
fn every_alert_has_its_texts_and_its_runbook_and_every_runbook_its_alert() {
    let rules = rules();
    let names = alerts::names(&rules);
    let stem = |path: &String| {
        Path::new(path)
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let paths = paths("alerts/runbooks", ".md");
    let runbooks: BTreeSet<String> = paths.iter().map(stem).collect();
    let mut problems: Vec<String> = rules
        .iter()
        .flat_map(|rule| alerts::rule_problems(rule, &runbooks))
        .collect();
    for path in &paths {
        problems.extend(alerts::runbook_problems(
            &stem(path),
            &std::fs::read_to_string(path).unwrap(),
            &names,
        ));
    }
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn every_alert_is_shown_silent_firing_and_silent_again() {
    let cases = alerts::cases(&root().join("alerts/tests")).unwrap();
    assert_eq!(
        alerts::coverage_problems(&alerts::names(&rules()), &cases),
        Vec::<String>::new()
    );
}

/// Where one event is the fault: what is gone stays gone, and nobody would see it again.
const SINGLE: [&str; 11] = [
    "AuditWritesFail",
    "InventoryShrunk",
    "MqttSeriesRefused",
    "NetflowKernelDrops",
    "RemediationNeedsPeople",
    "ReportIncomplete",
    "SyslogDeadLetters",
    "SyslogKernelDrops",
    "SyslogMessagesDropped",
    "SyslogQueueDamaged",
    "SyslogWebhookFails",
];

#[test]
fn every_alert_passes_one_bad_sample_stays_with_its_fault_for_two_days_and_ends_with_it() {
    let cases = alerts::cases(&root().join("alerts/tests")).unwrap();
    let rules = rules();
    let names = alerts::names(&rules);
    assert!(SINGLE.iter().all(|single| names.contains(*single)));
    assert_eq!(
        alerts::life_problems(&rules, &cases, &SINGLE.into()),
        Vec::<String>::new()
    );
}

#[test]
fn every_alert_names_the_interface_the_neighbour_or_whatever_its_labels_tell() {
    let cases = alerts::cases(&root().join("alerts/tests")).unwrap();
    assert_eq!(alerts::text_problems(&cases), BTreeSet::new());
    assert_eq!(alerts::sentence_problems(&cases), BTreeSet::new());
}

#[test]
fn the_list_of_alerts_in_the_documents_is_complete() {
    let text = std::fs::read_to_string(root().join("docs/alerts.md")).unwrap();
    for rule in rules() {
        let Some(name) = &rule.alert else { continue };
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| [{name}](")));
        let row = row.unwrap_or_else(|| panic!("docs/alerts.md has no row for {name}"));
        assert!(
            row.contains(&rule.labels["severity"]),
            "docs/alerts.md gives {name} another severity: {row}"
        );
    }
}

#[test]
fn missing_texts_files_and_tests_are_found() {
    let rule: Rule =
        serde_json::from_value(json!({"alert": "A", "expr": "up", "labels": {"severity": "loud"}}))
            .unwrap();
    assert_eq!(alerts::rule_problems(&rule, &BTreeSet::new()).len(), 5);
    assert_eq!(
        alerts::runbook_problems("B", "## Check\n", &["A".to_owned()].into()).len(),
        4
    );
    let unnamed: Rule = serde_json::from_value(json!({"alert": "A", "expr": "up == 0 or absent(up)", "labels": {"severity": "warning"},
        "annotations": {"summary": "{{ $labels.instance }} is down", "description": "{{ $labels.ifAlias }}", "runbook_url": "alerts/runbooks/A.md"}}))
    .unwrap();
    let problems = alerts::rule_problems(&unnamed, &["A".to_owned()].into());
    assert_eq!(problems.len(), 2, "{problems:?}");
    for (summary, description, fine) in [
        ("r1 does not answer", "No probe is answered.", true),
        ("r1  does not answer", "No probe is answered.", false),
        ("r1 does not answer", "The port () is down.", false),
        ("r1 does not answer", "<no value> is down.", false),
        ("r1 does not answer.", "It is down.", false),
        ("r1 does not answer", "It is down", false),
    ] {
        let told: Case = serde_json::from_value(json!({"alert_rule_test": [{"alertname": "A",
            "exp_alerts": [{"exp_annotations": {"summary": summary, "description": description}}]}]}))
        .unwrap();
        let problems = alerts::sentence_problems(&[told]);
        assert_eq!(problems.is_empty(), fine, "{problems:?}");
    }
    let silent: Case =
        serde_json::from_value(json!({"alert_rule_test": [{"alertname": "A"}]})).unwrap();
    let fires =
        json!({"alert_rule_test": [{"alertname": "A"}, {"alertname": "A", "exp_alerts": [{}]}]});
    let fires: Case = serde_json::from_value(fires).unwrap();
    let names = ["A".to_owned()].into();
    assert_eq!(alerts::coverage_problems(&names, &[silent]).len(), 2);
    assert_eq!(
        alerts::coverage_problems(&names, &[fires]),
        ["A: no test shows it firing and then silent again"]
    );
}

#[test]
fn amtool_accepts_the_configurations_and_the_routes_lead_where_they_should() {
    for file in paths("alerts/alertmanager", ".yaml") {
        tools::run("amtool", &["check-config", &file]).unwrap();
        for (labels, receiver) in [
            (
                &["alertname=DeviceDown", "severity=critical"][..],
                "critical",
            ),
            (
                &["alertname=DevicePacketLoss", "severity=warning"],
                "warning",
            ),
            (&["alertname=Unforeseen"], "screens"),
        ] {
            let config = format!("--config.file={file}");
            let verify = format!("--verify.receivers={receiver}");
            let mut arguments = vec!["config", "routes", "test", &config, &verify];
            arguments.extend(labels);
            tools::run("amtool", &arguments).unwrap();
        }
    }
}

/// The app tries each receiver alone: one that such a test does not reach cannot be tried.
#[test]
fn a_test_of_a_receiver_reaches_it_and_no_other() {
    for file in paths("alerts/alertmanager", ".yaml") {
        let text = std::fs::read_to_string(&file).unwrap();
        let config: Value = serde_saphyr::from_str(&text).unwrap();
        for receiver in config["receivers"].as_array().unwrap() {
            let name = receiver["name"].as_str().unwrap();
            let (config, verify) = (
                format!("--config.file={file}"),
                format!("--verify.receivers={name}"),
            );
            let label = format!("receiver={name}");
            let labels = ["alertname=TestNotification", "severity=warning", &label];
            let mut arguments = vec!["config", "routes", "test", &config, &verify];
            arguments.extend(labels);
            tools::run("amtool", &arguments).unwrap();
        }
    }
}

#[test]
fn the_example_differs_from_the_default_in_destinations_only() {
    let read = |name: &str| -> Value {
        let path = root().join("alerts/alertmanager").join(name);
        serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let (default, example) = (read("alertmanager.yaml"), read("alertmanager.example.yaml"));
    assert_eq!(default["route"], example["route"]);
    assert_eq!(default["inhibit_rules"], example["inhibit_rules"]);
}

/// The names of the alerts that a running Alertmanager holds back, once they are `expected` or after 10 s.
async fn held_back(server: &Server, expected: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for _ in 0..100 {
        let alerts: Vec<Value> =
            serde_json::from_str(&server.get("/api/v2/alerts").await.unwrap()).unwrap();
        let held = alerts
            .iter()
            .filter(|alert| alert["status"]["state"] == "suppressed");
        names = held
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        if names.iter().eq(expected) {
            break;
        }
        // It takes an alert in first and judges by it a moment later.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    names
}

#[tokio::test]
async fn a_site_that_is_cut_off_holds_back_the_alerts_of_its_devices() {
    let config =
        std::fs::read_to_string(root().join("alerts/alertmanager/alertmanager.yaml")).unwrap();
    let server = Server::alertmanager(&config).await.unwrap();
    let alert = |name: &str, device: &str, site: &str| json!({"labels": {"alertname": name, "device": device, "site": site}});
    let alone = json!([
        alert("DeviceDown", "r1", "north"),
        alert("DevicePacketLoss", "r2", "north")
    ]);
    server.post("/api/v2/alerts", &alone).await.unwrap();
    assert_eq!(
        held_back(&server, &[]).await,
        BTreeSet::new(),
        "nothing is held back while no site is down"
    );

    let cut = json!([
        alert("SiteDown", "", "north"),
        alert("DeviceDown", "r1", "north"),
        alert("DeviceRoundTripHigh", "r3", "south")
    ]);
    server.post("/api/v2/alerts", &cut).await.unwrap();
    let held = held_back(&server, &["DeviceDown", "DevicePacketLoss"]).await;
    assert_eq!(
        held,
        ["DeviceDown", "DevicePacketLoss"].map(str::to_owned).into()
    );
}
