//! From flags to exit code, with the real binary.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::{SOON, echo, start};
use testkit::{Process, Signal, Spawn, TempDir, eventually};

fn run(args: &[&str]) -> Output {
    Command::new(echo())
        .args(args)
        .env("COLUMNS", "100")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Compares with a golden file; `SOTP_GOLDEN=write` writes it.
fn golden(name: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    if std::env::var("SOTP_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} differs, found:\n{found}",
        path.display()
    );
}

#[test]
fn help_is_as_documented() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    golden("help.txt", &text(&output.stdout));
}

#[test]
fn default_configuration_is_printed_and_good() {
    let output = run(&["--config.print-default"]);
    assert!(output.status.success());
    golden("default.yaml", &text(&output.stdout));
    let dir = TempDir::new().unwrap();
    let path = dir.write("config.yaml", &output.stdout).unwrap();
    let check = run(&["--config.check", "--config.file", path.to_str().unwrap()]);
    assert!(check.status.success(), "{}", text(&check.stderr));
}

#[test]
fn version_says_what_was_built() {
    let output = run(&["--version"]);
    let line = text(&output.stdout);
    assert!(output.status.success());
    for part in ["echo ", env!("CARGO_PKG_VERSION"), "revision ", "rustc 1."] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn wrong_flags_exit_64() {
    for args in [
        &["--bogus"][..],
        &["--log.level=loud"],
        &["--config.auto-reload-interval=5"],
        &["--web.telemetry-path=/-/healthy"],
        &["--web.max-connections=0"],
        &["--web.listen-address=nonsense"],
        &["--web.listen-address=127.0.0.1:99999"],
    ] {
        let output = run(args);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).starts_with("error: "),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn flags_come_from_the_environment_too() {
    let output = Command::new(echo())
        .env("SOTP_LOG_FORMAT", "xml")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("xml"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn wrong_configuration_exits_64_and_names_the_place() {
    let dir = TempDir::new().unwrap();
    let path = dir
        .write("config.yaml", "greeting: hi\nrepeat: 12\n")
        .unwrap();
    for check in [&["--config.check"][..], &[]] {
        let args = [&["--config.file", path.to_str().unwrap()], check].concat();
        let output = run(&args);
        assert_eq!(output.status.code(), Some(64));
        let wanted = format!(
            "error: {}:2:9: repeat: expected a number from 1 to 9, found 12\n",
            path.display()
        );
        assert_eq!(text(&output.stderr), wanted);
    }
    let unknown = dir
        .write("unknown.yaml", "greeting: hi\npasswrd: hunter2\n")
        .unwrap();
    let output = run(&["--config.check", "--config.file", unknown.to_str().unwrap()]);
    let error = text(&output.stderr);
    assert!(
        error.contains("unknown.yaml:2:1: ") && error.contains("passwrd"),
        "{error}"
    );
    assert!(
        !error.contains("hunter2"),
        "a message must not quote the file: {error}"
    );
}

#[test]
fn wrong_web_configuration_exits_64() {
    let dir = TempDir::new().unwrap();
    let path = dir
        .write(
            "web.yml",
            "tls_server_config:\n  cert_file: none.crt\n  key_file: none.key\n",
        )
        .unwrap();
    let output = run(&[
        "--config.check",
        "--web.config.file",
        path.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("none.crt cannot be read: No such file"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn address_in_use_exits_1() {
    let first = start(&[]).await;
    let listen = format!("--web.listen-address={}", first.address());
    let output = tokio::task::spawn_blocking(move || run(&[&listen]))
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stderr);
    assert!(
        log.contains(first.address()) && log.contains("in use"),
        "{log}"
    );
}

#[tokio::test]
async fn dual_stack_port_answers_on_both_families() {
    let service = Spawn::new(echo()).listen(":0").start().await.unwrap();
    let port = service.address().rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "[::1]"] {
        let answer = testkit::client()
            .get(format!("http://{host}:{port}/-/healthy"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn unix_socket_answers_and_is_removed() {
    let dir = TempDir::new().unwrap();
    let path = dir.join("web.sock");
    let mut service = Spawn::new(echo())
        .listen(format!("unix:{}", path.display()))
        .start()
        .await
        .unwrap();
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let answer = crate::support::ask(&mut stream, "GET /-/healthy HTTP/1.1")
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(stream);
    service.terminate().unwrap();
    assert!(service.wait(SOON).await.unwrap().success());
    assert!(!path.exists());
}

#[tokio::test]
async fn readiness_waits_for_every_gate() {
    let service = start(&["--echo.never-ready"]).await;
    let (status, body) = service.get("/-/ready").await.unwrap();
    assert_eq!(
        (status, body.trim()),
        (503, "not ready: waiting for the wish to be ready")
    );
    assert_eq!(service.get("/-/healthy").await.unwrap().0, 200);
}

#[tokio::test]
async fn sigterm_drains_in_order() {
    let mut service = start(&["--echo.flush=1500"]).await;
    service.ready(SOON).await.unwrap();
    service.terminate().unwrap();
    // Not ready at once, while health and metrics are still answered and the pages of the service are not.
    eventually(Duration::from_millis(1000), || async {
        let (status, body) = service.get("/-/ready").await?;
        anyhow::ensure!(status == 503 && body.contains("ending"), "{status} {body}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(service.get("/-/healthy").await.unwrap().0, 200);
    assert_eq!(service.get("/echo").await.unwrap().0, 503);
    let status = service.wait(SOON).await.unwrap();
    assert!(status.success(), "{status}");
    let log = service.log();
    let at = |text: &str| {
        log.find(text)
            .unwrap_or_else(|| panic!("{text} is not in {log}"))
    };
    assert!(at("draining") < at("flushed") && at("flushed") < at("stopped"));
}

#[tokio::test]
async fn request_in_flight_is_answered_before_the_end() {
    let mut service = start(&[]).await;
    let url = service.url("/slow?ms=3000");
    let asked = tokio::spawn(async move { testkit::client().get(url).send().await?.text().await });
    eventually(SOON, || async {
        anyhow::ensure!(service.log().contains("slow request"), "not asked yet");
        Ok(())
    })
    .await
    .unwrap();
    service.terminate().unwrap();
    assert_eq!(asked.await.unwrap().unwrap().trim(), "slow");
    assert!(service.wait(SOON).await.unwrap().success());
}

#[tokio::test]
async fn drain_has_a_deadline() {
    let mut service = start(&["--echo.flush=60000", "--drain.timeout=500ms"]).await;
    // Then the task that needs so long is there.
    service.ready(SOON).await.unwrap();
    let began = Instant::now();
    service.signal(Signal::SIGINT).unwrap();
    let status = service.wait(SOON).await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(
        service.log().contains("drain deadline passed"),
        "{}",
        service.log()
    );
}

#[tokio::test]
async fn health_is_answered_while_the_main_pool_is_blocked() {
    let mut service = start(&[
        "--echo.block=600",
        "--drain.timeout=500ms",
        "--web.request-timeout=1s",
    ])
    .await;
    assert_eq!(service.get("/block").await.unwrap().1.trim(), "blocked");
    // Once every thread has taken one of the tasks that block, nothing of the service answers any more.
    eventually(SOON, || async {
        let (status, _) = service.get("/echo").await?;
        anyhow::ensure!(status == 503, "{status}");
        Ok(())
    })
    .await
    .unwrap();
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(service.get("/-/healthy").await.unwrap().0, 200);
        assert_eq!(service.get("/-/ready").await.unwrap().0, 200);
        assert!(
            service
                .scrape()
                .await
                .unwrap()
                .value("echo_repeat", &[])
                .is_some()
        );
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
    service.terminate().unwrap();
    assert_eq!(service.wait(SOON).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn task_that_panics_is_started_again_and_counted() {
    let service = start(&["--echo.task-fails=10"]).await;
    eventually(SOON, || async {
        let restarts = service
            .scrape()
            .await?
            .value("sotp_task_restarts_total", &[("task", "restless")]);
        anyhow::ensure!(restarts >= Some(2.0), "{restarts:?}");
        Ok(())
    })
    .await
    .unwrap();
    service
        .logged("panicked: as the flag asked", SOON)
        .await
        .unwrap();
    assert_eq!(
        service
            .scrape()
            .await
            .unwrap()
            .value("sotp_task_restarts_total", &[("task", "wait")]),
        Some(0.0)
    );
}

#[tokio::test]
async fn task_that_must_not_end_ends_the_service() {
    let mut service = start(&["--echo.wait-ends=200"]).await;
    assert_eq!(service.wait(SOON).await.unwrap().code(), Some(1));
    assert!(
        service
            .log()
            .contains("task ended, the service cannot go on"),
        "{}",
        service.log()
    );
}

#[tokio::test]
async fn harness_tells_why_a_service_did_not_start() {
    let error = Process::spawn(echo(), ["--log.level=loud"])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("loud"), "{error}");
}

#[tokio::test]
async fn json_lines_are_json() {
    let mut service = start(&["--log.format=json"]).await;
    service.terminate().unwrap();
    service.wait(SOON).await.unwrap();
    let log = service.log();
    assert!(log.lines().count() >= 3, "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["time"].is_string() && line["level"] == "INFO" && line["msg"].is_string(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn head_without_end_does_not_hold_up_the_end() {
    use tokio::io::AsyncWriteExt as _;
    let mut service = start(&["--drain.timeout=10s"]).await;
    let mut stream = tokio::net::TcpStream::connect(service.address())
        .await
        .unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    service.get("/-/healthy").await.unwrap();
    let began = Instant::now();
    service.terminate().unwrap();
    assert!(service.wait(SOON).await.unwrap().success());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn what_is_written_is_for_the_user_and_the_group_alone() {
    let service = start(&[]).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let mask = u32::from_str_radix(mask.unwrap().trim(), 8).unwrap();
    assert_eq!(mask & 0o027, 0o027, "{mask:o}");
}

/// systemd's protocol, sd_notify(3): ready, alive as long as the main pool works, stopping.
#[tokio::test]
async fn a_service_manager_is_told_of_the_life_of_a_service_and_of_a_pool_that_hangs() {
    let dir = TempDir::new().unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(dir.join("notify")).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let next = || {
        let mut text = [0; 64];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let mut service = Spawn::new(echo())
        .args(["--echo.block=600", "--drain.timeout=200ms"])
        .env("NOTIFY_SOCKET", dir.join("notify"))
        .env("WATCHDOG_USEC", "200000")
        .start()
        .await
        .unwrap();
    assert_eq!(next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    service.get("/block").await.unwrap();
    // What was sent before it blocked is read; then nothing more comes.
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    eventually(SOON, async || {
        let said = socket.recv(&mut [0; 64]);
        anyhow::ensure!(said.is_err(), "still alive");
        Ok(())
    })
    .await
    .unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    service.terminate().unwrap();
    assert_eq!(next(), "STOPPING=1");
    service.wait(SOON).await.unwrap();
}

#[tokio::test]
async fn a_watchdog_of_another_process_is_none_of_ours() {
    let dir = TempDir::new().unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(dir.join("notify")).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut service = Spawn::new(echo())
        .env("NOTIFY_SOCKET", dir.join("notify"))
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1")
        .start()
        .await
        .unwrap();
    service.terminate().unwrap();
    service.wait(SOON).await.unwrap();
    let mut text = [0; 64];
    let mut all = Vec::new();
    for _ in 0..2 {
        let length = socket.recv(&mut text).unwrap();
        all.push(String::from_utf8_lossy(&text[..length]).into_owned());
    }
    assert_eq!(all, ["READY=1", "STOPPING=1"]);
}
