//! `shutdown` typed on a port that the inventory wants up.

use crate::demo::jobs::Jobs;
use crate::demo::story::{Play, Step};
use crate::demo::watch::{Alert, calm};

use super::port;

const ROUTER: &str = "r2";
/// `desired = "up"` in the topology.
const PORT: &str = "to-r1";

pub(super) const STEP: Step = Step {
    name: "desired",
    what: "somebody types shutdown on a port that the inventory wants up: it is brought up again",
    bound: 15,
    play: |play| Box::pin(desired(play)),
    undo: |stage| Box::pin(port::open(stage, ROUTER, PORT)),
};

async fn desired(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let alert = Alert {
        name: "InterfaceShut",
        device: ROUTER,
        port: Some(PORT),
    };
    calm(stage).await?;
    let jobs = Jobs::until_now(stage, ROUTER, PORT).await?;

    play.trigger("alice types shutdown");
    port::shut(play, ROUTER, PORT).await?;
    alert.fires(play).await?;
    let what = "the remediator has brought it up and has proven it";
    jobs.until_in(play, what, &["succeeded"]).await?;
    port::is_up(play, ROUTER, PORT).await?;
    alert.resolved(play).await
}
