//! What users meet of the service, held to the files in `tests/golden`.

use testkit::{Golden, TempDir};

use crate::service::{ACCESS, ask, start};
use crate::support::{BINARY, run, said};

fn golden() -> Golden {
    Golden::new(BINARY, env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

#[test]
fn service_is_what_runs_with_the_word_and_without_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("reporter.yaml", ACCESS).unwrap();
    let config = format!("--config.file={}", path.display());
    for arguments in [
        &["serve", &config, "--config.check"][..],
        &[&config, "--config.check"],
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{}", said(&output));
        assert!(
            said(&output).contains("reporter.yaml: good"),
            "{}",
            said(&output)
        );
    }
}

#[tokio::test]
async fn the_series_are_those_of_the_golden_file_and_events_are_born_at_0() {
    let dir = TempDir::new().unwrap();
    let path = dir
        .write("reporter.yaml", format!("schedule: '0 6 1 * *'\n{ACCESS}"))
        .unwrap();
    let process = start(&dir, &format!("--config.file={}", path.display())).await;
    let page = async || Ok(ask(&process, "GET", "/metrics", "eve", None).await.2);
    let needed = [
        "reporter_reports_sent_total 0",
        "reporter_failures_total{stage=\"figures\"} 0",
        "reporter_failures_total{stage=\"mail\"} 0",
        "reporter_reports_incomplete_total 0",
        "reporter_mails_in_doubt_total 0",
        "reporter_outbox_mails 0",
        "reporter_due_reports 0",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}

#[tokio::test]
async fn committed_interface_is_what_is_served_and_every_route_is_in_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("reporter.yaml", ACCESS).unwrap();
    let process = testkit::Process::spawn(
        BINARY,
        [
            format!("--config.file={}", path.display()),
            "--log.level=debug".to_owned(),
            "--log.format=json".to_owned(),
        ],
    )
    .await
    .unwrap();
    let (_, text) = process.get("/api/v1/openapi.json").await.unwrap();
    let document = serde_json::from_str(&text).unwrap();
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reporter.openapi.json");
    testkit::golden::hold(&path, &text);
    let routes = testkit::interface::routes(&process).await.unwrap();
    assert_eq!(routes, testkit::interface::described(&document));
}
