//! Traffic between the hosts: who talks, and how much, by flows and by SNMP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::demo::story::{Play, Step, nothing};

/// Its flows are those of the line to h1, and nothing else.
const ROUTER: &str = "r1";
const PORT: &str = "to-h1";
/// What is sent beside the traffic that is always there.
const KBIT_PER_SECOND: &str = "8000";
const SENDS: Duration = Duration::from_secs(15);
/// How much the two may differ.
const SHARE: f64 = 0.05;

pub(super) const STEP: Step = Step {
    name: "flows",
    what: "hosts talk: the top talkers name them, and the bytes of flows agree with SNMP's within 5 %",
    bound: 80,
    play: |play| Box::pin(flows(play)),
    undo: nothing,
};

async fn flows(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let address = |name: &str| {
        let node = stage.lab.topology().node(name);
        let node = node.with_context(|| format!("no {name} in this topology"))?;
        anyhow::Ok(node.1.loopback.to_string())
    };
    let (from, to) = (address("h1")?, address("h2")?);
    let counts = Counts::read(play, "both counts before").await?;

    play.trigger("h1 sends to h2");
    let program = std::env::current_exe()?.display().to_string();
    let seconds = SENDS.as_secs().to_string();
    let argv = [
        "timeout",
        &seconds,
        &program,
        "traffic",
        "send",
        "--to",
        &to,
        "--kbit-per-second",
        KBIT_PER_SECOND,
    ];
    // It is ended by the first word, which says so by 124.
    let script = "\"$@\"; test $? = 124";
    let argv: Vec<&str> = ["sh", "-c", script, "sh"]
        .iter()
        .chain(&argv)
        .copied()
        .collect();
    let sent = Instant::now();
    stage.run(Some("h1"), &argv).await?;
    play.saw("it has sent");
    ensure!(
        sent.elapsed() + Duration::from_secs(1) >= SENDS,
        "it has not sent for {SENDS:?}"
    );

    let path = format!(
        "{}/flows/top?by=pair&device={ROUTER}",
        stage.url("sotp-netflow")
    );
    let named = |table: &Value| {
        let tables = ["last", "running"].map(|window| table[window].as_array());
        let first = |table: &Value| {
            table["rows"][0]["source"] == *from && table["rows"][0]["destination"] == *to
        };
        tables.into_iter().flatten().flatten().any(first)
    };
    play.until_json("the top talkers of the window are h1 and h2", &path, named)
        .await?;
    let slots = format!(
        "topk(1, increase(netflow_top_source_bytes_total{{device=\"{ROUTER}\",source!=\"other\"}}[1m]))"
    );
    let slots = play
        .until_query("the series of the top talker", &slots)
        .await?;
    ensure!(
        slots[0]["metric"]["source"] == *from,
        "the top talker is not {from}: {slots}"
    );

    // A flow is told of ten seconds after it began, at the latest, and two later it is sent; counters lag by as much, and by a bucket.
    sleep_until(Instant::now() + Duration::from_secs(30)).await;
    let after = Counts::read(play, "both counts after").await?;
    let (flow, snmp) = (after.flow - counts.flow, after.snmp - counts.snmp);
    let differ = (flow - snmp).abs() / snmp;
    let said = format!(
        "flows {flow} bytes, SNMP {snmp} bytes: {:.2} % apart",
        differ * 100.0
    );
    play.saw(&said);
    ensure!(snmp > 10e6, "hardly anything was sent: {said}");
    ensure!(differ <= SHARE, "{said}");
    Ok(())
}

/// Bytes on the line, both ways, by flows and by SNMP.
struct Counts {
    flow: f64,
    snmp: f64,
}

impl Counts {
    async fn read(play: &mut Play<'_>, what: &str) -> anyhow::Result<Self> {
        let flow = format!("netflow_bytes_total{{device=\"{ROUTER}\"}}");
        let port = format!("{{device=\"{ROUTER}\",ifName=\"{PORT}\"}}");
        // Not what the history told last.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let fresh = format!("timestamp(ifHCInOctets{port}) >= {now}");
        let snmp = format!("(ifHCInOctets{port} + ifHCOutOctets{port}) and {fresh}");
        let mut read = async |query: &str| {
            let answer = play.until_query(what, query).await?;
            let text = answer[0]["value"][1].as_str().context("no value")?;
            anyhow::Ok(text.parse::<f64>()?)
        };
        Ok(Self {
            flow: read(&flow).await?,
            snmp: read(&snmp).await?,
        })
    }
}
