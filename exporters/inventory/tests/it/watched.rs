//! The real binary's series about its callers and its audit log, beside what the log's file says.

use crate::support::{Place, Service, send};
use serde_json::{Value, json};
use testkit::Samples;

const ONE: &str = "devices:\n  - name: r1\n    address: 192.0.2.1\n";

async fn samples(service: &Service) -> Samples {
    Samples::parse(&service.get("/metrics").await.text).unwrap()
}

/// Number and hash of the newest record on disk.
fn newest(place: &Place) -> (f64, String) {
    let text: String = std::fs::read_dir(place.dir.join("audit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = records.max_by_key(|record| record["seq"].as_u64()).unwrap();
    (
        last["seq"].as_f64().unwrap(),
        last["hash"].as_str().unwrap().to_owned(),
    )
}

/// The hash that the gauges hold: five parts of 48 bits and one of 16.
fn head_hash(samples: &Samples) -> String {
    let part = |at: &str| {
        samples
            .value("sotp_audit_head_hash", &[("part", at)])
            .unwrap() as u64
    };
    let long: String = ["0", "1", "2", "3", "4"]
        .map(|at| format!("{:012x}", part(at)))
        .concat();
    format!("{long}{:04x}", part("5"))
}

#[tokio::test]
async fn changes_and_refusals_are_counted_and_the_head_of_the_log_is_a_metric() {
    let place = Place::new(ONE);
    let service = place.start().await;
    let r2 = json!({"name": "r2", "address": "192.0.2.2"});
    let before = samples(&service).await;
    assert_eq!(
        before.value("sotp_audit_write_failures_total", &[]),
        Some(0.0)
    );
    assert_eq!(before.value("sotp_grafana_keys", &[]), Some(0.0));
    assert_eq!(
        before.value("sotp_grafana_key_fetches_total", &[("result", "failed")]),
        Some(0.0)
    );

    assert_eq!(
        send(service.json("POST", "/api/v1/devices", &r2))
            .await
            .status,
        201
    );
    let refused = send(service.json_by("bob", "POST", "/api/v1/devices", &r2)).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let nobody = send(service.json_by("mallory", "POST", "/api/v1/devices", &r2)).await;
    assert_eq!(nobody.status, 401, "{}", nobody.text);

    // Begun and ended; each refusal is recorded soon after it is answered, and the series tell of it once it is on disk.
    let begun = before.value("sotp_audit_head_sequence", &[]).unwrap();
    testkit::eventually(std::time::Duration::from_secs(10), || async {
        let told = samples(&service).await;
        let told = told.value("sotp_audit_head_sequence", &[]);
        anyhow::ensure!(newest(&place).0 == begun + 4.0, "{}", newest(&place).0);
        anyhow::ensure!(told == Some(begun + 4.0), "{told:?}");
        Ok(())
    })
    .await
    .unwrap();
    let after = samples(&service).await;
    let more = |name: &str, labels: &[(&str, &str)]| {
        after.value(name, labels).unwrap() - before.value(name, labels).unwrap_or(0.0)
    };
    let operator = [("via", "web_user"), ("role", "operator")];
    assert_eq!(more("sotp_callers_allowed_total", &operator), 1.0);
    assert_eq!(
        more("sotp_callers_denied_total", &[("reason", "forbidden")]),
        1.0
    );
    assert_eq!(
        after.sum("sotp_callers_denied_total", &[]) - before.sum("sotp_callers_denied_total", &[]),
        2.0
    );

    let (sequence, hash) = newest(&place);
    assert_eq!(after.value("sotp_audit_head_sequence", &[]), Some(sequence));
    assert_eq!(head_hash(&after), hash);
    assert_eq!(after.value("sotp_audit_pending", &[]), Some(0.0));
}
