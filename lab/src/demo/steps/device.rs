//! A device is added in the app, watched by everything, and deleted again.

use anyhow::ensure;

use crate::demo::story::{Play, Stage, Step};

/// Another address of a router that is there, under a name of its own.
const NAME: &str = "r1-uplink";
const ADDRESS: &str = "198.18.1.1";
const GROUP: &str = "lab-routers";

pub(super) const STEP: Step = Step {
    name: "device",
    what: "a device that is added in the app is pinged, scraped and collected, and is gone when it was deleted",
    bound: 30,
    play: |play| Box::pin(device(play)),
    undo: |stage| Box::pin(gone(stage)),
};

async fn device(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let page = stage.browser("editor").await?;
    page.open(&stage.page("devices/new")).await?;
    for (field, value) in [("name", NAME), ("address", ADDRESS), ("groups", GROUP)] {
        page.fill(field, value).await?;
    }
    page.press("Review the change").await?;
    page.says(&format!("Add {NAME}?")).await?;

    play.trigger("the button Save is pressed");
    page.press("Save").await?;
    page.says(&format!("{NAME} was added.")).await?;
    play.evidence("the app says so", &page.url().await?, page.text().await?);
    let up = format!("ping_up{{device=\"{NAME}\"}} == 1");
    play.until_query("it answers pings", &up).await?;
    let scraped = format!("count by (device) (ifAdminStatus{{device=\"{NAME}\"}})");
    play.until_query("its interfaces are there by SNMP", &scraped)
        .await?;
    let path = format!("configuration/api/v1/devices/{NAME}/versions");
    let what = "its configuration is in the archive";
    let some = |told: &serde_json::Value| {
        told["versions"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    };
    play.until_app(what, "viewer", &path, some).await?;

    page.press("Delete device").await?;
    page.fill("typed", NAME).await?;
    page.press("Delete").await?;
    page.says(&format!("{NAME} was deleted.")).await?;
    play.saw("it is deleted in the app");
    for (what, series) in [
        ("nobody pings it any more", "ping_up"),
        ("nobody scrapes it any more", "ifAdminStatus"),
    ] {
        play.until_no_result(what, &format!("{series}{{device=\"{NAME}\"}}"))
            .await?;
    }
    let url = stage.app(&format!("inventory/api/v1/devices/{NAME}"));
    let (login, password) = stage.login("viewer")?;
    let asked = stage.client().get(&url).basic_auth(&login, Some(&password));
    let status = asked.send().await?.status();
    ensure!(status == 404, "the inventory answers {status} to {url}");
    play.evidence("the inventory has it no more", &url, status.as_u16());
    Ok(())
}

/// Deletes it where the step did not come so far.
async fn gone(stage: &Stage<'_>) -> anyhow::Result<()> {
    let url = stage.app(&format!("inventory/api/v1/devices/{NAME}"));
    let (login, password) = stage.login("editor")?;
    let request = stage
        .client()
        .delete(&url)
        .basic_auth(&login, Some(&password));
    let status = request.header("if-match", "*").send().await?.status();
    ensure!(
        status.is_success() || status == 404,
        "deleting {NAME}: {status}"
    );
    Ok(())
}
