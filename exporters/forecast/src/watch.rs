//! The two tasks: learning all series anew from time to time, and holding what comes against what was told.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use promapi::Labels;
use toolkit::{Live, Stop};

use crate::config::{Config, Forecast};
use crate::fit::{fit, steps};
use crate::history::fetch;
use crate::store::Store;

/// Until a question that was not answered is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// Seconds since the epoch.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Learns all series at once and then at each interval, and at once when the configuration has changed.
pub(crate) async fn learn(
    mut live: Live<Config>,
    store: Arc<Store>,
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        let config = live.current();
        let names: Vec<&str> = config
            .forecasts
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        store.keep(&names);
        let mut pause = config.refit;
        let mut room = config.max_series;
        for forecast in &config.forecasts {
            let learnt = tokio::select! {
                () = stop.requested() => return Ok(()),
                learnt = one(&config, forecast, &store, room) => learnt,
            };
            match learnt {
                Ok(series) => room = room.saturating_sub(series),
                Err(error) => {
                    let mut tables = store.lock();
                    if let Some(table) = tables.get_mut(&forecast.name) {
                        table.failures += 1;
                        table.answered = false;
                    }
                    drop(tables);
                    let name = &forecast.name;
                    tracing::warn!(
                        forecast = name,
                        error = format!("{error:#}"),
                        "the history is not to be had; old forecasts stay as long as they reach"
                    );
                    pause = pause.min(AGAIN);
                }
            }
        }
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = live.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Learns the series of one forecast; tells how many there are.
async fn one(
    config: &Config,
    forecast: &Forecast,
    store: &Store,
    room: usize,
) -> anyhow::Result<usize> {
    let history = fetch(&config.client, &forecast.query, now() as i64, room).await?;
    let capacities = match &forecast.capacity {
        None => Vec::new(),
        Some(query) => {
            config
                .client
                .instant(query, None)
                .await
                .context("capacity")?
                .samples
        }
    };
    if let Some(table) = store.lock().get_mut(&forecast.name) {
        table
            .entries
            .retain(|labels, _| history.series.contains_key(labels));
        table.left_out = [history.too_many, history.unnamed];
        table.answered = true;
    }
    let (end, count) = (history.end, history.series.len());
    let steps = steps(config.refit);
    for (labels, raw) in history.series {
        let capacity = capacities
            .iter()
            .find(|sample| covers(&sample.labels, &labels))
            .map(|sample| sample.value);
        let begun = Instant::now();
        let outcome = tokio::task::spawn_blocking(move || fit(&raw, end, capacity, steps)).await?;
        let took = begun.elapsed();
        if let Some(table) = store.lock().get_mut(&forecast.name) {
            table.take(&labels, outcome);
            table.fits += 1;
            table.busy += took;
        }
        // One fit at a time, and a rest after each that keeps to the bound.
        let rest = took * (100 - config.cpu_percent) / config.cpu_percent;
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }
    if let Some(table) = store.lock().get_mut(&forecast.name) {
        table.last_fit = Some(now() as i64);
    }
    Ok(count)
}

/// Whether the labels of a capacity are those of a series, or a part of them.
fn covers(part: &Labels, whole: &Labels) -> bool {
    part.iter()
        .all(|(name, value)| whole.get(name) == Some(value))
}

/// Asks what comes and holds it against what was told.
pub(crate) async fn observe(
    live: Live<Config>,
    store: Arc<Store>,
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        let config = live.current();
        for forecast in &config.forecasts {
            let answer = tokio::select! {
                () = stop.requested() => return Ok(()),
                answer = config.client.instant(&forecast.query, None) => answer,
            };
            let mut tables = store.lock();
            let Some(table) = tables.get_mut(&forecast.name) else {
                continue;
            };
            table.unknown();
            match answer {
                Ok(answer) => {
                    let now = now();
                    for mut sample in answer.samples {
                        sample.labels.remove("__name__");
                        if let Some(entry) = table.entries.get_mut(&sample.labels) {
                            entry.look(now, sample.value);
                        }
                    }
                }
                Err(error) => {
                    table.failures += 1;
                    tracing::debug!(forecast = forecast.name, error = %error, "what comes is not to be had");
                }
            }
        }
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = tokio::time::sleep(config.observe) => {}
        }
    }
}
