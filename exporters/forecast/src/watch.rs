//! The two tasks: going on from slot to slot, and holding what comes against what was told.
//!
//! The history of all series is read once and then goes on by a question for each slot. A series is learnt anew once in `refit`, at a slot that
//! its labels choose, so that the work is spread; at once when it has changed; and in between its forecast goes on from what was learnt.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use promapi::{Error, Labels};
use toolkit::{Live, Stop};

use crate::SLOT;
use crate::config::{Config, Forecast};
use crate::fit::{State, fit};
use crate::history::{LEARNT_DAYS, Taken, fetch, since};
use crate::state;
use crate::store::{Done, Entry, Store};

/// Until a question that was not answered is asked again.
const AGAIN: Duration = Duration::from_secs(10);
/// From one level to the next, in seconds.
const LEVEL: i64 = 300;
/// After the end of a slot its last samples are waited for, in seconds.
const SETTLE: f64 = 30.0;
/// From one writing of the state to the next.
const SAVE: Duration = Duration::from_secs(3_600);

/// Seconds since the epoch.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The end of the last `length` seconds, a slot or the time of a level, that are whole at `now`.
fn whole(now: f64, length: i64) -> i64 {
    ((now - SETTLE) as i64).div_euclid(length) * length
}

/// Goes on from slot to slot, and at once when the configuration has changed.
pub(crate) async fn learn(
    mut live: Live<Config>,
    store: Arc<Store>,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut saved = Instant::now();
    let config = live.current();
    keep(&config, &store);
    if let Some(path) = &config.state_file {
        restore(path, &store).await;
    }
    loop {
        let config = live.current();
        keep(&config, &store);
        let mut room = config.max_series;
        let mut failed = false;
        for forecast in &config.forecasts {
            let gone = tokio::select! {
                () = stop.requested() => return save(&config, &store).await,
                gone = go_on(&config, forecast, &store, room) => gone,
            };
            match gone {
                Ok(series) => room = room.saturating_sub(series),
                Err(error) => {
                    failed = true;
                    if let Some(table) = store.lock().get_mut(&forecast.name) {
                        table.failures += 1;
                        table.answered = false;
                    }
                    let name = &forecast.name;
                    tracing::warn!(
                        forecast = name,
                        error = format!("{error:#}"),
                        "the history is not to be had; old forecasts stay as long as they reach"
                    );
                }
            }
        }
        if saved.elapsed() >= SAVE {
            saved = Instant::now();
            save(&config, &store).await?;
        }
        let next = (whole(now(), LEVEL) + LEVEL) as f64 + SETTLE - now();
        let pause = Duration::from_secs_f64(next.clamp(1.0, LEVEL as f64));
        let pause = if failed { pause.min(AGAIN) } else { pause };
        tokio::select! {
            () = stop.requested() => return save(&config, &store).await,
            () = live.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn keep(config: &Config, store: &Store) {
    let forecasts = config.forecasts.iter();
    store.keep(forecasts.map(|one| (one.name.as_str(), one.query.as_str())));
}

/// Takes up what was written; what cannot be read is read anew from Prometheus.
async fn restore(path: &Path, store: &Arc<Store>) {
    let (file, into) = (path.to_owned(), Arc::clone(store));
    let read = tokio::task::spawn_blocking(move || state::restore(&file, &into)).await;
    match read.map_err(anyhow::Error::from).and_then(|read| read) {
        Ok(series) => tracing::info!(series, "went on from the state file"),
        Err(error) => tracing::warn!(
            error = format!("{error:#}"),
            "the state file cannot be used; everything is read and learnt anew"
        ),
    }
}

/// Writes the state where that is asked for; a failure is told and is no end.
async fn save(config: &Config, store: &Arc<Store>) -> anyhow::Result<()> {
    let Some(path) = config.state_file.clone() else {
        return Ok(());
    };
    let from = Arc::clone(store);
    let wrote = tokio::task::spawn_blocking(move || state::save(&path, &from)).await?;
    if let Err(error) = wrote {
        tracing::warn!(error = format!("{error:#}"), "the state was not written");
    }
    Ok(())
}

/// Whether a history up to `end` is of no use at `until`: there is none, or the clock is far off it. A clock that went back by less than a day waits
/// for itself; one that went ahead leaves a gap.
fn anew(end: i64, until: i64) -> bool {
    end == 0 || !(-86_400..=LEARNT_DAYS as i64 * 43_200).contains(&(until - end))
}

/// Reads the history of one forecast, or what came after it.
async fn read(
    config: &Config,
    forecast: &Forecast,
    store: &Arc<Store>,
    room: usize,
) -> Result<(), Error> {
    let until = whole(now(), SLOT);
    let end = store
        .lock()
        .get(&forecast.name)
        .map_or(0, |table| table.end);
    let taken = Taken {
        most: room,
        shard: config.shard,
    };
    if anew(end, until) {
        let history = fetch(&config.client, &forecast.query, until, taken).await?;
        if let Some(table) = store.lock().get_mut(&forecast.name) {
            let series = history.series.into_iter();
            table.entries = series
                .map(|(labels, raw)| {
                    let entry = Entry::new(&labels, raw);
                    (labels, entry)
                })
                .collect();
            table.left_out = [history.too_many, history.unnamed];
            (table.end, table.day) = (until, until);
            table.compare(&forecast.peers);
            table.answered = true;
        }
    } else if until > end {
        let came = since(&config.client, &forecast.query, end, until, config.shard).await?;
        if let Some(table) = store.lock().get_mut(&forecast.name) {
            table.advance(came, until, room);
            table.compare(&forecast.peers);
            table.answered = true;
        }
    }
    Ok(())
}

/// Tells how many series a query has whose answer is beyond all bounds; it is asked again with the next level only, for it costs Prometheus much.
async fn too_many(
    config: &Config,
    forecast: &Forecast,
    store: &Arc<Store>,
    bytes: usize,
) -> anyhow::Result<usize> {
    let count = format!("count({})", forecast.query);
    let count = config.client.instant(&count, None).await?.single();
    let count = count.unwrap_or(0.0) as usize;
    tracing::warn!(
        forecast = forecast.name,
        series = count,
        bytes,
        "the answer is larger than max_bytes; nothing of it is learnt"
    );
    let mut tables = store.lock();
    let Some(table) = tables.get_mut(&forecast.name) else {
        return Ok(0);
    };
    table.failures += 1;
    table.answered = false;
    table.left_out[0] = count.saturating_sub(table.entries.len());
    Ok(table.entries.len())
}

/// Takes in what came of one forecast and goes on with its series; tells how many there are.
async fn go_on(
    config: &Config,
    forecast: &Forecast,
    store: &Arc<Store>,
    room: usize,
) -> anyhow::Result<usize> {
    match read(config, forecast, store, room).await {
        Ok(()) => {}
        Err(Error::TooLarge(bytes)) => return too_many(config, forecast, store, bytes).await,
        Err(error) => return Err(error.into()),
    }
    let capacities = match &forecast.capacity {
        None => Vec::new(),
        Some(query) => {
            let answer = config.client.instant(query, None).await;
            answer.context("capacity")?.samples
        }
    };
    let mut by_device: BTreeMap<Option<&str>, Vec<_>> = BTreeMap::new();
    for sample in &capacities {
        let device = sample.labels.get("device").map(String::as_str);
        by_device.entry(device).or_default().push(sample);
    }
    let those: Vec<Labels> = match store.lock().get(&forecast.name) {
        Some(table) => table.entries.keys().cloned().collect(),
        None => return Ok(0),
    };
    for labels in &those {
        let near = [labels.get("device").map(String::as_str), None];
        let capacity = near
            .iter()
            .filter_map(|device| by_device.get(device))
            .flatten()
            .find(|sample| covers(&sample.labels, labels))
            .map(|sample| sample.value);
        one(config, forecast, store, labels, capacity).await?;
    }
    if let Some(table) = store.lock().get_mut(&forecast.name) {
        table.last_fit = Some(now() as i64);
    }
    Ok(those.len())
}

/// What is to be done with a series.
enum Task {
    Learn,
    Follow,
    Level((f64, f64)),
}

/// Learns a series, when its time has come, or goes on from what was learnt.
async fn one(
    config: &Config,
    forecast: &Forecast,
    store: &Arc<Store>,
    labels: &Labels,
    capacity: Option<f64>,
) -> anyhow::Result<()> {
    let job = store.lock().get_mut(&forecast.name).and_then(|table| {
        let end = table.end;
        let entry = table.entries.get_mut(labels)?;
        let mark = whole(now(), LEVEL);
        // A slot that was gone through already has nothing new.
        let done = entry
            .outcome
            .as_ref()
            .is_some_and(|outcome| outcome.until >= end);
        let task = if due(labels, entry, end, config.refit) {
            Task::Learn
        } else if !done {
            Task::Follow
        } else {
            Task::Level(entry.running(end, mark)?)
        };
        Some((std::mem::take(&mut entry.changed), task, end, entry.job()))
    });
    let Some((changed, task, end, prepared)) = job else {
        return Ok(());
    };
    let calendar = Arc::clone(&config.holidays);
    let due = matches!(task, Task::Learn);
    let begun = Instant::now();
    let done = tokio::task::spawn_blocking(move || match task {
        Task::Learn => Done::Learnt(Box::new(fit(&prepared.raw, end, capacity, &calendar))),
        Task::Follow => Done::Followed(prepared.follow(end, &calendar)),
        Task::Level(seen) => Done::Levelled(prepared.level(end, seen, &calendar)),
    })
    .await?;
    let took = begun.elapsed();
    if let Some(table) = store.lock().get_mut(&forecast.name) {
        if let Some(entry) = table.entries.get_mut(labels) {
            entry.take(done, end);
        }
        table.fits += u64::from(due);
        table.updates += u64::from(!due);
        table.changes += u64::from(changed);
        table.busy += took;
    }
    // One at a time, and a rest after each that keeps to the bound.
    let rest = took * (100 - config.cpu_percent) / config.cpu_percent;
    if !rest.is_zero() {
        tokio::time::sleep(rest).await;
    }
    Ok(())
}

/// Whether a series is to be learnt at `end`: for the first time, at its slot, when it was not learnt for longer, or when it has changed.
fn due(labels: &Labels, entry: &Entry, end: i64, refit: Duration) -> bool {
    let Some(outcome) = &entry.outcome else {
        return true;
    };
    if entry.changed {
        return true;
    }
    // What teaches nothing may teach something with the next slot, and costs little to look at.
    if matches!(outcome.state, State::Unfit(_)) {
        return outcome.until < end;
    }
    let slots = (refit.as_secs() as i64 / SLOT).max(1);
    let text = labels
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    let mut hash = crc32fast::Hasher::new();
    text.for_each(|bytes| hash.update(bytes));
    let own = i64::from(hash.finalize()) % slots;
    let since = (end - outcome.learnt) / SLOT;
    (end.div_euclid(SLOT).rem_euclid(slots) == own && since > 0) || since > slots
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

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 1_795_046_400;

    #[test]
    fn a_clock_that_jumps_is_waited_for_and_one_far_off_reads_everything_anew() {
        let hours = |hours: i64| anew(END, END + hours * 3_600);
        assert!(!hours(0) && !hours(-6) && !hours(-24) && !hours(6) && !hours(14 * 24));
        assert!(hours(-25) && hours(14 * 24 + 1) && hours(-400_000) && hours(400_000));
        assert!(anew(0, END), "nothing was read yet");
    }
}
