//! Restarts while work comes in, as an upgrade makes them: what a socket of the service manager holds meanwhile is taken, and what was once
//! answered as taken is never lost. sotp-syslog has its own, in the life of the packages.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use testkit::loki::Loki;
use testkit::{TempDir, client, eventually, services::program, until};

/// Long enough for a loaded machine; nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(60);
const RESTARTS: usize = 3;
/// So many are taken between two restarts.
const SOME: usize = 20;

/// A service that is started again and again with the same files.
struct Service<'a> {
    name: &'a str,
    dir: &'a TempDir,
    args: Vec<String>,
    /// What systemd listens on for it.
    socket: Option<UdpSocket>,
    child: Option<Child>,
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl<'a> Service<'a> {
    fn new(name: &'a str, dir: &'a TempDir, args: &[&str], socket: Option<UdpSocket>) -> Self {
        let mut service = Self {
            name,
            dir,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            socket,
            child: None,
        };
        service.start();
        service
    }

    fn start(&mut self) {
        let port = self.dir.join("port");
        let _ = std::fs::remove_file(&port);
        let mut command = Command::new("sh");
        let script = match &self.socket {
            Some(socket) => {
                command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
                "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\""
            }
            None => "exec \"$@\"",
        };
        let child = command
            .args(["-c", script, "sh"])
            .arg(program(self.name))
            .arg("--web.listen-address=127.0.0.1:0")
            .arg(format!("--web.port-file={}", port.display()))
            .args(&self.args)
            .current_dir(self.dir.path())
            .stderr(std::fs::File::create(self.dir.join("log")).unwrap())
            .spawn();
        self.child = Some(child.unwrap());
        until(self.name, LONG, || {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            std::fs::read_to_string(&port).map_err(|_| log)
        });
    }

    fn restart(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let status = child.wait().unwrap();
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap();
        assert!(status.success(), "{}: {status}\n{log}", self.name);
        self.start();
    }
}

/// Where the service listens now.
fn address(dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(dir.join("port")).ok()?;
    Some(format!("http://{}", text.trim()))
}

/// What the kernel had no room for at this port of UDP (`/proc/net/udp`, column `drops`).
fn dropped(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/thread-self/net/udp").unwrap();
    let own = format!(":{port:04X}");
    let line = table.lines().find(|line| {
        line.split_whitespace()
            .nth(1)
            .is_some_and(|at| at.ends_with(&own))
    });
    let drops = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
    drops.unwrap()
}

/// A datagram of NetFlow 5 with one flow of so many octets.
fn flow(octets: u32) -> Vec<u8> {
    let mut out = vec![0; 72];
    (out[1], out[3]) = (5, 1);
    out[16..20].copy_from_slice(&octets.to_be_bytes());
    out[24..32].copy_from_slice(&[198, 18, 0, 1, 198, 19, 0, 2]);
    out[43] = 1;
    out[44..48].copy_from_slice(&octets.to_be_bytes());
    out[62] = 17;
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_netflow_loses_no_flow_but_what_the_kernel_had_no_room_for() {
    let loki = Loki::start(None).await.unwrap();
    let dir = TempDir::new().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap();
    dir.write(
        "inventory.yaml",
        "devices: [{name: r1, address: 127.0.0.1, flow: {sources: [127.0.0.1]}}]\n",
    )
    .unwrap();
    let config = format!(
        "listen: ['{to}']\nloki: {{url: '{}', batch_age: 10ms}}\nqueue: {{path: lines}}\n\
         flows_to_loki: {{lines_per_second: 50000, queue: {{path: flows}}}}\n",
        loki.push_url()
    );
    dir.write("netflow.yaml", config).unwrap();
    let args = [
        "--config.file=netflow.yaml",
        "--inventory.source=inventory.yaml",
    ];
    let kept = socket.try_clone().unwrap();
    let mut service = Service::new("sotp-netflow", &dir, &args, Some(socket));
    let done = Arc::new(AtomicBool::new(false));
    let sender = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                sent += 1;
                socket.send_to(&flow(sent), to).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            sent
        }
    });
    for _ in 0..RESTARTS {
        std::thread::sleep(Duration::from_millis(300));
        service.restart();
    }
    done.store(true, Ordering::Relaxed);
    let sent = sender.join().unwrap();
    assert!(sent > 300, "{sent}");
    eventually(LONG, || async {
        let entries = loki.entries();
        let octets: BTreeSet<u32> = entries
            .iter()
            .filter(|entry| entry.get("by") == Some("flow"))
            .filter_map(|entry| entry.get("bytes")?.parse().ok())
            .collect();
        let drops = dropped(to.port());
        let missing: Vec<u32> = (1..=sent).filter(|one| !octets.contains(one)).collect();
        anyhow::ensure!(
            missing.len() <= drops,
            "{} of {sent} are missing, the kernel counts {drops}: {missing:?}",
            missing.len()
        );
        Ok(())
    })
    .await
    .unwrap();
    drop(kept);
}

/// How far the work of one test has come.
#[derive(Clone, Default)]
struct Progress {
    done: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
}

