//! What a step plays on: the network, the parts that watch it, and how to ask them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use reqwest::Client;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use testkit::chromium::Browser;

use crate::demo::Flags;
use crate::lab::Lab;
use crate::stack::http;
use crate::stack::plan::Setting;
use crate::stack::provision::APP;

/// Time for one command.
const COMMAND: Duration = Duration::from_secs(20);

/// The network and what watches it.
pub(in crate::demo) struct Stage<'a> {
    pub(in crate::demo) args: &'a Flags,
    pub(in crate::demo) lab: &'a Lab,
    setting: &'a Setting<'a>,
    client: Client,
}

impl<'a> Stage<'a> {
    /// A stage with all parts up.
    pub(in crate::demo) fn new(args: &'a Flags, lab: &'a Lab, setting: &'a Setting<'a>) -> Self {
        Self {
            args,
            lab,
            setting,
            client: http::local(),
        }
    }

    /// The base URL of a part, such as `prometheus` or `sotp-ping`, for a client outside of the lab.
    pub(in crate::demo) fn url(&self, part: &str) -> String {
        self.setting.url(part)
    }

    /// The same for a process inside of the lab.
    pub(in crate::demo) fn inner_url(&self, part: &str) -> String {
        self.setting.inner_url(part)
    }

    /// The keys of a section with which a process inside of the lab calls a part, as they follow its URL within braces.
    pub(in crate::demo) fn keys(&self) -> String {
        self.setting.keys("reporter")
    }

    /// The folder that holds everything that the stack writes: configurations, secrets, and the data of each service in a folder
    /// named as the service without `sotp-`.
    pub(in crate::demo) fn state(&self) -> PathBuf {
        self.setting.state.to_path_buf()
    }

    /// The text of the web SDK of Grafana Faro.
    ///
    /// # Errors
    /// npm has not brought it yet.
    pub(in crate::demo) fn faro(&self) -> anyhow::Result<String> {
        let file = self.setting.home.faro();
        let file = file.context("no @grafana/faro-web-sdk from npm yet: run `make app`")?;
        std::fs::read_to_string(&file).with_context(|| file.display().to_string())
    }

    /// The program of one of our services.
    ///
    /// # Errors
    /// The stack runs without it.
    pub(in crate::demo) fn program(&self, service: &str) -> anyhow::Result<&std::path::Path> {
        let mut services = self.setting.found.services.iter();
        let found = services.find(|(known, _)| known.name == service);
        let (_, program) = found.with_context(|| format!("{service} is not there"))?;
        Ok(program)
    }

    /// The client for parts on this machine.
    pub(in crate::demo) fn client(&self) -> &Client {
        &self.client
    }

    /// What a part answers to a GET.
    ///
    /// # Errors
    /// It does not answer, or not with 2xx.
    pub(in crate::demo) async fn text(&self, url: &str) -> anyhow::Result<String> {
        let answer = self.client.get(url).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// The same, and when it is none.
    pub(in crate::demo) async fn json(&self, url: &str) -> anyhow::Result<Value> {
        let text = self.text(url).await?;
        serde_json::from_str(&text).with_context(|| format!("{url}: expected JSON, got {text}"))
    }

    /// The result of an instant query, as Prometheus gives it: a list.
    ///
    /// # Errors
    /// Prometheus does not answer or refuses the query.
    pub(in crate::demo) async fn query(&self, expr: &str) -> anyhow::Result<Value> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/query", self.url("prometheus")))?;
        url.query_pairs_mut().append_pair("query", expr);
        let mut answer = self.json(url.as_str()).await?;
        Ok(answer["data"]["result"].take())
    }

