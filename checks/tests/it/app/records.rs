//! The pages *Reports*, *Audit* and *Settings*, against the real services and a real Alertmanager; what is done on them is done by keyboard.

use std::time::Duration;

use testkit::chromium::Key;
use testkit::{eventually, skip};

use super::screen::{PASSWORD, Stack, seen};

/// What was done is read by who may, whose reading is recorded in turn; reports are asked for; a test reaches one receiver.
/// Over 5 s: three browsers are started, and each page is looked at by axe.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_reports_and_tests_of_receivers_are_seen_by_who_may() {
    let app = match seen() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, true).await;
    assert_eq!(
        stack.patch("editor", "r1", "{\"role\": \"core\"}").await,
        200
    );
    assert_eq!(stack.patch("viewer", "r1", "{\"role\": \"x\"}").await, 403);
    let screen = stack.browser(Some("admin")).await;
    let page = &screen.browser;

    screen.open("audit").await;
    page.says("device.change").await.unwrap();
    page.says("refused: 403: forbidden").await.unwrap();
    screen.reach("Check that nothing was altered").await;
    page.key(Key::Enter).await.unwrap();
    page.says("is what was written.").await.unwrap();
    screen.is_sound(app, "audit").await;
    eventually(Duration::from_secs(20), || async {
        let lines = stack.audit("sotp-inventory");
        let read = lines.iter().find(|line| line["event"] == "read");
        let read = read.ok_or_else(|| anyhow::anyhow!("no reading in {lines:#?}"))?;
        assert_eq!(
            (&read["verb"], &read["display"]),
            (&"audit.read".into(), &"admin".into())
        );
        Ok(())
    })
    .await
    .unwrap();
    page.fill("find", "nothing like it").await.unwrap();
    page.says("No record fits.").await.unwrap();
    // The services are one stop of the tabulator, and the arrows go through them.
    screen.open("audit").await;
    page.says("device.change").await.unwrap();
    screen.reach("Inventory").await;
    page.key(Key::Down).await.unwrap();
    page.gone("//code[.=\"device.change\"]").await.unwrap();

    screen.open("settings").await;
    page.says("user:").await.unwrap();
    let services = page.all("//tr[contains(., \"answers\")]").await.unwrap();
    assert_eq!(services.len(), 5, "every service answers");
    page.find("//button[@aria-label=\"Send a test to warning\"]")
        .await
        .unwrap();
    screen.reach("Send a test to warning").await;
    page.key(Key::Enter).await.unwrap();
    page.says("Alertmanager hands the test to warning.")
        .await
        .unwrap();
    screen.is_sound(app, "settings").await;
    let alerts = stack.alertmanager.get("/api/v2/alerts").await.unwrap();
    let alerts: serde_json::Value = serde_json::from_str(&alerts).unwrap();
    assert_eq!(
        alerts[0]["receivers"],
        serde_json::json!([{"name": "warning"}])
    );
    assert_eq!(alerts[0]["annotations"]["by"], "admin");

    // Prometheus is not there: the job fails, and the page says so.
    screen.open("reports").await;
    page.says("There is no report yet").await.unwrap();
    screen.is_sound(app, "reports-none").await;
    screen.reach("Send it").await;
    page.key(Key::Space).await.unwrap();
    let checked = "return document.activeElement.checked";
    assert_eq!(page.run(checked, &[]).await.unwrap(), true);
    page.key(Key::Space).await.unwrap();
    screen.reach("Make the report").await;
    page.key(Key::Enter).await.unwrap();
    page.says("was not made.").await.unwrap();
    screen.is_sound(app, "reports-failed").await;
    let jobs = stack
        .ask(&stack.reporter, "admin", "/api/v1/jobs")
        .await
        .unwrap();
    assert_eq!(jobs["jobs"][0]["requested_by"], "admin", "{jobs}");

    // Who may only look has no buttons, and no page Audit.
    let viewer = stack.browser(Some("viewer")).await;
    viewer.open("settings").await;
    viewer
        .browser
        .says("Sending a test takes the role Admin")
        .await
        .unwrap();
    assert!(
        viewer
            .browser
            .all("//button[contains(., \"Send a test\")]")
            .await
            .unwrap()
            .is_empty()
    );
    viewer.is_sound(app, "settings-viewer").await;
    viewer.open("reports").await;
    viewer
        .browser
        .says("You may read reports here.")
        .await
        .unwrap();
    viewer.is_sound(app, "reports-viewer").await;
    assert!(
        viewer
            .browser
            .all("//nav//a[.=\"Audit\"]")
            .await
            .unwrap()
            .is_empty()
    );

    // Who is not signed in is nobody to the services.
    let nobody = stack.browser(None).await;
    nobody.open("settings").await;
    nobody.browser.says("It does not know you").await.unwrap();
    nobody.is_sound(app, "settings-nobody").await;
}

/// Whoever changes a record on disk is found out by the page.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_record_is_named() {
    let app = match super::screen::built() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, false).await;
    assert_eq!(
        stack.patch("editor", "r1", "{\"role\": \"core\"}").await,
        200
    );
    let file = stack
        .folder
        .join("audit-sotp-inventory/audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("editor", "nobody", 1)).unwrap();
    let told = stack
        .ask(&stack.inventory, "editor", "/api/v1/audit/verify")
        .await
        .unwrap();
    assert_eq!(told["whole"], false, "{told}");
    let found = told["findings"][0].as_str().unwrap();
    assert!(found.contains("record 1 was changed"), "{told}");
    assert!(!told.to_string().contains(PASSWORD));
}
