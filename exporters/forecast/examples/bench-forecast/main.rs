//! How far forecasts are to be believed: on public series with daily and weekly seasons and on made-up links, beside the naive forms and, where
//! their forecasts are given, statsforecast and Prophet. Prints tables and the goals, and writes `target/bench/forecast.json`.
//!
//! `make bench-forecast` fetches the data and the other programs; by hand: `bench-forecast FOLDER [FORECASTS OF OTHERS] [--load COUNT]`, where
//! the folder holds files as `data.py` writes them. Other series of the same form may lie beside them. `--load` learns made-up links as well, alone
//! without a folder.

use std::collections::BTreeMap;
use std::time::Instant;

use sotp_forecast::SLOT;
use sotp_forecast::band::Width;
use sotp_forecast::calendar::Calendar;
use sotp_forecast::fit::{self, Fitted, State};
use sotp_forecast::history::LEARNT_DAYS;

#[path = "../../tests/it/made.rs"]
mod made;

mod alarms;
mod goals;
mod load;
mod marks;
mod sets;
mod strain;

use marks::{Marks, Others, Said, cpu, scale};
use sets::Given;

/// Marks by set and model.
type Table = BTreeMap<(String, String), Marks>;

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
        ..Said::default()
    }
}

/// What a fit says of the day after an origin, as means over the values of the series.
fn told(given: &Given, origin: usize, fitted: &Fitted, cpu: f64) -> Said {
    let mut said = Said {
        cpu,
        ..Said::default()
    };
    for step in 0..given.day() {
        let of = |slot: usize| {
            let slots = (step * given.wide + slot + 1) as i64;
            fitted.at((given.end(origin) + slots * SLOT) as f64)
        };
        let slots: Vec<_> = (0..given.wide).filter_map(of).collect();
        let mean = |pick: fn(&fit::Expected) -> f64| {
            slots.iter().map(pick).sum::<f64>() / slots.len() as f64
        };
        said.point.push(mean(|e| e.middle));
        said.low.push(mean(|e| e.low));
        said.high.push(mean(|e| e.high));
    }
    said
}

/// As the service does with what it told a day before.
fn learn_width(width: &mut Width, given: &Given, origin: usize, said: &Said) {
    let truth = given.truth(origin).iter().enumerate();
    for (at, is) in truth.filter(|(_, is)| is.is_finite()) {
        let inside = (said.low[at]..=said.high[at]).contains(is);
        if !(inside && given.idle(origin + at)) {
            (0..given.wide).for_each(|_| width.held(inside));
        }
    }
}

fn print(marks: Table) -> Table {
    let marks: Table = marks
        .into_iter()
        .map(|(key, marks)| (key, marks.done()))
        .collect();
    println!(
        "{:<14} {:<14} {:>7} {:>7} {:>7} {:>7} {:>8} {:>9}",
        "set", "model", "origins", "mase", "cover", "of all", "msis", "cpu ms"
    );
    for ((set, model), marks) in &marks {
        println!(
            "{set:<14} {model:<14} {:>7} {:>7.3} {:>7.3} {:>7.3} {:>8.2} {:>9.1}",
            marks.origins,
            marks.mase,
            marks.coverage,
            marks.coverage_of_all,
            marks.msis,
            marks.cpu_milliseconds
        );
    }
    marks
}

