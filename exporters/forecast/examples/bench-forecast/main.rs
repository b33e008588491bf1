//! How far forecasts are to be believed: on public series with daily and weekly seasons and on made-up links, beside the naive forms and, where
//! their forecasts are given, statsforecast and Prophet. Prints a table and writes `target/bench/forecast.json`.
//!
//! `make bench-forecast` fetches the data and the other programs; by hand: `bench-forecast FOLDER [FORECASTS OF OTHERS]`, where the folder holds
//! files as `data.py` writes them. Other series of the same form may lie beside them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sotp_forecast::backtest::MODELS;
use sotp_forecast::calendar::Calendar;
use sotp_forecast::fit::{self, State};
use sotp_forecast::history::{LEARNT_DAYS, Raw};
use sotp_forecast::{DAY, SLOT};

#[path = "../../tests/it/made.rs"]
mod made;

mod alarms;
mod load;

/// A series and where forecasts of it begin.
struct Given {
    set: String,
    name: String,
    /// Slots of one value.
    wide: usize,
    begin: i64,
    values: Vec<f64>,
    origins: Vec<usize>,
}

impl Given {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut lines = text.lines();
        let head = lines.next().context("empty")?;
        let (step, begin) = head.split_once(' ').context("no beginning")?;
        let origins = lines.next().context("no origins")?.split_whitespace();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("no name")?;
        let (set, name) = stem.split_once("--").context("no set")?;
        Ok(Self {
            set: set.to_owned(),
            name: name.to_owned(),
            wide: step.parse::<usize>()? / 900,
            begin: begin.parse()?,
            origins: origins.map(str::parse).collect::<Result<_, _>>()?,
            values: lines.map(|line| line.parse().unwrap_or(f64::NAN)).collect(),
        })
    }

    /// The values of a day.
    fn day(&self) -> usize {
        DAY / self.wide
    }

    /// What the service would have seen at an origin.
    fn raw(&self, origin: usize) -> Raw {
        let before = &self.values[origin.saturating_sub(LEARNT_DAYS * self.day())..origin];
        let slots = before
            .iter()
            .flat_map(|value| std::iter::repeat_n(*value, self.wide));
        Raw::new(slots, std::iter::empty())
    }

    fn end(&self, origin: usize) -> i64 {
        // The value at `begin` is that of the step that begins there; a slot is named by its end.
        self.begin + origin as i64 * self.wide as i64 * SLOT
    }
}

/// What was said of one day.
struct Said {
    point: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    /// Seconds of a processor.
    cpu: f64,
}

/// A forecast that another program made.
#[derive(Deserialize)]
struct Other {
    set: String,
    name: String,
    origin: usize,
    model: String,
    point: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    cpu: f64,
}

/// The marks of a model on a set.
#[derive(Debug, Default, Clone, Serialize)]
struct Marks {
    origins: usize,
    mase: f64,
    coverage: f64,
    msis: f64,
    cpu_milliseconds: f64,
    #[serde(skip)]
    inside: (f64, f64),
}

impl Marks {
    fn add(&mut self, said: &Said, truth: &[f64], scale: f64) {
        let (mut missed, mut interval, mut count) = (0.0, 0.0, 0.0);
        for (at, is) in truth.iter().enumerate().filter(|(_, is)| is.is_finite()) {
            count += 1.0;
            missed += (said.point[at] - is).abs();
            if let (Some(low), Some(high)) = (said.low.get(at), said.high.get(at)) {
                let out = (low - is).max(is - high).max(0.0);
                interval += high - low + 2.0 / 0.1 * out;
                self.inside.0 += f64::from(u8::from(out <= 0.0));
                self.inside.1 += 1.0;
            }
        }
        if count > 0.0 && scale > 0.0 {
            self.origins += 1;
            self.mase += missed / count / scale;
            self.msis += interval / count / scale;
            self.cpu_milliseconds += said.cpu * 1e3;
        }
    }

    fn done(mut self) -> Self {
        let origins = self.origins.max(1) as f64;
        for sum in [&mut self.mase, &mut self.msis, &mut self.cpu_milliseconds] {
            *sum /= origins;
        }
        self.coverage = self.inside.0 / self.inside.1.max(1.0);
        self
    }
}

/// Seconds of a processor that this thread has taken.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|text| text.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// Mean absolute error of the form that repeats the last season within a history.
fn scale(history: &[f64], period: usize) -> f64 {
    let pairs = history.iter().zip(&history[period..]);
    let misses: Vec<f64> = pairs
        .map(|(a, b)| (a - b).abs())
        .filter(|miss| miss.is_finite())
        .collect();
    misses.iter().sum::<f64>() / misses.len().max(1) as f64
}

