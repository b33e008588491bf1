//! The real binary asks for no more than it must, and sees every change at the scrape that comes after it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotp_snmp::agent::Agent;
use testkit::{Process, Samples, Spawn};

/// A device whose objects can be changed while it answers.
struct Device {
    target: String,
    agent: Arc<Mutex<Agent>>,
    asked: Arc<AtomicUsize>,
}

impl Device {
    fn start(agent: Agent) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let device = Self {
            target: socket.local_addr().unwrap().to_string(),
            agent: Arc::new(Mutex::new(agent)),
            asked: Arc::default(),
        };
        let (agent, asked) = (Arc::clone(&device.agent), Arc::clone(&device.asked));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let answer = agent.lock().unwrap().answer(&buffer[..length]);
                if let Some(answer) = answer {
                    asked.fetch_add(1, Ordering::Relaxed);
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        device
    }

    fn becomes(&self, agent: Agent) {
        *self.agent.lock().unwrap() = agent;
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

struct Interfaces<'a> {
    up: u32,
    /// ifTableLastChange, where the device has it.
    changed: Option<u32>,
    /// ifIndex, ifName and the value of ifInErrors.
    rows: &'a [(u32, &'a str, u32)],
}

impl Interfaces<'_> {
    fn agent(&self) -> Agent {
        let mut text = format!("1.3.6.1.2.1.1.3.0|67|{}\n", self.up);
        if let Some(changed) = self.changed {
            let _ = writeln!(text, "1.3.6.1.2.1.31.1.5.0|67|{changed}");
        }
        for (index, name, errors) in self.rows {
            let _ = write!(
                text,
                "1.3.6.1.2.1.2.2.1.1.{index}|2|{index}\n1.3.6.1.2.1.2.2.1.2.{index}|4|{name}\n1.3.6.1.2.1.2.2.1.8.{index}|2|1\n\
                 1.3.6.1.2.1.2.2.1.14.{index}|65|{errors}\n1.3.6.1.2.1.31.1.1.1.1.{index}|4|{name}\n"
            );
        }
        Agent::from_snmprec(&text).unwrap().ticking()
    }
}

async fn start(flags: &[&str]) -> Process {
    Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args(flags.iter().copied())
        .start()
        .await
        .unwrap()
}

async fn scrape(process: &Process, target: &str) -> String {
    let response = testkit::client()
        .get(process.url(&format!("/snmp?target={target}&module=if_mib")))
        .timeout(Duration::from_secs(30))
        .send()
        .await
        .unwrap();
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    text
}

