//! A plain Prometheus draws the future, by the queries of the dashboard.

use std::process::Command;
use std::time::{Duration, SystemTime};

use testkit::{Spawn, TempDir, eventually};

use crate::world::{BINARY, World, start};

/// The hours ahead that are told.
const HOURS: [i64; 13] = [0, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 24];

/// The query that draws one quantile of the line that fills up into the future.
fn ahead(quantile: &str) -> String {
    let rungs = HOURS.map(|hour| {
        let series = format!(
            "forecast_bits_per_second{{device=\"r1\",ifName=\"to-h1\",direction=\"in\",quantile=\"{quantile}\",horizon=\"{hour}h\"}}"
        );
        if hour == 0 { series } else { format!("{series} offset {hour}h") }
    });
    format!(
        "max without (horizon) ({})",
        rungs.join(" or ignoring (horizon) ")
    )
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

/// Points of the first series that `promtool query range` gives from now to a day and an hour ahead: seconds ahead and values.
fn drawn(world: &World, query: &str) -> anyhow::Result<Vec<(f64, f64)>> {
    let now = now();
    let output = Command::new("promtool")
        .args(["query", "range", "--format=json", "--step=60s"])
        .args([
            format!("--start={now}"),
            format!("--end={}", now + 25 * 3_600),
        ])
        .args([&world.prometheus.url, query])
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let series = answer.as_array().map_or(0, Vec::len);
    anyhow::ensure!(series == 1, "{series} series, expected one line: {answer}");
    let points = answer[0]["values"].as_array().cloned().unwrap_or_default();
    Ok(points
        .iter()
        .filter_map(|point| {
            let ahead = point[0].as_f64()? - now as f64;
            Some((ahead, point[1].as_str()?.parse().ok()?))
        })
        .collect())
}

/// Months of history are written first, which takes its seconds.
#[tokio::test]
async fn promtool_draws_the_next_day_of_a_line_with_its_band() {
    let world = start("").await;
    let line = eventually(Duration::from_secs(60), || async {
        let line = drawn(&world, &ahead("0.5"))?;
        let farthest = line.last().map_or(0.0, |(ahead, _)| *ahead);
        anyhow::ensure!(farthest >= 86_400.0, "{farthest}: {line:?}");
        Ok(line)
    })
    .await
    .unwrap();
    // Every rung is there, each hour near its place.
    for hour in HOURS {
        let ahead = (hour * 3_600) as f64;
        let near = line.iter().any(|(at, _)| (at - ahead).abs() <= 300.0);
        assert!(near, "nothing at +{hour} h: {line:?}");
    }
    let (low, high) = (
        drawn(&world, &ahead("0.05")).unwrap(),
        drawn(&world, &ahead("0.95")).unwrap(),
    );
    // What is told for each hour is what a day with this season has at that hour.
    let season = |second: i64| {
        let hour = second.rem_euclid(86_400) as f64 / 3_600.0;
        let day = 0.5 - 0.5 * (std::f64::consts::TAU * (hour - 4.0) / 24.0).cos();
        let weekend = matches!((second.div_euclid(86_400) + 4).rem_euclid(7), 0 | 6);
        412_000.0
            * if weekend {
                0.42 + 0.66 * day
            } else {
                0.42 + 1.38 * day.powf(1.2)
            }
            + 20_000.0
    };
    let now = now();
    let mut off = 0.0;
    for (ahead, value) in &line {
        let truth = season(now + *ahead as i64);
        off += (value / truth - 1.0).abs() / line.len() as f64;
    }
    assert!(off < 0.15, "on average {off} off: {line:?}");
    for ((below, middle), above) in low.iter().zip(&line).zip(&high) {
        assert!(
            below.1 <= middle.1 && middle.1 <= above.1,
            "{below:?} {middle:?} {above:?}"
        );
    }

    // Its own error stands beside it, and it is better than both naive forms.
    let mase = async |model: &str| {
        let query = format!(
            "forecast_mase{{device=\"r1\",ifName=\"to-h1\",direction=\"in\",model=\"{model}\"}}"
        );
        world.prometheus.value(&query).await.unwrap()
    };
    let chosen = "forecast_model_info{device=\"r1\",ifName=\"to-h1\",direction=\"in\"}";
    let chosen = world.prometheus.query(chosen).await.unwrap();
    let model = chosen[0]["metric"]["model"].as_str().unwrap();
    assert!(mase(model).await < mase("weekly_naive").await.min(mase("daily_naive").await));

    // The line fills up: from 45 to 100 percent of its end in the time of the history.
    let days = "forecast_saturation_days{device=\"r1\",ifName=\"to-h1\",direction=\"in\",confidence=\"0.5\"}";
    let days = world.prometheus.value(days).await.unwrap();
    assert!((20.0..150.0).contains(&days), "{days}");
    let other = "forecast_saturation_days{device=\"r1\",ifName=\"to-h1\",direction=\"out\",confidence=\"0.5\"}";
    assert!(world.prometheus.value(other).await.unwrap().is_infinite());
}

/// Bad series beside a good one: each has its state, and none a number.
#[tokio::test]
async fn bad_series_are_states_beside_good_ones() {
    let more = "forecasts:\n  - {name: bits_per_second, query: 'rate(ifHCInOctets[15m]) * 8 and on () vector(1)'}\n  \
                - {name: constant, query: 'ping_up * 0 + 7'}\n  - {name: negative, query: '-ping_up'}\n  \
                - {name: nan, query: 'ping_up / 0 * 0'}\n  - {name: nothing, query: 'no_such_series'}\n  \
                - {name: short, query: 'up{job=\"forecast\"}'}\n  - {name: horizons, query: 'label_replace(ping_up, \"horizon\", \"x\", \"\", \"\")'}\n  \
                - {name: wrong, query: 'rate('}\n";
    let world = start(more).await;
    let page = eventually(Duration::from_secs(60), || async {
        let page = world.forecast.scrape().await?;
        let through = page.value(
            "forecast_last_fit_timestamp_seconds",
            &[("forecast", "horizons")],
        );
        let refused = page.value("forecast_query_failures_total", &[("forecast", "wrong")]);
        anyhow::ensure!(through.is_some() && refused > Some(0.0), "not yet");
        Ok(page)
    })
    .await
    .unwrap();
    let state = |forecast: &str, state: &str| {
        page.value(
            "forecast_series",
            &[("forecast", forecast), ("state", state)],
        )
    };
    assert_eq!(state("constant", "constant"), Some(2.0));
    assert_eq!(state("negative", "negative"), Some(2.0));
    assert_eq!(state("nan", "empty"), Some(2.0));
    assert_eq!(state("horizons", "unnamed"), Some(2.0));
    assert_eq!(
        page.value("forecast_history_up", &[("forecast", "wrong")]),
        Some(0.0)
    );
    assert_eq!(
        page.value("forecast_history_up", &[("forecast", "nothing")]),
        Some(1.0)
    );
    for name in [
        "constant", "negative", "nan", "nothing", "short", "horizons", "wrong",
    ] {
        let told = page
            .select(&format!("forecast_{name}"), &[])
            .next()
            .is_some();
        assert!(!told, "{name}");
        assert_eq!(state(name, "ok"), Some(0.0), "{name}");
    }
}

/// What was learnt is told after a restart, also while Prometheus is away.
#[tokio::test]
async fn forecasts_survive_a_restart() {
    let kept = TempDir::new().unwrap();
    let state = kept.join("known").display().to_string();
    let mut world = start(&format!("state_file: '{state}'\n")).await;
    let line = [
        ("device", "r1"),
        ("direction", "in"),
        ("horizon", "24h"),
        ("quantile", "0.5"),
    ];
    let before = eventually(Duration::from_secs(60), || async {
        let page = world.forecast.scrape().await?;
        let value = page.value("forecast_bits_per_second", &line);
        value.ok_or_else(|| anyhow::anyhow!("not yet"))
    })
    .await
    .unwrap();
    world.forecast.terminate().unwrap();
    assert!(
        world
            .forecast
            .wait(Duration::from_secs(20))
            .await
            .unwrap()
            .success()
    );
    let text = format!("prometheus: {{url: 'http://127.0.0.1:9'}}\nstate_file: '{state}'\n");
    let config = kept.write("forecast.yaml", &text).unwrap();
    let again = Spawn::new(BINARY)
        .args([format!("--config.file={}", config.display())])
        .start()
        .await
        .unwrap();
    let after = eventually(Duration::from_secs(20), || async {
        let page = again.scrape().await?;
        let value = page.value("forecast_bits_per_second", &line);
        value.ok_or_else(|| anyhow::anyhow!("not yet"))
    })
    .await
    .unwrap();
    assert!(
        (after / before - 1.0).abs() < 0.2,
        "{before} before, {after} after"
    );
}
