//! What happens while the stack runs, in plain lines on the terminal: alerts that come and go, and what the remediator does about them.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;

use crate::stack::http;
use crate::stack::plan::Setting;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Jobs that are looked at, newest first.
const JOBS: usize = 50;

/// What was known at the last look, by the id of each thing: an alert's sentence, the state of a job.
type Known = BTreeMap<String, String>;

/// Says what happens, for ever. What does not answer says nothing new.
pub(crate) async fn follow(setting: &Setting<'_>) -> std::convert::Infallible {
    let client = http::local();
    let alerts_url = format!("{}/api/v2/alerts", setting.url("alertmanager"));
    let jobs_url = format!(
        "{}/api/v1/jobs?limit={JOBS}",
        setting.url("sotp-remediator")
    );
    let (mut alerts, mut jobs) = (Known::new(), Known::new());
    loop {
        if let Some(Value::Array(all)) = json(&client, &alerts_url).await {
            say(of_alerts(&mut alerts, &all));
        }
        if let Some(answer) = json(&client, &jobs_url).await
            && let Some(all) = answer["jobs"].as_array()
        {
            say(of_jobs(&mut jobs, all));
        }
        sleep(LOOK).await;
    }
}

async fn json(client: &Client, url: &str) -> Option<Value> {
    let answer = client.get(url).send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

fn say(lines: Vec<String>) {
    let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
    for line in lines {
        println!("  {now}  {line}");
    }
}

/// What is new of the alerts, all of which are given.
fn of_alerts(known: &mut Known, alerts: &[Value]) -> Vec<String> {
    let now: Known = alerts.iter().filter_map(alert).collect();
    let came = now.iter().filter(|(id, _)| !known.contains_key(*id));
    let came = came.map(|(_, sentence)| format!("alert     {sentence}"));
    let went = known.iter().filter(|(id, _)| !now.contains_key(*id));
    let went = went.map(|(_, sentence)| format!("resolved  {sentence}"));
    let lines = came.chain(went).collect();
    *known = now;
    lines
}

/// Its id, and what it says.
fn alert(alert: &Value) -> Option<(String, String)> {
    let id = alert["fingerprint"].as_str()?.to_owned();
    let name = alert["labels"]["alertname"].as_str()?;
    let summary = alert["annotations"]["summary"].as_str();
    let sentence = summary.map_or_else(|| name.to_owned(), |summary| format!("{name}: {summary}"));
    Some((id, sentence))
}

/// What is new of the newest jobs, in the order in which they came.
fn of_jobs(known: &mut Known, jobs: &[Value]) -> Vec<String> {
    let mut now = Known::new();
    let mut lines = Vec::new();
    for job in jobs.iter().rev() {
        let (Some(id), Some(state)) = (job["id"].as_str(), job["state"].as_str()) else {
            continue;
        };
        now.insert(id.to_owned(), state.to_owned());
        if known.get(id).is_some_and(|before| before == state) {
            continue;
        }
        let word = |key: &str| job[key].as_str().unwrap_or_default();
        let place = format!("{} {}", word("device"), word("port"));
        let what = match state {
            "succeeded" => "repaired ",
            "awaiting_approval" => "waiting  ",
            "proposed" | "observed" => "proposed ",
            "failed" | "rolled_back" | "escalated" | "unknown" => "people   ",
            _ => continue,
        };
        let line = format!(
            "{what} {}: {state} by {}: {}",
            place.trim_end(),
            word("runbook"),
            word("reason")
        );
        lines.push(line.trim_end_matches([' ', ':']).to_owned());
    }
    *known = now;
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alert_is_told_once_when_it_comes_and_once_when_it_goes() {
        let shut = json!({
            "fingerprint": "a1", "labels": {"alertname": "InterfaceShut"},
            "annotations": {"summary": "r2 to-r3 is shut"},
        });
        let mut known = Known::new();
        let alerts = [shut];
        let first = of_alerts(&mut known, &alerts);
        assert_eq!(first, ["alert     InterfaceShut: r2 to-r3 is shut"]);
        assert!(of_alerts(&mut known, &alerts).is_empty());
        let last = of_alerts(&mut known, &[]);
        assert_eq!(last, ["resolved  InterfaceShut: r2 to-r3 is shut"]);
        assert!(of_alerts(&mut known, &[]).is_empty());
    }

    #[test]
    fn a_job_is_told_when_it_ends_or_waits_and_not_on_its_way() {
        let job = |id: &str, state: &str| json!({"id": id, "state": state, "device": "r2", "port": "to-r3", "runbook": "port-up", "reason": ""});
        let mut known = Known::new();
        assert!(of_jobs(&mut known, &[job("1", "running")]).is_empty());
        let ended = [job("2", "awaiting_approval"), job("1", "succeeded")];
        assert_eq!(
            of_jobs(&mut known, &ended),
            [
                "repaired  r2 to-r3: succeeded by port-up",
                "waiting   r2 to-r3: awaiting_approval by port-up"
            ]
        );
        assert!(of_jobs(&mut known, &ended).is_empty());
    }
}
