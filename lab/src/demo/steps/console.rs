//! A command that only reads, run in the app by somebody who is known.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;
use testkit::chromium::Browser;

use crate::demo::story::{Play, Stage, Step, nothing};

/// What is run, and on which router.
pub(super) const COMMAND: &str = "show version";
pub(super) const ROUTER: &str = "r1";

pub(super) const STEP: Step = Step {
    name: "console",
    what: "show version is run in the app by somebody who is known, answered by the router, and recorded before it was sent",
    bound: 5,
    play: |play| Box::pin(console(play)),
    undo: nothing,
};

async fn console(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let (login, _) = stage.login("editor")?;
    let page = ready(stage, "editor").await?;

    play.trigger("the button Run is pressed");
    page.press("Run").await?;
    page.says("FRRouting").await?;
    let url = page.url().await?;
    let id = url.split_once("run=").context("the page names no run")?.1;
    play.evidence("the app shows the answer", &url, page.text().await?);
    let path = format!("remediator/api/v1/commands/{id}");
    let what = "the service has it, for a viewer of the app";
    let done = |job: &Value| job["state"] == "done";
    let job = play.until_app(what, "viewer", &path, done).await?;
    let asked = &job["requester"]["display"];
    ensure!(*asked == *login, "who asked: expected {login}: {job}");

    let record = recorded(stage, id)?;
    let by = &record["display"];
    ensure!(
        *by == *login,
        "the record names {by}, not {login}: {record}"
    );
    let folder = stage.state().join("remediator/audit");
    play.evidence("its record", &folder.display().to_string(), record);
    let program = std::env::current_exe()?;
    let program = program.parent().unwrap_or(Path::new("")).join("sotp-audit");
    let argv = [
        &program.display().to_string(),
        "verify",
        &folder.display().to_string(),
    ]
    .map(str::to_owned);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let said = stage.run(None, &argv).await?;
    play.evidence("the log of records is whole", &argv.join(" "), said);
    Ok(())
}

/// The page of the console with the command chosen, to be run by `role`.
pub(super) async fn ready(stage: &Stage<'_>, role: &str) -> anyhow::Result<Browser> {
    let page = stage.browser(role).await?;
    page.open(&stage.page(&format!("console?device={ROUTER}")))
        .await?;
    let choice = format!("//label[starts-with(normalize-space(.), \"{COMMAND}\")]");
    let choice = page.find(&choice).await?;
    page.click(&choice).await?;
    Ok(page)
}

/// What the audit log has of the job: how it began.
fn recorded(stage: &Stage<'_>, id: &str) -> anyhow::Result<Value> {
    let folder = stage.state().join("remediator/audit");
    let mut lines = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| folder.display().to_string())?
    {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        lines.extend(
            text.lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok()),
        );
    }
    let ended = lines
        .iter()
        .find(|line| line["event"] == "ended" && line["detail"] == *id);
    let of = &ended.with_context(|| format!("no record of {id}"))?["of"];
    let begun = lines
        .iter()
        .find(|line| line["event"] == "begun" && line["seq"] == *of);
    begun.cloned().with_context(|| format!("no record {of}"))
}
