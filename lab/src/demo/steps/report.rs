//! Last month on paper and in tables, received as a mail, with what happened in the demonstration history.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use history::Period;
use jiff::Timestamp;
use serde_json::Value;
use tokio::process::Command;

use crate::certificates;
use crate::demo::story::{Play, Stage, Step};
use crate::files::file;

/// Where the mail server listens, beside the services.
const PORT: u16 = 2587;
/// Reads the mail as Python does, which shares nothing with the program that wrote it.
const READER: &str = include_str!("report.py");

pub(super) const STEP: Step = Step {
    name: "report",
    what: "last month as PDF and CSV, with the outage and the maintenance of the history in it, received as a mail over STARTTLS",
    bound: 20,
    play: |play| Box::pin(report(play)),
    undo: |stage| {
        Box::pin(async {
            let pid = folder(stage).join("pid").display().to_string();
            let end = "if test -e \"$0\"; then kill \"$(cat \"$0\")\"; fi";
            stage.run(None, &["sh", "-c", end, &pid]).await?;
            Ok(())
        })
    },
};

/// The files of the step.
fn folder(stage: &Stage<'_>) -> PathBuf {
    stage.state().join("report-step")
}

async fn report(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let folder = folder(stage);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(folder.join("files"))?;
    let at = |name: &str| folder.join(name).display().to_string();
    let period = written(stage).await?;
    let (outage, work, window) = (period.outage(), period.work(), period.maintenance());
    let month = utc(outage.from)?.strftime("%Y-%m").to_string();

    let (authority, certificate, key) = certificates::make(vec!["localhost".to_owned()])?;
    for (name, text) in [
        ("ca.pem", &*authority),
        ("cert.pem", &*certificate),
        ("key.pem", &*key),
        ("read.py", READER),
        ("reporter.yaml", &configuration(stage)),
    ] {
        file(&folder.join(name), text, 0o600)?;
    }
    let _server = server(stage)?;
    let connect = format!("import socket; socket.create_connection(('127.0.0.1', {PORT}), 1)");
    let listens = ["/usr/bin/python3", "-c", &connect];
    play.until("a mail server listens", async || {
        Ok(stage.run(None, &listens).await.ok())
    })
    .await?;

    play.trigger("sotp-reporter makes and sends last month");
    let program = stage.program("sotp-reporter")?.display().to_string();
    let config = format!("--config.file={}", at("reporter.yaml"));
    let run = [&*program, "run", &config];
    let said = stage.run(None, &run).await?;
    play.evidence("the report is sent", "sotp-reporter run", said.clone());
    anyhow::ensure!(said.starts_with(&format!("{month}: sent to 1 ")), "{said}");
    let read = [
        "/usr/bin/python3",
        &at("read.py"),
        &at("mails"),
        &at("files"),
    ];
    let mail = stage
        .run(None, &read)
        .await
        .context("the mail server has no mail, or several")?;
    let mail: Value = serde_json::from_str(&mail)?;
    play.evidence(
        "the mail server has one mail",
        "the Maildir of aiosmtpd",
        mail.clone(),
    );
    let subject = mail["subject"].as_str().unwrap_or_default();
    anyhow::ensure!(subject.contains(&month), "the subject is {subject:?}");

    let name = format!("availability-{month}.pdf");
    let manifest = std::fs::read_to_string(folder.join("files/manifest.json"))?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    for entry in manifest["files"].as_array().into_iter().flatten() {
        let file = entry["name"].as_str().unwrap_or_default();
        anyhow::ensure!(
            mail["files"][file] == entry["sha256"],
            "{file} is not what the manifest says"
        );
    }
    let missing = &manifest["missing"];
    anyhow::ensure!(
        missing == &serde_json::json!([]),
        "parts are missing: {missing}"
    );
    let row = |table: &str, holds: &dyn Fn(&str) -> bool| -> anyhow::Result<String> {
        let text = std::fs::read_to_string(folder.join("files").join(table))?;
        let row = text.lines().find(|row| holds(row));
        let row = row.with_context(|| format!("{table} lacks it: {text}"))?;
        Ok(row.to_owned())
    };
    let heads = [
        row("changes.csv", &|row| row.starts_with("time,device,"))?,
        row("repairs.csv", &|row| row.contains(",approved_by,"))?,
    ];
    play.evidence(
        "Loki and the remediator were asked, and have answered",
        "changes.csv, repairs.csv, manifest.json",
        heads.join("\n"),
    );
    let (from, to) = (utc(outage.from)?.to_string(), utc(outage.to)?.to_string());
    let seconds = outage.to - outage.from;
    let down = row("incidents.csv", &|row| {
        row.contains(&format!(",{from},{to},{seconds},no,up"))
    })?;
    play.evidence(
        "the outage of the history is an incident",
        "incidents.csv",
        down,
    );
    let (from, to) = (utc(window.from)?.to_string(), utc(window.to)?.to_string());
    let (long, silent) = (window.to - window.from, work.to - work.from);
    let planned = row("maintenance.csv", &|row| {
        row.contains(&format!(",{from},{to},{long},{silent},"))
    })?;
    play.evidence(
        "its maintenance is listed and in no incident",
        "maintenance.csv",
        planned,
    );
    let paper = stage
        .run(
            None,
            &["pdftotext", "-layout", &at(&format!("files/{name}")), "-"],
        )
        .await?;
    let shown = |at: i64| anyhow::Ok(utc(at)?.strftime("%Y-%m-%d %H:%M:%S+00:00").to_string());
    let (outage, window) = (shown(outage.from)?, shown(window.from)?);
    let lines = paper
        .lines()
        .filter(|line| line.contains(&outage) || line.contains(&window));
    let lines: Vec<&str> = lines.map(str::trim).collect();
    for begun in [&outage, &window] {
        anyhow::ensure!(
            lines.iter().any(|line| line.contains(begun)),
            "the paper lacks {begun}: {paper}"
        );
    }
    play.evidence("both are on paper", &format!("pdftotext {name}"), lines);
    Ok(())
}

