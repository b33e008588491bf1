//! The answer to a scrape.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Ask, ModuleStats, Neighbor, Rules, Shortcut};
use crate::budget::Claim;
use crate::expose::{self, Page};
use crate::ports::Port;
use crate::reason::Reason;
use crate::samples::Rendered;

/// Something that is missing, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The module.
    pub module: String,
    /// The walk, instance or metric; empty when it is the whole target.
    pub root: String,
    /// Why.
    pub reason: Reason,
}

/// Status and body of a scrape.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200 or 500.
    pub status: u16,
    /// The exposition, or what went wrong.
    pub body: Bytes,
    /// Whether the body is compressed.
    pub packed: bool,
    /// Whether the body is protobuf, not text.
    pub protobuf: bool,
    /// What is missing.
    pub failures: Vec<Outcome>,
    /// The modules asked for.
    pub modules: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// What is told of a scrape beside its series.
pub(super) struct Summary<'a> {
    pub(super) stats: &'a [ModuleStats],
    pub(super) failures: Vec<Outcome>,
    /// What is not done for the target any more.
    pub(super) off: &'a [Shortcut],
    /// Neighbours that are no devices of the inventory.
    pub(super) unwatched: &'a [Neighbor],
    /// Ports that the inventory wants up.
    pub(super) wanted_up: &'a [Port],
    /// When it began, and how long the target was asked.
    pub(super) times: (Instant, Duration),
}

impl Answer {
    pub(crate) fn broken() -> Self {
        let body = Bytes::from_static(b"the answer could not be written, see the log\n");
        Self {
            status: 500,
            body,
            packed: false,
            protobuf: false,
            failures: Vec::new(),
            modules: Vec::new(),
            took: Duration::ZERO,
        }
    }

    pub(super) fn new(
        ask: &Ask,
        rules: Rules,
        answered: bool,
        rendered: Rendered,
        summary: Summary<'_>,
    ) -> Self {
        let failures = &summary.failures;
        let nothing = !answered || (rendered.series == 0 && !failures.is_empty());
        let refused = !failures.is_empty()
            && (rules.strict || rules.refuse_partial || nothing)
            && !rules.failure_as_series;
        let (status, body) = if refused {
            let denied = |failure: &Outcome| failure.reason == Reason::NotAllowed;
            let status = if failures.iter().all(denied) {
                403
            } else {
                500
            };
            (status, error_text(&ask.target, failures).into())
        } else {
            let mut body = rendered.page;
            per_scrape(&mut body, ask, rules, &summary);
            (200, held(body))
        };
        Self {
            status,
            body,
            packed: false,
            protobuf: !refused && rules.protobuf,
            modules: ask.modules.clone(),
            took: summary.times.0.elapsed(),
            failures: summary.failures,
        }
    }

    /// How often each reason occurred.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<Reason, u64> {
        let mut counts = BTreeMap::new();
        for failure in &self.failures {
            *counts.entry(failure.reason).or_default() += 1;
        }
        counts
    }
}

/// A page that gives its memory back when the last of it was sent.
fn held(page: Page) -> Bytes {
    struct Held(
        Vec<u8>,
        #[expect(dead_code, reason = "it is held")] Option<Claim>,
    );
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let (octets, claim) = page.finish_held();
    Bytes::from_owner(Held(octets, claim))
}

/// The text of status 500, in the form that snmp_exporter's users search their logs for.
fn error_text(target: &str, failures: &[Outcome]) -> String {
    let mut out = String::from("An error has occurred while serving metrics:\n\n");
    if failures.len() > 1 {
        let _ = writeln!(out, "{} error(s) occurred:", failures.len());
    }
    for failure in failures {
        let bullet = if failures.len() > 1 { "* " } else { "" };
        let Outcome {
            module,
            root,
            reason,
        } = failure;
        let place = if root.is_empty() {
            String::new()
        } else {
            format!(" at {root}")
        };
        let _ = writeln!(
            out,
            "{bullet}error collecting metric Desc{{fqName: \"snmp_error\", help: \"Error scraping target\", constLabels: {{module=\"{module}\"}}, \
             variableLabels: {{}}}}: error collecting from target {target}{place}: {}: {}",
            reason.name(),
            reason.text()
        );
    }
    out
}

type PerModule = fn(&ModuleStats, Duration, Duration) -> f64;

