//! What is done is told: lines in Loki without secrets, and one trace from the request to the device.

use serde_json::json;
use testkit::loki::Loki;
use testkit::otlp::{Collector, Span};
use testkit::ssh::Device;
use testkit::{TempDir, eventually};

use crate::golden::Place;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const WAIT: std::time::Duration = std::time::Duration::from_secs(15);

/// A device, and the service with a Loki and a collector of traces.
async fn place(loki: &Loki, collector: &Collector) -> (testkit::ssh::Running, Place) {
    let device = Device::new("r1", "reader", "s3cretLogin").answer(
        "show version",
        "FRRouting 8.4\n neighbor 198.18.0.2 password s3cretBgp\n",
    );
    let device = device.start().await.unwrap();
    let inventory = format!(
        "sites: [{{name: lab}}]\ndevices: [{{name: r1, address: 127.0.0.1, site: lab, role: edge, platform: frr, \
         ssh: {{port: {}, credentials: lab}}}}]\n",
        device.address.port()
    );
    let config = format!(
        "loki: {{url: '{}'}}\nssh:\n  known_hosts_file: known_hosts\n  credentials:\n    lab: {{repair: {{user: reader, password_file: password}}, \
         console: {{user: reader, password_file: password}}}}\n",
        loki.push_url()
    );
    let dir = TempDir::new().unwrap();
    dir.write("known_hosts", &device.known_host).unwrap();
    dir.write("password", "s3cretLogin\n").unwrap();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    (device, Place::within(dir, &inventory, &config, &env).await)
}

/// A label or a pair of the metadata of a line.
fn pair<'a>(pairs: &'a [(String, String)], wanted: &str) -> &'a str {
    let found = pairs.iter().find(|(name, _)| name == wanted);
    found.map_or("", |(_, value)| value)
}

