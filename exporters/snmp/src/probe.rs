//! One `/snmp` request: what it asks, the scrape, and the answer.

mod answer;
mod auto;
mod cache;
mod collect;
mod column_cache;
mod counters;
mod filter;
mod identity;
mod line;
mod memory;
mod pack;
mod plan;
mod prepared;
mod proof;
mod request;
mod twins;
mod uptime;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use answer::Summary;
pub use answer::{Answer, Outcome};
use collect::{Collected, collect};
pub use identity::{Identity, identify};
use line::Line;
pub use memory::Memory;
pub use proof::Shortcut;
pub use request::{Ask, Refusal};
use tokio::sync::Semaphore;

use crate::budget::{Budget, Claim};
use crate::config::{Auth, Config};
use crate::engine::Engine;
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::neighbors::{self, Neighbor};
use crate::ports::{self, Port};
use crate::reason::Reason;
use crate::samples::{Plan, Rendered, Style, View, render};
use crate::vitals;

/// A configuration with everything worked out from it.
#[derive(Debug)]
pub struct Ready {
    /// What was read.
    pub config: Config,
    /// Its credentials, for scrapes to hold.
    pub auths: BTreeMap<String, Arc<Auth>>,
    /// What each module needs.
    pub plans: BTreeMap<String, Plan>,
    /// Distinguishes this configuration from the one before it.
    pub generation: u64,
    /// The module `vitals` is ours, not one of the file.
    pub vitals: bool,
    prepared: prepared::Known,
}

impl Ready {
    /// Works everything out.
    #[must_use]
    pub fn new(mut config: Config, generation: u64) -> Self {
        let vitals = !config.modules.contains_key(vitals::NAME);
        if vitals {
            config
                .modules
                .insert(vitals::NAME.to_owned(), vitals::module());
        }
        let mut plans: BTreeMap<String, Plan> = config
            .modules
            .iter()
            .map(|(name, module)| (name.clone(), Plan::new(module)))
            .collect();
        if vitals {
            plans.insert(vitals::NAME.to_owned(), Plan::of_columns(vitals::columns()));
        }
        let auths = config
            .auths
            .iter()
            .map(|(name, auth)| (name.clone(), Arc::new(auth.clone())))
            .collect();
        Self {
            config,
            auths,
            plans,
            generation,
            vitals,
            prepared: prepared::Known::default(),
        }
    }
}

/// The module name that stands for those that fit the device.
pub const AUTO: &str = "auto";

/// How answers are made.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Exactly as snmp_exporter.
    pub strict: bool,
    /// Wrap Counter64 at 2^53.
    pub wrap: bool,
    /// A partial result fails the scrape.
    pub refuse_partial: bool,
    /// A failed scrape answers 200 with `snmp_error` alone.
    pub failure_as_series: bool,
    /// The device chose the modules: say which.
    pub show_modules: bool,
    /// How long label columns are kept at most; nothing is kept when it is zero.
    pub keep: Duration,
    /// Carry 32-bit counters on beyond their end, and tell since when counters count.
    pub carry: bool,
    /// Answer in protobuf instead of text.
    pub protobuf: bool,
}

impl Rules {
    /// Nothing kept, nothing carried on.
    pub const PLAIN: Self = Self {
        strict: false,
        wrap: true,
        refuse_partial: false,
        failure_as_series: false,
        show_modules: false,
        keep: Duration::ZERO,
        carry: false,
        protobuf: false,
    };
}

/// Times and counts of one module.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModuleStats {
    /// Messages sent.
    pub sent: u64,
    /// Messages sent again.
    pub again: u64,
    /// Values received.
    pub values: u64,
}

/// Answers that are written at a time: more would only wait for a processor, each with its text in memory.
static WRITERS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)));

/// Tables of fewer values are written where they are: handing them over would cost more than it frees.
const SMALL: usize = 4000;

/// What every scrape uses.
#[derive(Debug)]
pub struct Prober {
    /// The way to the targets.
    pub engine: Engine,
    /// What is remembered of them.
    pub memory: Arc<Memory>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who may be asked, and as whom.
    pub gate: Gate,
    /// Memory for answers and pages.
    pub budget: Budget,
}

