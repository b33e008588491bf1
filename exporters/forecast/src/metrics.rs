//! The series: what is expected, how unlike it things are, and how far all of it is to be believed.

use std::sync::Arc;

use toolkit::{Collect, Encoder, Kind, Labels};

use crate::capacity::CONFIDENCES;
use crate::fit::State;
use crate::store::{Entry, Store, Table};
use crate::watch::now;

/// How far ahead is told, in hours. The dashboards draw the future from exactly these.
const HORIZONS: [u32; 13] = [0, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 24];

/// Everything that `/metrics` shows of forecasts.
pub(crate) struct Series(pub(crate) Arc<Store>);

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        let tables = self.0.lock();
        let now = now();
        for (name, table) in &*tables {
            expected(out, name, table, now);
        }
        let tables: Vec<(Labels, &Table)> = tables
            .iter()
            .map(|(name, table)| (Labels::new([("forecast", name)]), table))
            .collect();
        of_series(out, &tables);
        of_forecasts(out, &tables);
    }
}

/// What is expected at each horizon.
fn expected(out: &mut Encoder, name: &str, table: &Table, now: f64) {
    let help = format!(
        "What {name} is expected to be at now and the horizon, by quantile; nothing where no model beats the naive ones or the last fit is too long ago"
    );
    out.family(&format!("forecast_{name}"), Kind::Gauge, &help);
    for entry in table.entries.values() {
        let Some(fitted) = entry
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.fitted.as_ref())
        else {
            continue;
        };
        for horizon in HORIZONS {
            let Some(expected) = fitted.at(now + 3_600.0 * f64::from(horizon)) else {
                continue;
            };
            let horizon = format!("{horizon}h");
            for (quantile, value) in [
                ("0.05", expected.low),
                ("0.5", expected.middle),
                ("0.95", expected.high),
            ] {
                let more = Labels::new([("horizon", horizon.as_str()), ("quantile", quantile)]);
                out.sample_with(&entry.labels, &more, value);
            }
        }
    }
}

/// One family with samples of each series.
fn each(
    out: &mut Encoder,
    tables: &[(Labels, &Table)],
    (name, kind, help): (&str, Kind, &str),
    mut tell: impl FnMut(&mut Encoder, &Labels, &Labels, &Entry),
) {
    out.family(name, kind, help);
    for (forecast, table) in tables {
        for entry in table.entries.values() {
            tell(out, &entry.labels, forecast, entry);
        }
    }
}

