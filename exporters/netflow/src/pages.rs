//! What a person can ask: the tables of the last window and of the one that runs, and who is not known.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use toolkit::http::{Method, StatusCode};
use toolkit::web::response;
use toolkit::{App, Request, Response};

use crate::collector::Collector;
use crate::intake::lock;
use crate::reverse::ReverseNames;
use crate::tables::{By, Table};

/// Names of addresses that do not come within so long are left out.
pub(crate) const NAMES_IN_TIME: Duration = Duration::from_secs(2);

/// Answers `/flows/top` and `/flows/unknown`.
pub(crate) fn register(
    app: &mut App,
    collector: &Arc<Mutex<Collector>>,
    reverse: Option<&Arc<ReverseNames>>,
) {
    let (tables, reverse) = (Arc::clone(collector), reverse.cloned());
    app.route(Method::GET, "/flows/top", move |request| {
        let (answer, reverse) = (top(&request, &tables), reverse.clone());
        async move {
            let mut answer = match answer {
                Ok(answer) => answer,
                Err(wrong) => return response::text(StatusCode::BAD_REQUEST, wrong),
            };
            if let Some(reverse) = &reverse {
                reverse.fill(&mut answer.last, NAMES_IN_TIME).await;
                reverse.fill(&mut answer.running, NAMES_IN_TIME).await;
            }
            response::json(StatusCode::OK, &answer)
        }
    });
    app.link(
        "/flows/top",
        "Top talkers",
        "the exact tables of the last window and of the one that runs",
    );
    let strangers = Arc::clone(collector);
    app.route(Method::GET, "/flows/unknown", move |_| {
        let answer = unknown(&strangers);
        async move { answer }
    });
    app.link(
        "/flows/unknown",
        "Unknown exporters",
        "addresses that send flows and are no device's",
    );
}

#[derive(Serialize)]
struct Answer {
    /// Of the window that ended last; with `from`, of all that ended after it and are kept, the oldest first.
    last: Vec<Table>,
    /// Of the window that runs.
    running: Vec<Table>,
}

fn top(request: &Request, collector: &Mutex<Collector>) -> Result<Answer, &'static str> {
    let by = match request.query("by").as_deref() {
        None => None,
        Some(text) => match By::ALL.into_iter().find(|by| by.as_str() == text) {
            Some(by) => Some(by),
            None => {
                return Err("by: expected source, destination, pair, prefix or port\n");
            }
        },
    };
    let now = unix_now();
    let from = match request.query("from").as_deref() {
        None => None,
        Some(text) => match from(text, now) {
            Some(from) => Some(from),
            None => {
                return Err("from: expected Unix seconds, or how long ago such as 5m\n");
            }
        },
    };
    let device = request.query("device");
    let wanted = |table: &Table| {
        by.is_none_or(|by| table.by == by)
            && device
                .as_deref()
                .is_none_or(|device| table.device == device)
    };
    let collector = lock(collector);
    Ok(Answer {
        last: match from {
            None => collector
                .last_tables()
                .iter()
                .filter(|table| wanted(table))
                .cloned()
                .collect(),
            Some(from) => collector
                .tables_from(from)
                .filter(|table| wanted(table))
                .cloned()
                .collect(),
        },
        running: collector
            .running_tables(now)
            .into_iter()
            .filter(|table| wanted(table))
            .collect(),
    })
}

/// Unix seconds of a time, given as such or as how long ago.
fn from(text: &str, now: f64) -> Option<f64> {
    let ago = |unit: char, seconds: f64| {
        Some(
            now - text
                .strip_suffix(unit)?
                .parse::<u32>()
                .ok()
                .map(f64::from)?
                * seconds,
        )
    };
    let time = ago('s', 1.0)
        .or_else(|| ago('m', 60.0))
        .or_else(|| ago('h', 3_600.0));
    time.or_else(|| text.parse().ok())
        .filter(|time: &f64| time.is_finite())
}

/// The time, Unix seconds.
pub(crate) fn unix_now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

#[derive(Serialize)]
struct Stranger {
    address: std::net::IpAddr,
    datagrams: u64,
}

fn unknown(collector: &Mutex<Collector>) -> Response {
    let collector = lock(collector);
    let strangers: Vec<Stranger> = collector
        .strangers
        .1
        .iter()
        .map(|(address, datagrams)| Stranger {
            address: *address,
            datagrams: *datagrams,
        })
        .collect();
    drop(collector);
    response::json(StatusCode::OK, &strangers)
}
