//! The service: who may ask for a report, what is read of it, and the schedule.

use std::time::Duration;

use jiff::Zoned;
use serde_json::{Value, json};
use sotp_reporter::month::Month;
use testkit::{Process, Server, TempDir, eventually};

use crate::mails::{config, small};
use crate::smtp::Smtp;
use crate::support::{BINARY, Past};

const BOUND: Duration = Duration::from_secs(30);

/// The service with two people.
pub(crate) async fn start(dir: &TempDir, config: &str) -> Process {
    let hash = bcrypt::hash("word", 4).unwrap();
    let users = format!("basic_auth_users:\n  alice: '{hash}'\n  eve: '{hash}'\n  bob: '{hash}'\n");
    let web = dir.write("web.yaml", users).unwrap();
    let web = format!("--web.config.file={}", web.display());
    Process::spawn(BINARY, [config.to_owned(), web])
        .await
        .unwrap()
}

pub(crate) const ACCESS: &str =
    "access: {web_users: {alice: operator, eve: viewer}}\naudit: {folder: audit}\n";

pub(crate) async fn ask(
    process: &Process,
    method: &str,
    path: &str,
    user: &str,
    body: Option<Value>,
) -> (u16, String, String) {
    let mut request = testkit::client()
        .request(method.parse().unwrap(), process.url(path))
        .basic_auth(user, Some("word"));
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let kept = answer.headers().get("content-disposition");
    let kept = kept.map_or(String::new(), |kept| kept.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    (status, kept, String::from_utf8_lossy(&body).into_owned())
}

/// Waits for the end of a job.
async fn ended(process: &Process, id: &str) -> Value {
    eventually(BOUND, || async {
        let (_, _, text) = ask(process, "GET", &format!("/api/v1/jobs/{id}"), "eve", None).await;
        let job: Value = serde_json::from_str(&text)?;
        anyhow::ensure!(job["state"] != "running", "{job}");
        Ok(job)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn known_caller_has_a_report_made_and_sent_and_everybody_reads_it_as_a_file() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let config = config(&dir, &server, &format!("{}{ACCESS}", smtp.section()));
    let process = start(&dir, &config).await;
    let wanted = json!({"month": "2025-10", "send": true});
    for (user, body, status) in [
        ("eve", wanted.clone(), 403),
        ("mallory", wanted.clone(), 401),
        ("alice", json!({"month": "2025-13"}), 422),
        ("alice", json!({"month": "9000-01"}), 422),
        ("alice", json!({"moon": "full"}), 400),
    ] {
        let answer = ask(&process, "POST", "/api/v1/reports", user, Some(body)).await;
        assert_eq!(answer.0, status, "{user} {answer:?}");
    }
    let dry = ask(
        &process,
        "POST",
        "/api/v1/reports?validate=true",
        "alice",
        Some(wanted.clone()),
    )
    .await;
    assert_eq!(dry.0, 200, "{dry:?}");
    assert!(smtp.mails().is_empty());
    for _ in 0..2 {
        let (status, _, text) = ask(
            &process,
            "POST",
            "/api/v1/reports",
            "alice",
            Some(wanted.clone()),
        )
        .await;
        assert_eq!(status, 202, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let job = ended(&process, answer["job"].as_str().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["requested_by"], "alice");
    }
    assert_eq!(smtp.mails().len(), 1, "asked for twice, sent once");
    let (_, _, text) = ask(&process, "GET", "/api/v1/reports", "eve", None).await;
    let reports: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(reports["reports"][0]["month"], "2025-10");
    assert_eq!(reports["reports"][0]["mail"]["state"], "sent");
    let place = "/api/v1/reports/2025-10/files";
    let (status, kept, csv) = ask(
        &process,
        "GET",
        &format!("{place}/devices.csv"),
        "eve",
        None,
    )
    .await;
    assert_eq!(
        (status, &*kept),
        (200, "attachment; filename=\"devices.csv\"")
    );
    assert!(
        csv.starts_with("device,site,role,availability_ratio,"),
        "{csv}"
    );
    for path in [
        "/api/v1/reports/2025-10/files/..%2F..%2F..%2Freporter.yaml",
        "/api/v1/reports/2025-10/files/lock",
        "/api/v1/reports/2025-09/files/devices.csv",
        "/api/v1/reports/..%2Foutbox/files/devices.csv",
    ] {
        assert_eq!(
            ask(&process, "GET", path, "eve", None).await.0,
            404,
            "{path}"
        );
    }
    let audit = records(&dir, "audit");
    assert!(
        audit.contains("report.send") && audit.contains("report/2025-10"),
        "{audit}"
    );
    assert!(
        audit.contains("\"eve\""),
        "the refusal is recorded too: {audit}"
    );
    assert!(audit.contains(&format!("{place}/devices.csv")), "{audit}");
    reading(&dir, &process, &config).await;
}

/// Everything that the audit log says.
fn records(dir: &TempDir, folder: &str) -> String {
    std::fs::read_dir(dir.join(folder))
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect()
}

/// Reading needs the role, and a right to what is about every device; a file that is not the one of the report is not given out.
async fn reading(dir: &TempDir, process: &Process, config: &str) {
    const FILE: &str = "/api/v1/reports/2025-10/files/devices.csv";
    let get = async |process: &Process, path: &str, user: &str, tag: &str| {
        let request = testkit::client()
            .get(process.url(path))
            .basic_auth(user, Some("word"))
            .header("if-none-match", tag);
        let answer = request.send().await.unwrap();
        let tag = answer.headers().get("etag");
        let tag = tag.map_or(String::new(), |tag| tag.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, tag, answer.bytes().await.unwrap().len())
    };
    let paths = [
        "/api/v1/reports",
        "/api/v1/reports/2025-10",
        FILE,
        "/api/v1/jobs",
    ];
    for path in paths {
        // The first has no password here; the second has one and no role.
        for user in ["mallory", "bob"] {
            let (status, ..) = get(process, path, user, "").await;
            assert_eq!(status, 401, "{path} {user}");
        }
        assert_eq!(get(process, path, "eve", "").await.0, 200, "{path}");
    }
    for path in [FILE, "/api/v1/reports/2025-10"] {
        let (_, tag, length) = get(process, path, "eve", "\"another\"").await;
        assert!(tag.len() == 66 && length > 0, "{path} {tag}");
        assert_eq!(
            get(process, path, "eve", &tag).await,
            (304, tag.clone(), 0),
            "{path}"
        );
    }
    let groups = "{web_users: {eve: viewer}, rules: [{verbs: [report.read], role: viewer, device_groups: [routers]}]}";
    let text = std::fs::read_to_string(config.trim_start_matches("--config.file=")).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("access:") && !line.starts_with("audit:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let text = format!("{text}access: {groups}\naudit: {{folder: audit2}}\n");
    let narrow = dir.write("narrow.yaml", text).unwrap();
    let narrow = start(dir, &format!("--config.file={}", narrow.display())).await;
    for (path, status) in paths.into_iter().zip([200, 403, 403, 200]) {
        let found = get(&narrow, path, "eve", "").await.0;
        assert_eq!(found, status, "{path}: a report is of no one group");
    }
    // A refusal is written soon, not at once.
    eventually(BOUND, || async {
        let audit = records(dir, "audit2");
        anyhow::ensure!(audit.contains("report.read"), "{audit}");
        Ok(())
    })
    .await
    .unwrap();
    let place = dir.join("data/reports/2025-10/devices.csv");
    let content = std::fs::read_to_string(&place).unwrap();
    std::fs::write(&place, content.replace('0', "1")).unwrap();
    assert_eq!(get(process, FILE, "eve", "").await.0, 500);
}

/// The month before now, and the one before it, so that the test holds on the first of a month too.
async fn lately(dir: &TempDir) -> (Server, Month) {
    let now = Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let last = Month::of(&now).before();
    let start = last
        .before()
        .period(&jiff::tz::TimeZone::UTC)
        .unwrap()
        .start
        / 1_000;
    let end = now.timestamp().as_second() - 60;
    let server = Past::default()
        .with(
            "ping_up",
            "device=\"r1\",site=\"waw\",role=\"router\"",
            (start..end).step_by(1_800).map(|time| (time, 1)),
        )
        .start(dir)
        .await;
    (server, last)
}

#[tokio::test]
async fn what_was_due_while_nobody_ran_is_sent_after_the_start_and_a_server_that_is_away_is_told_of()
 {
    let dir = TempDir::new().unwrap();
    let ((server, month), smtp) = (lately(&dir).await, Smtp::start().await);
    smtp.mode("later");
    let config = config(
        &dir,
        &server,
        &format!("schedule: '0 * * * *'\n{}{ACCESS}", smtp.section()),
    );
    let since = Zoned::now().timestamp() - jiff::SignedDuration::from_hours(2);
    std::fs::create_dir_all(dir.join("data")).unwrap();
    dir.write("data/since", format!("{since}\n")).unwrap();
    let process = start(&dir, &config).await;
    let series = async || ask(&process, "GET", "/metrics", "eve", None).await.2;
    let has = |page: &str, line: &str| page.lines().any(|one| one == line);
    let failed = "reporter_failures_total{stage=\"mail\"} 1";
    eventually(BOUND, || async {
        let page = series().await;
        anyhow::ensure!(
            has(&page, failed) && has(&page, "reporter_outbox_mails 1"),
            "{page}"
        );
        anyhow::ensure!(!has(&page, "reporter_due_reports 0"), "{page}");
        Ok(())
    })
    .await
    .unwrap();
    smtp.mode("take");
    // A person does not wait for the next attempt.
    let wanted = json!({"month": month, "send": true});
    let (status, _, text) = ask(&process, "POST", "/api/v1/reports", "alice", Some(wanted)).await;
    assert_eq!(status, 202, "{text}");
    eventually(BOUND, || async {
        let page = series().await;
        anyhow::ensure!(has(&page, "reporter_outbox_mails 0"), "{page}");
        anyhow::ensure!(has(&page, "reporter_due_reports 0"), "{page}");
        anyhow::ensure!(
            !has(&page, "reporter_last_sent_timestamp_seconds 0"),
            "{page}"
        );
        Ok(())
    })
    .await
    .unwrap();
    let subjects: Vec<String> = smtp.mails().into_iter().map(|mail| mail.subject).collect();
    assert!(
        subjects.iter().any(|one| one.contains(&month.to_string())),
        "{subjects:?}"
    );
}
