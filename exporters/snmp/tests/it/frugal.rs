//! The real binary asks for no more than it must, and sees every change at the scrape that comes after it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::agent::Agent;
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

    /// The same with the clock that it had, so that no slow machine sees a restart.
    fn goes_on(&self, mut agent: Agent) {
        let mut held = self.agent.lock().unwrap();
        agent.started = held.started;
        *held = agent;
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

/// How often scrapes are made anew on a busy machine: what is sent again counts as asked, and slow answers have walks parted.
const ATTEMPTS: u32 = 20;

/// Whether a request of this scrape was sent more than once.
fn was_sent_again(page: &str) -> bool {
    let samples = Samples::parse(page).unwrap();
    samples.value("snmp_scrape_packets_retried", &[("module", "if_mib")]) != Some(0.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_device_is_asked_less_than_a_third_and_answers_the_same() {
    for interfaces in [50, 300] {
        let mut attempts = 0..ATTEMPTS;
        while !asked_less(interfaces, attempts.next().is_none()).await {}
    }
}

/// Says whether it was so, which the `last` attempt must be.
async fn asked_less(interfaces: u32, last: bool) -> bool {
    let device = Device::start(Agent::with_interfaces(interfaces).ticking());
    let strict = start(&["--snmp.strict"]).await;
    let whole = scrape(&strict, &device.target).await;
    let theirs = device.asked();
    let again = scrape(&strict, &device.target).await;
    let once_more = device.asked();

    let process = start(&[]).await;
    let cold = scrape(&process, &device.target).await;
    let first = device.asked();
    assert!(series(&whole).is_subset(&series(&cold)));
    // The stamp moves and the counters count: from now on both are believed.
    device.goes_on(Agent::with_interfaces_later(interfaces, 1));
    let moved = scrape(&process, &device.target).await;
    device.asked();
    let warm = scrape(&process, &device.target).await;
    let second = device.asked();
    assert_eq!(series(&warm), series(&moved));
    assert_eq!(lookups(&process, "hit").await, Some(1.0));
    assert_eq!(off(&process).await, [0.0; 3]);
    let sparing = first * 2 <= theirs && second * 7 <= theirs * 2;
    let again = [&whole, &again, &cold, &warm];
    if !last && (!sparing || again.into_iter().any(|page| was_sent_again(page))) {
        return false;
    }
    assert_eq!(once_more, theirs, "strict keeps nothing");
    assert!(
        sparing,
        "{interfaces} interfaces: {theirs} requests, {first} cold, {second} warm"
    );

    let process = start(&["--snmp.keep-columns=0s"]).await;
    scrape(&process, &device.target).await;
    device.asked();
    scrape(&process, &device.target).await;
    assert!(
        device.asked() > second,
        "nothing is kept when that is not wanted"
    );
    true
}

/// How often each shortcut was switched off: kept columns, twin counters, own questions.
async fn off(process: &Process) -> [f64; 3] {
    let (_, text) = process.get("/metrics").await.unwrap();
    let samples = Samples::parse(&text).unwrap();
    ["kept_columns", "twin_counters", "own_questions"].map(|shortcut| {
        let labels = [("shortcut", shortcut)];
        samples.value("snmp_shortcuts_off_total", &labels).unwrap()
    })
}

/// A switch of twenty ports at one moment.
#[derive(Clone)]
struct Ports {
    up: u32,
    changed: u32,
    names: Vec<String>,
    /// ifInOctets and ifHCInOctets.
    octets: Vec<(u32, u64)>,
}

impl Ports {
    fn new() -> Self {
        Self {
            up: 100_000,
            changed: 100,
            names: (1..=20).map(|port| format!("port{port}")).collect(),
            octets: (1..=20)
                .map(|port| (port * 1000, u64::from(port) * 1000))
                .collect(),
        }
    }

    /// Every port has counted on.
    fn count(&mut self) {
        for (low, wide) in &mut self.octets {
            *low += 5000;
            *wide += 5000;
        }
    }

    fn agent(&mut self) -> Agent {
        self.up += 20;
        let mut text = format!(
            "1.3.6.1.2.1.1.3.0|67|{}\n1.3.6.1.2.1.31.1.5.0|67|{}\n",
            self.up, self.changed
        );
        for (index, (name, (low, wide))) in (1..).zip(self.names.iter().zip(&self.octets)) {
            let _ = write!(
                text,
                "1.3.6.1.2.1.2.2.1.1.{index}|2|{index}\n1.3.6.1.2.1.2.2.1.2.{index}|4|{name}\n1.3.6.1.2.1.2.2.1.8.{index}|2|1\n\
                 1.3.6.1.2.1.2.2.1.10.{index}|65|{low}\n1.3.6.1.2.1.31.1.1.1.1.{index}|4|{name}\n1.3.6.1.2.1.31.1.1.1.6.{index}|70|{wide}\n"
            );
        }
        Agent::from_snmprec(&text).unwrap().ticking()
    }

    /// Starts the device and scrapes it until everything is believed of it.
    async fn proven(&mut self, process: &Process) -> Device {
        let device = Device::start(self.agent());
        octets(process, &device).await;
        self.changed = self.up;
        self.count();
        device.becomes(self.agent());
        octets(process, &device).await;
        let before = lookups(process, "hit").await;
        assert_eq!(octets(process, &device).await, self.expected());
        assert!(lookups(process, "hit").await > before, "nothing was kept");
        device
    }

    /// Name and ifInOctets by index.
    fn expected(&self) -> Vec<(u32, String, f64)> {
        let ports = (1..).zip(self.names.iter().zip(&self.octets));
        ports
            .map(|(index, (name, (low, _)))| (index, name.clone(), f64::from(*low)))
            .collect()
    }
}

async fn octets(process: &Process, device: &Device) -> Vec<(u32, String, f64)> {
    let text = scrape(process, &device.target).await;
    let samples = Samples::parse(&text).unwrap();
    let mut all: Vec<_> = samples
        .select("ifInOctets", &[])
        .map(|sample| {
            let index = sample.labels["ifIndex"].parse().unwrap();
            (index, sample.labels["ifName"].clone(), sample.value)
        })
        .collect();
    all.sort_by_key(|(index, ..)| *index);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renumbered_interfaces_have_their_names_at_once() {
    let process = start(&[]).await;
    let mut ports = Ports::new();
    let device = ports.proven(&process).await;
    // Two change places: the same numbers, other names. Only the stamp tells.
    ports.changed = ports.up;
    ports.names.swap(3, 11);
    device.becomes(ports.agent());
    assert_eq!(octets(&process, &device).await, ports.expected());
    assert_eq!(off(&process).await, [0.0; 3]);
    // One more, and the device forgets its stamp: the rows tell, and the stamp is believed no more.
    ports.names.push("new".to_owned());
    ports.octets.push((7, 7));
    device.becomes(ports.agent());
    assert_eq!(octets(&process, &device).await, ports.expected());
    assert_eq!(lookups(&process, "changed").await, Some(2.0));
    assert_eq!(off(&process).await, [1.0, 0.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_that_stands_while_names_change_is_believed_no_more() {
    let process = start(&[]).await;
    // It never moved: nothing is kept under it, whatever it says.
    let mut ports = Ports::new();
    let device = Device::start(ports.agent());
    for _ in 0..3 {
        ports.names.rotate_right(1);
        device.becomes(ports.agent());
        assert_eq!(octets(&process, &device).await, ports.expected());
    }
    assert_eq!(lookups(&process, "hit").await, Some(0.0));
    // It did, and stands from now on: the sample tells.
    let mut ports = Ports::new();
    let device = ports.proven(&process).await;
    let hits = lookups(&process, "hit").await;
    for _ in 0..3 {
        ports.names.rotate_right(1);
        device.becomes(ports.agent());
        assert_eq!(octets(&process, &device).await, ports.expected());
    }
    assert_eq!(lookups(&process, "hit").await, hits);
    assert_eq!(off(&process).await, [1.0, 0.0, 0.0]);
    let page = scrape(&process, &device.target).await;
    assert!(page.contains("snmp_scrape_shortcut_off{shortcut=\"kept_columns\"} 1\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_64_bit_counter_that_stops_ends_what_is_made_from_it() {
    let process = start(&[]).await;
    let mut ports = Ports::new();
    let device = ports.proven(&process).await;
    for _ in 0..3 {
        ports.octets.iter_mut().for_each(|(low, _)| *low += 5000);
        device.becomes(ports.agent());
        assert_eq!(octets(&process, &device).await, ports.expected());
    }
    assert_eq!(off(&process).await, [0.0, 1.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_64_bit_counter_that_never_began_is_not_counted_from() {
    let process = start(&[]).await;
    let mut ports = Ports::new();
    ports.octets[6] = (0, 0);
    let device = Device::start(ports.agent());
    octets(&process, &device).await;
    ports.changed = ports.up;
    ports.count();
    ports.octets[6] = (0, 0);
    device.becomes(ports.agent());
    octets(&process, &device).await;
    octets(&process, &device).await;
    assert_eq!(lookups(&process, "hit").await, Some(1.0));
    // Only the one that was idle counts, and only with 32 bits.
    ports.octets[6] = (900, 0);
    device.becomes(ports.agent());
    assert_eq!(octets(&process, &device).await, ports.expected());
    assert_eq!(off(&process).await, [0.0, 1.0, 0.0]);
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

/// Strict mode sends what snmp_exporter sends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_size_of_device_that_is_known_is_asked_more_than_by_snmp_exporter() {
    let (strict, process) = (start(&["--snmp.strict"]).await, start(&[]).await);
    for interfaces in [1, 2, 4, 8, 16, 24, 48] {
        let mut attempts = 0..ATTEMPTS;
        let (ours, theirs) = loop {
            let device = Device::start(Agent::with_interfaces(interfaces).ticking());
            let mut again = was_sent_again(&scrape(&strict, &device.target).await);
            let theirs = device.asked();
            // The first, one of a device of known sizes, and one of a device that has proven what it keeps.
            let mut ours = Vec::new();
            for later in [0, 0, 1, 1] {
                device.goes_on(Agent::with_interfaces_later(interfaces, later));
                device.asked();
                again |= was_sent_again(&scrape(&process, &device.target).await);
                ours.push(device.asked());
            }
            if !again || attempts.next().is_none() {
                break (ours, theirs);
            }
        };
        // The first asks beside it what only we want to know.
        assert!(
            ours[0] <= theirs + 1 && ours[1..].iter().all(|asked| *asked <= theirs),
            "{interfaces} interfaces: {ours:?}, snmp_exporter {theirs}"
        );
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
            let Some(request) = crate::agent::read(&buffer[..length]) else {
                continue;
            };
            let answer = agent.respond(&request);
            let several = request.tag == 0xa5 && request.oids.len() > 1;
            let answer = match turn.load(Ordering::Relaxed) {
                0 if several => crate::agent::response(&request, 5, 1, &[]),
                1 if several => crate::agent::response(&request, 1, 0, &[]),
                2 if several => crate::agent::response(&request, 0, 0, &[]),
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
