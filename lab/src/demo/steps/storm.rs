//! A core router is cut off, and all that stands behind it: of what follows one alert is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;

use crate::demo::story::{Play, Step};
use crate::demo::watch::calm;

/// Its links to the others; its host stays with it.
const LINKS: [&str; 2] = ["r2-r3", "r1-r3"];
/// Where it stands, with its host.
const SITE: &str = "lisbon";
const DEVICES: [&str; 2] = ["h2", "r3"];
/// How long Alertmanager waits before it tells of a group that is critical (`alerts/alertmanager/alertmanager.yaml`).
const GROUP_WAIT: Duration = Duration::from_secs(5);

pub(super) const STEP: Step = Step {
    name: "storm",
    what: "a core router loses all links to the others: one alert is told, that its site is cut off, and none of its devices; healed, nothing is left",
    bound: 50,
    play: |play| Box::pin(storm(play)),
    undo: |stage| {
        Box::pin(async {
            for link in LINKS {
                stage.lab.heal(Some(link))?;
            }
            Ok(())
        })
    },
};

async fn storm(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    calm(stage).await?;
    let alerts = |which: &str| format!("{}/api/v2/alerts?{which}", stage.url("alertmanager"));
    let told = alerts("active=true&silenced=false&inhibited=false");
    let before = names(&stage.json(&told).await?);
    // Every alert that was told on the way: that nothing has held back for as long as Alertmanager waits before it tells. A device may be down
    // a second before the last one of its site is.
    let looks = Mutex::new((BTreeMap::<String, Instant>::new(), BTreeSet::new()));
    let note = |alerts: &Value| {
        let now: BTreeSet<String> = names(alerts).difference(&before).cloned().collect();
        let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, all) = &mut *looks;
        since.retain(|name, _| now.contains(name));
        for name in &now {
            let begun = since.entry(name.clone()).or_insert_with(Instant::now);
            if begun.elapsed() >= GROUP_WAIT {
                all.insert(name.clone());
            }
        }
        now
    };
    let site = BTreeSet::from([format!("SiteDown {SITE}")]);

    play.trigger("the core router is cut off");
    for link in LINKS {
        stage.lab.break_link(link)?;
    }
    let only_site = |alerts: &Value| note(alerts) == site;
    play.until_json(
        "Alertmanager tells that its site is cut off",
        &told,
        only_site,
    )
    .await?;
    let devices = DEVICES.map(|device| format!("DeviceDown {device}")).into();
    let held_back = |alerts: &Value| names(alerts).is_superset(&devices);
    let inhibited = alerts("active=false&silenced=false&inhibited=true");
    play.until_json("what stands behind is held back", &inhibited, held_back)
        .await?;
    play.until_json("nothing else is told", &told, only_site)
        .await?;

    for link in LINKS {
        stage.lab.heal(Some(link))?;
    }
    play.saw("the links are healed");
    let over = |alerts: &Value| note(alerts).is_empty();
    play.until_json("the alert is resolved", &told, over)
        .await?;
    let (_, all) = looks.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(all == site, "told were {all:?}, expected {site:?}");
    Ok(())
}

/// The alerts of an answer of Alertmanager, each with its device or its site.
fn names(alerts: &Value) -> BTreeSet<String> {
    let alerts = alerts.as_array().into_iter().flatten();
    let name = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str();
        let whose = label("device").or(label("site")).unwrap_or_default();
        Some(format!("{} {whose}", label("alertname")?))
    };
    alerts.filter_map(name).collect()
}
