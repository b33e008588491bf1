//! Each addition is refused by a strict configuration: nothing is shared, kept, guessed or done at the same time.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::agent::Agent;
use testkit::{Process, Samples, Spawn, TempDir};

const CONFIG: &str = "auths: {public_v2: {community: public}}
modules:
  system:
    walk: [1.3.6.1.2.1.1]
    timeout: 1s
    metrics: [{name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge, help: Since the start}]
  slow:
    walk: [1.3.6.1.2.1.1]
    timeout: 30s
    metrics: [{name: sysUpTime, oid: 1.3.6.1.2.1.1.3, type: gauge, help: Since the start}]
  errors:
    walk: [1.3.6.1.2.1.1, 1.3.6.1.2.1.2]
    max_repetitions: 30
    metrics: [{name: ifInErrors, oid: 1.3.6.1.2.1.2.2.1.14, type: counter, help: Errors, indexes: [{labelname: ifIndex, type: gauge}]}]
";

/// When each request came, whether one was being answered then, and its object.
type Seen = Arc<Mutex<Vec<(Instant, bool)>>>;

/// An agent that takes a while for each answer and loses the first `lost` requests.
fn serve(delay: Duration, lost: usize) -> (String, Seen) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    let seen = Seen::default();
    let all = Arc::clone(&seen);
    std::thread::spawn(move || {
        let agent = Agent::with_interfaces(20);
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let number = {
                let mut all = all.lock().unwrap();
                all.push((Instant::now(), false));
                all.len()
            };
            if number <= lost {
                continue;
            }
            std::thread::sleep(delay);
            // A second request that waits by now was sent before this answer.
            socket.set_nonblocking(true).unwrap();
            let waits = socket.peek_from(&mut [0; 4096]).is_ok();
            socket.set_nonblocking(false).unwrap();
            if waits {
                all.lock().unwrap().last_mut().unwrap().1 = true;
            }
            if let Some(answer) = agent.answer(&buffer[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    (target, seen)
}

async fn start(strict: bool) -> (Process, TempDir) {
    let folder = TempDir::new().unwrap();
    let first = if strict { "strict: true\n" } else { "" };
    folder
        .write("snmp.yml", format!("{first}{CONFIG}"))
        .unwrap();
    let process = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args(["--config.file", folder.join("snmp.yml").to_str().unwrap()])
        .start()
        .await
        .unwrap();
    (process, folder)
}

async fn ask(process: &Process, query: &str) -> (u16, String) {
    let response = testkit::client()
        .get(process.url(&format!("/snmp?{query}")))
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn the_modules_that_snmp_exporter_lacks_are_unknown() {
    let (target, _) = serve(Duration::ZERO, 0);
    for (strict, status) in [(true, 400), (false, 200)] {
        let (process, _folder) = start(strict).await;
        for module in ["auto", "vitals"] {
            let (found, text) = ask(&process, &format!("target={target}&module={module}")).await;
            assert_eq!(found, status, "{module}, strict {strict}: {text}");
            assert_eq!(
                text == format!("Unknown module '{module}'\n")
                    || text == format!("Unknown module '{module}'"),
                strict,
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn identical_requests_are_scraped_each_for_itself() {
    for (strict, shared) in [(true, 0.0), (false, 1.0)] {
        // Long enough for the second request to come while the first one is answered, however busy the machine is.
        let (target, _) = serve(Duration::from_millis(1_500), 0);
        let (process, _folder) = start(strict).await;
        let query = format!("target={target}&module=slow");
        let (one, other) = tokio::join!(ask(&process, &query), ask(&process, &query));
        assert_eq!((one.0, other.0), (200, 200));
        let url = process.url("/metrics");
        let text = testkit::client().get(url).send().await.unwrap();
        let text = text.text().await.unwrap();
        let samples = Samples::parse(&text).unwrap();
        let found = samples
            .select("snmp_coalesced_scrapes_total", &[])
            .map(|sample| sample.value)
            .sum::<f64>();
        assert_eq!(found, shared, "strict {strict}");
    }
}

#[tokio::test]
async fn one_request_at_a_time_and_no_series_of_our_own() {
    let (target, seen) = serve(Duration::from_millis(5), 0);
    let (process, _folder) = start(true).await;
    let (status, text) = ask(&process, &format!("target={target}&module=system,errors")).await;
    assert_eq!(status, 200, "{text}");
    let asked = seen.lock().unwrap().clone();
    assert!(
        asked.len() >= 10 && asked.iter().all(|(_, waits)| !waits),
        "{} requests",
        asked.len()
    );
    let mut names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "ifInErrors",
            "snmp_scrape_duration_seconds",
            "snmp_scrape_packets_retried",
            "snmp_scrape_packets_sent",
            "snmp_scrape_pdus_returned",
            "snmp_scrape_walk_duration_seconds",
            "sysUpTime"
        ]
    );
    // Every module walks for itself what both of them walk.
    let samples = Samples::parse(&text).unwrap();
    let returned = |module: &str| {
        let of = [("module", module)];
        let mut found = samples.select("snmp_scrape_pdus_returned", &of);
        found.next().unwrap().value
    };
    assert!(
        returned("system") > 0.0 && returned("errors") > returned("system") + 400.0,
        "{text}"
    );
}

#[tokio::test]
async fn a_lost_answer_is_waited_for_as_long_as_the_module_says() {
    let (target, seen) = serve(Duration::ZERO, 2);
    let (process, _folder) = start(true).await;
    let (status, text) = ask(&process, &format!("target={target}&module=system")).await;
    assert_eq!(status, 200, "{text}");
    let asked = seen.lock().unwrap().clone();
    for pair in asked[..3].windows(2) {
        let waited = pair[1].0 - pair[0].0;
        assert!(waited >= Duration::from_millis(950), "{waited:?}");
    }
    assert!(
        text.contains("snmp_scrape_packets_retried{module=\"system\"} 2\n"),
        "{text}"
    );
}
