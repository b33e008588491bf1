//! The scenario: a link is cut, the alert fires, the link is healed, the alert resolves.

use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::Flags;
use super::timeline::Timeline;
use super::watch::{Watch, until};
use crate::lab::Lab;
use crate::stack::http;
use crate::stack::plan::Setting;

/// The alert that must fire.
const ALERT: &str = "DeviceDown";
/// Time for every device to answer and for Prometheus to know it.
const CALM: Duration = Duration::from_secs(60);
/// Time for each step of the scenario.
const STEP: Duration = Duration::from_secs(60);
/// Time for each command of the user's.
const HOOK: Duration = Duration::from_secs(300);

/// What the scenario plays on.
pub(super) struct Stage<'a> {
    pub(super) args: &'a Flags,
    pub(super) lab: &'a Lab,
    pub(super) setting: &'a Setting<'a>,
}

/// Plays it and prints the timeline.
///
/// # Errors
/// A step took too long, a command failed; the error says which.
pub(super) async fn run(stage: &Stage<'_>) -> anyhow::Result<()> {
    let args = stage.args;
    let watch = Watch {
        client: http::local(),
        exporter: stage.setting.url("sotp-ping"),
        prometheus: stage.setting.url("prometheus"),
        alertmanager: stage.setting.url("alertmanager"),
        device: &args.device,
        alert: ALERT,
    };
    calm(&watch).await?;
    for command in &args.while_up {
        hook(stage, command).await?;
    }
    let failed = watch.probe().await?.failed;
    let mut timeline = Timeline::begin("the link is cut");
    let played = play(stage, &watch, failed, &mut timeline).await;
    println!("{} is cut: what follows\n{}", args.link, timeline.render());
    if let Some(file) = &args.timeline {
        std::fs::write(file, timeline.json()).with_context(|| file.display().to_string())?;
    }
    played
}

async fn play(
    stage: &Stage<'_>,
    watch: &Watch<'_>,
    failed_before: f64,
    timeline: &mut Timeline,
) -> anyhow::Result<()> {
    let link = &stage.args.link;
    stage.lab.break_link(link)?;

    let failed = until("a failed ping", STEP, async || {
        Ok((watch.probe().await?.failed > failed_before).then_some(()))
    });
    timeline.add_at("the first ping fails", failed.await?.1);
    let down = until("ping_up 0", STEP, async || {
        Ok((!watch.probe().await?.up).then_some(()))
    });
    timeline.add_at("ping_up is 0 in the exporter", down.await?.1);
    let (mut state, at) =
        until("the alert in Prometheus", STEP, async || watch.rule().await).await?;
    if state == "pending" {
        timeline.add_at("the alert is pending in Prometheus", at);
        let firing = until("the alert firing in Prometheus", STEP, async || {
            Ok(watch.rule().await?.filter(|state| state == "firing"))
        });
        let (now, at) = firing.await?;
        state = now;
        timeline.add_at("the alert fires in Prometheus", at);
    } else {
        timeline.add_at("the alert fires in Prometheus", at);
    }
    anyhow::ensure!(
        state == "firing",
        "the alert is {state} in Prometheus, expected firing"
    );
    let active = until("the alert active in Alertmanager", STEP, async || {
        Ok(watch.delivered().await?.filter(|state| state == "active"))
    });
    timeline.add_at("the alert is active in Alertmanager", active.await?.1);

    for command in &stage.args.while_firing {
        hook(stage, command).await?;
    }
    stage.lab.heal(Some(link))?;
    timeline.add("the link is healed");
    let up = until("ping_up 1", STEP, async || {
        Ok(watch.probe().await?.up.then_some(()))
    });
    timeline.add_at("ping_up is 1 in the exporter", up.await?.1);
    let over = until("the alert gone from Prometheus", STEP, async || {
        Ok(watch.rule().await?.is_none().then_some(()))
    });
    timeline.add_at("the alert is over in Prometheus", over.await?.1);
    let gone = until("the alert gone from Alertmanager", STEP, async || {
        Ok(watch.delivered().await?.is_none().then_some(()))
    });
    timeline.add_at("the alert is resolved in Alertmanager", gone.await?.1);
    Ok(())
}

/// Waits until every device answers and Prometheus has seen it: an alert in a network that was never
/// whole would prove nothing.
async fn calm(watch: &Watch<'_>) -> anyhow::Result<()> {
    let began = Instant::now();
    let whole = "count(ping_up) > 0 and min(ping_up) == 1 \
                 and on() (count(count by (device) (ping_up)) == sum(sotp_inventory_devices))";
    let calm = until(
        "every device of the inventory up in Prometheus",
        CALM,
        async || {
            let whole = watch.query(whole).await?.is_some();
            Ok(
                (whole && watch.rule().await?.is_none() && watch.delivered().await?.is_none())
                    .then_some(()),
            )
        },
    );
    calm.await?;
    eprintln!(
        "every device answers and no alert is active, after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Runs a command of the user's in the box.
async fn hook(stage: &Stage<'_>, command: &str) -> anyhow::Result<()> {
    let url = |name: &str| format!("http://127.0.0.1:{}", stage.setting.inside[name]);
    let here = std::env::current_dir()?;
    let mut argv = vec!["env".to_owned(), format!("--chdir={}", here.display())];
    let services = stage
        .setting
        .found
        .services
        .iter()
        .map(|(service, _)| service.name.as_str());
    for name in ["prometheus", "alertmanager"].into_iter().chain(services) {
        let short = name.strip_prefix("sotp-").unwrap_or(name);
        let short = short.replace('-', "_").to_uppercase();
        argv.push(format!("SOTP_{short}_URL={}", url(name)));
    }
    argv.extend(["sh", "-c", command].map(str::to_owned));
    eprintln!("running in the box: {command}");
    let mut child = Command::from(stage.lab.enter_command(None, &argv)?);
    let status = timeout(HOOK, child.kill_on_drop(true).status());
    let status = status
        .await
        .with_context(|| format!("`{command}` does not end"))??;
    anyhow::ensure!(status.success(), "`{command}` ended with {status}");
    Ok(())
}
