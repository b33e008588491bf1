//! A vendor's line is a sentence in Loki.

use serde_json::Value;

use crate::demo::story::{Play, Step, nothing};
use crate::topology::COLLECTOR_SYSLOG;

const ROUTER: &str = "r2";
const LINE: &str = "neighbor 198.18.0.200 Down BGP Notification sent";
const SENTENCE: &str = "BGP neighbour 198.18.0.200 went Down: BGP Notification sent.";

pub(super) const STEP: Step = Step {
    name: "syslog",
    what: "a vendor's line of syslog is a sentence in Loki",
    bound: 3,
    play: |play| Box::pin(syslog(play)),
    undo: nothing,
};

async fn syslog(play: &mut Play<'_>) -> anyhow::Result<()> {
    let (collector, port) = (COLLECTOR_SYSLOG.ip(), COLLECTOR_SYSLOG.port());
    // As Cisco IOS writes it (RFC 3164 with a sequence number), from the address that the inventory knows the router by.
    let line = format!("<189>45: %BGP-5-ADJCHANGE: {LINE}");
    let send = format!("printf '%s' '{line}' > /dev/udp/{collector}/{port}");

    play.trigger("a line as Cisco IOS writes it leaves a router");
    let said = play.stage.run(Some(ROUTER), &["bash", "-c", &send]).await?;
    play.evidence("the line", &format!("{ROUTER}: {send}"), said);
    let selector = format!("{{job=\"syslog\",device=\"{ROUTER}\",event=\"bgp_neighbor\"}}");
    let fits = |line: &Value| line.to_string().contains(SENTENCE);
    play.until_loki(SENTENCE, &selector, fits).await?;
    Ok(())
}
