//! A line typed on a router is a version with the name of who typed it, its difference, and an annotation.
//!
//! The clock begins with the time that the router itself writes beside the line in its log, and ends when Loki (or its double) has the line
//! that the dashboard asks it for as an annotation. The best of three tries counts; where that is too late and processes wait for a
//! processor, longer is allowed, and the timeline says so.

use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::demo::story::{Play, Step};

use super::description::{self, BRANCH};

/// What is typed, one for each try.
const LINES: [&str; 3] = [
    "description typed by alice",
    "description typed by alice again",
    "description typed by alice once more",
];
/// Seconds on a machine that has more to do than processors.
const BUSY: u64 = 5;
/// What a try may take longer than the bound.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const STEP: Step = Step {
    name: "change",
    what: "a line typed on a router is a commit with the name of who typed it, its difference, and an annotation",
    bound: 2,
    play: |play| Box::pin(change(play)),
    undo: |stage| Box::pin(description::restore(stage)),
};

async fn change(play: &mut Play<'_>) -> anyhow::Result<()> {
    play.patience(PATIENCE);
    for line in LINES {
        typed(play, line).await?;
        if play.tried() {
            return Ok(());
        }
    }
    if let Some(why) = busy() {
        play.allow(Duration::from_secs(BUSY), &why);
    }
    Ok(())
}

/// alice types a line, and it is a commit and an annotation.
async fn typed(play: &mut Play<'_>, line: &str) -> anyhow::Result<()> {
    let stage = play.stage;
    let newest = async || stage.archive(&["rev-parse", BRANCH]).await;
    let there = async || newest().await.map(Some);
    let before = play.until("there is a version before", there).await?;

    play.trigger("alice logs in and types a line");
    description::change(play, line).await?;
    let next = async || Ok(newest().await.ok().filter(|now| *now != before));
    let commit = play.until("there is a new version", next).await?;
    let selector = "{job=\"ssh-config\",event=\"configuration_change\",device=\"r1\"}";
    let by_alice = |own: &Value| {
        let text = own["line"][1].as_str().unwrap_or_default();
        text.starts_with("alice ") && text.lines().any(|own| own == format!("+ {line}"))
    };
    play.until_loki("the line that the dashboard annotates", selector, by_alice)
        .await?;
    // When the line was typed, as the router says.
    let log = "{job=\"syslog\",device=\"r1\"}";
    let entered = |own: &Value| {
        own["line"][1]
            .as_str()
            .is_some_and(|text| text.contains(line))
    };
    let done = play.seen_last();
    let logged = play
        .until_loki("the router's own line about it", log, entered)
        .await?;
    let path = "configuration/api/v1/devices/r1/diff";
    let shown = |diff: &Value| diff.to_string().contains(&format!("{line}\""));
    play.until_app(
        "what changed, for a viewer of the app",
        "viewer",
        path,
        shown,
    )
    .await?;
    let stamp = logged["line"][0]
        .as_str()
        .and_then(|text| text.parse().ok());
    let stamp = stamp.context("a line of Loki without a time")?;
    play.began_at(SystemTime::UNIX_EPOCH + Duration::from_nanos(stamp), done);

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
    ensure!(
        shown.lines().any(|own| own == format!("+ {line}")),
        "the commit does not have {line:?}"
    );
    Ok(())
}

/// Why this machine is a busy one: processes waited for a processor in a tenth of the last ten seconds, or more of them want to run than
/// there are processors, on an average over a minute.
fn busy() -> Option<String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load = number(load.split_whitespace().next()?)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let waited = pressure.split("avg10=").nth(1);
    let waited = waited.and_then(|rest| number(rest.split(' ').next()?));
    #[expect(clippy::cast_precision_loss, reason = "a number of processors")]
    let busy = load > processors as f64 || waited.is_some_and(|share| share > 10.0);
    busy.then(|| {
        format!(
            "the machine is busy (load {load} on {processors} processors): {BUSY} s are allowed"
        )
    })
}
