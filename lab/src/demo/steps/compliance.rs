//! A line that is typed breaks a golden rule.

use anyhow::ensure;
use serde_json::Value;

use crate::demo::story::{Play, Step};

use super::description::{self, ROUTER};

const RULE: &str = "frr-interface-description";

pub(super) const STEP: Step = Step {
    name: "compliance",
    what: "a typed line breaks a golden rule: the series says so, and the report names device, rule, since when and by whom",
    bound: 10,
    play: |play| Box::pin(compliance(play)),
    undo: |stage| Box::pin(description::restore(stage)),
};

async fn compliance(play: &mut Play<'_>) -> anyhow::Result<()> {
    let series = format!("sshconfig_rule_violations{{device=\"{ROUTER}\",rule=\"{RULE}\"}}");
    let whole = "the router keeps the rule";
    play.until_query(whole, &format!("(sum({series}) or vector(0)) == 0"))
        .await?;

    play.trigger("alice takes the description of a port away");
    let began = jiff::Timestamp::now();
    description::change(play, "no description").await?;
    play.until_query("the series says so", &format!("{series} > 0"))
        .await?;
    let ours = |violation: &&Value| violation["device"] == ROUTER && violation["rule"] == RULE;
    let find = |report: &Value| {
        let all = report["violations"].as_array();
        all.and_then(|all| all.iter().find(ours).cloned())
    };
    let path = "configuration/api/v1/violations";
    let what = "the report has it, for a viewer of the app";
    let report = play
        .until_app(what, "viewer", path, |report| find(report).is_some())
        .await?;
    let violation = find(&report).unwrap_or_default();
    ensure!(
        violation["by"] == "alice",
        "by whom: expected alice: {violation}"
    );
    let since: jiff::Timestamp = violation["since"].as_str().unwrap_or_default().parse()?;
    let second = jiff::SignedDuration::from_secs(1);
    ensure!(
        since >= began - second && since <= jiff::Timestamp::now() + second,
        "since when: expected after {began}: {violation}"
    );
    Ok(())
}
