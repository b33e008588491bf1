//! What else a report tells: links, loss, configurations, capacity from Prometheus; causes and changes from Loki; repairs from the
//! remediator. And a month that is closed, whose report needs none of them any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use testkit::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Past, at, minutes, rows, run, said};

const HOUR: i64 = 3_600;
const START: &str = "2025-10-01T00:00:00Z";
const END: &str = "2025-11-01T00:00:00Z";

/// Answers each `GET` with what is said for its path, and with 503 while it is away.
pub(crate) struct Stub {
    pub(crate) url: String,
    pub(crate) away: Arc<AtomicBool>,
}

impl Stub {
    pub(crate) async fn start(answer: impl Fn(&str) -> Value + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let away = Arc::new(AtomicBool::new(false));
        let (answer, down) = (Arc::new(answer), Arc::clone(&away));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (answer, down) = (Arc::clone(&answer), Arc::clone(&down));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        if client.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let path = text.split(' ').nth(1).unwrap_or_default();
                    let (status, body) = if down.load(Ordering::Relaxed) {
                        ("503 Service Unavailable", "away".to_owned())
                    } else {
                        ("200 OK", answer(path).to_string())
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = client.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, away }
    }
}

/// Loki with two lines: a reboot of r1 a minute before its outage, and a change of its configuration on another day.
async fn loki() -> Stub {
    Stub::start(|path| {
        let asked: BTreeMap<String, String> = path
            .split_once('?')
            .map(|(_, query)| query.split('&'))
            .into_iter()
            .flatten()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let span = asked["start"].parse::<i64>().unwrap()..asked["end"].parse().unwrap();
        let lines = [
            (
                "ssh-config",
                at("2025-10-09T12:00:00Z"),
                json!({"device": "r1", "user": "=eve", "trigger": "event", "commit": "0123456789abcdef"}),
                "eve changed the configuration of r1 (+1 -2)\n-old",
            ),
            (
                "syslog",
                at("2025-10-07T07:59:00Z"),
                json!({"device": "r1", "event": "reboot", "sentence": "r1 was reloaded by bob"}),
                "%SYS-5-RELOAD",
            ),
        ];
        let found: Vec<Value> = lines
            .into_iter()
            .filter(|(job, time, ..)| {
                asked["query"].contains(job) && span.contains(&(time * 1_000_000_000))
            })
            .map(|(_, time, labels, text)| {
                json!({"stream": labels, "values": [[(time * 1_000_000_000).to_string(), text]]})
            })
            .collect();
        json!({"status": "success", "data": {"resultType": "streams", "result": found}})
    })
    .await
}

/// The remediator with one job for the outage, one of another device and one from before the month.
async fn remediator() -> Stub {
    let job = |id: &str, device: &str, time: &str| {
        let time = at(time) * 1_000;
        json!({
            "id": id, "state": "succeeded", "reason": "it answers again", "runbook": "port-up", "device": device, "port": "eth1",
            "site": "waw", "role": "router", "level": "approve", "fingerprint": "f", "starts_at": time - 30_000, "created": time,
            "updated": time + 60_000, "attempts": 1, "trace_id": "4bf92f3577b34da6",
            "approver": {"subject": "a", "display": "Alice", "via": "web"}
        })
    };
    let jobs = [
        job("J3", "r2", "2025-10-07T08:06:00Z"),
        job("J2", "r1", "2025-10-07T08:05:00Z"),
        job("J1", "r1", "2025-09-20T00:00:00Z"),
    ];
    Stub::start(move |path| {
        assert!(path.starts_with("/api/v1/jobs?limit=1000"), "{path}");
        json!({"jobs": jobs})
    })
    .await
}

