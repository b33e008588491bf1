//! Real users: the web SDK of Grafana Faro, from npm, in Debian's Chromium, reports to the real sotp-rum.

use std::time::Duration;

use sotp_checks::app;
use testkit::chromium::Browser;
use testkit::services::program;
use testkit::{Process, Spawn, TempDir, eventually, skip};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How late the image of the page comes.
const LATE: Duration = Duration::from_millis(800);
/// Where the SDK is in its package.
const SDK: &str = "@grafana/faro-web-sdk/dist/bundle/faro-web-sdk.iife.js";
/// A browser takes an image of few bytes for its size for a background, which is no contentful paint: so there are more.
const PADDING: usize = 20_000;
const IMAGE: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='700' height='500'><rect width='700' height='500' fill='teal'/></svg>";

/// The browser of a page without `requestIdleCallback`, as Safari's is: the SDK tells the largest paint when the page is idle, which a headless
/// browser on a busy machine never says it is.
fn page(collector: &str) -> String {
    format!(
        "<!doctype html><title>Shop</title><script>self.requestIdleCallback = undefined</script><script src='/faro.js'></script>\
         <script>GrafanaFaroWebSdk.initializeFaro({{url: '{collector}', app: {{name: 'shop', version: '1.2.0'}}, user: {{id: 'alice'}}}})</script>\
         <h1>Shop</h1><button onclick=\"setTimeout(() => {{ throw new TypeError('the cart is on fire') }})\">Buy</button>\
         <p><img src='/image' width='700' height='500' alt='wares'>"
    )
}

/// Answers one request: the SDK, a late image, or the page.
async fn answer(mut stream: TcpStream, sdk: &str, collector: &str) {
    let mut request = [0; 8192];
    let Ok(length) = stream.read(&mut request).await else {
        return;
    };
    let head = String::from_utf8_lossy(&request[..length]).into_owned();
    let (kind, body) = match head.split(' ').nth(1) {
        Some("/faro.js") => ("text/javascript", sdk.to_owned()),
        Some("/image") => {
            tokio::time::sleep(LATE).await;
            (
                "image/svg+xml",
                format!("{IMAGE}<!--{}-->", "x".repeat(PADDING)),
            )
        }
        _ => ("text/html", page(collector)),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

/// Within thirty seconds: Faro gathers for a second, and the first start of a browser takes a while on a loaded machine.
#[tokio::test]
async fn what_the_browser_itself_measures_arrives_by_the_real_sdk() {
    if let Some(reason) = app::missing().or_else(Browser::missing) {
        skip(reason);
        return;
    }
    let sdk = std::fs::read_to_string(app::build(&[]).unwrap().package(SDK)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let files = TempDir::new().unwrap();
    let config = format!("origins: ['{origin}']\napps: [shop]\nroutes: ['/d/{{uid}}/**']\n");
    std::fs::write(files.join("rum.yaml"), config).unwrap();
    let flag = format!("--config.file={}", files.join("rum.yaml").display());
    let rum: Process = Spawn::new(program("sotp-rum"))
        .args([flag])
        .start()
        .await
        .unwrap();
    let collector = rum.url("/collect");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sdk, collector) = (sdk.clone(), collector.clone());
            tokio::spawn(async move { answer(stream, &sdk, &collector).await });
        }
    });

    let browser = Browser::start(1_000, 900).await.unwrap();
    let script = "return await new Promise((done) => new PerformanceObserver((list) => {\
        const last = list.getEntries().at(-1); if (last.url.endsWith('/image')) done(last.startTime);\
        }).observe({type: 'largest-contentful-paint', buffered: true}))";
    let labels = [("app", "shop"), ("route", "/d/shop")];
    browser
        .open(&format!("{origin}/d/shop/today?user=alice"))
        .await
        .unwrap();
    let measured = browser.promise(script).await.unwrap().as_f64().unwrap() / 1_000.0;
    assert!(measured > LATE.as_secs_f64(), "{measured}");
    // The first input is the end of what counts as the largest paint.
    browser.press("Buy").await.unwrap();
    let app = [("app", "shop")];
    let wanted: [(&str, &[_]); 4] = [
        ("rum_web_vital_lcp_seconds_count", &labels),
        ("rum_web_vital_fcp_seconds_count", &labels),
        ("rum_web_vital_ttfb_seconds_count", &labels),
        ("rum_exceptions_total", &app),
    ];
    let samples = eventually(Duration::from_secs(20), || async {
        let samples = rum.scrape().await?;
        for (name, labels) in wanted {
            anyhow::ensure!(samples.sum(name, labels) >= 1.0, "no {name}");
        }
        Ok(samples)
    })
    .await
    .unwrap();
    let told = samples.sum("rum_web_vital_lcp_seconds_sum", &labels);
    assert!(
        (told - measured).abs() <= measured / 10.0,
        "told {told}, measured {measured}"
    );
    let (_, metrics) = rum.get("/metrics").await.unwrap();
    assert!(!metrics.contains("alice"), "{metrics}");
}
