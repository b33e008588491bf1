//! Doubles of Loki, Tempo and Grafana, where these cannot be had: strict about what our services send, and without any screen.
//!
//! They are for a run that ends by itself: what they keep, they keep in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use testkit::grafana::{App, Basic, Grafana, Setup, User};
use testkit::loki::Loki;
use testkit::otlp::Collector;

use super::plan::{Setting, certificates_flag};
use super::process::Process;
use super::services::INVENTORY;
use super::tls::Certificates;

/// base64 of a user without a password: the services behind this loopback ask Grafana for none.
pub(super) const NO_PASSWORD: &str = "Z3JhZmFuYTo=";

/// How the double of Grafana is set up. Its users are `viewer`, `editor` and `admin`, and the password of each is its name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    listen: SocketAddr,
    /// Its address in the user's browser, with a slash at the end.
    root_url: String,
    /// The folder with the app's `plugin.json`, if there is one, and with all that a browser needs when `built`.
    app: Option<PathBuf>,
    built: bool,
    /// The scripts of its pages.
    host: Option<PathBuf>,
    /// The folder of the certificates, where the parts speak TLS.
    certificates: Option<PathBuf>,
    /// Settings of the app.
    settings: BTreeMap<String, String>,
}

/// The double of Loki as a process of the stack.
pub(super) fn loki_process(setting: &Setting) -> anyhow::Result<Process> {
    let mut argv = argv(["loki", &setting.inner("loki")])?;
    argv.extend(certificates_flag(setting));
    Ok(Process::new("loki", argv)
        .ready_at(format!("{}/ready", setting.inner_url("loki")))
        .needed())
}

/// The double of Tempo as a process of the stack: it takes spans and tells a trace by its id.
pub(super) fn tempo_process(setting: &Setting) -> anyhow::Result<Process> {
    let program = std::env::current_exe()?.display().to_string();
    let own = ["stack", "double", "tempo"].map(str::to_owned);
    let addresses = ["tempo", "otlp-http"].map(|name| setting.inner(name));
    let argv = std::iter::once(program)
        .chain(own)
        .chain(addresses)
        .chain(certificates_flag(setting));
    Ok(Process::new("tempo", argv.collect())
        .ready_at(format!("{}/ready", setting.inner_url("tempo")))
        .needed())
}

/// The double of Grafana as a process of the stack.
pub(super) fn grafana_process(setting: &Setting) -> anyhow::Result<Process> {
    let url = |key: &str, name: &str, usual| (key.to_owned(), setting.inner_or(name, usual));
    let built = setting.home.app();
    let sheet = Sheet {
        listen: setting.inner("grafana").parse()?,
        root_url: format!("{}/", setting.url("grafana")),
        built: built.is_some(),
        app: built.or_else(|| setting.home.app_sources()),
        host: setting.home.app_host(),
        certificates: setting.certificates.map(|it| it.folder().to_path_buf()),
        settings: BTreeMap::from([
            url("inventoryUrl", INVENTORY, 19870),
            url("remediatorUrl", "sotp-remediator", 19095),
            url("configurationUrl", "sotp-ssh-config", 19222),
            url("reporterUrl", "sotp-reporter", 19880),
        ]),
    };
    let text = serde_json::to_string_pretty(&sheet)?;
    let argv = argv(["grafana", &setting.file("grafana-double.json", &text)?])?;
    Ok(Process::new("grafana", argv)
        .ready_at(format!("{}/api/health", setting.inner_url("grafana")))
        .needed())
}

fn argv(arguments: [&str; 2]) -> anyhow::Result<Vec<String>> {
    let program = std::env::current_exe()?.display().to_string();
    let own = [program, "stack".to_owned(), "double".to_owned()];
    Ok(own
        .into_iter()
        .chain(arguments.map(str::to_owned))
        .collect())
}

/// The files of a double as a server; with `known` it takes callers with a certificate only.
fn server(name: &str, folder: Option<&Path>, known: bool) -> Option<testkit::tls::Files> {
    let files = Certificates::of(folder?).part(name);
    Some(testkit::tls::Files {
        certificate: files.certificate,
        key: files.key,
        clients: known.then_some(files.authority),
    })
}

/// Runs the double of Loki until it is ended.
///
/// # Errors
/// The address cannot be bound.
pub(super) async fn loki(
    address: SocketAddr,
    certificates: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let _loki = Loki::start_with(Some(address), server("loki", certificates, true))
        .await
        .with_context(|| address.to_string())?;
    std::future::pending().await
}

/// Runs the double of Tempo until it is ended.
///
/// # Errors
/// An address cannot be bound.
pub(super) async fn tempo(
    addresses: &[SocketAddr],
    certificates: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let tls = server("tempo", certificates, true);
    let _collector = Collector::start_with(addresses, tls).await?;
    std::future::pending().await
}

/// Runs the double of Grafana until it is ended.
///
/// # Errors
/// The sheet or the app cannot be read, or the address not be bound.
pub(super) async fn grafana(sheet: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(sheet).with_context(|| sheet.display().to_string())?;
    let sheet: Sheet = serde_json::from_str(&text).with_context(|| sheet.display().to_string())?;
    let secrets = BTreeMap::from([("basicAuth".to_owned(), NO_PASSWORD.to_owned())]);
    let read = if sheet.built {
        App::read
    } else {
        App::read_routes
    };
    let app = sheet.app.as_deref();
    let app = app.map(|folder| read(folder, sheet.settings, secrets));
    let setup = Setup {
        users: Basic::ALL
            .map(|role| User::new(&role.as_str().to_lowercase(), role))
            .to_vec(),
        anonymous: Some(Basic::Viewer),
        apps: app.transpose()?.into_iter().collect(),
        host: sheet.host,
        language: "en-US".to_owned(),
        root_url: Some(sheet.root_url),
        ..Setup::default()
    };
    let folder = sheet.certificates.as_deref();
    let tls = server("grafana", folder, false);
    let authority = folder.map(|folder| Certificates::of(folder).part("grafana").authority);
    let _grafana = Grafana::start_with(sheet.listen, setup, tls, authority.as_deref())
        .await
        .with_context(|| sheet.listen.to_string())?;
    std::future::pending().await
}
