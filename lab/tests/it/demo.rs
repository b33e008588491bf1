//! The demo as a user starts it: it stays, it ends, it says what is missing. The cut link and its alert are in `checks`, with the dashboards.

use std::fs::File;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::processes::{LAB, Mark, among_others, binaries, ended, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::TempDir;

/// Runs the demo once under its own name and mark; nothing of it may be left.
fn demo(name: &str, flags: &[&str]) -> Output {
    run(name, &TempDir::new().unwrap(), flags)
}

/// The same, with its state below `folder`.
pub(crate) fn run(name: &str, folder: &TempDir, flags: &[&str]) -> Output {
    let mark = Mark::new();
    let links = testkit::links();
    let output = Command::new("timeout")
        // A guard against a test that never ends; the demo bounds every wait of its own.
        .args([
            "--kill-after=30",
            "300",
            LAB,
            "demo",
            "--once",
            "--no-install",
            "--no-history",
        ])
        .args(["--name", name, "--bin-dir"])
        .arg(binaries())
        .args(flags)
        .env(Mark::KEY, mark.word())
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("SOTP_STACK_DIR", folder.join("none"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    mark.assert_gone(Duration::from_secs(10));
    eventually(
        "no network interface is left",
        Duration::from_secs(30),
        || {
            let left: Vec<_> = testkit::links().difference(&links).cloned().collect();
            left.is_empty()
                .then_some(())
                .ok_or_else(|| format!("{left:?}"))
        },
    );
    let left = folder.join("sotp-lab").join(name);
    assert!(!left.exists(), "{} is left", left.display());
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn without_once_it_stays_until_it_is_interrupted() {
    let _machine = among_others();
    let mut show = Show::start("test-show", &[]);
    std::thread::sleep(Duration::from_secs(2));
    assert!(
        show.child.try_wait().unwrap().is_none(),
        "it stays: {}",
        show.out()
    );
    let out = show.out();
    let urls: Vec<&str> = out
        .split_whitespace()
        .filter(|word| word.starts_with("http://"))
        .collect();
    let alerts = urls.iter().find_map(|url| url.strip_suffix("/alerts"));
    let prometheus = alerts.unwrap_or_else(|| panic!("{out}"));
    for url in urls {
        let answer = Command::new("curl")
            .args(["-fsS", "-o", "/dev/null", url])
            .output();
        let answer = answer.unwrap();
        assert!(
            answer.status.success(),
            "a browser of this machine reaches {url}: {answer:?}"
        );
    }
    appended(prometheus.trim_end_matches("/classic"));
    show.signal(Signal::SIGINT);
    let status = ended(&mut show.child, Duration::from_secs(30));
    assert_eq!(status.code(), Some(0), "{}", show.out());
    show.mark.assert_gone(Duration::from_secs(2));
    assert!(!show.folder.join("sotp-lab/test-show").exists());
}

/// What is measured is appended to the series of the demonstration history: none of them is there twice.
fn appended(prometheus: &str) {
    let ask = |query: &str| -> Option<f64> {
        let output = Command::new("curl")
            .args([
                "-fsSG",
                &format!("{prometheus}/api/v1/query"),
                "--data-urlencode",
            ])
            .arg(format!("query={query}"))
            .output()
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let value = answer["data"]["result"][0]["value"][1].as_str()?;
        value.parse().ok()
    };
    for (series, number) in [
        ("ping_up", 5.0),
        ("ping_rtt_seconds_sum", 5.0),
        ("sotp_device_maintenance", 5.0),
        ("device:ping_state:code", 5.0),
        ("device:ping_loss:ratio_rate1m", 5.0),
        ("ifHCInOctets{ifName=~\"to-.*\"}", 8.0),
        ("ifHighSpeed{ifName=~\"to-.*\"}", 8.0),
        ("up{job=~\"ping|snmp\"}", 4.0),
    ] {
        // The history has one sample a minute.
        let measured = format!("count(count_over_time({series}[10s]) >= 3)");
        eventually(&measured, Duration::from_secs(60), || {
            let now = ask(&measured);
            (now == Some(number))
                .then_some(())
                .ok_or_else(|| format!("{now:?}"))
        });
        let ever = format!("count(count_over_time({series}[95d]))");
        assert_eq!(ask(&ever), Some(number), "{ever}");
        let long = format!("min(count_over_time({series}[95d]))");
        let samples = ask(&long).unwrap();
        assert!(samples > 20_000.0, "{long}: {samples}");
    }
    // What the links say of their speed is what they always said.
    let speed = "max(changes(ifHighSpeed{ifName=~\"to-.*\"}[95d]))";
    assert_eq!(ask(speed), Some(0.0), "{speed}");
    // A scrape may fail on a busy machine.
    let filling = "min(last_over_time(ifHighSpeed{device=\"r1\",ifName=\"to-r3\"}[2m]))";
    assert_eq!(ask(filling), Some(1.0), "{filling}");
}

#[test]
fn a_killed_demo_leaves_no_process() {
    let _machine = among_others();
    let mut show = Show::start("test-kill", &["--no-history"]);
    assert!(show.mark.living().len() > 20, "{:?}", show.mark.living());
    show.signal(Signal::SIGKILL);
    let _ = show.child.wait();
    show.mark.assert_gone(Duration::from_secs(20));
}

/// While the network is built, the history is written, the stack starts and the table is there: some seconds each, since all of it is real.
#[test]
fn a_demo_that_is_interrupted_at_any_moment_leaves_nothing() {
    let _machine = among_others();
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut random = u64::from(seed.subsec_nanos());
    let signals = [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM];
    for (round, span) in [1_000, 3_000, 6_000, 10_000].into_iter().enumerate() {
        // A linear congruential generator will do.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let moment = Duration::from_millis(span / 2 + (random >> 33) % (span / 2));
        let signal = signals[round % signals.len()];
        let mut show = Show::begin("test-moment", &[]);
        std::thread::sleep(moment);
        show.signal(signal);
        let status = ended(&mut show.child, Duration::from_secs(60));
        let about = format!("{signal} after {moment:?}: {status}: {}", show.out());
        // One that came before it listened ended it by itself.
        assert!(
            status.code() == Some(0) || moment < Duration::from_secs(2),
            "{about}"
        );
        show.mark.assert_gone(Duration::from_secs(10));
        assert!(
            !show.folder.join("sotp-lab/test-moment").exists(),
            "{about}"
        );
        let scratch = show.folder.join("tmp").read_dir().unwrap().flatten();
        let scratch: Vec<_> = scratch.map(|entry| entry.file_name()).collect();
        assert!(scratch.is_empty(), "{scratch:?}: {about}");
    }
}

/// A demo that stays.
struct Show {
    child: Child,
    folder: TempDir,
    mark: Mark,
}

impl Show {
    /// One that has only just been started.
    fn begin(name: &str, flags: &[&str]) -> Self {
        let (mark, folder) = (Mark::new(), TempDir::new().unwrap());
        std::fs::create_dir(folder.join("tmp")).unwrap();
        let out = File::create(folder.join("out")).unwrap();
        let child = Command::new(LAB)
            .args(["demo", "--no-install", "--name", name])
            .args(flags)
            .arg("--bin-dir")
            .arg(binaries())
            .env(Mark::KEY, mark.word())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("SOTP_STACK_DIR", folder.join("none"))
            .env("TMPDIR", folder.join("tmp"))
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            mark,
        }
    }

    /// One up to its table.
    fn start(name: &str, flags: &[&str]) -> Self {
        let mut show = Self::begin(name, flags);
        eventually("the table", Duration::from_secs(120), || {
            let out = show.out();
            assert!(show.child.try_wait().unwrap().is_none(), "it ended: {out}");
            if out.contains("Ctrl-C ends all of it") {
                Ok(())
            } else {
                Err(out)
            }
        });
        show
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.folder.join("out")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command hears the lab's loopback for a while: all that the parts say to each other there is TLS, and no part of ours, of Prometheus'
/// or of the doubles takes a caller without a certificate.
#[test]
fn a_failing_command_fails_the_demo_and_nothing_is_left() {
    let _machine = among_others();
    let heard = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/heard.py");
    let hook = format!("python3 {heard} 4; exit 3");
    let output = demo("test-hook", &["--steps", "cut", "--while-up", &hook]);
    let said = said(&output);
    assert!(said.contains("nobody without a certificate"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("exit 3` ended with exit status: 3"), "{said}");
}

#[test]
fn a_service_that_is_missing_is_said_before_a_network_is_built() {
    let _machine = among_others();
    let folder = TempDir::new().unwrap();
    let output = Command::new(LAB)
        .args(["demo", "--once", "--no-install", "--bin-dir"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no sotp-inventory in") && said.contains("--bin-dir"),
        "{said}"
    );
    assert!(!said.contains("building the network"), "{said}");
}

#[test]
fn what_the_story_cannot_be_played_on_is_said_before_a_network_is_built() {
    let _machine = among_others();
    for (flags, expected) in [
        (["--link", "r1-r9"], "--link r1-r9"),
        (["--device", "h9"], "--device h9"),
        (["--topology", "campus"], "--steps cut"),
    ] {
        let output = demo("test-nowhere", &flags);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("building the network"), "{said}");
    }
}
