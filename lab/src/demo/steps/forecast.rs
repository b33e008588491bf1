//! The line that fills up, drawn into the next day by promtool from a plain Prometheus.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::demo::story::{Play, Step, nothing};

const ROUTER: &str = "r1";
const PORT: &str = "to-r3";
/// The hours ahead that sotp-forecast tells.
const HOURS: [u64; 13] = [0, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 24];
/// Hours that the query looks ahead.
const AHEAD: u64 = 25;

pub(super) const STEP: Step = Step {
    name: "forecast",
    what: "the line that fills up is drawn into the next 24 hours from a plain Prometheus, with its error and the days until it is full",
    bound: 20,
    play: |play| Box::pin(forecast(play)),
    undo: nothing,
};

async fn forecast(play: &mut Play<'_>) -> anyhow::Result<()> {
    let stage = play.stage;
    ensure!(
        !stage.args.no_history,
        "--no-history: there is nothing to learn from"
    );
    let line = format!("device=\"{ROUTER}\",ifName=\"{PORT}\",direction=\"out\"");
    let fitted = format!("forecast_bits_per_second{{{line},horizon=\"24h\"}}");
    play.until_query("the line has been learnt", &fitted)
        .await?;

    play.trigger("promtool is asked for the next day");
    // One beginning for the three, so that their points stand at the same moments.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let expected = drawn(play, &line, "0.5", now).await?;
    let low = drawn(play, &line, "0.05", now).await?;
    let high = drawn(play, &line, "0.95", now).await?;
    ensure!(
        low.len() == expected.len() && expected.len() == high.len(),
        "{} points below, {} expected and {} above",
        low.len(),
        expected.len(),
        high.len()
    );
    for ((low, expected), high) in low.iter().zip(&expected).zip(&high) {
        ensure!(
            low.1 <= expected.1 && expected.1 <= high.1,
            "the band is not round the line: {low:?} {expected:?} {high:?}"
        );
    }
    let peak = expected.iter().map(|(_, bits)| *bits).fold(0.0, f64::max);
    let said = format!(
        "{} points up to {:.1} hours ahead, at most {:.0} kbit/s",
        expected.len(),
        expected.last().map_or(0.0, |(ahead, _)| ahead / 3_600.0),
        peak / 1e3
    );
    play.saw(&said);

    let error = format!(
        "forecast_mase{{{line}}} and on (model) (forecast_model_info{{{line}}} or label_replace(vector(1), \"model\", \"weekly_naive\", \"\", \"\"))"
    );
    let both = |answer: &Value| answer.as_array().is_some_and(|all| all.len() == 2);
    let ask = async || stage.query(&error).await;
    let what = "its error, beside that of the naive forecast which it beats";
    let answer = play.until_answer(what, &error, ask, both).await?;
    let of = |naive: bool| {
        let all = answer.as_array()?.iter();
        let mut those = all.filter(|one| (one["metric"]["model"] == "weekly_naive") == naive);
        those.next()?["value"][1].as_str()?.parse::<f64>().ok()
    };
    let (model, naive) = of(false).zip(of(true)).context("no error")?;
    ensure!(model < naive, "{model} is not below {naive}");
    let days = format!("forecast_saturation_days{{{line}}} < Inf");
    play.until_query("the days until it is full", &days).await?;
    Ok(())
}

/// Seconds ahead of `now` and bits per second that promtool draws up to a day and an hour ahead.
async fn drawn(
    play: &mut Play<'_>,
    line: &str,
    quantile: &str,
    now: u64,
) -> anyhow::Result<Vec<(f64, f64)>> {
    let rungs = HOURS.map(|hour| {
        let series = format!(
            "forecast_bits_per_second{{{line},quantile=\"{quantile}\",horizon=\"{hour}h\"}}"
        );
        if hour == 0 {
            series
        } else {
            format!("{series} offset {hour}h")
        }
    });
    let query = format!(
        "max without (horizon) ({})",
        rungs.join(" or ignoring (horizon) ")
    );
    let (start, end) = (
        format!("--start={now}"),
        format!("--end={}", now + AHEAD * 3_600),
    );
    let ask = "exec promtool query range --format=json --step=60s \"$0\" \"$1\" \"$SOTP_PROMETHEUS_URL\" \"$2\"";
    let argv = play.stage.door(&["sh", "-c", ask, &start, &end, &query])?;
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let points = |text: &str| -> Option<Vec<(f64, f64)>> {
        let answer: Value = serde_json::from_str(text).ok()?;
        let [series] = &answer.as_array()?[..] else {
            return None;
        };
        let points = series["values"].as_array()?.iter();
        points
            .map(|point| {
                let bits = point[1].as_str()?.parse().ok()?;
                Some((point[0].as_f64()? - now as f64, bits))
            })
            .collect()
    };
    let day = |text: &str| {
        points(text)
            .and_then(|points| Some(points.last()?.0 >= 86_400.0))
            .unwrap_or(false)
    };
    let what = format!("the next 24 hours, quantile {quantile}");
    let text = play.until_says(&what, None, &argv, day).await?;
    points(&text).context("no line")
}
