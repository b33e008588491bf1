use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use testkit::{TempDir, eventually};

use super::*;
use crate::audit::{Options, Outcome, Record};
use crate::caller::AccessConfig;

const IDENTITY: Identity = Identity {
    name: "sotp-test",
    title: "",
    about: "",
    port: 1,
    version: "1.2.3",
    docs: "",
};

struct Place {
    edits: EditService,
    dir: TempDir,
    reader: Arc<Semaphore>,
}

impl Place {
    /// A log of forty records in several files.
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let text = "web_users: {vic: viewer, olga: operator}\nrules: [{verbs: [audit.read], role: operator}]";
        let config: AccessConfig = toolkit::yaml::parse(text, Path::new("access.yaml")).unwrap();
        let access = Arc::new(config.check(&[]).unwrap());
        let options = Options {
            segment_bytes: 4096,
            ..Options::default()
        };
        let audit = Audit::open(&dir.join("audit"), options).unwrap();
        for number in 0..20 {
            let record = Record {
                caller: None,
                verb: "device.change".to_owned(),
                object: format!("device/R{number}"),
                trace_id: None,
                request_hash: [0; 32],
            };
            let pending = audit.begin(record).await.unwrap();
            pending.finish(Outcome::Done("v".to_owned())).await;
        }
        Self {
            edits: EditService::new(audit, move || Some(Arc::clone(&access))),
            dir,
            reader: Arc::new(Semaphore::new(1)),
        }
    }

    async fn ask<T: Serialize + Send + 'static>(
        &self,
        user: &str,
        path: &str,
        call: Call<T>,
    ) -> Result<Value, Refusal> {
        let told = read(&self.edits, request(user, path), &self.reader, call).await?;
        Ok(serde_json::to_value(told).unwrap())
    }

    /// Waits until so many records stand in the log.
    async fn until(&self, records: u64) {
        let enough = || async {
            let head = self.edits.audit().head().sequence;
            anyhow::ensure!(head == records, "{head}");
            Ok(())
        };
        eventually(Duration::from_secs(20), enough).await.unwrap();
    }
}

fn request(user: &str, path: &str) -> Request {
    Request::new(Method::GET, path, "").unwrap().with_user(user)
}

fn numbers(page: &Value) -> Vec<u64> {
    let records = page["records"].as_array().unwrap().iter();
    records.map(|one| one["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn records_come_newest_first_page_by_page_over_all_files_and_reading_them_is_recorded_once() {
    let place = Place::new().await;
    let mut path = "/api/v1/audit?limit=15".to_owned();
    let mut all = Vec::new();
    loop {
        let page = place.ask("olga", &path, shown).await.unwrap();
        // The reading itself stands in the log by and by.
        all.extend(numbers(&page).into_iter().filter(|seq| *seq <= 40));
        match page["before"].as_u64() {
            Some(before) => path = format!("/api/v1/audit?limit=15&before={before}"),
            None => break,
        }
    }
    assert_eq!(all, (1..=40).rev().collect::<Vec<u64>>());
    place.until(41).await;
    let newest = place
        .ask("olga", "/api/v1/audit?find=OLGA", shown)
        .await
        .unwrap();
    let record = &newest["records"][0];
    assert_eq!(
        (&record["event"], &record["verb"], &record["display"]),
        (&"read".into(), &"audit.read".into(), &"olga".into())
    );
    assert_eq!(newest["records"].as_array().unwrap().len(), 1);
    let found = place
        .ask("olga", "/api/v1/audit?find=r7", shown)
        .await
        .unwrap();
    assert_eq!(numbers(&found), [16, 15]);
    assert_eq!(place.edits.audit().head().sequence, 41);
}

#[tokio::test]
async fn who_may_not_reads_nothing_and_wrong_numbers_are_refused() {
    let place = Place::new().await;
    for (user, path, status) in [
        ("vic", "/api/v1/audit", StatusCode::FORBIDDEN),
        ("eve", "/api/v1/audit", StatusCode::UNAUTHORIZED),
        ("olga", "/api/v1/audit?limit=501", StatusCode::BAD_REQUEST),
        ("olga", "/api/v1/audit?before=x", StatusCode::BAD_REQUEST),
    ] {
        let refused = place.ask(user, path, shown).await.unwrap_err();
        assert_eq!(refused.status(), status, "{user} {path}");
    }
    let told = whoami(&place.edits, &request("vic", "/api/v1/whoami"), IDENTITY).await;
    let told = serde_json::to_value(told.unwrap()).unwrap();
    assert_eq!(
        (&told["display"], &told["role"], &told["via"]),
        (&"vic".into(), &"viewer".into(), &"web_user".into())
    );
    assert_eq!(told["version"], "1.2.3");
    let nobody = whoami(&place.edits, &request("eve", "/api/v1/whoami"), IDENTITY).await;
    assert_eq!(nobody.unwrap_err().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn log_is_whole_until_somebody_changes_a_record_of_it() {
    let place = Place::new().await;
    let told = place.ask("olga", "/api/v1/audit/verify", verified).await;
    let told = told.unwrap();
    assert_eq!(told["whole"], true, "{told}");
    assert!(told["files"].as_u64().unwrap() > 2, "{told}");
    place.until(41).await;
    let file = place.dir.join("audit/audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("device/R0", "device/R9", 1)).unwrap();
    let told = place.ask("olga", "/api/v1/audit/verify", verified).await;
    let told = told.unwrap();
    assert_eq!(told["whole"], false, "{told}");
    assert!(
        told["findings"][0].as_str().unwrap().contains("record 1 "),
        "{told}"
    );
}
