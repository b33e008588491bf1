//! A line typed on a router is a version with the name of who typed it, and its difference.

use anyhow::Context;

use crate::demo::story::{Play, Step};

const ROUTER: &str = "r1";
const BRANCH: &str = "device/r1";
const LINE: &str = " description typed by alice";

pub(super) const STEP: Step = Step {
    name: "change",
    what: "a line typed on a router is a commit with the name of who typed it, and its difference",
    bound: 5,
    play: |play| Box::pin(change(play)),
    undo: |stage| {
        Box::pin(async {
            let lines = [
                "configure terminal",
                "interface to-r2",
                "description link r1-r2",
                "end",
            ];
            stage.typed("alice", ROUTER, &lines).await?;
            Ok(())
        })
    },
};

async fn change(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let newest = async || stage.archive(&["rev-parse", BRANCH]).await;
    let before = play
        .until("there is a first version", async || {
            newest().await.map(Some)
        })
        .await?;

    play.trigger("alice types a line on r1");
    let lines = ["configure terminal", "interface to-r2", LINE, "end"];
    let said = stage.typed("alice", ROUTER, &lines).await?;
    play.evidence(
        "the router takes it",
        &format!("ssh alice@r1: {}", lines.join("; ")),
        said,
    );
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
    anyhow::ensure!(
        author == "alice",
        "the author of the commit is {author}, not alice"
    );
    anyhow::ensure!(
        shown
            .lines()
            .any(|line| line.strip_prefix('+') == Some(LINE)),
        "the difference does not have the line: {shown}"
    );
    Ok(())
}