fn of_series(out: &mut Encoder, tables: &[(Labels, &Table)]) {
    let family = (
        "forecast_anomaly_score",
        Kind::Gauge,
        "How unlike its forecast the series suddenly is: 1 at the edge that two quarters of an hour in a row stayed within in 99 of 100 cases of the back-test",
    );
    each(out, tables, family, |out, labels, forecast, entry| {
        if let Some(score) = entry.score {
            out.sample_with(labels, forecast, score);
        }
    });
    for (name, help, edge) in [
        (
            "forecast_outlier_score",
            "How far apart from its peers the series was in the last hour, against how far it usually is: 1 at the edge",
            false,
        ),
        (
            "forecast_outlier",
            "Whether the series moved apart from its peers in the last hour: a score above 1",
            true,
        ),
    ] {
        each(
            out,
            tables,
            (name, Kind::Gauge, help),
            |out, labels, forecast, entry| {
                if let Some(apart) = entry.apart {
                    let told = if edge {
                        f64::from(u8::from(apart > 1.0))
                    } else {
                        apart
                    };
                    out.sample_with(labels, forecast, told);
                }
            },
        );
    }
    let family = (
        "forecast_mase",
        Kind::Gauge,
        "Mean absolute scaled error of each model on the days played back, by the naive error of the history before them: a model is worth its forecast when it is below both naive ones",
    );
    each(out, tables, family, |out, labels, forecast, entry| {
        for (model, mase) in entry.outcome.iter().flat_map(|outcome| &outcome.mase) {
            out.sample_with(labels, &forecast.with("model", model), *mase);
        }
    });
    let family = (
        "forecast_model_info",
        Kind::Info,
        "The model whose forecast is told",
    );
    each(out, tables, family, |out, labels, forecast, entry| {
        let fitted = entry
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.fitted.as_ref());
        if let Some(fitted) = fitted {
            out.sample_with(labels, &forecast.with("model", fitted.model), 1_u64);
        }
    });
    let family = (
        "forecast_state",
        Kind::Gauge,
        "1 with the state of the series: ok, or why there is no forecast",
    );
    each(out, tables, family, |out, labels, forecast, entry| {
        if let Some(state) = entry.state() {
            out.sample_with(labels, &forecast.with("state", state.name()), 1_u64);
        }
    });
    let family = (
        "forecast_saturation_days",
        Kind::Gauge,
        "Days by which the busy hours will have reached the capacity, with this confidence; +Inf when not within 180 days",
    );
    each(out, tables, family, |out, labels, forecast, entry| {
        for (days, confidence) in saturation(entry).iter().flatten().zip(CONFIDENCES) {
            let more = forecast.with("confidence", &confidence.to_string());
            out.sample_with(labels, &more, *days);
        }
    });
    for (at, (name, help)) in [
        (
            "forecast_checked_total",
            "Quarters of an hour whose value came and was held against the band of nine tenths that had been told a day before",
        ),
        (
            "forecast_checked_inside_total",
            "Those of them whose value lay within the band",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        each(
            out,
            tables,
            (name, Kind::Counter, help),
            |out, labels, forecast, entry| {
                out.sample_with(labels, forecast, entry.quality.checked[at]);
            },
        );
    }
    let family = (
        "forecast_absolute_error_total",
        Kind::Counter,
        "Sum of the distances of what came from what had been told a day before, and from the naive forms of the same quarters of an hour; their quotient is the error that was really reached",
    );
    each(out, tables, family, |out, labels, forecast, entry| {
        for (model, error) in ["told", "daily_naive", "weekly_naive"]
            .iter()
            .zip(entry.quality.errors)
        {
            out.sample_with(labels, &forecast.with("model", model), error);
        }
    });
}

/// Days until the line is full.
fn saturation(entry: &Entry) -> Option<[f64; 2]> {
    entry.outcome.as_ref()?.saturation
}

fn of_forecasts(out: &mut Encoder, tables: &[(Labels, &Table)]) {
    out.family(
        "forecast_series",
        Kind::Gauge,
        "Series of the forecast by state; too_many are beyond the bound, unnamed have labels that cannot be passed on",
    );
    for (forecast, table) in tables {
        let mut tell = |state: &str, count: usize| {
            out.sample(&forecast.with("state", state), count as u64);
        };
        for state in State::ALL {
            let of = |entry: &&Entry| entry.state() == Some(state);
            tell(state.name(), table.entries.values().filter(of).count());
        }
        tell("too_many", table.left_out[0]);
        tell("unnamed", table.left_out[1]);
    }
    let mut family = |name: &str, kind: Kind, help: &str, of: &dyn Fn(&Table) -> Option<f64>| {
        out.family(name, kind, help);
        for (forecast, table) in tables {
            if let Some(value) = of(table) {
                out.sample(forecast, value);
            }
        }
    };
    family(
        "forecast_fits_total",
        Kind::Counter,
        "Series fitted",
        &|table| Some(table.fits as f64),
    );
    family(
        "forecast_changes_total",
        Kind::Counter,
        "Fits that were made at once, since a series had changed for good",
        &|table| Some(table.changes as f64),
    );
    family(
        "forecast_updates_total",
        Kind::Counter,
        "Times that a forecast went on from what had been learnt, with a quarter of an hour or with the level of five minutes",
        &|table| Some(table.updates as f64),
    );
    family(
        "forecast_fit_seconds_total",
        Kind::Counter,
        "Time that fits and updates took, one at a time",
        &|table| Some(table.busy.as_secs_f64()),
    );
    family(
        "forecast_query_failures_total",
        Kind::Counter,
        "Questions to Prometheus that were not answered",
        &|table| Some(table.failures as f64),
    );
    family(
        "forecast_history_up",
        Kind::Gauge,
        "Whether the history came when it was last asked for",
        &|table| Some(f64::from(u8::from(table.answered))),
    );
    family(
        "forecast_last_fit_timestamp_seconds",
        Kind::Gauge,
        "When all series were last gone through; absent before",
        &|table| table.last_fit.map(|at| at as f64),
    );
}
