//! The line of a router's configuration that some steps change: the description of a port.

use crate::demo::story::{Play, Stage};

/// The router.
pub(super) const ROUTER: &str = "r1";
/// Its branch in the archive.
pub(super) const BRANCH: &str = "device/r1";

const INTERFACE: &str = "interface to-r2";
const ORIGINAL: &str = "description link r1-r2";

/// alice types `line` on the port.
pub(super) async fn change(play: &mut Play<'_>, line: &str) -> anyhow::Result<()> {
    let lines = ["configure terminal", INTERFACE, line, "end"];
    let said = play.stage.typed("alice", ROUTER, &lines).await?;
    let asked = format!("ssh alice@{ROUTER}: {}", lines.join("; "));
    play.evidence("the router takes it", &asked, said);
    Ok(())
}

/// alice types what stood there at first, and the archive has it: what comes later is a change by itself.
pub(super) async fn restore(stage: &Stage<'_>) -> anyhow::Result<()> {
    let lines = ["configure terminal", INTERFACE, ORIGINAL, "end"];
    stage.typed("alice", ROUTER, &lines).await?;
    let newest = format!("{BRANCH}:configuration");
    // The undoing of a step is bounded as a whole.
    while !stage.archive(&["show", &newest]).await?.contains(ORIGINAL) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Ok(())
}
