//! Devices with DNS names, against a server of the test.

use std::collections::HashMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::service::{Files, of};
use testkit::namespace;

/// What the server says of a name.
#[derive(Debug, Clone, Copy)]
enum Says {
    Nothing,
    NoSuchName,
    Address(Ipv4Addr),
}

/// What a server says of a name, and for how many seconds.
type Rule = dyn Fn(&str) -> (Says, u8) + Send;

/// A DNS server (RFC 1035).
struct Server {
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<HashMap<String, u64>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// It says the same of every name, for a second.
    fn start() -> Self {
        let says = Arc::new(Mutex::new(Says::Nothing));
        let now = Arc::clone(&says);
        let mut server = Self::start_with(Box::new(move |_| (*now.lock().unwrap(), 1)));
        server.says = says;
        server
    }

    fn start_with(rule: Box<Rule>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:5353").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let thread = std::thread::spawn({
            let (asked, stop) = (Arc::clone(&asked), Arc::clone(&stop));
            move || {
                let mut buffer = [0; 512];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                        continue;
                    };
                    let query = &buffer[..length];
                    let Some((name, end)) = question(query) else {
                        continue;
                    };
                    let (says, seconds) = rule(&name);
                    *asked.lock().unwrap().entry(name).or_default() += 1;
                    if let Some(answer) = answer(query, end, says, seconds) {
                        socket.send_to(&answer, from).unwrap();
                    }
                }
            }
        });
        Self {
            says: Arc::new(Mutex::new(Says::Nothing)),
            asked,
            stop,
            thread: Some(thread),
        }
    }

    /// Questions about a name so far, for either family.
    fn asked(&self, name: &str) -> u64 {
        self.asked.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The name a query asks for, and where the question ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while *query.get(at)? > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(query.get(at + 1..end)?).to_ascii_lowercase());
        at = end;
    }
    (query.len() >= at + 5).then(|| (labels.join("."), at + 5))
}

fn answer(query: &[u8], end: usize, says: Says, seconds: u8) -> Option<Vec<u8>> {
    let is_a = query[end - 4..end - 2] == [0, 1];
    let (code, addresses) = match says {
        Says::Nothing => return None,
        Says::NoSuchName => (3, Vec::new()),
        Says::Address(address) if is_a => (0, vec![address]),
        Says::Address(_) => (0, Vec::new()),
    };
    let mut answer = query[..2].to_vec();
    answer.extend_from_slice(&[
        0x85,
        0x80 | code,
        0,
        1,
        0,
        addresses.len() as u8,
        0,
        0,
        0,
        0,
    ]);
    answer.extend_from_slice(&query[12..end]);
    for address in addresses {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, seconds, 0, 4]);
        answer.extend_from_slice(&address.octets());
    }
    Some(answer)
}