fn per_scrape(out: &mut Page, ask: &Ask, rules: Rules, summary: &Summary<'_>) {
    let (stats, failures) = (summary.stats, summary.failures.as_slice());
    let (began, walked) = summary.times;
    // The short help is ours: with the other, answers of small devices would be larger than those of snmp_exporter.
    let families: [(&str, [&str; 2], PerModule); 5] = [
        (
            "snmp_scrape_duration_seconds",
            [
                "Total SNMP time scrape took (walk and processing).",
                "Scrape duration.",
            ],
            |_, took, _| took.as_secs_f64(),
        ),
        (
            "snmp_scrape_packets_retried",
            [
                "Packets retried for get, bulkget, and walk.",
                "Packets retried.",
            ],
            |stats, _, _| stats.again as f64,
        ),
        (
            "snmp_scrape_packets_sent",
            [
                "Packets sent for get, bulkget, and walk; including retries.",
                "Packets sent.",
            ],
            |stats, _, _| stats.sent as f64,
        ),
        (
            "snmp_scrape_pdus_returned",
            [
                "PDUs returned from get, bulkget, and walk.",
                "PDUs returned.",
            ],
            |stats, _, _| stats.values as f64,
        ),
        (
            "snmp_scrape_walk_duration_seconds",
            ["Time SNMP walk/bulkwalk took.", "Walk duration."],
            |_, _, walked| walked.as_secs_f64(),
        ),
    ];
    let mut labels: Vec<(String, &ModuleStats, bool)> = ask
        .modules
        .iter()
        .zip(stats)
        .map(|(module, stats)| {
            let mut label = String::new();
            expose::label("module", module, &mut label);
            (
                label,
                stats,
                !failures.iter().any(|failure| failure.module == *module),
            )
        })
        .collect();
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    if !rules.strict {
        if !failures.is_empty() {
            out.head(
                "snmp_error",
                "What could not be collected, and why.",
                "gauge",
            );
        }
        for failure in failures {
            let mut label = String::new();
            for (name, value) in [
                ("module", failure.module.as_str()),
                ("reason", failure.reason.name()),
                ("root", &failure.root),
            ] {
                if !label.is_empty() {
                    label.push(',');
                }
                expose::label(name, value, &mut label);
            }
            out.sample("snmp_error", &label, 1.0);
        }
        out.head("snmp_scrape_complete", "Whether it is complete.", "gauge");
        for (label, _, complete) in &labels {
            out.sample(
                "snmp_scrape_complete",
                label,
                f64::from(u8::from(*complete)),
            );
        }
    }
    if !rules.strict && !summary.off.is_empty() {
        out.head(
            "snmp_scrape_shortcut_off",
            "What is not left out any more for this device, because it contradicted what that rests on.",
            "gauge",
        );
        for shortcut in summary.off {
            let mut label = String::new();
            expose::label("shortcut", shortcut.name(), &mut label);
            out.sample("snmp_scrape_shortcut_off", &label, 1.0);
        }
    }
    if !summary.unwatched.is_empty() {
        out.head(
            "snmp_neighbor_unwatched",
            "A neighbour that the device names and the inventory does not have.",
            "gauge",
        );
    }
    for one in summary.unwatched {
        let mut label = String::new();
        expose::label("neighbor", &one.called(), &mut label);
        label.push(',');
        expose::label("protocol", one.protocol, &mut label);
        out.sample("snmp_neighbor_unwatched", &label, 1.0);
    }
    if !summary.wanted_up.is_empty() {
        out.head(
            "sotp_interface_desired_up",
            "A port that the inventory wants up.",
            "gauge",
        );
    }
    for port in summary.wanted_up {
        let mut labels = format!("ifIndex=\"{}\",", port.index);
        expose::label("ifName", &port.name, &mut labels);
        out.sample("sotp_interface_desired_up", &labels, 1.0);
    }
    let took = began.elapsed();
    if rules.show_modules {
        out.head(
            "snmp_module_chosen",
            "Modules that module=auto chose for the device.",
            "gauge",
        );
        for (label, ..) in &labels {
            out.sample("snmp_module_chosen", label, 1.0);
        }
    }
    for (name, help, value) in families {
        out.head(name, help[usize::from(!rules.strict)], "gauge");
        for (label, stats, _) in &labels {
            out.sample(name, label, value(stats, took, walked));
        }
    }
}
