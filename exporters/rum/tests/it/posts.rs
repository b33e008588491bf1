//! Who may post, what is read of it, and what is answered.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use testkit::eventually;
use testkit::loki::Loki;

use crate::support::{self, ORIGIN, RECORDED, SOON};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_the_sdk_posted_becomes_histograms_of_its_application_and_route() {
    let place = support::start("").await;
    let mut vitals = 0;
    for body in RECORDED.lines() {
        assert_eq!(place.post(body).await.status, 202);
        vitals += body.matches(r#""web-vitals""#).count();
    }
    assert!(vitals >= 4, "the recording has {vitals} web vitals");
    place
        .becomes("rum_items_total", &[("kind", "web_vital")], vitals as f64)
        .await;
    let samples = place.process.scrape().await.unwrap();
    let route = [("app", "shop"), ("route", "/d/overview")];
    assert_eq!(
        samples.value("rum_web_vital_lcp_seconds_count", &route),
        Some(1.0)
    );
    assert_eq!(
        samples.value("rum_web_vital_ttfb_seconds_count", &route),
        Some(1.0)
    );
    let lcp = samples
        .value("rum_web_vital_lcp_seconds_sum", &route)
        .unwrap();
    assert!((0.05..20.0).contains(&lcp), "{lcp}");
    assert!(
        samples
            .value("rum_exceptions_total", &[("app", "shop")])
            .unwrap()
            >= 1.0
    );
    assert_eq!(
        samples.value("rum_exceptions_total", &[("app", "grafana-frontend")]),
        Some(0.0)
    );
    let (_, page) = place.process.get("/metrics").await.unwrap();
    assert!(!page.contains("token") && !page.contains("alice"), "{page}");
}

#[tokio::test]
async fn faults_of_pages_are_lines_in_loki_that_name_nobody() {
    let loki = Loki::start(None).await.unwrap();
    let more = format!(
        "loki: {{url: '{}', batch_age: 10ms}}\nqueue: {{path: lines}}",
        loki.push_url()
    );
    let place = support::start(&more).await;
    for body in RECORDED.lines() {
        place.post(body).await;
    }
    eventually(SOON, || async {
        anyhow::ensure!(!loki.is_empty(), "no line yet");
        Ok(())
    })
    .await
    .unwrap();
    let entry = &loki.entries()[0];
    assert_eq!(
        (entry.get("job"), entry.get("app"), entry.get("level")),
        (Some("rum"), Some("shop"), Some("error"))
    );
    let line: serde_json::Value = serde_json::from_str(&entry.line).unwrap();
    assert_eq!(line["route"], "/d/overview");
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .contains("the cart is on fire"),
        "{line}"
    );
    for entry in loki.entries() {
        for secret in ["alice", "token=", "HeadlessChrome/"] {
            assert!(!entry.line.contains(secret), "{secret}: {}", entry.line);
        }
    }
}

