//! Since when counters count, as clients that take protobuf are told (`created_timestamp`).

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::Agent;
use testkit::protobuf::Timestamp;
use testkit::{Process, Server, Spawn, eventually};

const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
const HOUR: u32 = 360_000;

/// A device with two interfaces.
struct Device {
    /// sysUpTime, in hundredths of a second.
    up: u32,
    /// hrSystemUptime, where the device has it.
    host_up: Option<u32>,
    /// ifCounterDiscontinuityTime and ifInErrors of each interface.
    interfaces: [(u32, u32); 2],
}

impl Device {
    fn agent(&self) -> Agent {
        let mut text = format!("1.3.6.1.2.1.1.3.0|67|{}\n", self.up);
        if let Some(up) = self.host_up {
            let _ = writeln!(text, "1.3.6.1.2.1.25.1.1.0|67|{up}");
        }
        for (index, (stamp, errors)) in (1..).zip(self.interfaces) {
            let _ = write!(
                text,
                "1.3.6.1.2.1.2.2.1.1.{index}|2|{index}\n1.3.6.1.2.1.2.2.1.14.{index}|65|{errors}\n\
                 1.3.6.1.2.1.2.2.1.20.{index}|65|{errors}\n1.3.6.1.2.1.31.1.1.1.19.{index}|67|{stamp}\n"
            );
        }
        Agent::from_snmprec(&text).unwrap().ticking()
    }
}

fn serve(device: &Device) -> (String, Arc<Mutex<Agent>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    let agent = Arc::new(Mutex::new(device.agent()));
    let answering = Arc::clone(&agent);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let answer = answering.lock().unwrap().answer(&buffer[..length]);
            if let Some(answer) = answer {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    (target, agent)
}

async fn start(flags: &[&str]) -> Process {
    Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args(flags.iter().copied())
        .start()
        .await
        .unwrap()
}

async fn scrape(process: &Process, target: &str, accept: &str) -> (String, Vec<u8>) {
    let response = testkit::client()
        .get(process.url(&format!("/snmp?target={target}&module=if_mib")))
        .header("Accept", accept)
        .timeout(Duration::from_secs(30))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap();
    (kind.to_owned(), response.bytes().await.unwrap().to_vec())
}

/// Value and start of ifInErrors, by interface.
async fn errors(process: &Process, target: &str) -> Vec<(f64, Option<f64>)> {
    let (kind, body) = scrape(process, target, PROTOBUF).await;
    assert!(
        kind.starts_with("application/vnd.google.protobuf"),
        "{kind}"
    );
    let families = testkit::protobuf::families(&body).unwrap();
    let Some(family) = families.iter().find(|one| one.name == "ifInErrors") else {
        return Vec::new();
    };
    assert_eq!(family.kind, 0);
    assert_eq!(family.metric[0].label[0].name, "ifAlias");
    let counters = family.metric.iter().filter_map(|one| one.counter.as_ref());
    let since = |at: &Timestamp| at.seconds as f64 + f64::from(at.nanos) / 1e9;
    counters
        .map(|counter| (counter.value, counter.created.as_ref().map(since)))
        .collect()
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs_f64()
}

#[tokio::test]
async fn a_counter_counts_since_the_start_of_the_device_or_of_its_interface() {
    let (target, agent) = serve(&Device {
        up: HOUR,
        host_up: None,
        interfaces: [(0, 1_000_000), (HOUR / 2, 2_000_000)],
    });
    let process = start(&[]).await;
    let began = now();
    let first = errors(&process, &target).await;
    let ended = now();
    assert_eq!([first[0].0, first[1].0], [1_000_000.0, 2_000_000.0]);
    let (device, interface) = (first[0].1.unwrap(), first[1].1.unwrap());
    for (since, ago) in [(device, 3600.0), (interface, 1800.0)] {
        assert!(
            (began - ago - 1.0..=ended - ago + 1.0).contains(&since),
            "{since} is not {ago} s before {began} to {ended}"
        );
    }
    // While the device runs on, the start stands still.
    assert_eq!(errors(&process, &target).await[0].1, Some(device));

    // Only the agent is started anew: the counters go on, and so does what they count since.
    *agent.lock().unwrap() = Device {
        up: 5000,
        host_up: None,
        interfaces: [(0, 1_000_100), (0, 2_000_100)],
    }
    .agent();
    let after = errors(&process, &target).await;
    assert_eq!(
        after,
        [(1_000_100.0, Some(device)), (2_000_100.0, Some(device))]
    );

    // The device starts anew.
    *agent.lock().unwrap() = Device {
        up: 300,
        host_up: None,
        interfaces: [(0, 5), (0, 7)],
    }
    .agent();
    let began = now();
    let after = errors(&process, &target).await;
    assert_eq!([after[0].0, after[1].0], [5.0, 7.0]);
    for (_, since) in after {
        let since = since.unwrap();
        assert!(
            (began - 4.0..=now() - 2.0).contains(&since),
            "{since} is not 3 s before {began}"
        );
    }
}

#[tokio::test]
async fn the_hosts_uptime_goes_before_the_agents() {
    let (target, _agent) = serve(&Device {
        up: 700,
        host_up: Some(HOUR),
        interfaces: [(0, 1), (0, 2)],
    });
    let process = start(&[]).await;
    let began = now();
    for (_, since) in errors(&process, &target).await {
        let since = since.unwrap();
        assert!(
            (began - 3601.0..=now() - 3599.0).contains(&since),
            "{since} is not an hour before {began}"
        );
    }
}

#[tokio::test]
async fn text_and_a_strict_answer_say_nothing_of_it() {
    let (target, _agent) = serve(&Device {
        up: HOUR,
        host_up: None,
        interfaces: [(0, 1), (0, 2)],
    });
    let process = start(&[]).await;
    for accept in [
        "*/*",
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    ] {
        let (kind, body) = scrape(&process, &target, accept).await;
        let text = String::from_utf8(body).unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        assert!(
            text.contains("ifInErrors{") && !text.contains("created"),
            "{text}"
        );
    }
    let strict = start(&["--snmp.strict"]).await;
    let found = errors(&strict, &target).await;
    assert_eq!(found, [(1.0, None), (2.0, None)]);
}

#[tokio::test]
async fn prometheus_takes_the_protobuf_form() {
    let (target, _agent) = serve(&Device {
        up: HOUR,
        host_up: None,
        interfaces: [(0, 41), (HOUR / 2, 42)],
    });
    let process = start(&[]).await;
    let exporter = process.url("");
    let exporter = exporter.trim_start_matches("http://").trim_end_matches('/');
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: snmp, metrics_path: /snmp, \
         params: {{target: ['{target}'], module: [if_mib]}}, static_configs: [{{targets: ['{exporter}']}}]}}]\n"
    );
    // With this feature on, Prometheus asks for protobuf first.
    let prometheus = Server::prometheus_with(&config, &["--enable-feature=native-histograms"])
        .await
        .unwrap();
    let sum = eventually(Duration::from_secs(30), || {
        prometheus.value("sum(ifInErrors)")
    });
    assert_eq!(sum.await.unwrap(), 83.0);
}
