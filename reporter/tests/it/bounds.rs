//! What the API of reports costs at most: places for readings, one report at a time, a bounded number that wait.

use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{TempDir, eventually};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::service::{ACCESS, ask};
use crate::support::at;

/// Opening fails where nobody reads (`fcntl.h` of Linux).
const O_NONBLOCK: i32 = 0o4000;

const BOUND: Duration = Duration::from_secs(30);

/// A Prometheus that takes requests and answers none until it is told to end.
struct Silent {
    url: String,
    /// The times that each request asks about, in seconds since the epoch.
    asked: Arc<Mutex<Vec<Vec<i64>>>>,
    open: tokio::sync::watch::Sender<bool>,
}

/// Numbers of ten digits.
fn times(text: &str) -> Vec<i64> {
    let numbers = text.split(|letter: char| !letter.is_ascii_digit());
    numbers
        .filter(|number| number.len() == 10)
        .map(|number| number.parse().unwrap())
        .collect()
}

impl Silent {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (open, held) = tokio::sync::watch::channel(true);
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, mut held) = (Arc::clone(&seen), held.clone());
                tokio::spawn(async move {
                    let (mut text, mut room) = (Vec::new(), [0; 4096]);
                    let mut told = false;
                    while *held.borrow() {
                        let read = tokio::select! {
                            read = stream.read(&mut room) => read,
                            _ = held.changed() => break,
                        };
                        match read {
                            Ok(0) | Err(_) => return,
                            Ok(read) => text.extend_from_slice(&room[..read]),
                        }
                        let times = times(&String::from_utf8_lossy(&text));
                        if !told && !times.is_empty() {
                            told = true;
                            seen.lock().unwrap().push(times);
                        }
                    }
                });
            }
        });
        Self { url, asked, open }
    }

    /// Whether a request asked about nothing later than this.
    fn asked_before(&self, end: i64) -> bool {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .any(|times| times.iter().all(|time| *time <= end))
    }
}

#[tokio::test]
async fn one_report_is_made_at_a_time_and_a_bounded_number_waits() {
    let dir = TempDir::new().unwrap();
    let prometheus = Silent::start().await;
    let text = format!(
        "prometheus: {{url: '{}', timeout_seconds: 120}}\n{ACCESS}",
        prometheus.url
    );
    let config = format!(
        "--config.file={}",
        dir.write("reporter.yaml", text).unwrap().display()
    );
    let process = crate::service::start(&dir, &config).await;
    let post = async |month: &str| {
        let body = Some(json!({"month": month}));
        ask(&process, "POST", "/api/v1/reports", "alice", body).await
    };
    assert_eq!(post("2025-10").await.0, 202);
    eventually(BOUND, || async {
        anyhow::ensure!(!prometheus.asked.lock().unwrap().is_empty());
        Ok(())
    })
    .await
    .unwrap();
    let early = at("2022-02-01T00:00:00Z");
    assert_eq!(post("2022-01").await.0, 202);
    let mut waiting = 2;
    let refused = loop {
        let answer = post("2022-01").await;
        if answer.0 != 202 {
            break answer;
        }
        waiting += 1;
        assert!(waiting <= 1000, "no bound");
    };
    assert_eq!(refused.0, 503, "{refused:?}");
    assert!(
        refused.2.contains("as many reports wait as may"),
        "{refused:?}"
    );
    assert!(
        !prometheus.asked_before(early),
        "the second waits for the first"
    );
    let (status, _, text) = ask(&process, "GET", "/api/v1/jobs", "eve", None).await;
    let jobs: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, jobs["jobs"].as_array().unwrap().len()),
        (200, waiting)
    );
    prometheus.open.send_replace(false);
    prometheus.open.send_replace(true);
    eventually(BOUND, || async {
        anyhow::ensure!(
            prometheus.asked_before(early),
            "the first has ended, the second begins"
        );
        Ok(())
    })
    .await
    .unwrap();
}

/// A report whose disk does not answer: a named pipe that nobody writes.
#[tokio::test]
async fn readings_that_wait_for_the_disk_take_four_places_and_give_them_back() {
    let dir = TempDir::new().unwrap();
    let text = format!("prometheus: {{url: 'http://127.0.0.1:9'}}\n{ACCESS}");
    let config = format!(
        "--config.file={}",
        dir.write("reporter.yaml", text).unwrap().display()
    );
    let process = crate::service::start(&dir, &config).await;
    let pipe = dir.join("data/reports/2025-10/manifest.json");
    std::fs::create_dir(pipe.parent().unwrap()).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let get = |path: &str| {
        let request = testkit::client().get(process.url(path));
        tokio::spawn(request.basic_auth("eve", Some("word")).send())
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(get("/api/v1/reports/2025-10"));
    }
    let jobs = || async { ask(&process, "GET", "/api/v1/jobs", "eve", None).await.0 };
    for _ in 0..3 {
        assert_eq!(jobs().await, 200);
    }
    for _ in 0..3 {
        held.push(get("/api/v1/reports/2025-10"));
    }
    eventually(BOUND, || async {
        let late = tokio::time::timeout(Duration::from_millis(500), jobs()).await;
        anyhow::ensure!(late.is_err(), "a fifth place");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(ask(&process, "GET", "/metrics", "eve", None).await.0, 200);
    // Whoever writes wakes all that wait; there are six readings, two of which open the pipe later.
    eventually(BOUND, || async {
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(O_NONBLOCK)
            .open(&pipe);
        drop(opened);
        anyhow::ensure!(held.iter().all(tokio::task::JoinHandle::is_finished));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(jobs().await, 200);
}