/// The span of this name in the trace, once it was sent.
async fn span(collector: &Collector, name: &str) -> Span {
    eventually(WAIT, || async {
        let spans = collector.trace(TRACE);
        let found = spans.iter().find(|span| span.name == name).cloned();
        found.ok_or_else(|| {
            std::io::Error::other(format!(
                "no {name}: {spans:#?}, refused {:?}",
                collector.refused()
            ))
            .into()
        })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_command_is_one_trace_to_the_device_and_a_masked_line_that_names_it() {
    let (loki, collector) = (
        Loki::start(None).await.unwrap(),
        Collector::start().await.unwrap(),
    );
    let (device, place) = place(&loki, &collector).await;
    let sent = testkit::client()
        .post(place.process.url("/api/v1/commands"))
        .basic_auth("alice", Some("word"))
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .json(&json!({"devices": ["r1"], "command": "show version"}));
    assert_eq!(sent.send().await.unwrap().status(), 202);

    let line = eventually(WAIT, || async {
        let line = loki
            .entries()
            .into_iter()
            .find(|line| pair(&line.labels, "event") == "console");
        line.ok_or_else(|| std::io::Error::other(place.process.log()).into())
    })
    .await
    .unwrap();
    assert!(line.line.contains("FRRouting 8.4"), "{line:?}");
    assert!(!line.line.contains("s3cret"), "{line:?}");
    assert_eq!(pair(&line.labels, "device"), "r1");
    for (name, value) in [
        ("requester", "alice"),
        ("trace_id", TRACE),
        ("outcome", "answered"),
    ] {
        assert_eq!(pair(&line.metadata, name), value, "{line:?}");
    }

    // From what the caller said to what the device was asked, each a part of the one before.
    let mut parent = "00f067aa0ba902b7".to_owned();
    for name in [
        "POST /api/v1/commands",
        "console: show version",
        "show version on r1",
        "ssh command",
    ] {
        let own = span(&collector, name).await;
        assert_eq!(
            (own.parent.as_str(), own.service.as_str()),
            (parent.as_str(), "sotp-remediator"),
            "{name}"
        );
        parent = own.span_id;
    }
    assert_eq!(
        span(&collector, "ssh command").await.attributes["ssh.command"],
        "show version"
    );
    assert_eq!(collector.refused(), [""; 0]);
    let told = format!("{:?}", collector.spans());
    assert!(!told.contains("s3cret"), "{told}");

    // The record and the lines of the log name the trace.
    let records: String = std::fs::read_dir(place.dir.join("audit"))
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    let begun = records
        .lines()
        .find(|line| line.contains("\"begun\""))
        .unwrap();
    assert!(begun.contains(TRACE), "{begun}");
    let log = place.process.log();
    let run = log
        .lines()
        .find(|line| line.contains("console command was run"))
        .unwrap();
    assert!(run.contains(&format!("trace_id={TRACE}")), "{run}");

    // Who only reads makes no trace, however often.
    let before = collector.spans().len();
    for _ in 0..3 {
        place
            .ask("GET", "/api/v1/commands", "eve", None)
            .await
            .unwrap();
    }
    let asked = testkit::client()
        .get(place.process.url("/api/v1/jobs"))
        .basic_auth("eve", Some("word"))
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    assert_eq!(asked.send().await.unwrap().status(), 200);
    span(&collector, "GET /api/v1/jobs").await;
    assert_eq!(
        collector.spans().len(),
        before + 1,
        "{:#?}",
        collector.spans()
    );

    // The second answer comes by the same login, and is held beside the first.
    device.answer(
        "show version",
        "FRRouting 8.5\n neighbor 198.18.0.2 password s3cretBgp\n",
    );
    let again = json!({"devices": ["r1"], "command": "show version"});
    let (_, accepted) = place
        .ask("POST", "/v1/commands", "alice", Some(&again))
        .await
        .unwrap();
    let at = accepted["location"].as_str().unwrap().to_owned();
    let shown = eventually(WAIT, || async {
        let (_, shown) = place.ask("GET", &at, "eve", None).await?;
        anyhow::ensure!(shown["state"] == "done", "{shown}");
        Ok(shown)
    })
    .await
    .unwrap();
    let change = &shown["changes"][0];
    assert_eq!(
        (&change["added"], &change["removed"]),
        (&json!(["FRRouting 8.5"]), &json!(["FRRouting 8.4"])),
        "{shown}"
    );
    let logins = device
        .typed()
        .iter()
        .filter(|line| *line == "terminal length 0")
        .count();
    assert_eq!(logins, 1, "{:?}", device.typed());
    println!("by a kept session: {} s", shown["answers"][0]["seconds"]);
    drop(device);
}

#[tokio::test]
async fn steps_of_a_job_are_lines() {
    let (loki, collector) = (
        Loki::start(None).await.unwrap(),
        Collector::start().await.unwrap(),
    );
    let (_device, place) = place(&loki, &collector).await;
    let wanted = json!({"runbook": "port-up", "device": "r1", "port": "eth1"});
    let (status, said) = place
        .ask("POST", "/api/v1/jobs", "alice", Some(&wanted))
        .await
        .unwrap();
    assert_eq!(status, 202, "{said}");
    // The device knows no `show interface`: nobody can tell what is so, and people are called.
    let lines = eventually(WAIT, || async {
        let lines: Vec<_> = loki
            .entries()
            .into_iter()
            .filter(|line| pair(&line.labels, "event") == "job")
            .collect();
        anyhow::ensure!(lines.len() == 2, "{lines:#?}");
        Ok(lines)
    })
    .await
    .unwrap();
    assert!(
        lines[0]
            .line
            .starts_with("port-up on r1 eth1: new → matched: somebody asked for it"),
        "{lines:#?}"
    );
    assert!(
        lines[1]
            .line
            .starts_with("port-up on r1 eth1: matched → escalated: "),
        "{lines:#?}"
    );
    // A write has a trace of its own where the caller has none; the job belongs to it.
    let trace = pair(&lines[1].metadata, "trace_id");
    eventually(WAIT, || async {
        let names: Vec<_> = collector
            .trace(trace)
            .into_iter()
            .map(|span| span.name)
            .collect();
        anyhow::ensure!(
            names.contains(&"port-up on r1 eth1".to_owned()),
            "{names:?}"
        );
        Ok(())
    })
    .await
    .unwrap();
}
