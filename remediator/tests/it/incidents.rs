//! Incidents in a storm: three senders that behave as Alertmanagers do, a program that is killed in the middle of its work, devices by SSH.
//! No incident may be lost, and no port may be opened twice for one.
//!
//! `SOTP_INCIDENTS` and `SOTP_KILLS` make it larger and let it measure too: `make bench-remediator`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::ssh::{Device, Running};
use testkit::{Figures, Goal, Process, Signal, TempDir, eventually};

use crate::golden::start;

/// Ports of one device.
const PORTS: usize = 20;
const SENDERS: u64 = 3;
const TOKEN: &str = "token-of-alertmanager";

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// One port of one device that is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Incident(usize);

impl Incident {
    fn device(self) -> usize {
        self.0 / PORTS
    }

    fn port(self) -> String {
        format!("p{}", self.0 % PORTS)
    }

    fn body(self) -> String {
        let alert = json!({"status": "firing", "startsAt": "2026-01-01T00:00:00Z", "fingerprint": format!("{:016x}", self.0),
            "labels": {"alertname": "InterfaceShut", "device": format!("d{}", self.device()), "ifName": self.port()}});
        json!({"version": "4", "status": "firing", "groupKey": format!("{{}}:{}", self.0), "alerts": [alert]}).to_string()
    }
}

/// Devices whose ports open when the line for it is typed.
struct Farm {
    devices: Vec<Running>,
    /// When each port was opened first.
    opened: Arc<Mutex<HashMap<Incident, Instant>>>,
    /// Ports that were opened although they were open.
    doubled: Arc<Mutex<Vec<Incident>>>,
}

impl Farm {
    async fn new(incidents: usize) -> Self {
        let mut devices = Vec::new();
        for device in 0..incidents.div_ceil(PORTS) {
            let octet = u8::try_from(device + 1).unwrap();
            let mut one = Device::new(&format!("d{device}"), "fixer", "s3cret")
                .at([127, 9, 0, octet].into())
                .answer("show running-config", "hostname d\nend\n");
            for port in 0..PORTS {
                one = one.answer(
                    &format!("show interface p{port}"),
                    &format!("Interface p{port} is down\n"),
                );
            }
            devices.push(one.start().await.unwrap());
        }
        Self {
            devices,
            opened: Arc::default(),
            doubled: Arc::default(),
        }
    }

    fn inventory(&self) -> String {
        let device = |(n, device): (usize, &Running)| {
            format!(
                "  - {{name: d{n}, address: {}, platform: frr, ssh: {{port: {}, credentials: farm}}}}\n",
                device.address.ip(),
                device.address.port()
            )
        };
        let all: String = self.devices.iter().enumerate().map(device).collect();
        format!("devices:\n{all}")
    }

    fn known_hosts(&self) -> String {
        self.devices
            .iter()
            .map(|device| device.known_host.clone())
            .collect()
    }

    /// Looks at what was typed since `seen`, by device.
    fn look(&self, seen: &mut [(usize, String)]) {
        for (n, device) in self.devices.iter().enumerate() {
            let (from, port) = &mut seen[n];
            let typed = device.typed();
            for line in &typed[*from..] {
                if let Some(name) = line.strip_prefix("interface ") {
                    name.clone_into(port);
                } else if line == "no shutdown" {
                    let incident = Incident(n * PORTS + port[1..].parse::<usize>().unwrap());
                    let text = format!("Interface {port} is up, line protocol is up\n");
                    device.answer(&format!("show interface {port}"), &text);
                    let mut opened = self.opened.lock().unwrap();
                    if opened.contains_key(&incident) {
                        self.doubled.lock().unwrap().push(incident);
                    }
                    opened.entry(incident).or_insert_with(Instant::now);
                }
            }
            *from = typed.len();
        }
    }

