//! What several steps do to a port of a router, and ask about it.

use crate::demo::story::{Play, Stage};

/// alice types `shutdown` on it.
pub(super) async fn shut(play: &mut Play<'_>, router: &str, port: &str) -> anyhow::Result<()> {
    let interface = format!("interface {port}");
    let lines = ["configure terminal", &interface, "shutdown", "end"];
    let said = play.stage.typed("alice", router, &lines).await?;
    let asked = format!("ssh alice@{router}: {}", lines.join("; "));
    play.evidence("the router takes it", &asked, said);
    Ok(())
}

/// alice brings it up, whatever it is.
pub(super) async fn open(stage: &Stage<'_>, router: &str, port: &str) -> anyhow::Result<()> {
    let interface = format!("interface {port}");
    let lines = ["configure terminal", &interface, "no shutdown", "end"];
    stage.typed("alice", router, &lines).await?;
    Ok(())
}

/// Waits until the router says that it is up.
pub(super) async fn is_up(play: &mut Play<'_>, router: &str, port: &str) -> anyhow::Result<()> {
    let wanted = format!("Interface {port} is up, line protocol is up");
    says(play, "the router says that it is up", router, port, &wanted).await
}

/// Waits until the router says that it is not.
pub(super) async fn is_shut(play: &mut Play<'_>, router: &str, port: &str) -> anyhow::Result<()> {
    let wanted = format!("Interface {port} is down");
    says(
        play,
        "the router says that it is shut",
        router,
        port,
        &wanted,
    )
    .await
}

async fn says(
    play: &mut Play<'_>,
    what: &str,
    router: &str,
    port: &str,
    wanted: &str,
) -> anyhow::Result<()> {
    let show = format!("show interface {port}");
    let argv = ["vtysh", "-c", &show];
    play.until_says(what, Some(router), &argv, |text| text.contains(wanted))
        .await?;
    Ok(())
}