impl Progress {
    /// Restarts the service again and again, each time when it has taken some more.
    async fn restarts(&self, service: &mut Service<'_>) {
        for _ in 0..RESTARTS {
            let before = self.taken.load(Ordering::Relaxed);
            eventually(LONG, || async {
                let more = self.taken.load(Ordering::Relaxed) - before;
                anyhow::ensure!(more >= SOME, "{more} of {SOME}");
                Ok(())
            })
            .await
            .unwrap();
            tokio::task::block_in_place(|| service.restart());
        }
        self.done.store(true, Ordering::Relaxed);
    }
}

/// Posts `body` of 1, 2, 3 … to wherever the service is, until it is told to stop; those that were answered as taken.
fn poster(
    dir: &TempDir,
    progress: &Progress,
    path: &'static str,
    fields: &'static [(&'static str, &'static str)],
    body: impl Fn(u32) -> String + Send + 'static,
) -> tokio::task::JoinHandle<BTreeSet<u32>> {
    let (folder, progress) = (dir.path().to_owned(), progress.clone());
    tokio::spawn(async move {
        let (mut taken, mut number) = (BTreeSet::new(), 0);
        while !progress.done.load(Ordering::Relaxed) && number < 1_000 {
            number += 1;
            let Some(base) = address(&folder) else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let mut request = client().post(format!("{base}{path}")).body(body(number));
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            if let Ok(answer) = request.send().await
                && answer.status().is_success()
            {
                taken.insert(number);
                progress.taken.store(taken.len(), Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        taken
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_rum_loses_no_fault_that_was_answered_as_taken() {
    let loki = Loki::start(None).await.unwrap();
    let dir = TempDir::new().unwrap();
    let config = format!(
        "origins: ['https://shop.example.net']\napps: [shop]\nlimits: {{posts_per_second: 100000}}\n\
         loki: {{url: '{}', batch_age: 10ms}}\nqueue: {{path: lines}}\n",
        loki.push_url()
    );
    dir.write("rum.yaml", config).unwrap();
    let mut service = Service::new("sotp-rum", &dir, &["--config.file=rum.yaml"], None);
    let progress = Progress::default();
    let fields = &[
        ("origin", "https://shop.example.net"),
        ("content-type", "application/json"),
    ];
    let posts = poster(&dir, &progress, "/collect", fields, |number| {
        format!(
            r#"{{"meta":{{"app":{{"name":"shop"}},"page":{{"url":"http://x/d/a"}}}},"exceptions":[{{"type":"E","value":"fault {number}."}}]}}"#
        )
    });
    progress.restarts(&mut service).await;
    let taken = posts.await.unwrap();
    assert!(taken.len() >= RESTARTS * SOME, "{}", taken.len());
    eventually(LONG, || async {
        let lines: String = loki.entries().into_iter().map(|entry| entry.line).collect();
        let lost = taken
            .iter()
            .filter(|one| !lines.contains(&format!("fault {one}.")));
        let lost: Vec<&u32> = lost.collect();
        anyhow::ensure!(lost.is_empty(), "{lost:?} of {}", taken.len());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_remediator_loses_no_alert_that_was_answered_as_taken() {
    let dir = TempDir::new().unwrap();
    dir.write("token", "token-of-alertmanager\n").unwrap();
    dir.write(
        "inventory.yaml",
        "devices: [{name: r1, address: 192.0.2.1, platform: frr, ssh: {}}]\n",
    )
    .unwrap();
    dir.write(
        "remediator.yaml",
        "journal: {folder: journal}\nprometheus: {url: 'http://127.0.0.1:9'}\nwebhook: {bearer_token_file: token}\nlevels: [{runbook: port-up, level: propose}]\n",
    )
    .unwrap();
    let args = [
        "--config.file=remediator.yaml",
        "--inventory.source=inventory.yaml",
    ];
    let mut service = Service::new("sotp-remediator", &dir, &args, None);
    let progress = Progress::default();
    let fields = &[
        ("authorization", "Bearer token-of-alertmanager"),
        ("content-type", "application/json"),
    ];
    let posts = poster(
        &dir,
        &progress,
        "/api/v1/webhook/alertmanager",
        fields,
        |number| {
            format!(
                r#"{{"version":"4","status":"firing","alerts":[{{"status":"firing","labels":{{"alertname":"InterfaceShut","device":"r1","ifName":"eth{number}"}},"startsAt":"2026-01-01T00:00:00Z","fingerprint":"{number:016x}"}}]}}"#
            )
        },
    );
    progress.restarts(&mut service).await;
    let taken = posts.await.unwrap();
    assert!(taken.len() >= RESTARTS * SOME, "{}", taken.len());
    eventually(LONG, || async {
        let base = address(dir.path()).unwrap();
        let answer = client()
            .get(format!("{base}/api/v1/jobs?limit=1000"))
            .send();
        let text = answer.await?.text().await?;
        let lost = taken
            .iter()
            .filter(|one| !text.contains(&format!("\"eth{one}\"")));
        let lost: Vec<&u32> = lost.collect();
        anyhow::ensure!(lost.is_empty(), "{lost:?} of {}: {text:.400}", taken.len());
        Ok(())
    })
    .await
    .unwrap();
}
