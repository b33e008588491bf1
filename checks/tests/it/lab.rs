//! The whole, as a user sees it: the lab watched by our services and a real Prometheus, every query of the dashboards asked of it,
//! a link cut, the alert seen by a real Alertmanager, and its end.

use std::path::Path;
use std::process::{Command, Stdio};

use sotp_checks::root;

const PANELS: &str = env!("CARGO_BIN_EXE_sotp-panels");

#[test]
fn every_panel_shows_data_of_the_lab_and_the_alert_comes_and_goes() {
    let _alone = crate::alone();
    let binaries = Path::new(PANELS).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        // The whole workspace, as the test run itself, so that nothing is built twice.
        .args(["build", "--quiet", "--offline", "--workspace", "--bins"])
        .arg("--target-dir")
        .arg(binaries.parent().unwrap())
        .current_dir(root())
        .status()
        .unwrap();
    assert!(built.success(), "the services do not build");

    let dashboards = root().join("dashboards");
    // Its own place, so that two runs on one machine do not meet.
    let place = testkit::TempDir::new().unwrap();
    // snmpd tells the load of processors only after its first minute.
    let ask = format!(
        "'{PANELS}' --within 120 --dashboards '{}'",
        dashboards.display()
    );
    // A guard against a test that never ends; the demo bounds every wait of its own.
    let output = Command::new("timeout")
        .args(["--kill-after=30", "600"])
        .arg(binaries.join("sotp-lab"))
        .args(["demo", "--once", "--no-install", "--name", "panels"])
        .args(["--while-up", &ask])
        .args(["--while-firing", &format!("{ask} --while firing")])
        .env("XDG_RUNTIME_DIR", place.path())
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let asked: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("queries with data, 0 without"))
        .collect();
    assert_eq!(
        asked.len(),
        2,
        "once while all is well and once while the alert fires\n{said}"
    );
    println!("{said}");
}