/// The name and the errors of every interface, by index.
async fn errors(process: &Process, device: &Device) -> Vec<(String, String, f64)> {
    let text = scrape(process, &device.target).await;
    let samples = Samples::parse(&text).unwrap();
    let mut all: Vec<_> = samples
        .select("ifInErrors", &[])
        .map(|sample| {
            (
                sample.labels["ifIndex"].clone(),
                sample.labels["ifName"].clone(),
                sample.value,
            )
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn row(index: &str, name: &str, value: f64) -> (String, String, f64) {
    (index.to_owned(), name.to_owned(), value)
}

async fn lookups(process: &Process, result: &str) -> Option<f64> {
    let text = testkit::client()
        .get(process.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    Samples::parse(&text)
        .unwrap()
        .value("snmp_column_cache_lookups_total", &[("result", result)])
}

/// Everything but the device's clock and what tells of the scrape itself.
fn series(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| !line.contains("snmp_scrape_") && !line.contains("sysUpTime"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_device_is_asked_a_quarter_and_answers_the_same() {
    for interfaces in [50, 300] {
        let device = Device::start(Agent::with_interfaces(interfaces).ticking());
        let strict = start(&["--snmp.strict"]).await;
        let whole = scrape(&strict, &device.target).await;
        let theirs = device.asked();
        scrape(&strict, &device.target).await;
        assert_eq!(device.asked(), theirs, "strict keeps nothing");

        let process = start(&[]).await;
        let cold = scrape(&process, &device.target).await;
        let first = device.asked();
        let warm = scrape(&process, &device.target).await;
        let second = device.asked();
        assert!(series(&whole).is_subset(&series(&cold)));
        assert_eq!(series(&warm), series(&cold));
        assert!(
            first * 2 <= theirs && second * 4 <= theirs,
            "{interfaces} interfaces: {theirs} requests, {first} cold, {second} warm"
        );
        assert_eq!(lookups(&process, "hit").await, Some(1.0));

        let process = start(&["--snmp.keep-columns=0s"]).await;
        scrape(&process, &device.target).await;
        device.asked();
        scrape(&process, &device.target).await;
        assert!(
            device.asked() > second,
            "nothing is kept when that is not wanted"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renumbered_interfaces_have_their_names_at_once() {
    let process = start(&[]).await;
    let before = Interfaces {
        up: 100_000,
        changed: Some(100),
        rows: &[(1, "lan", 10), (2, "wan", 20), (3, "dmz", 30)],
    };
    let device = Device::start(before.agent());
    let expected = [
        row("1", "lan", 10.0),
        row("2", "wan", 20.0),
        row("3", "dmz", 30.0),
    ];
    assert_eq!(errors(&process, &device).await, expected);
    assert_eq!(errors(&process, &device).await, expected);
    // Two change places: the same numbers, other names. Only the stamp tells.
    device.becomes(
        Interfaces {
            up: 100_100,
            changed: Some(100_050),
            rows: &[(1, "wan", 20), (2, "lan", 10), (3, "dmz", 30)],
        }
        .agent(),
    );
    assert_eq!(
        errors(&process, &device).await,
        [
            row("1", "wan", 20.0),
            row("2", "lan", 10.0),
            row("3", "dmz", 30.0)
        ]
    );
    // One more, and the device forgets its stamp: the rows tell.
    device.becomes(
        Interfaces {
            up: 100_200,
            changed: Some(100_050),
            rows: &[
                (1, "wan", 20),
                (2, "lan", 10),
                (3, "dmz", 30),
                (4, "new", 0),
            ],
        }
        .agent(),
    );
    assert_eq!(errors(&process, &device).await[3], row("4", "new", 0.0));
    assert_eq!(
        (
            lookups(&process, "hit").await,
            lookups(&process, "changed").await
        ),
        (Some(1.0), Some(2.0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_and_a_device_without_stamps_are_asked_anew() {
    let process = start(&[]).await;
    let of = |up, changed, name| {
        Interfaces {
            up,
            changed,
            rows: &[(1, name, 10), (2, "wan", 20)],
        }
        .agent()
    };
    // Restarted, with the same stamp as before.
    let device = Device::start(of(100_000, Some(0), "one"));
    assert_eq!(errors(&process, &device).await[0].1, "one");
    device.becomes(of(500, Some(0), "two"));
    assert_eq!(errors(&process, &device).await[0].1, "two");
    // It may answer that it has no such stamp.
    let device = Device::start(of(100_000, None, "one"));
    assert_eq!(errors(&process, &device).await[0].1, "one");
    device.becomes(of(100_000, None, "two"));
    assert_eq!(errors(&process, &device).await[0].1, "two");
    // Kept no longer than wanted.
    let brief = start(&["--snmp.keep-columns=1ms"]).await;
    let device = Device::start(of(100_000, Some(0), "one"));
    assert_eq!(errors(&brief, &device).await[0].1, "one");
    device.becomes(of(100_000, Some(0), "two"));
    assert_eq!(errors(&brief, &device).await[0].1, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrap_goes_on_and_a_restart_begins_anew() {
    let counted = |up, value| {
        Interfaces {
            up,
            changed: Some(0),
            rows: &[(1, "lan", value)],
        }
        .agent()
    };
    for (flags, after_wrap) in [
        (&[][..], 4_294_967_300.0),
        (&["--snmp.strict"], 4.0),
        (&["--no-snmp.carry-counters"], 4.0),
    ] {
        let process = start(flags).await;
        let device = Device::start(counted(100_000, u32::MAX - 9));
        assert_eq!(errors(&process, &device).await[0].2, 4_294_967_286.0);
        device.becomes(counted(100_100, 4));
        assert_eq!(
            errors(&process, &device).await[0].2,
            after_wrap,
            "{flags:?}"
        );
        device.becomes(counted(100, 5));
        assert_eq!(errors(&process, &device).await[0].2, 5.0, "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_in_what_is_asked_side_by_side_leave_the_scrape_complete() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    // Every request for several columns is refused, dropped or cut, by turns.
    let bad = Arc::new(AtomicUsize::new(usize::MAX));
    let turn = Arc::clone(&bad);
    std::thread::spawn(move || {
        let agent = Agent::with_interfaces(30).ticking();
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Some(request) = sotp_snmp::agent::read(&buffer[..length]) else {
                continue;
            };
            let answer = agent.respond(&request);
            let several = request.tag == 0xa5 && request.oids.len() > 1;
            let answer = match turn.load(Ordering::Relaxed) {
                0 if several => sotp_snmp::agent::response(&request, 5, 1, &[]),
                1 if several => sotp_snmp::agent::response(&request, 1, 0, &[]),
                2 if several => sotp_snmp::agent::response(&request, 0, 0, &[]),
                3 if several => {
                    // One row alone, as agents do that look at the first column only.
                    let mut one = request.clone();
                    one.third = 1;
                    agent.respond(&one)
                }
                _ => answer,
            };
            let _ = socket.send_to(&answer, from);
        }
    });
    let process = start(&[]).await;
    let whole = scrape(&process, &target).await;
    for fault in 0..4 {
        bad.store(fault, Ordering::Relaxed);
        let text = scrape(&process, &target).await;
        assert_eq!(series(&text), series(&whole), "fault {fault}");
    }
}
