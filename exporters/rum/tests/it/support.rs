//! The program, and what is posted to it.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use testkit::{Process, Spawn, TempDir, eventually};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sotp-rum");
/// Long enough for a loaded machine; nothing waits for it when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const ORIGIN: &str = "https://grafana.example.net";
/// What the Faro web SDK of Grafana 12.3 (1.19.0) posted from a page of a test, in Chromium, with another address.
pub(crate) const RECORDED: &str = include_str!("../../testdata/faro-web-sdk-1.19.0.jsonl");

/// The running program and its files.
pub(crate) struct Place {
    pub(crate) process: Process,
    pub(crate) files: TempDir,
}

/// Starts it with these further lines of configuration.
pub(crate) async fn start(more: &str) -> Place {
    let files = TempDir::new().unwrap();
    let config = format!("origins: ['{ORIGIN}']\napps: [grafana-frontend, shop]\n{more}\n");
    std::fs::write(files.join("rum.yaml"), config).unwrap();
    let flag = format!("--config.file={}", files.join("rum.yaml").display());
    let process = Spawn::new(BINARY).args([flag]).start().await.unwrap();
    Place { process, files }
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Place {
    /// A request with these headers.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request =
            testkit::client().request(method.parse().unwrap(), self.process.url(path));
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request = request.header(HeaderName::from_static(name), value);
        }
        let answer = request.body(body).send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
        }
    }

    /// A post as the SDK makes it.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        let headers = [
            ("origin", ORIGIN),
            ("content-type", "application/json"),
            ("x-faro-session-id", "s1"),
        ];
        self.send("POST", "/collect", &headers, body).await
    }

    /// Waits until a sample is this value.
    pub(crate) async fn becomes(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(SOON, || async {
            let found = self.process.scrape().await?.value(name, labels);
            anyhow::ensure!(found == Some(value), "{name}{labels:?} is {found:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}
