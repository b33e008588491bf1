//! A service that may be edited, and its callers.

use std::path::PathBuf;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::time::Duration;
use testkit::{Process, Spawn, TempDir};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sotp-inventory");
/// `secret`, with bcrypt at its least cost.
const HASH: &str = "$2b$04$WekDT9dYfxq9Qnwvb2QQ1.zXXLy0.vhL1tm7ow6EzDfFxih.RXwOG";
pub(crate) const PASSWORD: &str = "secret";

/// A folder with an inventory and the configuration of a service for it.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) extra: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) tag: String,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Place {
    pub(crate) fn new(inventory: &str) -> Self {
        Self::with(inventory, "")
    }

    /// `store` is the section of that name.
    pub(crate) fn with(inventory: &str, store: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.join("network")).unwrap();
        std::fs::write(dir.join("network/inventory.yaml"), inventory).unwrap();
        let users = ["alice", "bob", "carol", "mallory"].map(|user| format!("  {user}: {HASH}\n"));
        dir.write("web.yml", format!("basic_auth_users:\n{}", users.concat()))
            .unwrap();
        dir.write(
            "config.yaml",
            format!(
                "access:\n  web_users: {{alice: operator, bob: viewer, carol: admin}}\naudit: {{folder: {}}}\n{store}",
                dir.join("audit").display()
            ),
        )
        .unwrap();
        Self {
            dir,
            extra: Vec::new(),
            env: Vec::new(),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("network/inventory.yaml")
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let out = std::process::Command::new("git")
            .args(["-c", "user.name=test", "-c", "user.email=test@example.net"])
            .args(args)
            .current_dir(self.dir.join("network"))
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    }

    pub(crate) async fn start(&self) -> Service {
        self.start_of(BINARY).await
    }

    /// As [`Place::start`], of a program that becomes the service.
    pub(crate) async fn start_of(&self, program: impl AsRef<std::path::Path>) -> Service {
        let mut args = vec![
            format!("--inventory.source={}", self.file().display()),
            format!("--config.file={}", self.dir.join("config.yaml").display()),
            format!("--web.config.file={}", self.dir.join("web.yml").display()),
            "--web.max-requests=0".to_owned(),
        ];
        let timeout = |arg: &String| arg.starts_with("--web.request-timeout");
        if !self.extra.iter().any(timeout) {
            args.push("--web.request-timeout=5m".to_owned());
        }
        args.extend(self.extra.clone());
        let mut spawn = Spawn::new(program).args(args);
        for (key, value) in &self.env {
            spawn = spawn.env(key, value);
        }
        let process = spawn.start().await.unwrap();
        // A thousand requests may stand in line here.
        testkit::crypto();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(300))
            .no_proxy()
            .build()
            .unwrap();
        Service {
            client,
            url: process.url(""),
            process,
        }
    }
}

pub(crate) struct Service {
    pub(crate) process: Process,
    client: reqwest::Client,
    url: String,
}

impl Service {
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.by("alice", method, path)
    }

    pub(crate) fn by(&self, user: &str, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.client
            .request(method, format!("{}{path}", self.url))
            .basic_auth(user, Some(PASSWORD))
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> RequestBuilder {
        self.json_by("alice", method, path, body)
    }

    pub(crate) fn json_by(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> RequestBuilder {
        self.by(user, method, path)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    /// Waits until every change is in git.
    pub(crate) async fn committed(&self) {
        testkit::eventually(Duration::from_secs(20), || async {
            let status = self.get("/api/v1/status").await;
            anyhow::ensure!(status.body["uncommitted"] == 0, "{}", status.text);
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) async fn put(&self, path: &str, tag: &str, body: &Value) -> Answer {
        send(self.json("PUT", path, body).header("if-match", tag)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.unwrap()
}

pub(crate) async fn try_send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let tag = headers
        .get("etag")
        .map(|tag| tag.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer {
        status,
        tag,
        headers,
        body,
        text,
    })
}
