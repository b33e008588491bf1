//! A form to scrape by hand, and the series of the engine.

use std::sync::Arc;

use http::StatusCode;
use toolkit::web::response;
use toolkit::{Collect, Encoder, Kind, Labels, Response};

use crate::budget::Budget;
use crate::config::Config;
use crate::engine::Engine;
use crate::probe::Memory;

/// The form.
pub(super) fn form(config: &Config) -> Response {
    let options = |names: Vec<&String>, chosen: &str| {
        let option = |name: &String| {
            let selected = if name == chosen { " selected" } else { "" };
            format!("<option{selected}>{}</option>", response::escape_html(name))
        };
        names.into_iter().map(option).collect::<String>()
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>SNMP: scrape</title></head><body><h1>Scrape one device</h1>\
         <form action=\"/snmp\" method=\"get\"><p><label>Target <input name=\"target\" required placeholder=\"198.18.0.1\"></label></p>\
         <p><label>Auth <select name=\"auth\">{}</select></label></p><p><label>Module <select name=\"module\">{}</select></label></p>\
         <p><button>Scrape</button></p></form><p><a href=\"/\">Back</a></p></body></html>",
        options(config.auths.keys().collect(), "public_v2"),
        options(config.modules.keys().collect(), "if_mib"),
    );
    response::html(StatusCode::OK, page)
}

/// Series of the event loop and of what is remembered.
pub(super) struct Remembered {
    pub(super) engine: Engine,
    pub(super) memory: Arc<Memory>,
    /// What scrapes take, and what they may.
    pub(super) budget: (Budget, usize),
}

impl Collect for Remembered {
    fn collect(&self, out: &mut Encoder) {
        out.family(
            "snmp_targets_remembered",
            Kind::Gauge,
            "Targets whose speed and engine are remembered.",
        );
        out.sample(&Labels::default(), self.engine.remembered() as f64);
        let memory = &self.memory;
        out.family(
            "snmp_memory_bytes",
            Kind::Gauge,
            "Memory for what is remembered of targets, at most 64 MiB of each kind.",
        );
        for (kind, octets) in [
            ("columns", memory.columns.octets()),
            ("counters", memory.counters.octets()),
            ("sizes", memory.sizes.octets()),
        ] {
            out.sample(&Labels::new([("kind", kind)]), octets as f64);
        }
        let (budget, most) = &self.budget;
        out.family(
            "snmp_scrape_memory_bytes",
            Kind::Gauge,
            "Memory for what devices answered and for the pages made of it, of all scrapes under way.",
        );
        out.sample(&Labels::default(), budget.taken() as f64);
        out.family(
            "snmp_scrape_memory_limit_bytes",
            Kind::Gauge,
            "The most of it; a scrape for which there is no room ends with the reason too_large.",
        );
        out.sample(&Labels::default(), *most as f64);
        out.family(
            "snmp_stray_answers_total",
            Kind::Counter,
            "Datagrams that no scrape waited for, by reason.",
        );
        for (reason, count) in self.engine.stray() {
            out.sample(&Labels::new([("reason", reason)]), count as f64);
        }
    }
}
