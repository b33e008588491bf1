//! From a click in the browser to the device, as one trace.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::demo::story::{Play, Step, nothing};

use super::console::{COMMAND, ROUTER, ready};

pub(super) const STEP: Step = Step {
    name: "trace",
    what: "from the click in the browser to the command on the device it is one trace, which the page and the line in Loki name",
    bound: 20,
    play: |play| Box::pin(trace(play)),
    undo: nothing,
};

async fn trace(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    let page = ready(stage, "editor").await?;

    play.trigger("the button Run is pressed");
    page.press("Run").await?;
    page.says("FRRouting").await?;
    page.says("Trace ").await?;
    let text = page.text().await?;
    let id = text.split_once("Trace ").map_or("", |(_, rest)| rest);
    let id = id.get(..32).context("the page names no trace")?;
    let digits = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(digits, "no id of a trace: {id}");
    play.evidence("the page names the trace", &page.url().await?, id);

    let on_router = format!("{COMMAND} on {ROUTER}");
    let console = format!("console: {COMMAND}");
    let chain = ["POST /api/v1/commands", &console, &on_router, "ssh command"];
    let url = format!("{}/api/traces/{id}", stage.url("tempo"));
    let what = "the trace goes on from the request to the command on the device";
    play.until_json(what, &url, |trace| unbroken(trace, &chain))
        .await?;

    let selector = format!("{{job=\"remediator\",event=\"console\",device=\"{ROUTER}\"}}");
    let line = play
        .until_loki("the line in Loki names it", &selector, |line| {
            line.to_string().contains(id)
        })
        .await?;
    ensure!(
        line.to_string().contains("FRRouting"),
        "the line has no answer: {line}"
    );
    Ok(())
}

/// Whether the spans of these names are in the trace, each a part of the one before.
fn unbroken(trace: &Value, names: &[&str]) -> bool {
    let batches = trace["batches"].as_array().into_iter().flatten();
    let scopes = batches.flat_map(|batch| batch["scopeSpans"].as_array().into_iter().flatten());
    let spans: Vec<&Value> = scopes
        .flat_map(|scope| scope["spans"].as_array().into_iter().flatten())
        .collect();
    let mut parent: Option<&Value> = None;
    for name in names {
        let below = |span: &&&Value| parent.is_none_or(|parent| span["parentSpanId"] == *parent);
        let Some(span) = spans
            .iter()
            .filter(|span| span["name"] == **name)
            .find(below)
        else {
            return false;
        };
        parent = Some(&span["spanId"]);
    }
    !names.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_chain_is_unbroken_when_each_span_is_below_the_one_before() {
        let span = |name: &str, id: &str, parent: &str| json!({"scopeSpans": [{"spans": [{"name": name, "spanId": id, "parentSpanId": parent}]}]});
        let trace = json!({"batches": [span("c", "3", "2"), span("b", "2", "1"), span("a", "1", "0"), span("d", "4", "1")]});
        assert!(unbroken(&trace, &["a", "b", "c"]));
        assert!(!unbroken(&trace, &["a", "c"]));
        assert!(!unbroken(&trace, &["b", "d"]));
        assert!(!unbroken(&json!({}), &["a"]));
    }
}
