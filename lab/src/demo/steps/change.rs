//! A line typed on a router is a version with the name of who typed it, its difference, and an annotation.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::demo::story::{Play, Step};

use super::description::{self, BRANCH};

const LINE: &str = " description typed by alice";

pub(super) const STEP: Step = Step {
    name: "change",
    what: "a line typed on a router is a commit with the name of who typed it, its difference, and an annotation",
    bound: 5,
    play: |play| Box::pin(change(play)),
    undo: |stage| Box::pin(description::restore(stage)),
};

async fn change(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let newest = async || stage.archive(&["rev-parse", BRANCH]).await;
    let there = async || newest().await.map(Some);
    let before = play.until("there is a first version", there).await?;

    play.trigger("alice types a line");
    description::change(play, LINE.trim()).await?;
    let next = async || Ok(newest().await.ok().filter(|now| *now != before));
    let commit = play.until("there is a new version", next).await?;
    let show = ["show", "--format=%H%n%an%n%s", commit.trim()];
    let shown = stage.archive(&show).await?;
    play.evidence(
        "the commit",
        &format!("git {}", show.join(" ")),
        shown.clone(),
    );
    let author = shown.lines().nth(1).context("git show names no author")?;
    ensure!(
        author == "alice",
        "the author of the commit is {author}, not alice"
    );

    let path = "configuration/api/v1/devices/r1/diff";
    let added = format!("+{LINE}");
    let diff = play
        .until_app(
            "what changed, for a viewer of the app",
            "viewer",
            path,
            |diff| diff.to_string().contains("description typed by alice"),
        )
        .await?;
    ensure!(
        shown.lines().any(|line| line == added),
        "neither commit nor {diff} have {added:?}"
    );
    let selector = "{job=\"ssh-config\",event=\"configuration_change\",device=\"r1\"}";
    let by_alice = |line: &Value| line.to_string().contains("description typed by alice");
    play.until_loki("the line that the dashboard annotates", selector, by_alice)
        .await?;
    Ok(())
}
