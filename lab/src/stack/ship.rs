//! The lines that the processes of the stack write, sent to Loki: what our services, Grafana, Prometheus and the others say of themselves, with
//! the id of the trace that a line belongs to.
//!
//! The log files of the launcher are the queue: what Loki has not taken is read again. When a file is put aside for a new one, what
//! was written to it within the last second may be left out; the files have all of it.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::http;
use super::tls::Certificates;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of one file that are sent at once.
const BATCH: u64 = 256 * 1024;

/// How far each file was sent, by its name without `.log`.
#[derive(Debug, Default)]
struct Sent(BTreeMap<String, u64>);

/// Sends lines of the log files in `folder` to the push address `url` until it is ended.
///
/// # Errors
/// None: a Loki that does not answer is asked again.
pub(super) async fn run(
    url: &str,
    folder: &Path,
    certificates: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let client = http::of_launcher(certificates.map(Certificates::of).as_ref());
    let mut sent = Sent::default();
    loop {
        for (name, lines, end) in sent.unsent(folder) {
            let body = body(&name, &lines, SystemTime::now());
            let request = client
                .post(url)
                .header("content-type", "application/json")
                .body(body.to_string());
            // What Loki refuses once it refuses again; what it did not answer waits.
            match request.send().await {
                Ok(answer)
                    if answer.status().as_u16() != 429 && !answer.status().is_server_error() =>
                {
                    sent.0.insert(name, end);
                }
                _ => {}
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Sent {
    /// Whole lines that were not sent yet, with the place where they end, for each file that has some.
    fn unsent(&mut self, folder: &Path) -> Vec<(String, Vec<String>, u64)> {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.path();
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.extension().is_none_or(|end| end != "log") {
                continue;
            }
            let begin = self.0.entry(name.clone()).or_default();
            if let Some((lines, end)) = read(&path, begin) {
                found.push((name, lines, end));
            }
        }
        found
    }
}

/// Whole lines of a file from `begin` on, which goes back to its head when the file is a new one.
fn read(path: &Path, begin: &mut u64) -> Option<(Vec<String>, u64)> {
    let mut file = std::fs::File::open(path).ok()?;
    if file.metadata().ok()?.len() < *begin {
        *begin = 0;
    }
    file.seek(SeekFrom::Start(*begin)).ok()?;
    let mut bytes = Vec::new();
    file.take(BATCH).read_to_end(&mut bytes).ok()?;
    let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        // A line longer than a batch goes in pieces.
        None if bytes.len() as u64 == BATCH => bytes.len(),
        None => return None,
    };
    let text = String::from_utf8_lossy(&bytes[..whole]);
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && tells(line))
        .map(without_token);
    Some((lines.collect(), *begin + whole as u64))
}

/// Where the app's calls pass through Grafana: each that changes something belongs to the trace that the click began.
const OF_THE_APP: &str = " path=/api/plugin-proxy/";
/// Paths that a browser asks by POST all the time without changing anything in Grafana.
const ONLY_READ: [&str; 5] = [
    "/api/ds/query",
    "/api/frontend-metrics",
    "/api/datasources/proxy/",
    "/api/live/",
    "/apis/features.grafana.app/",
];

/// Whether a line is worth a place in Loki: of the requests that Grafana logs only those that may change something there, or let somebody in.
fn tells(line: &str) -> bool {
    if line.contains("logger=auth ") {
        return line.contains("msg=\"User auth token created\"");
    }
    if !line.contains("msg=\"Request Completed\"") {
        return true;
    }
    let value = |key| {
        let (_, rest) = line.split_once(key)?;
        rest.split(' ').next()
    };
    let reads = matches!(value(" method="), Some("GET" | "HEAD" | "OPTIONS"));
    let path = value(" path=").unwrap_or_default();
    !reads && !ONLY_READ.iter().any(|read| path.starts_with(read))
}

/// The line without the hash by which Grafana knows a session.
fn without_token(line: &str) -> String {
    match line.split_once(" authToken=") {
        Some((before, rest)) => {
            let after = rest.find(' ').map_or("", |end| &rest[end..]);
            format!("{before}{after}")
        }
        None => line.to_owned(),
    }
}

/// A push of Loki's JSON form; the lines keep their order by a nanosecond each.
fn body(name: &str, lines: &[String], now: SystemTime) -> Value {
    let now = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let values = lines.iter().enumerate().map(|(at, line)| {
        let stamp = (now + at as u128).to_string();
        match trace_id(line) {
            Some(id) => json!([stamp, line, {"trace_id": id}]),
            None => json!([stamp, line]),
        }
    });
    json!({"streams": [{
        "stream": {"job": "service", "service_name": name},
        "values": values.collect::<Vec<_>>(),
    }]})
}

/// The trace that a line names: 32 hexadecimal digits. Grafana names one on every line of a request, recorded or not: those of the app are.
fn trace_id(line: &str) -> Option<&str> {
    let of_grafana = || {
        line.contains(OF_THE_APP)
            .then(|| line.split_once(" traceID="))
            .flatten()
    };
    let (_, rest) = line.split_once("trace_id=").or_else(of_grafana)?;
    let id = rest.trim_start_matches('"').get(..32)?;
    id.bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::TempDir;
    use testkit::loki::Loki;

    /// Lines of a Grafana 12.3.3, shortened.
    #[test]
    fn of_what_grafana_logs_sign_ins_and_changes_are_kept_and_nothing_that_only_reads() {
        let request = |method: &str, path: &str, status: u16| {
            format!(
                "logger=context userId=4 orgId=1 uname=ann t=2026-11-30T22:53:01.607Z level=info msg=\"Request Completed\" method={method} \
                 path={path} status={status} remote_addr=198.18.0.9 time_ms=58 referer=\"http://g/d/x?from=now-6h&to=now\" status_source=server"
            )
        };
        let token = "logger=auth t=2026-11-30T22:53:01.6Z level=debug msg=\"User auth token created\" tokenID=2 userID=4 clientIP=198.18.0.9 \
                     userAgent=\"Mozilla/5.0 (X11)\" authToken=5eb63bbbe01eeed093cb22bb8f5acdc3";
        let kept = [
            token.to_owned(),
            "logger=http.server t=2026-11-30T22:53:48.8Z level=info msg=\"Successful Logout\" id=user:4".to_owned(),
            request("POST", "/login", 401),
            request("POST", "/api/dashboards/db", 200),
            request("POST", "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards", 201),
            request("DELETE", "/api/datasources/uid/loki", 403),
            request(
                "POST",
                "/api/plugin-proxy/sotp-app/inventory/api/v1/devices",
                201,
            ),
            "logger=provisioning level=warn msg=\"cannot read\" method=GET path=/x".to_owned(),
        ];
        for line in &kept {
            assert!(tells(line), "{line}");
        }
        let dropped = [
            request("GET", "/api/dashboards/uid/sotp-now", 200),
            request("POST", "/api/ds/query", 200),
            request(
                "GET",
                "/api/plugin-proxy/sotp-app/inventory/api/v1/devices",
                200,
            ),
            token.replace("User auth token created", "Seen token"),
        ];
        for line in &dropped {
            assert!(!tells(line), "{line}");
        }
        assert!(!without_token(token).contains("5eb63bb"));
        assert!(without_token(token).contains("userID=4"));
        assert_eq!(without_token("a authToken=x b=1"), "a b=1");
        assert_eq!(without_token(&kept[1]), kept[1]);
        // The page Audit chooses lines by these words.
        let page = include_str!("../../../dashboards/network/audit.json");
        for words in [
            "User auth token created",
            "Successful Logout",
            "Request Completed",
        ] {
            assert!(page.contains(words), "{words}");
        }
        // What the app did is told there by the services' own records.
        assert!(page.contains(&format!("!= \\\"{OF_THE_APP}\\\"")));
    }

    #[test]
    fn a_line_names_its_trace_or_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id(&format!("level=info trace_id={id} msg=x")),
            Some(id)
        );
        assert_eq!(trace_id(&format!("trace_id=\"{id}\"")), Some(id));
        assert_eq!(trace_id("trace_id=4bf9 msg=x"), None);
        let grafana = |path| {
            format!(
                "logger=context msg=\"Request Completed\" method=POST path={path} traceID={id} status=202"
            )
        };
        let of_the_app = grafana("/api/plugin-proxy/sotp-app/remediator/api/v1/commands");
        assert_eq!(trace_id(&of_the_app), Some(id));
        // It has one, and nobody recorded it.
        assert_eq!(trace_id(&grafana("/login")), None);
        assert_eq!(trace_id("level=info msg=x"), None);
    }

    /// Loki gets every whole line once, in order and with its trace; a file that begins anew is read from its head.
    #[tokio::test(flavor = "multi_thread")]
    async fn every_line_reaches_loki_once() {
        let folder = TempDir::new().unwrap();
        let loki = Loki::start(None).await.unwrap();
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let file = folder.join("sotp-ping.log");
        std::fs::write(&file, format!("first\nmsg=second trace_id={id}\nhalf")).unwrap();
        std::fs::write(folder.join("other.txt"), "no log\n").unwrap();
        let (url, place) = (loki.push_url(), folder.path().to_path_buf());
        let shipper = tokio::spawn(async move { run(&url, &place, None).await });
        let arrived = |count: usize| {
            let loki = &loki;
            async move {
                for _ in 0..600 {
                    if loki.len() >= count {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                panic!("{:?}", loki.entries());
            }
        };
        arrived(2).await;
        std::fs::write(&file, "new\n").unwrap();
        arrived(3).await;
        let entries = loki.entries();
        let lines: Vec<&str> = entries.iter().map(|entry| entry.line.as_str()).collect();
        assert_eq!(
            lines,
            ["first", &format!("msg=second trace_id={id}"), "new"]
        );
        assert_eq!(entries[0].get("service_name"), Some("sotp-ping"));
        assert_eq!(entries[1].get("trace_id"), Some(id));
        assert_eq!(entries[0].get("trace_id"), None);
        shipper.abort();
    }
}
