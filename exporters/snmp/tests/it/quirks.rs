//! Faults of agents that are common in the field: the real binary learns them and needs no configuration.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::agent::{self, Agent, Request};
use testkit::{Process, Samples, Spawn};

const INTERFACES: u32 = 40;

/// A module that does not wait long.
const QUICK: &str = "auths: {public_v2: {community: public}}
modules:
  quick:
    walk: [1.3.6.1.2.1.2.2.1.8]
    timeout: 300ms
    metrics: [{name: ifOperStatus, oid: 1.3.6.1.2.1.2.2.1.8, type: gauge, help: State, indexes: [{labelname: ifIndex, type: gauge}]}]
";

/// What an agent does with a request; `None` is silence.
type Quirk = fn(&Agent, &Request) -> Option<Vec<u8>>;

/// An agent with a quirk, and how many requests came.
fn device(quirk: Quirk) -> (String, Arc<AtomicUsize>) {
    serve(Agent::with_interfaces(INTERFACES), quirk)
}

fn serve(agent: Agent, quirk: Quirk) -> (String, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            counter.fetch_add(1, Ordering::Relaxed);
            if let Some(answer) =
                agent::read(&buffer[..length]).and_then(|request| quirk(&agent, &request))
            {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    (address, asked)
}

async fn scrape(process: &Process, target: &str) -> Samples {
    let response = testkit::client()
        .get(process.url(&format!("/snmp?target={target}&module=if_mib")))
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let text = response.text().await.unwrap();
    let samples = Samples::parse(&text).unwrap();
    assert_eq!(
        (
            samples.select("ifHCInOctets", &[]).count(),
            samples.select("ifOperStatus", &[]).count(),
            samples.value("snmp_scrape_complete", &[("module", "if_mib")])
        ),
        (INTERFACES as usize, INTERFACES as usize, Some(1.0)),
        "{text}"
    );
    samples
}

async fn start(flags: &[&str]) -> Process {
    Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args(flags.iter().copied())
        .start()
        .await
        .unwrap()
}

/// What scrapes show becomes so and stays so, three times in a row: on a busy machine answers come late, and requests are sent again.
async fn settles<T: std::fmt::Debug>(mut scrape: impl AsyncFnMut() -> (bool, T)) {
    let mut seen = Vec::new();
    let mut in_a_row = 0;
    for _ in 0..20 {
        let (so, shown) = scrape().await;
        seen.push(shown);
        in_a_row = if so { in_a_row + 1 } else { 0 };
        if in_a_row == 3 {
            return;
        }
    }
    panic!("not three times in a row: {seen:?}");
}

/// How many values a request wants.
fn wanted(request: &Request) -> i64 {
    if request.tag == 0xa5 {
        request.third * request.oids.len() as i64
    } else {
        request.oids.len() as i64
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn max_repetitions_too_high_are_lowered_and_remembered() {
    // Silent when asked for more than twenty values.
    let (target, asked) =
        device(|agent, request| (wanted(request) <= 20).then(|| agent.respond(request)));
    let process = start(&["--snmp.keep-columns=0s"]).await;
    scrape(&process, &target).await;
    let first = asked.swap(0, Ordering::Relaxed);
    settles(async || {
        let samples = scrape(&process, &target).await;
        let later = asked.swap(0, Ordering::Relaxed);
        let again = samples
            .value("snmp_scrape_packets_retried", &[("module", "if_mib")])
            .unwrap();
        (later <= first && again <= 8.0, (first, later, again))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_answers_one_name_a_request_is_asked_so() {
    let (target, _) =
        device(|agent, request| (request.oids.len() == 1).then(|| agent.respond(request)));
    let process = start(&[]).await;
    for _ in 0..2 {
        scrape(&process, &target).await;
    }
    // From then on without waiting for requests that stay without an answer.
    settles(async || {
        let began = std::time::Instant::now();
        let samples = scrape(&process, &target).await;
        let again = samples.value("snmp_scrape_packets_retried", &[("module", "if_mib")]);
        let took = began.elapsed();
        (
            took < Duration::from_secs(2) && again == Some(0.0),
            (took, again),
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_of_our_own_that_stay_without_an_answer_hold_nothing_up() {
    // Silent to a GET with anything in it that it does not have: ifTableLastChange, which no module asked for.
    let (target, _) = device(|agent, request| {
        let lacks = request
            .oids
            .iter()
            .any(|oid| oid.starts_with(&[1, 3, 6, 1, 2, 1, 31, 1, 5]));
        (request.tag != 0xa0 || !lacks).then(|| agent.respond(request))
    });
    let process = start(&[]).await;
    for _ in 0..2 {
        let began = std::time::Instant::now();
        scrape(&process, &target).await;
        assert!(began.elapsed() < Duration::from_secs(3));
    }
    // Silent to whatever only we want to know: given up after two scrapes.
    let (silent, _) = device(|agent, request| {
        let own = |oid: &Vec<u32>| oid.starts_with(&[1, 3, 6, 1, 2, 1, 31, 1, 5]);
        (!request.oids.iter().any(own)).then(|| agent.respond(request))
    });
    for _ in 0..3 {
        let began = std::time::Instant::now();
        scrape(&process, &silent).await;
        assert!(began.elapsed() < Duration::from_secs(3));
    }
    let (_, page) = process
        .get(&format!("/snmp?target={silent}&module=if_mib"))
        .await
        .unwrap();
    assert!(
        page.contains("snmp_scrape_shortcut_off{shortcut=\"own_questions\"} 1\n"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_big_is_asked_for_less() {
    // As some agents do, with an empty list.
    let (target, _) = device(|agent, request| {
        Some(if wanted(request) > 10 {
            agent::response(request, 1, 0, &[])
        } else {
            agent.respond(request)
        })
    });
    let process = start(&[]).await;
    for _ in 0..3 {
        scrape(&process, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identifiers_out_of_order_are_asked_for_one_at_a_time() {
    // GETBULK gives the last two values the wrong way round.
    let (target, _) = device(|agent, request| {
        let mut other = request.clone();
        if request.tag != 0xa5 || request.third < 2 {
            return Some(agent.respond(request));
        }
        other.third = 2;
        other.oids.truncate(1);
        let mut single = other.clone();
        (single.tag, single.second, single.third) = (0xa1, 0, 0);
        let one = list(&agent.respond(&single));
        let two = list(&agent.respond(&other));
        let swapped = [&two[one.len()..], &one].concat();
        Some(agent::response(request, 0, 0, &swapped))
    });
    let process = start(&[]).await;
    for _ in 0..2 {
        scrape(&process, &target).await;
    }
}

/// The varbind list of an answer.
fn list(answer: &[u8]) -> Vec<u8> {
    let Ok(sotp_snmp::codec::Message::Community { pdu, .. }) =
        sotp_snmp::codec::read_message(answer)
    else {
        return Vec::new();
    };
    sotp_snmp::codec::read_pdu(pdu).unwrap().varbinds.to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integers_of_no_octets_are_zero() {
    let text =
        "1.3.6.1.2.1.2.2.1.4.1|2|1500\n1.3.6.1.2.1.2.2.1.4.2|2|1500\n1.3.6.1.2.1.2.2.1.5.1|66|7";
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    let mut objects: std::collections::BTreeMap<sotp_snmp::oid::Oid, Vec<u8>> = text
        .lines()
        .map(|line| (line.split('|').next().unwrap().parse().unwrap(), vec![2, 0]))
        .collect();
    objects.insert("1.3.6.1.2.1.2.2.1.8.1".parse().unwrap(), vec![2, 1, 1]);
    let agent = Agent::new(objects);
    std::thread::spawn(move || agent::serve(&socket, &agent, Duration::ZERO));
    let process = start(&[]).await;
    let (status, text) = process
        .get(&format!("/snmp?target={target}&module=if_mib"))
        .await
        .unwrap();
    let samples = Samples::parse(&text).unwrap();
    let mtu: Vec<f64> = samples
        .select("ifMtu", &[])
        .map(|sample| sample.value)
        .collect();
    let oper: Vec<f64> = samples
        .select("ifOperStatus", &[])
        .map(|sample| sample.value)
        .collect();
    assert_eq!(
        (status, mtu, oper),
        (200, vec![0.0, 0.0], vec![1.0]),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_answers_from_another_address_is_heard() {
    let asked = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let other = UdpSocket::bind(("127.0.0.2", asked.local_addr().unwrap().port())).unwrap();
    let target = asked.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let agent = Agent::with_interfaces(INTERFACES);
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = asked.recv_from(&mut buffer) {
            if let Some(answer) = agent.answer(&buffer[..length]) {
                let _ = other.send_to(&answer, from);
            }
        }
    });
    // Believed once the right address has stayed silent for the timeout of the module, which is short here; at once where the module
    // says so is a matter of the configuration.
    let folder = testkit::TempDir::new().unwrap();
    let file = folder.write("snmp.yml", QUICK).unwrap();
    let process = start(&["--config.file", file.to_str().unwrap()]).await;
    let path = format!("/snmp?target={target}&module=quick");
    let (status, text) = process.get(&path).await.unwrap();
    let samples = Samples::parse(&text).unwrap();
    assert_eq!(status, 200, "{text}");
    let complete = samples.value("snmp_scrape_complete", &[("module", "quick")]);
    let states = samples.select("ifOperStatus", &[]).count();
    assert_eq!(
        (complete, states),
        (Some(1.0), INTERFACES as usize),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_answers_from_another_port_each_time_is_learnt() {
    let asked = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = asked.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let agent = Agent::with_interfaces(INTERFACES);
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = asked.recv_from(&mut buffer) {
            if let Some(answer) = agent.answer(&buffer[..length]) {
                let other = UdpSocket::bind("127.0.0.1:0").unwrap();
                let _ = other.send_to(&answer, from);
            }
        }
    });
    let process = start(&[]).await;
    scrape(&process, &target).await;
    settles(async || {
        let began = std::time::Instant::now();
        scrape(&process, &target).await;
        let took = began.elapsed();
        (took < Duration::from_secs(1), took)
    })
    .await;
}

/// What one module shows of an agent with a quirk.
async fn page(module: &str, agent: Agent, quirk: Quirk, auth: &str, flags: &[&str]) -> String {
    let folder = testkit::TempDir::new().unwrap();
    let config = format!(
        "auths: {{public_v1: {{version: 1}}, public_v2: {{}}}}\nmodules: {{m: {module}}}\n"
    );
    let file = folder.write("snmp.yml", &config).unwrap();
    let mut all = vec!["--config.file", file.to_str().unwrap()];
    all.extend(flags);
    let process = start(&all).await;
    let (target, _) = serve(agent, quirk);
    let path = format!("/snmp?target={target}&module=m&auth={auth}");
    let (status, text) = process.get(&path).await.unwrap();
    assert_eq!(status, 200, "{text}");
    let kept = |line: &&str| !line.starts_with('#') && !line.starts_with("snmp_scrape");
    let lines: Vec<&str> = text.lines().filter(kept).collect();
    lines.join("\n")
}

const COLUMNS: &str = "{walk: [1.3.6.1.4.1.9.1], metrics: [\
    {name: a, oid: 1.3.6.1.4.1.9.1.1, type: gauge, help: a, indexes: [{labelname: i, type: gauge}]}, \
    {name: b, oid: 1.3.6.1.4.1.9.1.3, type: gauge, help: b, indexes: [{labelname: i, type: gauge}]}]}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_another_order_are_all_there() {
    // One column is answered in the order 1 2 6 3 4 5.
    let rows: String = (1..=6)
        .map(|row| format!("1.3.6.1.4.1.9.1.1.{row}|2|{row}\n1.3.6.1.4.1.9.1.3.{row}|2|{row}0\n"))
        .collect();
    let quirk: Quirk = |agent, request| {
        let column = [1, 3, 6, 1, 4, 1, 9, 1, 1];
        let behind = |oid: &[u32]| -> Vec<u8> {
            let place = oid.strip_prefix(&column).and_then(<[u32]>::first);
            let next = match place {
                Some(2) => Some(5),
                Some(6) => Some(2),
                Some(5) => Some(6),
                _ => None,
            };
            let from = next.map_or_else(|| oid.to_vec(), |next| [&column[..], &[next]].concat());
            let one = Request {
                tag: 0xa1,
                second: 0,
                third: 0,
                oids: vec![from],
                ..request.clone()
            };
            list(&agent.respond(&one))
        };
        if request.tag == 0xa0 {
            return Some(agent.respond(request));
        }
        let repetitions = if request.tag == 0xa5 {
            request.third
        } else {
            1
        };
        let (mut at, mut out) = (request.oids[0].clone(), Vec::new());
        for _ in 0..repetitions.min(8) {
            let one = behind(&at);
            let varbinds = sotp_snmp::codec::Varbinds::new(&one).next();
            out.extend_from_slice(&one);
            let (name, _) = varbinds.unwrap().unwrap();
            at.clear();
            sotp_snmp::oid::decode(name, &mut at).unwrap();
        }
        Some(agent::response(request, 0, 0, &out))
    };
    for flags in [&[][..], &["--snmp.strict"]] {
        let agent = Agent::from_snmprec(&rows).unwrap();
        let text = page(COLUMNS, agent, quirk, "public_v2", flags).await;
        for row in 1..=6 {
            assert!(text.contains(&format!("a{{i=\"{row}\"}} {row}")), "{text}");
            assert!(text.contains(&format!("b{{i=\"{row}\"}} {row}0")), "{text}");
        }
        assert!(!text.contains("snmp_error"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_listed_and_not_there_does_not_end_the_walk() {
    let rows = "1.3.6.1.4.1.9.1.1.1|129|\n1.3.6.1.4.1.9.1.1.2|2|2\n1.3.6.1.4.1.9.1.3.1|2|10\n";
    let agent = Agent::from_snmprec(rows).unwrap();
    let text = page(
        COLUMNS,
        agent,
        |agent, request| Some(agent.respond(request)),
        "public_v2",
        &[],
    )
    .await;
    assert_eq!(text, "a{i=\"2\"} 2\nb{i=\"1\"} 10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_1_finds_what_lies_behind_a_counter64() {
    let rows = "1.3.6.1.4.1.9.1.1.1|2|1\n1.3.6.1.4.1.9.1.2.1|70|5\n1.3.6.1.4.1.9.1.3.1|2|10\n";
    // noSuchName where a Counter64 follows.
    let quirk: Quirk = |agent, request| {
        let answer = agent.respond(request);
        let found = list(&answer);
        let wide = sotp_snmp::codec::Varbinds::new(&found)
            .flatten()
            .any(|(_, value)| matches!(value, sotp_snmp::value::Raw::Counter64(_)));
        let echo = sotp_snmp::codec::varbinds(&[&request.oids[0]]);
        Some(if wide {
            agent::response(request, 2, 1, &echo)
        } else {
            answer
        })
    };
    let agent = Agent::from_snmprec(rows).unwrap();
    let text = page(COLUMNS, agent, quirk, "public_v1", &[]).await;
    assert_eq!(text, "a{i=\"1\"} 1\nb{i=\"1\"} 10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_nobody_wants_need_not_be_readable() {
    // BOOLEAN, which SNMP has not, in a column between and behind the last.
    let rows = "1.3.6.1.4.1.9.1.1.1|2|1\n1.3.6.1.4.1.9.1.2.1|1|x\n1.3.6.1.4.1.9.1.3.1|2|10\n1.3.6.1.4.1.9.2.1|1|x\n";
    let agent = Agent::from_snmprec(rows).unwrap();
    let text = page(
        COLUMNS,
        agent,
        |agent, request| Some(agent.respond(request)),
        "public_v2",
        &[],
    )
    .await;
    assert_eq!(text, "a{i=\"1\"} 1\nb{i=\"1\"} 10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_answers_one_request_at_a_time_is_asked_so() {
    // Five milliseconds for each answer; what waits longer than forty is lost, as in a short queue.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    let lost = Arc::new(AtomicUsize::new(0));
    let losing = Arc::clone(&lost);
    std::thread::spawn(move || {
        let agent = Agent::with_interfaces(INTERFACES);
        let waiting: Arc<std::sync::Mutex<std::collections::VecDeque<_>>> = Arc::default();
        let (reader, queue) = (socket.try_clone().unwrap(), Arc::clone(&waiting));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = reader.recv_from(&mut buffer) {
                let mut queue = queue.lock().unwrap();
                if queue.len() < 8 {
                    queue.push_back((buffer[..length].to_vec(), from));
                } else {
                    losing.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        loop {
            std::thread::sleep(Duration::from_millis(5));
            let next = waiting.lock().unwrap().pop_front();
            if let Some((message, from)) = next
                && let Some(answer) = agent.answer(&message)
            {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    let process = start(&[]).await;
    for _ in 0..3 {
        scrape(&process, &target).await;
    }
    let lost = lost.load(Ordering::Relaxed);
    // A window that does not shrink loses dozens; on a busy machine the device is slower than it means to be.
    assert!(lost <= 16, "{lost} requests found the queue full");
}

/// As snmp_exporter, which shows such a value as 0: here it is told, and what follows is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_a_type_that_snmp_does_not_have_hides_none_of_the_others() {
    let dir = testkit::TempDir::new().unwrap();
    let file = dir.join("snmp.yml");
    std::fs::write(&file, QUICK).unwrap();
    let flag = format!("--config.file={}", file.display());
    let process = start(&[&flag]).await;
    for (bad, expected) in [
        (vec![2], vec!["1", "3", "4"]),
        (vec![1, 3], vec!["2", "4"]),
        (vec![4], vec!["1", "2", "3"]),
    ] {
        let mut text = String::new();
        for row in 1..=4 {
            let tag = if bad.contains(&row) { 72 } else { 2 };
            text += &format!("1.3.6.1.2.1.2.2.1.8.{row}|{tag}|1\n");
        }
        let agent = Agent::from_snmprec(&text).unwrap();
        let (target, _) = serve(agent, |agent, request| Some(agent.respond(request)));
        let path = format!("/snmp?target={target}&module=quick");
        for _ in 0..3 {
            let (status, text) = process.get(&path).await.unwrap();
            assert_eq!(status, 200, "{text}");
            let samples = Samples::parse(&text).unwrap();
            let mut rows: Vec<&str> = samples
                .select("ifOperStatus", &[])
                .map(|sample| sample.labels["ifIndex"].as_str())
                .collect();
            rows.sort_unstable();
            assert_eq!(rows, expected, "{text}");
            let told = [("module", "quick"), ("reason", "decode")];
            assert_eq!(samples.select("snmp_error", &told).count(), 1, "{text}");
            let complete = samples.value("snmp_scrape_complete", &[("module", "quick")]);
            assert_eq!(complete, Some(0.0));
        }
    }
}

/// `laLoad.1` as the object of a metric, below a walk of its table: no walk that begins there gives it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metric_whose_object_is_an_instance_of_a_table_is_read() {
    let config = "auths: {v1: {version: 1}, v2: {version: 2}}
modules:
  load:
    walk: [1.3.6.1.4.1.2021.10]
    metrics:
    - {name: load1, oid: 1.3.6.1.4.1.2021.10.1.5.1, type: gauge, help: Load}
    - {name: load15, oid: 1.3.6.1.4.1.2021.10.1.5.3, type: gauge, help: Load}
    - {name: none, oid: 1.3.6.1.4.1.2021.10.1.5.9, type: gauge, help: Load}
    - {name: scalar, oid: 1.3.6.1.4.1.2021.10.7, type: gauge, help: A scalar}
";
    let dir = testkit::TempDir::new().unwrap();
    let file = dir.join("snmp.yml");
    std::fs::write(&file, config).unwrap();
    let flag = format!("--config.file={}", file.display());
    let agent = "1.3.6.1.4.1.2021.10.1.5.1|2|11\n1.3.6.1.4.1.2021.10.1.5.2|2|12\n1.3.6.1.4.1.2021.10.1.5.3|2|13\n\
                 1.3.6.1.4.1.2021.10.7.0|2|70\n1.3.6.1.4.1.2021.11.1.0|2|99\n";
    let agent = Agent::from_snmprec(agent).unwrap();
    // Silent to a GET of what it does not have.
    let (target, asked) = serve(agent, |agent, request| {
        let lacks = request.oids.iter().any(|oid| oid.ends_with(&[5, 9]));
        (request.tag != 0xa0 || !lacks).then(|| agent.respond(request))
    });
    let process = start(&[&flag]).await;
    for (auth, most) in [("v1", 30), ("v2", 30), ("v2", 5)] {
        asked.store(0, Ordering::Relaxed);
        let path = format!("/snmp?target={target}&module=load&auth={auth}");
        let (_, text) = process.get(&path).await.unwrap();
        let samples = Samples::parse(&text).unwrap();
        let value = |name| samples.value(name, &[]);
        let read = [
            value("load1"),
            value("load15"),
            value("scalar"),
            value("none"),
        ];
        assert_eq!(read, [Some(11.0), Some(13.0), Some(70.0), None], "{text}");
        let complete = samples.value("snmp_scrape_complete", &[("module", "load")]);
        assert_eq!(complete, Some(1.0), "{text}");
        let again = samples.value("snmp_scrape_packets_retried", &[("module", "load")]);
        let asked = asked.load(Ordering::Relaxed) - again.unwrap() as usize;
        assert!(asked <= most, "{asked} requests");
    }
}