/// A month of one device, down for 37 minutes, with two interfaces. Of the means of five minutes of eth0 446 of 8,928 are high in the
/// one direction and 447 in the other: the 95th percentile lies between.
fn past() -> Past {
    let (start, end) = (at(START), at(END));
    let whole = || minutes(start - HOUR, end + HOUR);
    let outage = at("2025-10-07T08:00:00Z");
    let down = move |time: i64| (outage..outage + 37 * 60).contains(&time);
    let labels = |name: &str| {
        format!("device=\"r1\",site=\"waw\",role=\"router\",ifName=\"{name}\",ifAlias=\"Uplink\"")
    };
    let octets = move |high: i64| {
        // From the first minute of the month on: high means of 10 Mbit/s, then of 1 Mbit/s.
        move |time: i64| {
            let at = time - start;
            let fast = at.clamp(0, high * 300);
            (time, (fast * 1_250_000 + (at - fast) * 125_000).max(0))
        }
    };
    let device = "device=\"r1\",site=\"waw\",role=\"router\"";
    let of = |more: &str| format!("{device},{more}");
    Past::default()
        .with(
            "ping_up",
            device,
            whole().map(move |time| (time, i64::from(!down(time)))),
        )
        .with(
            "ping_requests_total",
            device,
            whole().map(move |time| (time, time - start + HOUR)),
        )
        .with(
            "ping_lost_total",
            device,
            whole().map(move |time| (time, (time - outage).clamp(0, 37 * 60))),
        )
        .with(
            "ifOperStatus",
            &labels("eth0"),
            whole().map(move |time| (time, 1 + i64::from(down(time)))),
        )
        .with(
            "ifOperStatus",
            &labels("eth1"),
            whole().map(|time| (time, 2)),
        )
        .with(
            "ifAdminStatus",
            &labels("eth1"),
            whole().map(|time| (time, 2)),
        )
        .with(
            "ifHighSpeed",
            &labels("eth0"),
            whole().step_by(4).map(|time| (time, 100)),
        )
        .with("ifHCInOctets", &labels("eth0"), whole().map(octets(446)))
        .with("ifHCOutOctets", &labels("eth0"), whole().map(octets(447)))
        .with(
            "sshconfig_rule_violations",
            &of("rule=\"ntp\""),
            whole()
                .step_by(4)
                .map(move |time| (time, i64::from(time < start + 100 * HOUR + 60))),
        )
        .with(
            "sshconfig_rule_violations",
            &of("rule=\"banner\""),
            whole()
                .step_by(4)
                .map(move |time| (time, i64::from(time > end - 1_000))),
        )
        .with(
            "forecast_saturation_days",
            &of("ifName=\"eth0\",direction=\"out\",confidence=\"0.5\""),
            minutes(end - HOUR, end).map(|time| (time, 42)),
        )
}

fn file(dir: &TempDir, name: &str) -> Vec<BTreeMap<String, String>> {
    rows(&std::fs::read(dir.join("out").join(name)).unwrap())
}