#[tokio::test]
async fn only_pages_of_named_origins_may_post() {
    let place = support::start("").await;
    for (origin, status) in [
        (Some(ORIGIN), 202),
        (Some("https://grafana.example.net.evil.example"), 403),
        (Some("http://grafana.example.net"), 403),
        (Some("null"), 403),
        (None, 403),
    ] {
        let headers: Vec<_> = origin.iter().map(|origin| ("origin", *origin)).collect();
        let answer = place.send("POST", "/collect/key", &headers, "{}").await;
        assert_eq!(answer.status, status, "{origin:?}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, origin.filter(|_| status == 202), "{origin:?}");
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    let asked = [
        ("origin", ORIGIN),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,x-faro-session-id",
        ),
    ];
    let answer = place.send("OPTIONS", "/collect", &asked, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
    assert!(
        answer
            .header("access-control-allow-headers")
            .unwrap()
            .contains("x-faro-session-id")
    );
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let answer = place
        .send(
            "OPTIONS",
            "/collect",
            &[("origin", "https://evil.example")],
            "",
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (403, None)
    );
    place
        .becomes("rum_posts_total", &[("result", "origin")], 4.0)
        .await;
}

#[tokio::test]
async fn what_is_no_payload_is_refused_and_counted_by_reason() {
    let place = support::start("limits: {payload_bytes: 64KiB}").await;
    let gzip = |body: Vec<u8>, encoding: &'static str| {
        let place = &place;
        async move {
            let headers = [("origin", ORIGIN), ("content-encoding", encoding)];
            place.send("POST", "/collect", &headers, body).await.status
        }
    };
    assert_eq!(gzip(packed(b"{}"), "gzip").await, 202);
    assert_eq!(gzip(packed(b"{}")[..10].to_vec(), "gzip").await, 400);
    // A bomb: a hundred megabytes in a hundred kilobytes.
    assert_eq!(gzip(packed(&vec![b' '; 100 << 20]), "gzip").await, 413);
    assert_eq!(gzip(b"{}".to_vec(), "br").await, 415);
    assert_eq!(place.post(" ".repeat(65_537)).await.status, 413);
    assert_eq!(place.post("{\"measurements\":5}").await.status, 400);
    let impossible = r#"{"measurements":[{"type":"web-vitals","values":{"lcp":-5}},{"type":"web-vitals","values":{"cls":1e9}},{"type":"own","values":{"lcp":5}}]}"#;
    assert_eq!(place.post(impossible).await.status, 202);
    let samples = place.process.scrape().await.unwrap();
    for (result, count) in [
        ("taken", 2.0),
        ("malformed", 2.0),
        ("too_large", 2.0),
        ("encoding", 1.0),
        ("rate", 0.0),
    ] {
        assert_eq!(
            samples.value("rum_posts_total", &[("result", result)]),
            Some(count),
            "{result}"
        );
    }
    assert_eq!(
        samples.value("rum_items_total", &[("kind", "impossible_web_vital")]),
        Some(2.0)
    );
    assert_eq!(samples.value("rum_web_vital_lcp_seconds_count", &[]), None);
}

#[tokio::test]
async fn invented_names_make_no_series() {
    let place = support::start("limits: {routes: 3}").await;
    for number in 0..50 {
        let body = format!(
            r#"{{"meta":{{"app":{{"name":"app{number}"}},"page":{{"url":"http://x/d/uid{number}"}}}},"measurements":[{{"type":"web-vitals","values":{{"fcp":100}}}}]}}"#
        );
        assert_eq!(place.post(body).await.status, 202);
    }
    let samples = place.process.scrape().await.unwrap();
    let fcp = samples.select("rum_web_vital_fcp_seconds_count", &[]);
    assert_eq!(fcp.into_iter().count(), 4);
    let rest = [("app", "other"), ("route", "other"), ("rating", "good")];
    assert_eq!(
        samples.value("rum_web_vital_fcp_seconds_count", &rest),
        Some(47.0)
    );
    assert_eq!(samples.value("rum_routes", &[("app", "other")]), Some(3.0));
}

#[tokio::test]
async fn who_posts_too_much_is_told_to_come_later() {
    let place = support::start("limits: {posts_per_second: 1}").await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = place.post("{}").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let answer = refused.expect("none of twenty was refused");
    assert_eq!(answer.header("retry-after"), Some("10"));
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
}

#[tokio::test]
async fn a_new_configuration_names_other_origins_and_a_bad_one_changes_nothing() {
    let place = support::start("").await;
    let write = |text: &str| std::fs::write(place.files.join("rum.yaml"), text).unwrap();
    write("origins: ['https://other.example']\n");
    assert_eq!(place.process.post("/-/reload", "").await.unwrap().0, 200);
    assert_eq!(place.post("{}").await.status, 403);
    write("origins: ['*']\n");
    let (status, body) = place.process.post("/-/reload", "").await.unwrap();
    assert_eq!(status, 500);
    assert!(
        body.contains("rum.yaml:1:11: origins[0]: expected an origin"),
        "{body}"
    );
    let answer = place
        .send(
            "POST",
            "/collect",
            &[("origin", "https://other.example")],
            "{}",
        )
        .await;
    assert_eq!(answer.status, 202);
}

/// The bodies that are posted to a collector of this test, which says 200 to everything.
async fn collector() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut text = String::new();
                let mut piece = [0; 4096];
                // As long as its length says, and then the next.
                while let Ok(length @ 1..) = stream.read(&mut piece).await {
                    text.push_str(&String::from_utf8_lossy(&piece[..length]));
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let length = head.to_lowercase();
                    let length = length.split("content-length: ").nth(1).unwrap();
                    let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
                    if body.len() >= length {
                        sender.send(body.to_owned()).unwrap();
                        text.clear();
                        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(ok).await.unwrap();
                    }
                }
            });
        }
    });
    (url, receiver)
}

const TRACED: &str = r#"{"meta":{"app":{"name":"shop","version":"1"},"page":{"url":"https://shop.example.net/d/overview/x?user=alice"},"user":{"id":"alice"}},
  "events":[{"name":"session_start"},{"name":"click"}],
  "measurements":[{"type":"web-vitals","values":{"lcp":1200},"trace":{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}}],
  "exceptions":[{"type":"E","value":"v","trace":{"trace_id":"0af7651916cd43dd8448eb211c80319c"}}],
  "traces":{"resourceSpans":[{"resource":{"attributes":[{"key":"session.id","value":{"stringValue":"alice"}}]},"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"HTTP GET","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}}"#;

#[tokio::test]
async fn traces_lead_from_histograms_and_lines_to_spans_and_users_are_pseudonyms() {
    let loki = Loki::start(None).await.unwrap();
    let (url, mut bodies) = collector().await;
    let key = testkit::TempDir::new().unwrap();
    let key = key.write("key", "a-key-of-some-length\n").unwrap();
    let more = format!(
        "loki: {{url: '{}', batch_age: 10ms}}\nqueue: {{path: lines}}\ntraces: {{url: '{url}'}}\nuser_key_file: '{}'",
        loki.push_url(),
        key.display()
    );
    let place = support::start(&more).await;
    assert_eq!(place.post(TRACED).await.status, 202);
    let body = tokio::time::timeout(SOON, bodies.recv()).await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&body.unwrap()).unwrap();
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans[0]["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert!(!body.to_string().contains("alice"), "{body}");
    let sent = [("result", "sent")];
    place.becomes("rum_spans_total", &sent, 1.0).await;
    place
        .becomes("rum_sessions_total", &[("app", "shop")], 1.0)
        .await;
    // OpenMetrics shows the exemplar; the plain text knows none.
    let page = testkit::client()
        .get(place.process.url("/metrics"))
        .header("accept", "application/openmetrics-text; version=1.0.0")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line = page
        .lines()
        .find(|line| line.starts_with("rum_web_vital_lcp_seconds_bucket") && line.contains(" # "))
        .unwrap();
    assert!(
        line.contains("le=\"1.2\"")
            && line.contains("# {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 1.2 "),
        "{line}"
    );
    eventually(SOON, || async {
        anyhow::ensure!(!loki.is_empty(), "no line yet");
        Ok(())
    })
    .await
    .unwrap();
    let line: serde_json::Value = serde_json::from_str(&loki.entries()[0].line).unwrap();
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["user"].as_str().unwrap().len(), 16);
    assert!(!line.to_string().contains("alice"), "{line}");
}