    /// What a command says, inside a node or, without one, beside the services. Its working folder is `/`.
    ///
    /// # Errors
    /// It fails or does not end; the error has what it said.
    pub(in crate::demo) async fn run(
        &self,
        node: Option<&str>,
        argv: &[&str],
    ) -> anyhow::Result<String> {
        let mut command = Command::from(self.lab.enter_command(node, argv)?);
        command
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let name = || argv.join(" ");
        let output = timeout(COMMAND, command.output()).await;
        let output = output.with_context(|| format!("`{}` does not end", name()))??;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(
            output.status.success(),
            "`{}`: {}: {said}{}",
            name(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// Adds `text` to a file on a node. It is in no process argument.
    ///
    /// # Errors
    /// It cannot be written.
    pub(in crate::demo) async fn append(
        &self,
        node: &str,
        path: &Path,
        text: &str,
    ) -> anyhow::Result<()> {
        let path = path.display().to_string();
        let argv = ["sh", "-c", "cat >> \"$0\"", &path];
        let mut command = Command::from(self.lab.enter_command(Some(node), &argv)?);
        command
            .stdin(std::process::Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes()).await?;
        }
        let status = timeout(COMMAND, child.wait()).await;
        let status = status.with_context(|| format!("{node}: writing {path} does not end"))??;
        anyhow::ensure!(status.success(), "{node}: {path}: {status}");
        Ok(())
    }

    /// The URL of a request of the app, at Grafana or its double: `path` as the routes of the app have it.
    pub(in crate::demo) fn app(&self, path: &str) -> String {
        format!("{}/api/plugin-proxy/{APP}/{path}", self.url("grafana"))
    }

    /// Login and password of somebody at Grafana: of `viewer`, `editor` or `admin` at its double, where each has its name as password; at
    /// Grafana itself of its administrator.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(in crate::demo) fn login(&self, role: &str) -> anyhow::Result<(String, String)> {
        if self.setting.found.grafana.is_none() {
            return Ok((role.to_owned(), role.to_owned()));
        }
        let file = self.state().join("grafana.password");
        let password = std::fs::read_to_string(&file);
        let password = password.with_context(|| file.display().to_string())?;
        Ok(("admin".to_owned(), password.trim().to_owned()))
    }

    /// A window of Chromium in which somebody is signed in at Grafana or its double, for a step that uses the app.
    ///
    /// # Errors
    /// There is no browser, the app or its page was not built, or Grafana takes no login.
    pub(in crate::demo) async fn browser(&self, role: &str) -> anyhow::Result<Browser> {
        if let Some(why) = Browser::missing() {
            anyhow::bail!("{why}; `sotp-lab stack install --story` installs them");
        }
        let home = self.setting.home;
        let double = self.setting.found.grafana.is_none();
        anyhow::ensure!(
            home.app().is_some() && (!double || home.app_host().is_some()),
            "the app was not built: `make app-page` does"
        );
        let (login, password) = self.login(role)?;
        let browser = Browser::start(1280, 1000).await?;
        browser
            .open(&format!("{}/api/health", self.url("grafana")))
            .await?;
        let typed = serde_json::json!({"user": login, "password": password}).to_string();
        let sent = format!(
            "const answer = await fetch('/login', {{method: 'POST', headers: {{'Content-Type': 'application/json'}}, \
             body: JSON.stringify({typed})}}); return answer.status;"
        );
        let status = browser.promise(&sent).await?;
        anyhow::ensure!(
            status == 200,
            "Grafana answers {status} to the login of {login}"
        );
        Ok(browser)
    }

    /// The address of a page of the app.
    pub(in crate::demo) fn page(&self, path: &str) -> String {
        format!("{}/a/{APP}/{path}", self.url("grafana"))
    }

    /// The lines of a selector, each as `{stream, line}`; a line is a stamp, a text and, at the double, its structured metadata, which Loki
    /// gives among the labels of the stream.
    ///
    /// # Errors
    /// Loki does not answer or refuses the query.
    pub(in crate::demo) async fn lines(&self, selector: &str) -> anyhow::Result<Vec<Value>> {
        let mut url =
            reqwest::Url::parse(&format!("{}/loki/api/v1/query_range", self.url("loki")))?;
        url.query_pairs_mut()
            .append_pair("query", selector)
            .append_pair("limit", "5000");
        let answer = self.json(url.as_str()).await?;
        let streams = answer["data"]["result"].as_array();
        let streams = streams.context("Loki: expected data.result")?.iter();
        let lines = streams.flat_map(|stream| {
            let lines = stream["values"].as_array().into_iter().flatten();
            lines.map(|line| serde_json::json!({"stream": stream["stream"], "line": line}))
        });
        Ok(lines.collect())
    }

    /// What a router answers to lines that `user` types in an SSH session: `alice`, or the account of the lab.
    ///
    /// # Errors
    /// The session fails.
    pub(in crate::demo) async fn typed(
        &self,
        user: &str,
        router: &str,
        lines: &[&str],
    ) -> anyhow::Result<String> {
        let config = self.lab.state_dir().join("ssh_config");
        let config = config.display().to_string();
        let lines = lines.join("\n");
        self.run(None, &["ssh", "-F", &config, "-l", user, router, &lines])
            .await
    }

    /// What git says of the archive of configurations.
    ///
    /// # Errors
    /// git fails.
    pub(in crate::demo) async fn archive(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let folder = self.state().join("ssh-config/archive.git");
        let folder = format!("--git-dir={}", folder.display());
        let argv: Vec<&str> = ["git", &folder].iter().chain(arguments).copied().collect();
        self.run(None, &argv).await
    }

    /// A command in the box that has no certificate: while it runs, `SOTP_NAME_URL` leads to each part.
    ///
    /// # Errors
    /// The launcher's own program is not known.
    pub(in crate::demo) fn door(&self, command: &[&str]) -> anyhow::Result<Vec<String>> {
        let me = std::env::current_exe()?.display().to_string();
        let state = self.setting.state.display().to_string();
        let own = [&me, "stack", "door", &state, "--"];
        Ok(own.iter().chain(command).map(ToString::to_string).collect())
    }

    /// Runs a command of the user's in the box, at most for `limit`.
    ///
    /// # Errors
    /// It failed.
    pub(in crate::demo) async fn hook(&self, command: &str, limit: Duration) -> anyhow::Result<()> {
        let here = std::env::current_dir()?;
        let mut argv = vec!["env".to_owned(), format!("--chdir={}", here.display())];
        argv.extend(self.door(&["sh", "-c", command])?);
        eprintln!("running in the box: {command}");
        let mut child = Command::from(self.lab.enter_command(None, &argv)?);
        let status = timeout(limit, child.kill_on_drop(true).status());
        let status = status
            .await
            .with_context(|| format!("`{command}` does not end"))??;
        anyhow::ensure!(status.success(), "`{command}` ended with {status}");
        Ok(())
    }
}