/// Longer than 5 s on a busy machine: promtool makes blocks of 450,000 samples.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn month_has_its_links_causes_and_repairs_and_its_report_can_be_made_when_nobody_answers() {
    let dir = TempDir::new().unwrap();
    let (server, loki, remediator) = (past().start(&dir).await, loki().await, remediator().await);
    let text = format!(
        "prometheus: {{url: '{}'}}\nloki: {{url: '{}'}}\nremediator: {{url: '{}/'}}\nlanguage: pl\n\
         services: [{{name: Internet, devices: [r1, r9], needs: any, percent: 99}}]\n",
        server.url, loki.url, remediator.url
    );
    let config = dir.write("reporter.yaml", text).unwrap();
    let config = format!("--config.file={}", config.display());
    let out = format!("--output={}", dir.join("out").display());
    let render = || run(&["render", &config, "--month=2025-10", &out]);

    // A part that is not answered is named, and is in no figure.
    remediator.away.store(true, Ordering::Relaxed);
    let output = render();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let told = "missing: remediator: jobs from 2025-10-01T00:00:00Z to 2025-11-01T00:00:00Z: the server answered 503: away";
    assert!(said(&output).contains(told), "{}", said(&output));
    assert_eq!(file(&dir, "incidents.csv")[0]["repair"], "");
    assert!(file(&dir, "repairs.csv").is_empty());
    let held = run(&["run", &config, "--month=2025-10"]);
    assert_eq!(held.status.code(), Some(2), "{}", said(&held));
    assert!(
        !dir.join("data/closed").exists(),
        "an incomplete month is not closed"
    );
    remediator.away.store(false, Ordering::Relaxed);

    let output = render();
    assert!(output.status.success(), "{}", said(&output));
    links(&dir);
    let incident = &file(&dir, "incidents.csv")[0];
    for (key, expected) in [
        (
            "cause",
            "reboot: r1 was reloaded by bob (2025-10-07T07:59:00Z)",
        ),
        ("repair", "port-up (succeeded)"),
        ("approved_by", "Alice"),
        ("repair_jobs", "J2"),
        ("trace_id", "4bf92f3577b34da6"),
    ] {
        assert_eq!(incident[key], expected, "{incident:?}");
    }
    let jobs: Vec<String> = file(&dir, "repairs.csv")
        .iter()
        .map(|row| row["job"].clone())
        .collect();
    assert_eq!(jobs, ["J2", "J3"], "that of September is not of this month");
    let change = &file(&dir, "changes.csv")[0];
    assert_eq!(change["user"], "'=eve");
    assert_eq!(
        change["change"],
        "eve changed the configuration of r1 (+1 -2)"
    );
    let compliance = &file(&dir, "compliance.csv")[0];
    assert_eq!(compliance["hours_known"], "744");
    assert_eq!(compliance["hours_broken"], "101");
    assert_eq!(compliance["rules_broken_at_end"], "banner");
    assert_eq!(
        file(&dir, "capacity.csv")[0]["days_until_full_50_percent"],
        "42"
    );
    let path = &file(&dir, "round_trips.csv")[0];
    let loss: f64 = path["loss_ratio"].parse().unwrap();
    assert!(
        (loss / (2_220.0 / 2_678_400.0) - 1.0).abs() < 0.002,
        "{loss}"
    );
    let service = &file(&dir, "services.csv")[0];
    // While r1 is down nobody knows of r9.
    assert_eq!(service["down_seconds"], "0");
    assert_eq!(service["unknown_seconds"], "2220");
    paper(&dir);

    // It is kept and closed; then nobody has to answer.
    let made = run(&["run", &config, "--month=2025-10"]);
    assert!(made.status.success(), "{}", said(&made));
    let before = std::fs::read(dir.join("out/availability-2025-10.pdf")).unwrap();
    drop(server);
    loki.away.store(true, Ordering::Relaxed);
    remediator.away.store(true, Ordering::Relaxed);
    let output = render();
    assert!(output.status.success(), "{}", said(&output));
    let after = std::fs::read(dir.join("out/availability-2025-10.pdf")).unwrap();
    assert!(before == after, "the closed month gives the same bytes");
    let closed = dir.join("data/closed/2025-10.json");
    let manifest = std::fs::read(dir.join("out/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let bytes = std::fs::read(&closed).unwrap();
    assert_eq!(
        manifest["intervals_sha256"],
        sotp_reporter::bundle::sha256(&bytes)
    );

    // One that was changed by somebody gives none, and neither does one with other edges.
    let moved = std::fs::read_to_string(dir.join("reporter.yaml")).unwrap();
    dir.write(
        "reporter.yaml",
        format!("{moved}time_zone: Europe/Warsaw\n"),
    )
    .unwrap();
    let output = render();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("2025-10 was closed in the time zone UTC"),
        "{}",
        said(&output)
    );
    dir.write("reporter.yaml", moved).unwrap();
    std::fs::write(
        &closed,
        String::from_utf8(bytes).unwrap().replacen("up", "UP", 1),
    )
    .unwrap();
    let output = render();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("it is not what was written"),
        "{}",
        said(&output)
    );
}

fn links(dir: &TempDir) {
    let links = file(dir, "links.csv");
    let [eth0, eth1] = &links[..] else {
        panic!("{links:?}");
    };
    for (key, expected) in [
        ("alias", "Uplink"),
        ("speed_bits_per_second", "100000000"),
        ("in_p95_bits_per_second", "1000000"),
        ("out_p95_bits_per_second", "10000000"),
        ("in_highest_bits_per_second", "10000000"),
        ("in_samples", "8928"),
        ("in_missing", "0"),
        ("p95_utilisation_ratio", "0.1"),
        ("down_seconds", "2220"),
        ("unknown_seconds", "0"),
    ] {
        assert_eq!(eth0[key], expected, "{key}: {eth0:?}");
    }
    assert_eq!(
        eth1["excluded_seconds"],
        (744 * HOUR).to_string(),
        "{eth1:?}"
    );
    assert_eq!(eth1["availability_ratio"], "");
    assert_eq!(
        eth1["in_p95_bits_per_second"], "",
        "no counter is no figure"
    );
}

/// In Polish, as another program reads it.
fn paper(dir: &TempDir) {
    let output = std::process::Command::new("pdftotext")
        .arg("-layout")
        .arg(dir.join("out/availability-2025-10.pdf"))
        .arg("-")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return testkit::skip(format!("pdftotext: {error}")),
    };
    let text: String = said(&output).split_whitespace().collect();
    for needed in [
        "Dostępność w kolejnych dniach",
        "Średni czas naprawy (MTTR)",
        "Odnotowano: 1 awaria",
        "99,917 %",
        "Zmiany konfiguracji",
        "port-up",
        "2025-12-13 (42 d)",
        "Na koniec miesiąca wszystkie reguły spełniało 0 z 1 urządzeń",
        "95. percentyl jest wartością",
    ] {
        let bare: String = needed.split_whitespace().collect();
        assert!(
            text.contains(&bare),
            "{needed:?} is missing:\n{}",
            said(&output)
        );
    }
}
