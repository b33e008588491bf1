//! A Linux host of the lab, by Debian's node_exporter, found in the inventory.

use anyhow::Context;
use serde_json::Value;

use crate::demo::story::{Play, Stage, Step, nothing};

const HOST: &str = "h1";

pub(super) const STEP: Step = Step {
    name: "host",
    what: "a Linux host of the inventory is scraped by its node_exporter, and tells what its own kernel counts",
    bound: 20,
    play: |play| Box::pin(host(play)),
    undo: nothing,
};

async fn host(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let up = format!("up{{job=\"node\",device=\"{HOST}\"}} == 1");
    let what = "the inventory lists the host, and Prometheus scrapes it";
    play.until_query(what, &up).await?;

    play.trigger("the host's kernel is asked what it has sent");
    let counted = kernel(stage).await?;
    let asked = format!("{HOST}: cat /proc/net/dev");
    play.evidence("octets that it has sent", &asked, counted);
    // The label `device` of the series is the host; the exporter's own, the interface, gives way to it.
    let sent =
        format!("sum(node_network_transmit_bytes_total{{job=\"node\",instance=\"{HOST}\"}})");
    let of = |result: &Value| {
        let text = result[0]["value"][1].as_str()?;
        text.parse::<f64>().ok()
    };
    let reached = |result: &Value| of(result).is_some_and(|told| told >= counted);
    let ask = async || stage.query(&sent).await;
    let what = "node_exporter has told Prometheus as much";
    let told = play.until_answer(what, &sent, ask, reached).await?;
    let later = kernel(stage).await?;
    anyhow::ensure!(
        of(&told).is_some_and(|told| told <= later),
        "node_exporter tells more than the kernel: {told}, {later}"
    );
    let memory = format!("node_memory_MemAvailable_bytes{{device=\"{HOST}\"}} > 0");
    play.until_query("and its memory stands beside it", &memory)
        .await?;
    Ok(())
}

/// Octets that the interfaces of the host have sent, but for loopback (proc(5), /proc/net/dev).
async fn kernel(stage: &Stage<'_>) -> anyhow::Result<f64> {
    let text = stage.run(Some(HOST), &["cat", "/proc/net/dev"]).await?;
    let mut sum = 0.0;
    for line in text.lines().skip(2) {
        let (name, counts) = line.split_once(':').context("/proc/net/dev")?;
        if name.trim() != "lo" {
            let sent = counts.split_whitespace().nth(8).context("/proc/net/dev")?;
            sum += sent.parse::<f64>()?;
        }
    }
    Ok(sum)
}
