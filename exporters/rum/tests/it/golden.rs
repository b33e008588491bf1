//! What users meet of the service, held to the files in `tests/golden`.

use testkit::Golden;
use testkit::loki::Loki;

use crate::support::{self, BINARY};

fn golden() -> Golden {
    Golden::new(BINARY, env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

/// With every web vital.
#[tokio::test]
async fn the_series_are_those_of_the_golden_file() {
    let loki = Loki::start(None).await.unwrap();
    let place = support::start(&format!(
        "loki: {{url: '{}'}}\nqueue: {{path: lines}}",
        loki.push_url()
    ))
    .await;
    let values = ["lcp", "fcp", "ttfb", "inp", "fid", "cls"]
        .map(|vital| format!(r#"{{"type":"web-vitals","values":{{"{vital}":10}}}}"#));
    let payload = format!(
        r#"{{"meta":{{"app":{{"name":"shop"}},"page":{{"url":"http://x/d/a"}}}},"measurements":[{}],"exceptions":[{{"type":"E","value":"v"}}]}}"#,
        values.join(",")
    );
    assert_eq!(place.post(payload).await.status, 202);
    let page = async || Ok(place.process.get("/metrics").await?.1);
    let needed = [
        "rum_web_vital_cls_score_bucket{",
        "rum_lines_total{result=\"stored\"} 1",
        "rum_push_duration_seconds_count{",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}
