//! A page in a real browser reports its web vitals.

use anyhow::Context;
use serde_json::Value;
use testkit::chromium::Browser;

use crate::demo::story::{Play, Step, nothing};

const APP: &str = "grafana-frontend";

pub(super) const STEP: Step = Step {
    name: "rum",
    what: "a page of Grafana in Chromium reports its web vitals, and they are what the browser itself measured",
    bound: 20,
    play: |play| Box::pin(rum(play)),
    undo: nothing,
};

async fn rum(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    if let Some(reason) = Browser::missing() {
        anyhow::bail!(reason);
    }
    let sdk = stage.faro()?;
    let paint = format!("rum_web_vital_fcp_seconds_sum{{app=\"{APP}\"}}");
    let total = format!("sum({paint}) or vector(0)");
    let before = number(&stage.query(&total).await?)?;
    let browser = Browser::start(1_280, 900).await?;
    browser.open(&stage.url("grafana")).await?;
    // The double of Grafana without the scripts of its pages has an empty one, which is never painted.
    let fill = "if (document.body.innerText.trim() === '') document.body.append('SOTP');";
    browser.run(fill, &[]).await?;
    let script = "return await new Promise((done) => new PerformanceObserver((list) => {\
        const one = list.getEntriesByName('first-contentful-paint')[0]; if (one) done(one.startTime);\
        }).observe({type: 'paint', buffered: true}))";
    let measured = browser.promise(script).await?;
    let measured = measured.as_f64().context("the browser measured no paint")? / 1_000.0;
    play.evidence(
        "the page was painted",
        "PerformanceObserver: first-contentful-paint",
        measured,
    );

    play.trigger("the page begins to report, by Faro's SDK");
    let begin = format!(
        "{sdk};\nGrafanaFaroWebSdk.initializeFaro({{url: arguments[0], app: {{name: '{APP}'}}}});"
    );
    let collector = format!("{}/collect", stage.url("sotp-rum"));
    browser.run(&begin, &[Value::from(collector)]).await?;
    let more = |result: &Value| number(result).is_ok_and(|now| now > before);
    let ask = async || stage.query(&total).await;
    let what = "Prometheus has its first contentful paint";
    let told = number(&play.until_answer(what, &total, ask, more).await?)? - before;
    anyhow::ensure!(
        (told - measured).abs() <= measured / 10.0,
        "the browser measured {measured} s, sotp-rum was told {told} s"
    );
    let rated = format!("rum_web_vital_ttfb_seconds_count{{app=\"{APP}\"}} > 0");
    play.until_query(
        "and the time to its first byte, by route and rating",
        &rated,
    )
    .await?;
    Ok(())
}

/// The value of a result with one sample.
fn number(result: &Value) -> anyhow::Result<f64> {
    let text = result[0]["value"][1].as_str();
    let text = text.with_context(|| format!("expected one sample, got {result}"))?;
    Ok(text.parse()?)
}
