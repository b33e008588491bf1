//! What a person can ask: the tables of the last window and of the one that runs, and who is not known.

use std::sync::{Arc, Mutex};

use serde::Serialize;
use toolkit::http::{Method, StatusCode};
use toolkit::web::response;
use toolkit::{App, Request, Response};

use crate::collector::Collector;
use crate::intake::lock;
use crate::tables::{By, Table};

/// Answers `/flows/top` and `/flows/unknown`.
pub(crate) fn register(app: &mut App, collector: &Arc<Mutex<Collector>>) {
    let tables = Arc::clone(collector);
    app.route(Method::GET, "/flows/top", move |request| {
        let answer = top(&request, &tables);
        async move { answer }
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
    /// Of the window that ended last.
    last: Vec<Table>,
    /// Of the window that runs.
    running: Vec<Table>,
}

fn top(request: &Request, collector: &Mutex<Collector>) -> Response {
    let by = match request.query("by").as_deref() {
        None => None,
        Some(text) => match By::ALL.into_iter().find(|by| by.as_str() == text) {
            Some(by) => Some(by),
            None => {
                return response::text(
                    StatusCode::BAD_REQUEST,
                    "by: expected source, destination or pair\n",
                );
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
    let answer = Answer {
        last: collector
            .last_tables()
            .filter(|table| wanted(table))
            .cloned()
            .collect(),
        running: collector
            .running_tables()
            .into_iter()
            .filter(|table| wanted(table))
            .collect(),
    };
    drop(collector);
    response::json(StatusCode::OK, &answer)
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
