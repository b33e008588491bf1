//! `sotp-lab stack up` with the real services, Prometheus and Alertmanager, in a network namespace of
//! the test's own, so that neither ports nor packets meet anything else.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::processes::{LAB, Mark, among_others, binaries, ended, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use testkit::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// Listens on loopback and knocks without a certificate.
const HEARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/heard.py");

const INVENTORY: &str = "
sites:
  - {name: here, region: test, latitude: 1.0, longitude: 2.0}
devices:
  - {name: self, address: 127.0.0.1, site: here, role: host, platform: linux}
  - {name: self6, address: \"::1\", site: here, role: host, platform: linux}
";

struct Stack {
    child: Child,
    folder: TempDir,
    mark: Mark,
}

/// A shell in a new network namespace, in which loopback is up and pings are allowed; then `script`.
fn namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.arg(if geteuid().is_root() { "-n" } else { "-rn" });
    let prepare = "ip link set lo up && echo '0 0' > /proc/sys/net/ipv4/ping_group_range";
    command.args(["--", "sh", "-c", &format!("{prepare} && {script}"), LAB]);
    command
}

impl Stack {
    /// Starts it; `before` is a shell command of the namespace.
    fn start(before: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mark = Mark::new();
        std::fs::write(folder.join("inventory.yaml"), INVENTORY).unwrap();
        let mut command = namespace(&format!("{before} exec \"$0\" stack up \"$@\""));
        command
            .arg("--inventory")
            .arg(folder.join("inventory.yaml"));
        command.arg("--bin-dir").arg(binaries());
        command.arg("--state-dir").arg(folder.join("state"));
        command.args(["--scrape-interval", "1"]);
        command
            .env(Mark::KEY, mark.word())
            .env("SOTP_STACK_DIR", folder.join("none"));
        let out = File::create(folder.join("out")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let mut stack = Self {
            child,
            folder,
            mark,
        };
        stack.wait_for_the_table();
        stack
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.folder.join("out")).unwrap()
    }

    fn wait_for_the_table(&mut self) {
        eventually("the table", LIMIT, || {
            let out = self.out();
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {out}");
            if out.contains("Ctrl-C ends all of it") {
                Ok(())
            } else {
                Err(out)
            }
        });
    }

    fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    /// The output of a command in the stack's network namespace.
    fn inside(&self, argv: &[&str]) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.child.id().to_string(), "--net"]);
        if !geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        let output = command.arg("--").args(argv).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }

    /// The answer of Prometheus at `port` to `expr`.
    fn query(&self, port: u16, expr: &str) -> Result<String, String> {
        self.inside(&[
            "promtool",
            "query",
            "instant",
            &format!("http://127.0.0.1:{port}"),
            expr,
        ])
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_whole_stack_watches_this_machine_and_ends_on_sigterm() {
    let _machine = among_others();
    let mut stack = Stack::start("");
    let both = "count(ping_up{site=\"here\",role=\"host\"} == 1)";
    eventually("both devices are up", LIMIT, || {
        match stack.query(9090, both)? {
            answer if answer.contains("=> 2 @") => Ok(()),
            answer => Err(answer),
        }
    });
    eventually("all five jobs are scraped", LIMIT, || {
        let answer = stack.query(9090, "count by (job) (up == 1)")?;
        let jobs = [
            "inventory",
            "ping",
            "snmp-exporter",
            "prometheus",
            "alertmanager",
        ];
        if jobs
            .iter()
            .all(|job| answer.contains(&format!("job=\"{job}\"")))
        {
            Ok(())
        } else {
            Err(answer)
        }
    });
    let rules = stack.inside(&[
        "promtool",
        "query",
        "instant",
        "http://127.0.0.1:9090",
        "prometheus_rule_group_rules",
    ]);
    assert!(
        rules.unwrap().contains("alerts/rules/ping.yaml"),
        "the rules of the checkout are loaded"
    );
    let config = stack
        .inside(&[
            "amtool",
            "--alertmanager.url=http://127.0.0.1:9093",
            "config",
            "show",
        ])
        .unwrap();
    assert!(
        config.contains("receiver: critical"),
        "the routes of the checkout are loaded: {config}"
    );
    let heard = stack.inside(&["python3", HEARD, "3", "people"]).unwrap();
    assert!(heard.contains("nobody without a certificate"), "{heard}");
    let listeners = stack.inside(&["ss", "-Hltn"]).unwrap();
    for line in listeners.lines() {
        let local = line.split_whitespace().nth(3).unwrap();
        assert!(
            local.starts_with("127.0.0.1:"),
            "{local} listens beyond loopback"
        );
    }

    let table = stack.out();
    for row in [
        "Prometheus",
        "Alertmanager",
        "sotp-inventory",
        "sotp-ping",
        "sotp-snmp",
    ] {
        assert!(table.contains(row), "{row}: {table}");
    }
    let grafana = table
        .lines()
        .find(|line| line.trim_start().starts_with("Grafana"));
    assert!(
        grafana.is_some_and(|line| line.contains("missing")),
        "{table}"
    );
    stack.signal(Signal::SIGTERM);
    let status = ended(&mut stack.child, Duration::from_secs(20));
    assert_eq!(status.code(), Some(0), "{}", stack.out());
    stack.mark.assert_gone(Duration::from_secs(2));
}

#[test]
fn a_killed_launcher_takes_everything_with_it() {
    let _machine = among_others();
    let stack = Stack::start("");
    assert!(stack.mark.living().len() >= 5, "{:?}", stack.mark.living());
    stack.signal(Signal::SIGKILL);
    stack.mark.assert_gone(Duration::from_secs(10));
}

#[test]
fn a_taken_port_is_said_and_the_next_one_is_used() {
    let _machine = among_others();
    let hold = "python3 -c \"import socket,time; s=socket.create_server(('127.0.0.1',9090)); time.sleep(600)\" & \
                while ! ss -Hltn | grep -q :9090; do sleep 0.05; done;";
    let stack = Stack::start(hold);
    let out = stack.out();
    assert!(
        out.contains("port 9090 is taken: prometheus is at 9091"),
        "{out}"
    );
    // Debian's Prometheus has its old interface alone.
    let page = ["alerts", "classic/alerts"].map(|page| format!("http://127.0.0.1:9091/{page}"));
    assert!(page.iter().any(|page| out.contains(page)), "{out}");
    eventually(
        "Prometheus scrapes itself where it is",
        LIMIT,
        || match stack.query(9091, "up{job=\"prometheus\",instance=\"127.0.0.1:19090\"}")? {
            answer if answer.contains("=> 1 @") => Ok(()),
            answer => Err(answer),
        },
    );
    let mark = stack.mark.clone();
    drop(stack);
    // The holder of the port is a child of the shell that became the launcher: it is not supervised.
    for pid in holders(&mark) {
        let _ = kill(pid, Signal::SIGKILL);
    }
    mark.assert_gone(Duration::from_secs(10));
}

fn holders(mark: &Mark) -> Vec<Pid> {
    let of = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let environ = std::fs::read_to_string(entry.path().join("environ")).ok()?;
        (line.contains("create_server") && environ.contains(mark.word()))
            .then(|| Pid::from_raw(pid))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(of)
        .collect()
}

/// What `stack up` says before it starts anything.
fn refusal(script: &str, inventory: &str) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let file: PathBuf = folder.join("inventory.yaml");
    if !inventory.is_empty() {
        std::fs::write(&file, inventory).unwrap();
    }
    let mut command = namespace(script);
    command
        .arg("--inventory")
        .arg(&file)
        .arg("--bin-dir")
        .arg(binaries());
    command.arg("--state-dir").arg(folder.join("state"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = ended(&mut child, Duration::from_secs(30));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        !folder.join("state/log").exists(),
        "it started something: {said}"
    );
    (status.code(), said)
}

#[test]
fn a_bad_inventory_is_refused_before_anything_starts() {
    let _machine = among_others();
    let up = "exec \"$0\" stack up \"$@\"";
    let (code, said) = refusal(up, "devices:\n  - name: a\n    adress: 127.0.0.1\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the inventory is refused")
            && said.contains("inventory.yaml")
            && said.contains("adress"),
        "{said}"
    );
    let (code, said) = refusal(up, "");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("inventory.yaml: No such file"), "{said}");
}

#[test]
fn a_user_who_may_not_ping_is_told_the_remedy() {
    let _machine = among_others();
    if !geteuid().is_root() {
        // Only root can be robbed of a capability here; the decision itself is a unit test.
        return;
    }
    let up = "echo '1 0' > /proc/sys/net/ipv4/ping_group_range && \
              exec setpriv --bounding-set -net_raw --inh-caps -net_raw -- \"$0\" stack up \"$@\"";
    let (code, said) = refusal(up, INVENTORY);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("sudo sysctl -w net.ipv4.ping_group_range=\"0 2147483647\""),
        "{said}"
    );
}