    /// Opens ports until it is dropped.
    fn works(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let farm = Arc::clone(self);
        tokio::spawn(async move {
            let mut seen = vec![(0, "p0".to_owned()); farm.devices.len()];
            loop {
                farm.look(&mut seen);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }
}

/// Where the program listens now, and when each incident was first told and stored.
#[derive(Clone, Default)]
struct Told {
    url: Arc<Mutex<String>>,
    first: Arc<Mutex<HashMap<Incident, Instant>>>,
    answers: Arc<Mutex<Vec<f64>>>,
}

impl Told {
    /// One webhook; whether it was stored.
    async fn send(&self, client: &reqwest::Client, incident: Incident) -> bool {
        let url = format!("{}/api/v1/webhook/alertmanager", self.url.lock().unwrap());
        let began = Instant::now();
        let sent = client
            .post(url)
            .bearer_auth(TOKEN)
            .body(incident.body())
            .send()
            .await;
        let Ok(answer) = sent else { return false };
        assert!(
            answer.status() == 200 || answer.status().is_server_error(),
            "{}",
            answer.status()
        );
        if answer.status() == 200 {
            self.answers
                .lock()
                .unwrap()
                .push(began.elapsed().as_secs_f64());
            self.first.lock().unwrap().entry(incident).or_insert(began);
            return true;
        }
        false
    }

    /// Sends every incident until it was stored, in an order of its own, some of them again, and some as if the answer had been 5xx.
    async fn sender(self, incidents: Vec<Incident>, seed: u64, pause: Duration) {
        let mut chance = fastrand::Rng::with_seed(seed);
        let client = testkit::client();
        let mut queue = incidents;
        // Alertmanager's groups come in another order from each of a pair.
        for at in 0..queue.len() {
            let other = (at + chance.usize(0..20)).min(queue.len() - 1);
            queue.swap(at, other);
        }
        while let Some(incident) = queue.pop() {
            while !self.send(&client, incident).await {
                tokio::time::sleep(Duration::from_millis(chance.u64(20..200))).await;
            }
            if chance.u8(..) < 40 && !queue.is_empty() {
                let later = chance.usize(0..queue.len());
                queue.insert(later, incident);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn config(dir: &TempDir) {
    let folder = dir.join("runbooks");
    std::fs::create_dir_all(&folder).unwrap();
    let runbook = include_str!("../../runbooks/port-up.yaml")
        .replace("verify_within: 10s", "verify_within: 2s");
    std::fs::write(folder.join("port-up.yaml"), runbook).unwrap();
    dir.write(
        "config.yaml",
        "webhook: {bearer_token_file: webhook.token}\nrunbooks: {folder: runbooks}\nlevels: [{runbook: port-up, level: auto}]\n\
         successes_before_auto: 0\nverify_every: 20ms\nrails: {per_device: 100000, per_site: 100000, per_role: 100000, per_minute: 100000, \
         per_runbook_hour: 100000, correlated_share: 1.0, cooldown: [1ms, 1ms, 1ms], flap_count: 100000}\n\
         ssh: {known_hosts_file: known_hosts, credentials: {farm: {repair: {user: fixer, password_file: password}}}}\n",
    )
    .unwrap();
    dir.write("password", "s3cret\n").unwrap();
    dir.write("webhook.token", format!("{TOKEN}\n")).unwrap();
    dir.write("web.yaml", "basic_auth_users: {}\nrate_limit: {}\n")
        .unwrap();
}

async fn begun(dir: &TempDir, told: &Told) -> Process {
    let process = start(dir, &[]).await;
    *told.url.lock().unwrap() = process.url("");
    process
}

/// Every job, by pages.
async fn jobs(process: &Process) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let (status, text) = process
            .get(&format!("/api/v1/jobs?limit=1000{before}"))
            .await?;
        anyhow::ensure!(status == 200, "{status} {text}");
        let page: Value = serde_json::from_str(&text)?;
        let page = page["jobs"].as_array().cloned().unwrap_or_default();
        let Some(last) = page.last() else {
            return Ok(all);
        };
        before = format!("&before={}", last["id"].as_str().unwrap_or_default());
        all.extend(page);
    }
}

fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values
        .get(at.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Some ten seconds: the program is started anew after every kill.
#[tokio::test(flavor = "multi_thread")]
async fn none_of_the_incidents_of_three_senders_is_lost_or_repaired_twice_however_often_the_program_is_killed()
 {
    let large = number("SOTP_INCIDENTS");
    let (count, kills) = (large.unwrap_or(200), number("SOTP_KILLS").unwrap_or(8));
    let mut figures = Figures::default();
    let calm = if large.is_some() { 200 } else { 0 };
    let farm = Arc::new(Farm::new(count + calm).await);
    let works = farm.works();
    let dir = TempDir::new().unwrap();
    config(&dir);
    dir.write("inventory.yaml", farm.inventory()).unwrap();
    dir.write("known_hosts", farm.known_hosts()).unwrap();
    let told = Told::default();
    let mut process = begun(&dir, &told).await;

    // A storm, and the end of the program again and again in it.
    let storm: Vec<Incident> = (0..count).map(Incident).collect();
    let pause = Duration::from_millis(if large.is_some() { 20 } else { 5 });
    let senders: Vec<_> = (0..SENDERS)
        .map(|seed| tokio::spawn(told.clone().sender(storm.clone(), seed, pause)))
        .collect();
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(chance.u64(50..700))).await;
        process.signal(Signal::SIGKILL).unwrap();
        drop(process);
        process = begun(&dir, &told).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let all = settled(&process, count).await;
    let doubled = farm.doubled.lock().unwrap().len();
    let opened: HashSet<Incident> = farm.opened.lock().unwrap().keys().copied().collect();
    let with_job: HashSet<(String, String)> = all
        .iter()
        .map(|job| (job["device"].to_string(), job["port"].to_string()))
        .collect();
    // One that was killed at work twice is given to people, and said so: it is not lost.
    let given = all.iter().filter(|job| job["state"] == "escalated");
    let given =
        given.inspect(|job| assert!(job["reason"].to_string().contains("nobody knows"), "{job}"));
    let given = given.count();
    assert_eq!(with_job.len(), count);
    figures.add("incidents", count as f64, None, None);
    figures.add("kills", kills as f64, None, None);
    figures.add(
        "incidents without a repair",
        (count - opened.len()) as f64,
        None,
        None,
    );
    figures.add(
        "of those not given to people",
        (count - opened.len()).saturating_sub(given) as f64,
        None,
        Some(Goal::Exactly(0.0)),
    );
    figures.add(
        "ports opened twice",
        doubled as f64,
        None,
        Some(Goal::Exactly(0.0)),
    );
    figures.add(
        "jobs",
        all.len() as f64,
        None,
        Some(Goal::Exactly(count as f64)),
    );
    if large.is_some() {
        measure(
            &process,
            &told,
            &farm,
            (count..count + calm).map(Incident).collect(),
            &mut figures,
        )
        .await;
        let folder = idle();
        let idle = start(&folder, &[]).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        figures.add(
            "resident after 30 s of nothing, as it is shipped, MB",
            resident(&idle),
            None,
            Some(Goal::AtMost(25.0)),
        );
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/remediator.json");
        figures.finish(&path).unwrap();
    }
    works.abort();
    figures.judge().unwrap();
}

/// The jobs, once none is open.
async fn settled(process: &Process, count: usize) -> Vec<Value> {
    let seconds = 60 + count as u64 / 20;
    eventually(Duration::from_secs(seconds), || async {
        let all = jobs(process).await?;
        let over = ["succeeded", "escalated", "cancelled"];
        let open = all
            .iter()
            .filter(|job| !over.contains(&job["state"].as_str().unwrap_or_default()));
        let open: Vec<_> = open
            .map(|job| {
                (
                    job["id"].clone(),
                    job["state"].clone(),
                    job["reason"].clone(),
                )
            })
            .collect();
        anyhow::ensure!(
            open.is_empty() && all.len() >= count,
            "{} of {} are open: {:?}",
            open.len(),
            all.len(),
            open.first()
        );
        Ok(all)
    })
    .await
    .unwrap()
}

/// How long it takes from the first webhook to the line and to the proof, and to a durable answer at 500 alerts a second.
async fn measure(
    process: &Process,
    told: &Told,
    farm: &Farm,
    calm: Vec<Incident>,
    figures: &mut Figures,
) {
    let (all, client) = (calm.len(), testkit::client());
    // One after the other on other devices, as incidents are.
    let mut calm = calm;
    calm.sort_by_key(|one| (one.0 % PORTS, one.device()));
    let wall = Instant::now();
    let zero = jiff::Timestamp::now().as_millisecond();
    for incident in &calm {
        assert!(told.send(&client, *incident).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let done = settled(process, 0).await;
    let first = told.first.lock().unwrap().clone();
    let opened = farm.opened.lock().unwrap().clone();
    let typed = calm
        .iter()
        .filter_map(|one| Some(opened.get(one)?.duration_since(first[one]).as_secs_f64()));
    let typed: Vec<f64> = typed.collect();
    let ended: HashMap<(String, String), i64> = done
        .iter()
        .filter_map(|job| {
            Some((
                (job["device"].to_string(), job["port"].to_string()),
                job["updated"].as_i64()?,
            ))
        })
        .collect();
    let fixed = calm.iter().filter_map(|one| {
        let name = (
            json!(format!("d{}", one.device())).to_string(),
            json!(one.port()).to_string(),
        );
        Some(
            (ended.get(&name)? - zero) as f64 / 1e3 - first[one].duration_since(wall).as_secs_f64(),
        )
    });
    let fixed: Vec<f64> = fixed.collect();
    assert_eq!((typed.len(), fixed.len()), (all, all));
    figures.add(
        "first webhook to command, p95, s",
        percentile(typed, 0.95),
        None,
        Some(Goal::AtMost(2.0)),
    );
    figures.add(
        "first webhook to verified, p95, s",
        percentile(fixed, 0.95),
        None,
        Some(Goal::AtMost(10.0)),
    );

    // Repeats of what was repaired: each is stored before it is answered, and nothing more comes of it.
    told.answers.lock().unwrap().clear();
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    let mut sent = Vec::new();
    for n in 0..5_000 {
        tick.tick().await;
        let (told, client, incident) = (told.clone(), client.clone(), calm[n % all]);
        sent.push(tokio::spawn(
            async move { told.send(&client, incident).await },
        ));
    }
    for one in sent {
        assert!(one.await.unwrap());
    }
    let answers = told.answers.lock().unwrap().clone();
    figures.add(
        "durable answer at 500 alerts/s, p50, ms",
        percentile(answers.clone(), 0.5) * 1e3,
        None,
        None,
    );
    figures.add(
        "durable answer at 500 alerts/s, p99, ms",
        percentile(answers, 0.99) * 1e3,
        None,
        Some(Goal::AtMost(25.0)),
    );
}

/// The folder of a program that has nothing to do, as it is shipped, with a hundred devices.
fn idle() -> TempDir {
    let dir = TempDir::new().unwrap();
    dir.write("config.yaml", include_str!("../../default.yaml"))
        .unwrap();
    dir.write("web.yaml", "basic_auth_users: {}\nrate_limit: {}\n")
        .unwrap();
    let device =
        |n| format!("  - {{name: r{n}, address: 192.0.2.{n}, platform: ios, ssh: {{}}}}\n");
    let devices: String = (1..=100).map(device).collect();
    dir.write("inventory.yaml", format!("devices:\n{devices}"))
        .unwrap();
    dir
}

fn resident(process: &Process) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