/// Runs a scrape to its answer, compressed when `gzip` is set.
pub async fn run(
    prober: &Prober,
    ready: &Arc<Ready>,
    ask: &Ask,
    rules: Rules,
    gzip: bool,
    deadline: Instant,
) -> Answer {
    let began = Instant::now();
    let rules = Rules {
        strict: rules.strict || ready.config.strict,
        ..rules
    };
    let chosen_by_device = ask.modules.iter().any(|module| module == AUTO);
    let (ask, collected) = collect(prober, ready, ask, rules, deadline).await;
    let walked = began.elapsed();
    let ready = Arc::clone(ready);
    let times = (began, walked);
    let rules = Rules {
        show_modules: chosen_by_device,
        ..rules
    };
    let unwatched = if rules.strict {
        Vec::new()
    } else {
        prober.gate.unwatched(neighbors::of(&collected.table))
    };
    let wanted_up = if rules.strict {
        Vec::new()
    } else {
        prober
            .gate
            .wanted_up(&ask.target, || ports::of(&collected.table))
    };
    let told = (unwatched, wanted_up);
    let small = collected.table.len() < SMALL;
    let room = prober.budget.claim();
    let work = move || {
        let answer = write(&ready, &ask, (collected, &told), rules, (times, room));
        if gzip { answer.packed() } else { answer }
    };
    let answer = if small {
        work()
    } else {
        // A long rendering is no work for an event loop.
        let _turn = WRITERS.acquire().await;
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Answer::broken())
    };
    for (module, took) in ask_modules(&answer) {
        prober.metrics.collection(module, took);
    }
    for (reason, count) in answer.reasons() {
        prober.metrics.error(reason, count);
    }
    answer
}

fn ask_modules(answer: &Answer) -> impl Iterator<Item = (&str, Duration)> {
    answer
        .modules
        .iter()
        .map(|module| (module.as_str(), answer.took))
}

fn write(
    ready: &Ready,
    ask: &Ask,
    (collected, (unwatched, wanted_up)): (Collected, &(Vec<Neighbor>, Vec<Port>)),
    rules: Rules,
    (times, room): ((Instant, Duration), Claim),
) -> Answer {
    let Collected {
        table,
        prepared,
        stats,
        mut failures,
        answered,
        started,
        off,
        claims,
        ..
    } = collected;
    let views: Vec<View<'_>> = match (plan::views(ready, ask), &prepared) {
        (Some(views), Some(prepared)) => views
            .into_iter()
            .zip(&prepared.scopes)
            .map(|(view, scope)| View {
                name: view.name,
                module: view.module,
                plan: view.plan,
                scope,
            })
            .collect(),
        _ => Vec::new(),
    };
    let style = Style {
        wrap: rules.wrap,
        strict: rules.strict,
        protobuf: rules.protobuf,
        started: started.as_ref(),
    };
    let mut rendered = render(&views, &table, style, room);
    if ready.vitals && ask.modules.iter().any(|module| module == vitals::NAME) {
        rendered.series += vitals::render(&table, &mut rendered.page);
    }
    if rendered.page.is_full() {
        rendered = Rendered::default();
        failures.extend(ask.modules.iter().map(|module| Outcome {
            module: module.clone(),
            root: String::new(),
            reason: Reason::TooLarge,
        }));
    }
    failures.extend(rendered.faults.iter().map(|fault| Outcome {
        module: fault.module.clone(),
        root: fault.metric.clone(),
        reason: match fault.reason {
            "duplicate" => Reason::Duplicate,
            "bad_type" => Reason::BadType,
            _ => Reason::Inconsistent,
        },
    }));
    failures.sort();
    failures.dedup();
    drop((table, claims));
    let summary = Summary {
        stats: &stats,
        failures,
        off: &off,
        unwatched,
        wanted_up,
        times,
    };
    Answer::new(ask, rules, answered, rendered, summary)
}
