//! What the server answers: pages, methods, formats, reload.

use std::io::Read as _;

use crate::support::{SOON, ask, start};
use testkit::{Samples, TempDir, client, eventually};
use tokio::net::TcpStream;

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[tokio::test]
async fn pages_are_there() {
    let service = start(&[]).await;
    let (code, page) = service.get("/").await.unwrap();
    assert_eq!(code, 200);
    for part in [
        "<title>Echo</title>",
        "href=\"/metrics\"",
        "href=\"/echo?text=hello\"",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert_eq!(
        service.get("/echo?text=a%20b+c").await.unwrap(),
        (200, "a b c\n".to_owned())
    );
    assert_eq!(
        service.post("/echo/r%31", "abc").await.unwrap(),
        (200, "r1: 3 bytes\n".to_owned())
    );
    assert_eq!(service.get("/nothing").await.unwrap().0, 404);
    assert_eq!(service.get("/panic").await.unwrap().0, 500);
    service.logged("asked to", SOON).await.unwrap();
    assert_eq!(service.get("/-/healthy").await.unwrap().0, 200);
    assert!(
        !service
            .get("/config")
            .await
            .unwrap()
            .1
            .contains("password: \"\"")
    );
}

#[tokio::test]
async fn a_handler_may_run_where_its_connection_is_carried() {
    let service = start(&[]).await;
    let client = client();
    let here = async |query: &str| {
        let answer = client.get(service.url(&format!("/here{query}")));
        let answer = answer.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(here("").await, (200, "web\n".to_owned()));
    assert_eq!(here("?panic=1").await.0, 500);
    service.logged("asked to", SOON).await.unwrap();
    assert_eq!(here("").await, (200, "web\n".to_owned()), "it goes on");
}

#[tokio::test]
async fn methods_are_held() {
    let service = start(&[]).await;
    for (path, method, allow) in [
        ("/metrics", reqwest::Method::POST, "GET, HEAD"),
        ("/-/reload", reqwest::Method::GET, "POST, PUT"),
        ("/echo/a", reqwest::Method::GET, "POST"),
    ] {
        let answer = client()
            .request(method, service.url(path))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        assert_eq!(answer.headers()["allow"], allow, "{path}");
    }
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    let head = client()
        .head(service.url("/-/healthy"))
        .send()
        .await
        .unwrap();
    assert_eq!(head.headers()["content-length"], "8");
    assert_eq!(head.text().await.unwrap(), "");
    assert!(
        ask(&mut stream, "GET /-/healthy HTTP/1.1")
            .await
            .unwrap()
            .ends_with("healthy\n")
    );
}

#[tokio::test]
async fn metrics_are_what_prometheus_takes() {
    let service = start(&[]).await;
    service.get("/echo").await.unwrap();
    let answer = client().get(service.url("/metrics")).send().await.unwrap();
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let text = answer.text().await.unwrap();
    testkit::promtool(&text);
    let samples = Samples::parse(&text).unwrap();
    assert_eq!(
        samples.value("sotp_build_info", &[("service", "echo")]),
        Some(1.0)
    );
    assert_eq!(
        samples.value("sotp_config_last_reload_successful", &[]),
        Some(1.0)
    );
    assert_eq!(
        samples.value(
            "sotp_http_requests_total",
            &[("path", "/echo"), ("code", "200")]
        ),
        Some(1.0)
    );
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs_f64();
    let started = samples.value("process_start_time_seconds", &[]).unwrap();
    assert!((now - started).abs() < 60.0, "{started} {now}");
    let reloaded = samples
        .value("sotp_config_last_reload_success_timestamp_seconds", &[])
        .unwrap();
    assert!((now - reloaded).abs() < 60.0, "{reloaded} {now}");
    for name in [
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_virtual_memory_max_bytes",
        "process_threads",
    ] {
        assert!(samples.value(name, &[]).is_some(), "{name}");
    }
    let open = client()
        .get(service.url("/metrics"))
        .header("accept", OPEN)
        .send()
        .await
        .unwrap();
    assert!(
        open.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    let open = open.text().await.unwrap();
    assert!(open.ends_with("# EOF\n"));
    assert!(
        open.contains("# TYPE sotp_http_requests counter\n")
            && open.contains("# TYPE sotp_build info\n"),
        "{open}"
    );
    Samples::parse(&open).unwrap();
}

#[tokio::test]
async fn metrics_are_compressed_when_asked() {
    let service = start(&[]).await;
    let plain = service.get("/metrics").await.unwrap().1;
    let answer = client()
        .get(service.url("/metrics"))
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = answer.bytes().await.unwrap();
    assert!(packed.len() < plain.len() / 2);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("sotp_build_info"));
    let refused = client()
        .get(service.url("/metrics"))
        .header("accept-encoding", "gzip;q=0")
        .send()
        .await
        .unwrap();
    assert!(!refused.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn reload_swaps_good_and_keeps_old_on_bad() {
    let dir = TempDir::new().unwrap();
    let path = dir
        .write("config.yaml", "greeting: one\npassword: hunter2\n")
        .unwrap();
    let flag = format!("--config.file={}", path.display());
    // Without the poll: only what is asked for happens.
    let service = start(&[&flag, "--config.auto-reload-interval=0s"]).await;
    assert_eq!(service.get("/echo").await.unwrap().1, "one\n");
    assert!(!service.get("/config").await.unwrap().1.contains("hunter2"));
    assert_eq!(
        service.post("/-/reload", "").await.unwrap(),
        (200, "configuration unchanged\n".to_owned())
    );

    dir.write("config.yaml", "greeting: two\n").unwrap();
    assert_eq!(service.get("/echo").await.unwrap().1, "one\n");
    assert_eq!(
        service.post("/-/reload", "").await.unwrap(),
        (200, "configuration reloaded\n".to_owned())
    );
    assert_eq!(service.get("/echo").await.unwrap().1, "two\n");

    dir.write("config.yaml", "greeting: three\nrepeat: none\n")
        .unwrap();
    let (code, reason) = service.post("/-/reload", "").await.unwrap();
    assert_eq!(code, 500);
    assert!(reason.contains("config.yaml:2:9: repeat: "), "{reason}");
    assert_eq!(service.get("/echo").await.unwrap().1, "two\n");
    assert_eq!(
        service
            .scrape()
            .await
            .unwrap()
            .value("sotp_config_last_reload_successful", &[]),
        Some(0.0)
    );

    dir.write("config.yaml", "greeting: four\n").unwrap();
    service.hang_up().unwrap();
    eventually(SOON, || async {
        let (_, text) = service.get("/echo").await?;
        anyhow::ensure!(text == "four\n", "{text}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(
        service
            .scrape()
            .await
            .unwrap()
            .value("sotp_config_last_reload_successful", &[]),
        Some(1.0)
    );
}

#[tokio::test]
async fn symlink_swap_as_kubernetes_does_it_is_seen() {
    let dir = TempDir::new().unwrap();
    for (version, text) in [("one", "greeting: one\n"), ("two", "greeting: two\n")] {
        std::fs::create_dir(dir.join(version)).unwrap();
        std::fs::write(dir.join(version).join("config.yaml"), text).unwrap();
    }
    std::os::unix::fs::symlink("one", dir.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/config.yaml", dir.join("config.yaml")).unwrap();
    let flag = format!("--config.file={}", dir.join("config.yaml").display());
    let service = start(&[&flag, "--config.auto-reload-interval=50ms"]).await;
    assert_eq!(service.get("/echo").await.unwrap().1, "one\n");
    std::os::unix::fs::symlink("two", dir.join("..new")).unwrap();
    std::fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    eventually(SOON, || async {
        let (_, text) = service.get("/echo").await?;
        anyhow::ensure!(text == "two\n", "{text}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn further_files_belong_to_the_configuration() {
    let dir = TempDir::new().unwrap();
    let extra = dir.write("extra", "1").unwrap();
    let text = format!("extra_files: [{}]\n", extra.display());
    let path = dir.write("config.yaml", text).unwrap();
    let flag = format!("--config.file={}", path.display());
    let service = start(&[&flag, "--config.auto-reload-interval=0s"]).await;
    dir.write("extra", "2").unwrap();
    assert_eq!(
        service.post("/-/reload", "").await.unwrap().1,
        "configuration reloaded\n"
    );
    assert_eq!(
        service.post("/-/reload", "").await.unwrap().1,
        "configuration unchanged\n"
    );
}

#[tokio::test]
async fn many_scrapes_at_a_time_share_the_work() {
    let service = start(&["--web.max-requests=0"]).await;
    let http = client();
    let scrapes: Vec<_> = (0..1000)
        .map(|_| {
            let request = http.get(service.url("/metrics"));
            tokio::spawn(async move {
                let answer = request.send().await?;
                anyhow::ensure!(answer.status() == 200, "{}", answer.status());
                Samples::parse(&answer.text().await?)
            })
        })
        .collect();
    for scrape in scrapes {
        assert!(
            scrape
                .await
                .unwrap()
                .unwrap()
                .value("echo_repeat", &[])
                .is_some()
        );
    }
    let samples = service.scrape().await.unwrap();
    let encoded = samples
        .value("sotp_scrape_encode_seconds_count", &[])
        .unwrap();
    let answered = samples
        .value(
            "sotp_http_requests_total",
            &[("path", "/metrics"), ("code", "200")],
        )
        .unwrap();
    assert!(
        answered >= 1000.0 && encoded < answered,
        "{encoded} encodings for {answered} scrapes"
    );
}
