//! A link is cut, the alert fires, the link is healed, the alert resolves.

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
    let failed = probe(stage).await?.failed;

    play.trigger("the link is cut");
    stage.lab.break_link(link)?;
    let lost = async || Ok((probe(stage).await?.failed > failed).then_some(()));
    play.until("the first ping fails", lost).await?;
    let down = async || Ok((!probe(stage).await?.up).then_some(()));
    play.until("ping_up is 0 in the exporter", down).await?;
    alert.fires(play).await?;
    alert.active(play).await?;

    for command in &stage.args.while_firing {
        play.aside(command).await?;
    }
    stage.lab.heal(Some(link))?;
    play.saw("the link is healed");
    let up = async || Ok(probe(stage).await?.up.then_some(()));
    play.until("ping_up is 1 in the exporter", up).await?;
    alert.over(play).await?;
    alert.resolved(play).await
}

/// What the exporter says about the device.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Probe {
    /// Whether any address family of it is up.
    up: bool,
    /// Requests that were lost or ended in an error, all address families.
    failed: f64,
}

async fn probe(stage: &Stage<'_>) -> anyhow::Result<Probe> {
    let device = &stage.args.device;
    let text = stage
        .text(&format!("{}/metrics", stage.url("sotp-ping")))
        .await?;
    let up = samples(&text, "ping_up", device);
    anyhow::ensure!(!up.is_empty(), "the exporter has no ping_up for {device}");
    let failed = ["ping_lost_total", "ping_errors_total"].map(|name| samples(&text, name, device));
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