fn rows(marks: &Table) -> Vec<serde_json::Value> {
    let rows = marks.iter().map(
        |((set, model), marks)| serde_json::json!({"set": set, "model": model, "marks": marks}),
    );
    rows.collect()
}

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let at = arguments.iter().position(|argument| argument == "--load");
    let load = match at.map(|at| arguments.split_off(at)).as_deref() {
        Some([_, count]) => Some(count.parse()?),
        Some(_) => anyhow::bail!("expected a number of series behind --load"),
        None => None,
    };
    let (folder, others) = match (&arguments[..], load) {
        ([], Some(count)) => {
            println!("{}", load::measure(count));
            return Ok(());
        }
        ([folder], _) => (folder, Others::default()),
        ([folder, others], _) => (
            folder,
            serde_json::from_str(&std::fs::read_to_string(others)?)?,
        ),
        _ => anyhow::bail!("expected a folder of series"),
    };
    let all = sets::all(folder)?;
    let (mut marks, mut common) = (Table::new(), Table::new());
    let mut states: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    let begun = Instant::now();
    for given in &all {
        let day = given.day();
        let mut width = Width::default();
        for &origin in &given.origins {
            let truth = given.truth(origin);
            let history = &given.values[origin.saturating_sub(LEARNT_DAYS * day)..origin];
            let scale = scale(history, 7 * day);
            let raw = given.raw(origin);
            let before = cpu();
            let outcome = fit::fit(&raw, given.end(origin), None, &Calendar::default());
            let took = cpu() - before;
            *states
                .entry((given.set.clone(), outcome.state.name()))
                .or_default() += 1;
            // What is not told is not counted, and neither are the naive forms then.
            let (State::Ok, Some(mut fitted)) = (outcome.state, outcome.fitted) else {
                continue;
            };
            fitted.widen(width);
            let ours = told(given, origin, &fitted, took);
            learn_width(&mut width, given, origin, &ours);
            let mut said = vec![
                ("daily_naive", naive(given, origin, day)),
                ("weekly_naive", naive(given, origin, 7 * day)),
                ("sotp", ours),
            ];
            let those = others.forecasts.iter().filter(|other| {
                other.set == given.set && other.name == given.name && other.origin == origin
            });
            said.extend(those.map(|other| {
                let said = Said {
                    point: other.point.clone(),
                    low: other.low.clone(),
                    high: other.high.clone(),
                    cpu: other.cpu,
                };
                (other.model.as_str(), said)
            }));
            let beside = said.len() > 3;
            for (model, said) in &said {
                let key = (given.set.clone(), (*model).to_owned());
                let idle = |at: usize| given.idle(origin + at);
                let add = |table: &mut Table| {
                    table
                        .entry(key.clone())
                        .or_default()
                        .add(said, truth, scale, idle);
                };
                add(&mut marks);
                if beside {
                    add(&mut common);
                }
            }
        }
    }
    println!("{:.1} s\n{states:?}", begun.elapsed().as_secs_f64());
    let alarms = alarms::measure(&all);
    let (moves, lost) = strain::moves(&all);
    let ramps = strain::ramps();
    let marks = print(marks);
    if !common.is_empty() {
        println!("where all were asked:");
    }
    let common = print(common);
    // By itself, so that nothing of this is counted with it.
    let load: serde_json::Value = match load {
        Some(count) => {
            let mut itself = std::process::Command::new(std::env::current_exe()?);
            let itself = itself.args(["--load", &count.to_string()]).output()?;
            serde_json::from_slice(&itself.stdout)?
        }
        None => serde_json::Value::Null,
    };
    let goals = goals::of(&goals::Measured {
        marks: &marks,
        common: &common,
        alarms: &alarms,
        moves: &moves,
        ramps: &ramps,
        load: &load,
    });
    for goal in &goals {
        println!("{goal}");
    }
    let states: Vec<_> = states
        .iter()
        .map(|((set, state), count)| serde_json::json!({"set": set, "state": state, "origins": count}))
        .collect();
    let written = serde_json::json!({
        "goals": goals, "all": rows(&marks), "beside_others": rows(&common), "alarms": alarms, "moves": moves, "no_longer_told": lost, "ramps": ramps, "load": load,
        "megabytes_of_others": others.megabytes, "states": states,
    });
    std::fs::create_dir_all("target/bench")?;
    let text = serde_json::to_string_pretty(&written)? + "\n";
    std::fs::write("target/bench/forecast.json", text)?;
    Ok(())
}
