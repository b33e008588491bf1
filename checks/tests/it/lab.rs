//! The whole, as a user sees it: the lab watched by our services and a real Prometheus, every query of the dashboards asked of it,
//! paths followed, a link cut, the alert seen by a real Alertmanager, and its end, which leaves nothing.

use std::process::{Command, Stdio};
use std::time::Duration;

use sotp_checks::root;
use testkit::services::program;
use testkit::{Mark, TempDir};

const PANELS: &str = env!("CARGO_BIN_EXE_sotp-panels");
/// What the timeline of the demo names, in this order.
const STORY: [&str; 9] = [
    "the link is cut",
    "the first ping fails",
    "ping_up is 0 in the exporter",
    "the alert fires in Prometheus",
    "the alert is active in Alertmanager",
    "the link is healed",
    "ping_up is 1 in the exporter",
    "the alert is over in Prometheus",
    "the alert is resolved in Alertmanager",
];

/// A shell command that asks Prometheus until a query has an answer.
fn asked(query: &str) -> String {
    format!(
        "for i in $(seq 60); do promtool query instant $SOTP_PROMETHEUS_URL '{query}' | grep -q '=>' && break; \
         test $i != 60 && sleep 1 || exit 1; done"
    )
}

/// The network interfaces of the outside.
/// Over a minute: snmpd tells the load of processors only after its first one.
#[test]
fn every_panel_shows_data_of_the_lab_and_the_alert_comes_and_goes() {
    let _alone = crate::alone();
    let dashboards = root().join("dashboards");
    // Its own place, so that two runs on one machine do not meet.
    let (place, mark, before) = (TempDir::new().unwrap(), Mark::new(), testkit::links());
    let timeline = place.join("timeline.json");
    let panels = format!(
        "'{PANELS}' --within 120 --dashboards '{}'",
        dashboards.display()
    );
    // Over the router beside the box to the next one.
    let paths = asked(
        "ping_path_hops{device=\"r3\"} == 2 and on (device) ping_path_mtu_bytes{device=\"r3\"} == 1500 \
         and on (device) ping_path_hop_info{device=\"r3\",hop=\"2\",address=\"198.18.0.3\"}",
    );
    let firing = "amtool --alertmanager.url=$SOTP_ALERTMANAGER_URL alert query --output=json alertname=DeviceDown \
                  | grep -q '\"device\":\"h2\"'";
    // A guard against a test that never ends; the demo bounds every wait of its own.
    let mut demo = Command::new("timeout");
    demo.args(["--kill-after=30", "600"])
        .arg(program("sotp-lab"))
        .args([
            "demo",
            "--once",
            "--no-install",
            "--name",
            "panels",
            "--steps",
            "cut,storm",
            // As long as the panels take, or a little longer: nothing happens meanwhile, so nothing may fire. `make soak` has the whole.
            "--idle",
            "40",
            "--timeline",
        ])
        .arg(&timeline);
    for command in [&panels, &paths] {
        demo.args(["--while-up", command]);
    }
    let cut_off = asked("ping_path_reached{device=\"h2\"} == 0");
    for command in [&format!("{panels} --while firing"), firing, &cut_off] {
        demo.args(["--while-firing", command]);
    }
    let output = demo
        .env("XDG_RUNTIME_DIR", place.path())
        .env("SOTP_STACK_DIR", place.join("none"))
        .env(Mark::KEY, mark.word())
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let asked = said.matches("queries with data, 0 without").count();
    assert_eq!(
        asked, 2,
        "once while all is well and once while the alert fires\n{said}"
    );

    let text = std::fs::read_to_string(&timeline).unwrap();
    let steps: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(steps.as_array().unwrap().len(), 2, "{text}");
    let cut = &steps[0];
    assert!(cut["step"] == "cut" && cut["ok"] == true, "{text}");
    // Of all that stands behind a router one alert is told.
    assert!(
        steps[1]["step"] == "storm" && steps[1]["ok"] == true,
        "{text}"
    );
    assert!(cut["bound"] == 30 && cut["seconds"].as_f64().unwrap() < 30.0);
    let events = cut["evidence"].as_array().unwrap();
    let names = events.iter().filter_map(|event| event["what"].as_str());
    let story: Vec<&str> = names.filter(|name| STORY.contains(name)).collect();
    assert_eq!(story, STORY, "{said}");
    let times = events
        .iter()
        .map(|event| event["seconds"].as_f64().unwrap());
    assert!(times.is_sorted(), "{text}");
    for name in STORY {
        assert!(said.contains(name), "{name}: {said}");
    }

    mark.assert_gone(Duration::from_secs(10));
    // Tests beside this one have interfaces too, for a while.
    testkit::until(
        "no network interface is left",
        Duration::from_secs(30),
        || {
            let left: Vec<_> = testkit::links().difference(&before).cloned().collect();
            left.is_empty()
                .then_some(())
                .ok_or_else(|| format!("{left:?}"))
        },
    );
    assert!(!place.join("sotp-lab/panels").exists());
    println!("{said}");
}
