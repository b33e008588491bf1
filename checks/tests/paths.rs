//! Paths over the routers of a real lab: hops as the topology has them, and the detour when a link is cut.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sotp_checks::root;
use testkit::TempDir;

const PANELS: &str = env!("CARGO_BIN_EXE_sotp-panels");
const NAME: &str = "paths";
const CONFIG: &str = "probe: {interval: 200ms, timeout: 500ms}\n\
                      path: {enabled: true, interval: 2s, timeout: 500ms, max_hops: 10, rate: 200}\n";

struct Lab {
    folder: TempDir,
    service: Option<Child>,
}

impl Lab {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        let program = Path::new(PANELS).parent().unwrap().join("sotp-lab");
        command.args(["--kill-after=5", "150"]).arg(program);
        command.args([args[0], "--name", NAME]).args(&args[1..]);
        command.env("XDG_RUNTIME_DIR", self.folder.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        output
    }

    /// The series of paths, once `what` holds of them.
    fn until(&self, name: &str, what: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let ask = [
                "exec",
                "box",
                "--",
                "curl",
                "-s",
                "http://127.0.0.1:19427/metrics",
            ];
            let output = self.command(&ask).output().unwrap();
            let page = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<&str> = page
                .lines()
                .filter(|line| line.starts_with("ping_path_"))
                .collect();
            let paths = lines.join("\n");
            if what(&paths) {
                return paths;
            }
            assert!(Instant::now() < end, "{name}:\n{paths}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).output();
        if let Some(mut service) = self.service.take() {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// The value of a series of the path to `h2`.
fn value(page: &str, name: &str) -> Option<f64> {
    let start = format!("{name}{{device=\"h2\"");
    let line = page.lines().find(|line| line.starts_with(&start))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

fn identity(page: &str) -> Option<&str> {
    let line = page
        .lines()
        .find(|line| line.starts_with("ping_path_info{device=\"h2\""))?;
    line.split("path_id=\"").nth(1)?.split('"').next()
}

#[test]
fn a_cut_link_of_the_triangle_is_another_path() {
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

    let mut lab = Lab {
        folder: TempDir::new().unwrap(),
        service: None,
    };
    lab.run(&["up", "--deadline", "60", "--topology", "triangle"]);
    let inventory = lab.run(&["inventory"]).stdout;
    lab.folder
        .write("inventory.yaml", String::from_utf8(inventory).unwrap())
        .unwrap();
    lab.folder.write("ping.yaml", CONFIG).unwrap();
    let file = |flag: &str, name: &str| format!("--{flag}={}", lab.folder.join(name).display());
    let program = binaries.join("sotp-ping").display().to_string();
    let (inventory, config) = (
        file("inventory.source", "inventory.yaml"),
        file("config.file", "ping.yaml"),
    );
    let mut serve = lab.command(&[
        "exec",
        "box",
        "--",
        &program,
        "--web.listen-address=127.0.0.1:19427",
        &inventory,
        &config,
    ]);
    lab.service = Some(
        serve
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );

    // The box, r1, r3, h2: the target is the third.
    let whole = lab.until("the short way", |page| {
        value(page, "ping_path_hops") == Some(3.0)
            && value(page, "ping_path_traces_total") >= Some(2.0)
    });
    assert_eq!(value(&whole, "ping_path_mtu_bytes"), Some(1500.0));
    lab.run(&["break", "r1-r3"]);
    let cut = lab.until("the way over r2", |page| {
        value(page, "ping_path_hops") == Some(4.0)
    });
    assert!(
        identity(&cut).is_some() && identity(&cut) != identity(&whole),
        "{cut}"
    );
    let before = value(&cut, "ping_path_changes_total").unwrap();
    assert!(before >= 1.0, "{cut}");
    lab.run(&["heal", "r1-r3"]);
    let healed = lab.until("the short way again", |page| {
        identity(page) == identity(&whole)
    });
    assert!(
        value(&healed, "ping_path_changes_total") > Some(before),
        "{healed}"
    );
}
