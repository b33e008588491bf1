//! A port goes down without a human: the link is set down behind the router's back, without a login.

use std::time::Duration;

use crate::demo::jobs::Jobs;
use crate::demo::story::{Play, Step};
use crate::demo::watch::{Alert, calm};

use super::port;

const ROUTER: &str = "r2";
const PORT: &str = "to-r3";

pub(super) const STEP: Step = Step {
    name: "selfheal",
    what: "a port goes down without a human: the alert wakes the remediator, which brings it up and proves it",
    bound: 15,
    play: |play| Box::pin(selfheal(play)),
    undo: |stage| {
        Box::pin(async {
            stage
                .run(Some(ROUTER), &["ip", "link", "set", PORT, "up"])
                .await?;
            Ok(())
        })
    },
};

async fn selfheal(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let alert = Alert {
        name: "InterfaceShut",
        device: ROUTER,
        port: Some(PORT),
    };
    calm(stage).await?;
    let jobs = Jobs::until_now(stage, ROUTER, PORT).await?;
    // A round ends just after Prometheus looked at its rules; a port does not wait for that to go down.
    tokio::time::sleep(Duration::from_secs(1).mul_f64(fastrand::f64())).await;

    play.trigger("the link is set down in the router's namespace");
    stage
        .run(Some(ROUTER), &["ip", "link", "set", PORT, "down"])
        .await?;
    alert.fires(play).await?;
    let what = "the remediator has brought it up and has proven it";
    jobs.until_in(play, what, &["succeeded"]).await?;
    port::is_up(play, ROUTER, PORT).await?;
    alert.resolved(play).await
}