/// What the mark of the demonstration history says of itself.
async fn written(stage: &Stage<'_>) -> anyhow::Result<Period> {
    let query = format!("last_over_time({}[100d])", history::INFO);
    let found = stage.query(&query).await?;
    let marked = |name: &str| {
        let text = found[0]["metric"][name].as_str();
        let text = text.context(
            "there is no demonstration history to report of; a demo with --no-history has none",
        )?;
        anyhow::Ok(text.parse::<Timestamp>()?.as_second())
    };
    Ok(Period {
        from: marked("start")?,
        to: marked("end")?,
    })
}

fn utc(at: i64) -> anyhow::Result<Timestamp> {
    Ok(Timestamp::from_second(at)?)
}

fn configuration(stage: &Stage<'_>) -> String {
    let [prometheus, loki, remediator] =
        ["prometheus", "loki", "sotp-remediator"].map(|part| stage.inner_url(part));
    let keys = stage.keys();
    format!(
        "prometheus: {{url: '{prometheus}'{keys}}}\nloki: {{url: '{loki}'{keys}}}\nremediator: {{url: '{remediator}'{keys}}}\norganisation: Demonstration\nmail:\n  server: localhost\n  port: {PORT}\n  ca_file: ca.pem\n  \
         from: SOTP <sotp@lab.example>\n  to: [board@lab.example]\n"
    )
}

/// A mail server that takes mail over STARTTLS only, and keeps it in a Maildir.
fn server(stage: &Stage<'_>) -> anyhow::Result<tokio::process::Child> {
    let folder = folder(stage);
    let at = |name: &str| folder.join(name).display().to_string();
    let serve = format!(
        "/usr/bin/python3 -m aiosmtpd --nosetuid --listen 127.0.0.1:{PORT} --tlscert \"$1\" --tlskey \"$2\" \
         --class aiosmtpd.handlers.Mailbox \"$3\" & echo $! > \"$0\"; wait"
    );
    let argv = [
        "sh",
        "-c",
        &serve,
        &at("pid"),
        &at("cert.pem"),
        &at("key.pem"),
        &at("mails"),
    ];
    let log = std::fs::File::create(folder.join("log"))?;
    let child = Command::from(stage.lab.enter_command(None, &argv)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(child)
}