fn naive(given: &Given, origin: usize, period: usize) -> Said {
    let season = &given.values[origin - period..origin];
    // What is missing is what was there last.
    let mut last = 0.0;
    let season = season.iter().map(|value| {
        last = if value.is_finite() { *value } else { last };
        last
    });
    let season: Vec<f64> = season.collect();
    let point = season.iter().copied().cycle().take(given.day()).collect();
    Said {
        point,
        low: Vec::new(),
        high: Vec::new(),
        cpu: 0.0,
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("expected a folder of series")?;
    if folder == "--load" {
        return load::main(arguments.next().map_or(Ok(10_000), |count| count.parse())?);
    }
    let others: Vec<Other> = match arguments.next() {
        Some(path) => serde_json::from_str(&std::fs::read_to_string(path)?)?,
        None => Vec::new(),
    };
    let mut all: Vec<Given> = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "csv"))
    {
        all.push(Given::read(path).with_context(|| path.display().to_string())?);
    }
    for link in made::links() {
        let day = DAY;
        all.push(Given {
            set: "made-links".to_owned(),
            name: link.name.to_owned(),
            wide: 1,
            begin: made::BEGIN,
            origins: (0..8).map(|at| 28 * day + at * (day + 7 * 4)).collect(),
            values: link.values(38 * day),
        });
    }
    let mut marks: BTreeMap<(String, String), Marks> = BTreeMap::new();
    let mut common: BTreeMap<(String, String), Marks> = BTreeMap::new();
    let mut states: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    let begun = Instant::now();
    for given in &all {
        let day = given.day();
        for &origin in &given.origins {
            let truth = &given.values[origin..(origin + day).min(given.values.len())];
            let history = &given.values[origin.saturating_sub(LEARNT_DAYS * day)..origin];
            let scale = scale(history, 7 * day);
            let raw = given.raw(origin);
            let before = cpu();
            let outcome = fit::fit(&raw, given.end(origin), None, &Calendar::default());
            let took = cpu() - before;
            *states
                .entry((given.set.clone(), outcome.state.name()))
                .or_default() += 1;
            let mut said: Vec<(String, Said)> = vec![
                ("daily_naive".to_owned(), naive(given, origin, day)),
                ("weekly_naive".to_owned(), naive(given, origin, 7 * day)),
            ];
            if let (State::Ok, Some(fitted)) = (outcome.state, &outcome.fitted) {
                let mut ours = Said {
                    point: vec![],
                    low: vec![],
                    high: vec![],
                    cpu: took,
                };
                for step in 0..day {
                    let of = |slot: usize| {
                        fitted.at(
                            (given.end(origin) + (step * given.wide + slot + 1) as i64 * SLOT)
                                as f64,
                        )
                    };
                    let slots: Vec<_> = (0..given.wide).filter_map(of).collect();
                    let mean = |pick: fn(&fit::Expected) -> f64| {
                        slots.iter().map(pick).sum::<f64>() / slots.len() as f64
                    };
                    ours.point.push(mean(|e| e.middle));
                    ours.low.push(mean(|e| e.low));
                    ours.high.push(mean(|e| e.high));
                }
                said.push(("sotp".to_owned(), ours));
            } else {
                // What is not told is not counted, and neither are the naive forms then.
                continue;
            }
            let those: Vec<_> = others
                .iter()
                .filter(|other| {
                    other.set == given.set && other.name == given.name && other.origin == origin
                })
                .collect();
            for other in &those {
                said.push((
                    other.model.clone(),
                    Said {
                        point: other.point.clone(),
                        low: other.low.clone(),
                        high: other.high.clone(),
                        cpu: other.cpu,
                    },
                ));
            }
            for (model, said) in &said {
                let key = (given.set.clone(), model.clone());
                marks
                    .entry(key.clone())
                    .or_default()
                    .add(said, truth, scale);
                if !those.is_empty() {
                    common.entry(key).or_default().add(said, truth, scale);
                }
            }
        }
    }
    println!(
        "{} models: {MODELS:?}; {:.1} s",
        MODELS.len(),
        begun.elapsed().as_secs_f64()
    );
    println!("{states:?}");
    alarms::print(&all);
    let table = |marks: BTreeMap<(String, String), Marks>| {
        let marks: BTreeMap<_, _> = marks
            .into_iter()
            .map(|(key, marks)| (key, marks.done()))
            .collect();
        println!(
            "{:<14} {:<14} {:>7} {:>7} {:>7} {:>8} {:>9}",
            "set", "model", "origins", "mase", "cover", "msis", "cpu ms"
        );
        for ((set, model), marks) in &marks {
            println!(
                "{set:<14} {model:<14} {:>7} {:>7.3} {:>7.3} {:>8.2} {:>9.1}",
                marks.origins, marks.mase, marks.coverage, marks.msis, marks.cpu_milliseconds
            );
        }
        marks
    };
    let marks = table(marks);
    let common = if common.is_empty() {
        BTreeMap::new()
    } else {
        println!("where all were asked:");
        table(common)
    };
    let mean = |marks: &BTreeMap<(String, String), Marks>, model: &str| {
        let those: Vec<f64> = marks
            .iter()
            .filter(|((_, name), _)| name == model)
            .map(|(_, marks)| marks.mase)
            .collect();
        those.iter().sum::<f64>() / those.len().max(1) as f64
    };
    println!(
        "mean mase {:.3}, of weekly naive {:.3}, quotient {:.3}",
        mean(&marks, "sotp"),
        mean(&marks, "weekly_naive"),
        mean(&marks, "sotp") / mean(&marks, "weekly_naive")
    );
    let rows = |marks: &BTreeMap<(String, String), Marks>| {
        let rows = marks.iter().map(
            |((set, model), marks)| serde_json::json!({"set": set, "model": model, "marks": marks}),
        );
        rows.collect::<Vec<_>>()
    };
    let told: Vec<_> = states.iter().map(|((set, state), count)| serde_json::json!({"set": set, "state": state, "origins": count})).collect();
    let written =
        serde_json::json!({"all": rows(&marks), "beside_others": rows(&common), "states": told});
    std::fs::create_dir_all("target/bench")?;
    std::fs::write(
        "target/bench/forecast.json",
        serde_json::to_string_pretty(&written)? + "\n",
    )?;
    Ok(())
}
