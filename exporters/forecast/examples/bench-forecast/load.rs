//! Ten thousand link-directions: how long it takes to learn all of them on two processors, and in how much memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sotp_forecast::calendar::Calendar;
use sotp_forecast::fit::{Outcome, fit};
use sotp_forecast::history::{LEARNT_DAYS, Raw};
use sotp_forecast::{DAY, WEEK};

use crate::made;

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1e3
}

/// Learns `count` series.
pub(crate) fn measure(count: usize) -> serde_json::Value {
    let links = made::links();
    let end = made::BEGIN + (LEARNT_DAYS * 86_400) as i64;
    let raws: Vec<Raw> = (0..count)
        .map(|at| {
            let link = links[at % links.len()];
            let values = link.drawn(LEARNT_DAYS * DAY, (at / links.len()) as u64);
            let days = (0..12 * WEEK / DAY).map(|day| 1e6 + 1e3 * day as f64);
            Raw::new(values.into_iter(), days)
        })
        .collect();
    let held = resident();
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let outcomes: Vec<(Outcome, f64)> = std::thread::scope(|scope| {
        let learn = || {
            let mut outcomes = Vec::new();
            while let Some(raw) = raws.get(next.fetch_add(1, Ordering::Relaxed)) {
                let before = crate::cpu();
                let outcome = fit(raw, end, Some(1e12), &Calendar::default());
                outcomes.push((outcome, crate::cpu() - before));
            }
            outcomes
        };
        let threads = [scope.spawn(learn), scope.spawn(learn)];
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .flatten()
            .collect()
    });
    let took = begun.elapsed().as_secs_f64();
    let cpu: f64 = outcomes.iter().map(|(_, cpu)| cpu).sum();
    let told = outcomes
        .iter()
        .filter(|(outcome, _)| outcome.fitted.is_some())
        .count();
    serde_json::json!({
        "series": count, "seconds": took, "processor_seconds": cpu, "told": told, "histories_megabytes": held, "resident_megabytes": resident(),
    })
}
