//! An operator shuts a port that the inventory says nothing about: that is theirs to do.

use anyhow::ensure;

use crate::demo::jobs::Jobs;
use crate::demo::story::{Play, Step};
use crate::demo::watch::{Alert, calm};

use super::port;

const ROUTER: &str = "r3";
const PORT: &str = "to-r2";

pub(super) const STEP: Step = Step {
    name: "left-alone",
    what: "an operator shuts another port: that it could be brought up is proposed, and nothing is touched",
    bound: 20,
    play: |play| Box::pin(left_alone(play)),
    undo: |stage| Box::pin(port::open(stage, ROUTER, PORT)),
};

async fn left_alone(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let alert = Alert {
        name: "InterfaceShut",
        device: ROUTER,
        port: Some(PORT),
    };
    calm(stage).await?;
    let jobs = Jobs::until_now(stage, ROUTER, PORT).await?;
    let typed = typed(play).await?;

    play.trigger("alice types shutdown");
    port::shut(play, ROUTER, PORT).await?;
    alert.fires(play).await?;
    let what = "the remediator has a plan and waits for somebody to approve it";
    jobs.until_in(play, what, &["awaiting_approval", "proposed"])
        .await?;
    // Two looks of Prometheus later, each younger than the plan.
    let shut = format!(
        "changes(timestamp(ifAdminStatus{{device=\"{ROUTER}\",ifName=\"{PORT}\"}} == 2)[6s:1s]) >= 2"
    );
    play.until_query("it is still shut some scrapes later", &shut)
        .await?;
    port::is_shut(play, ROUTER, PORT).await?;
    let now = self::typed(play).await?;
    ensure!(
        now == typed,
        "the remediator has typed lines: {typed} before, {now} now"
    );
    Ok(())
}

/// How many lines the remediator has typed on devices, by its own count.
async fn typed(play: &mut Play<'_>) -> anyhow::Result<String> {
    let url = format!("{}/metrics", play.stage.url("sotp-remediator"));
    let page = play.stage.text(&url).await?;
    let name = "remediator_lines_typed_total";
    let lines = page.lines().filter(|line| line.starts_with(name));
    let lines: Vec<&str> = lines.collect();
    ensure!(!lines.is_empty(), "{url} has no {name}");
    let lines = lines.join("\n");
    play.evidence(
        "how many lines the remediator has typed",
        &url,
        lines.clone(),
    );
    Ok(lines)
}