#[tokio::test]
async fn a_name_is_followed_and_its_last_address_kept() {
    let Some(namespace) = namespace::enter("names::a_name_is_followed_and_its_last_address_kept")
    else {
        return;
    };
    let server = Server::start();
    let config = "probe: {interval: 100ms, timeout: 400ms}\n\
                  dns: {servers: ['127.0.0.1:5353'], timeout: 500ms, min_ttl: 1s, max_ttl: 1s}\n";
    let inventory =
        "devices: [{name: named, address: host.example.org}, {name: plain, address: 127.0.0.1}]\n";
    // The service is ready and probes the others while nobody answers its questions.
    let service = Files::new(inventory, config).start(&namespace).await;
    let resolvable = [("device", "named")];
    let samples = service
        .until("the other is probed", |samples| {
            of(samples, "ping_responses_total", "plain", "ipv4") >= 3.0
        })
        .await;
    assert_eq!(samples.value("ping_resolvable", &resolvable), Some(0.0));
    assert_eq!(
        samples.select("ping_requests_total", &resolvable).count(),
        0
    );

    let at = |samples: &testkit::Samples, address: &str| {
        samples
            .select(
                "ping_target_info",
                &[("device", "named"), ("address", address)],
            )
            .count()
            == 1
    };
    server.say(Says::Address(Ipv4Addr::new(127, 0, 0, 7)));
    let first = service
        .until("the name is probed", |samples| {
            at(samples, "127.0.0.7") && of(samples, "ping_responses_total", "named", "ipv4") >= 5.0
        })
        .await;
    assert_eq!(first.value("ping_resolvable", &resolvable), Some(1.0));
    assert_eq!(
        first.select("ping_requests_total", &resolvable).count(),
        1,
        "there is no AAAA record"
    );

    server.say(Says::Address(Ipv4Addr::new(127, 0, 0, 8)));
    let second = service
        .until("it moved", |samples| at(samples, "127.0.0.8"))
        .await;
    let requests = |samples: &testkit::Samples| of(samples, "ping_requests_total", "named", "ipv4");
    assert!(
        requests(&second) >= requests(&first),
        "the counters went on"
    );
    assert_eq!(of(&second, "ping_lost_total", "named", "ipv4"), 0.0);

    for silence in [Says::NoSuchName, Says::Nothing] {
        server.say(silence);
        let kept = service
            .until("it does not resolve", |samples| {
                samples.value("ping_resolvable", &resolvable) == Some(0.0)
            })
            .await;
        assert!(
            at(&kept, "127.0.0.8"),
            "{silence:?}: the last good address stays"
        );
        let before = requests(&kept);
        service
            .until("it is still probed", |samples| {
                requests(samples) > before + 3.0
            })
            .await;
        server.say(Says::Address(Ipv4Addr::new(127, 0, 0, 8)));
        service
            .until("it resolves again", |samples| {
                samples.value("ping_resolvable", &resolvable) == Some(1.0)
            })
            .await;
    }
}

#[tokio::test]
async fn names_that_nobody_answers_keep_no_others_waiting_and_records_live_as_long_as_they_say() {
    let test = "names::names_that_nobody_answers_keep_no_others_waiting_and_records_live_as_long_as_they_say";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let server = Server::start_with(Box::new(|name| match name.split_once('.') {
        Some(("brief", _)) => (Says::Address(Ipv4Addr::new(127, 0, 1, 1)), 2),
        Some(("lasting", _)) => (Says::Address(Ipv4Addr::new(127, 0, 1, 2)), 200),
        Some((first, _)) if first.starts_with("dead") => (Says::Nothing, 1),
        Some((first, _)) => {
            let number = first.trim_start_matches("good").parse().unwrap_or(0);
            (Says::Address(Ipv4Addr::new(127, 0, 2, number)), 200)
        }
        None => (Says::NoSuchName, 1),
    }));
    let config = "probe: {interval: 1s, timeout: 400ms}\n\
                  dns: {servers: ['127.0.0.1:5353'], timeout: 1s, min_ttl: 1s, max_ttl: 10m}\n";
    let mut inventory = String::from("devices:\n");
    for name in ["brief", "lasting"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..300).map(|n| format!("dead{n}")))
    {
        inventory.push_str(&format!(
            "- {{name: {name}, address: {name}.example.org}}\n"
        ));
    }
    let files = Files::new(&inventory, config);
    let service = files.start(&namespace).await;
    // The dead ones are known as such: each is asked for again a second after it failed.
    service
        .until("both live names are probed", |samples| {
            samples.sum("ping_resolvable", &[]) == 2.0
        })
        .await;
    for number in 1..=20 {
        inventory.push_str(&format!(
            "- {{name: good{number}, address: good{number}.example.org}}\n"
        ));
    }
    files.write("inventory.yaml", &inventory);
    service
        .until("twenty new names are probed", |samples| {
            samples.sum("ping_resolvable", &[]) == 22.0
                && samples.value("ping_targets", &[]) == Some(22.0)
        })
        .await;
    testkit::eventually(Duration::from_secs(30), || async {
        let asked = server.asked("brief.example.org");
        anyhow::ensure!(asked >= 8, "asked {asked} times for both families");
        Ok(())
    })
    .await
    .unwrap();
    // IPv4 and IPv6, once each; a repeated question is one that a loaded host answered late.
    let asked = server.asked("lasting.example.org");
    assert!(
        asked <= 4,
        "{asked} questions about a record that lives 200 seconds"
    );
}
