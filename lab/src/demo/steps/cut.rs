//! A link is cut, the alert fires, the link is healed, the alert resolves.

use serde_json::Value;

use crate::demo::story::{Play, Stage, Step};
use crate::demo::watch::{Alert, calm};

pub(super) const STEP: Step = Step {
    name: "cut",
    what: "a link is cut and the alert reaches Alertmanager; it is healed and the alert resolves",
    bound: 30,
    play: |play| Box::pin(cut(play)),
    undo: |stage| Box::pin(async { Ok(stage.lab.heal(Some(&stage.args.link))?) }),
};

async fn cut(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let (link, device) = (&stage.args.link, &stage.args.device);
    let alert = Alert {
        name: "DeviceDown",
        device,
        port: None,
    };
    calm(stage).await?;
    let failed = probe(device, &page(stage).await?)?.failed;

    play.trigger("the link is cut");
    // By its ports, so that the remediator hears of it too: its panels have something to show.
    stage.lab.shut_link(link)?;
    until(play, "the first ping fails", |probe| probe.failed > failed).await?;
    until(play, "ping_up is 0 in the exporter", |probe| !probe.up).await?;
    alert.fires(play).await?;
    alert.active(play).await?;

    for command in &stage.args.while_firing {
        play.aside(command).await?;
    }
    stage.lab.heal(Some(link))?;
    play.saw("the link is healed");
    until(play, "ping_up is 1 in the exporter", |probe| probe.up).await?;
    alert.over(play).await?;
    alert.resolved(play).await
}

/// Waits until the exporter says so of the device; its lines are the evidence.
async fn until(
    play: &mut Play<'_>,
    what: &str,
    fits: impl Fn(&Probe) -> bool,
) -> anyhow::Result<()> {
    let stage = play.stage;
    let device = &stage.args.device;
    let url = format!("{}/metrics", stage.url("sotp-ping"));
    let ask = async || Ok(Value::from(page(stage).await?));
    let fits = |lines: &Value| {
        let probe = lines.as_str().map(|lines| probe(device, lines));
        matches!(probe, Some(Ok(probe)) if fits(&probe))
    };
    play.until_answer(what, &url, ask, fits).await?;
    Ok(())
}

/// What the exporter says about the device.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Probe {
    /// Whether any address family of it is up.
    up: bool,
    /// Requests that were lost or ended in an error, all address families.
    failed: f64,
}

/// The lines of it about the device.
async fn page(stage: &Stage<'_>) -> anyhow::Result<String> {
    let text = stage
        .text(&format!("{}/metrics", stage.url("sotp-ping")))
        .await?;
    let label = format!("device=\"{}\"", stage.args.device);
    let told = ["ping_up{", "ping_lost_total{", "ping_errors_total{"];
    let told =
        |line: &&str| told.iter().any(|name| line.starts_with(name)) && line.contains(&label);
    Ok(text.lines().filter(told).collect::<Vec<_>>().join("\n"))
}

fn probe(device: &str, lines: &str) -> anyhow::Result<Probe> {
    let up = samples(lines, "ping_up", device);
    anyhow::ensure!(!up.is_empty(), "the exporter has no ping_up for {device}");
    let failed = ["ping_lost_total", "ping_errors_total"].map(|name| samples(lines, name, device));
    Ok(Probe {
        up: up.contains(&1.0),
        failed: failed.iter().flatten().sum(),
    })
}

/// The values of all samples of the family `name` whose labels say `device`.
fn samples(text: &str, name: &str, device: &str) -> Vec<f64> {
    let label = format!("device=\"{device}\"");
    let value = |line: &str| {
        let labels = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = labels.rsplit_once('}')?;
        let found = labels.split(',').any(|pair| pair == label);
        found.then(|| value.split_whitespace().next()?.parse().ok())?
    };
    text.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_by_whole_name_and_whole_device() {
        let text = "# TYPE ping_up gauge\n\
            ping_up{device=\"h2\",site=\"east\",role=\"host\",family=\"ipv4\"} 1\n\
            ping_up{device=\"h22\",site=\"east\",role=\"host\",family=\"ipv4\"} 0\n\
            ping_up_total{device=\"h2\"} 7\n\
            ping_up{site=\"east\",device=\"h2\",family=\"ipv6\"} 0 1700000000\n";
        assert_eq!(samples(text, "ping_up", "h2"), [1.0, 0.0]);
        assert_eq!(samples(text, "ping_lost_total", "h2"), [0.0; 0]);
    }
}
