//! One `/snmp` request: what it asks, the scrape, and the answer.

mod answer;
mod auto;
mod filter;
mod pack;
mod plan;
mod request;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

pub use answer::{Answer, Outcome};
pub use request::{Ask, Refusal};
use tokio::sync::Semaphore;

use crate::config::{Config, Credentials};
use crate::convert::{Plan, Scope, View, render};
use crate::engine::{Asked, Engine, Report, Target};
use crate::metrics::Metrics;
use crate::reason::Reason;
use crate::vitals;

/// A configuration with everything worked out from it.
#[derive(Debug)]
pub struct Ready {
    /// What was read.
    pub config: Config,
    /// What each module needs.
    pub plans: BTreeMap<String, Plan>,
    /// Distinguishes this configuration from the one before it.
    pub generation: u64,
    /// The module `vitals` is ours, not one of the file.
    pub vitals: bool,
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
        Self {
            config,
            plans,
            generation,
            vitals,
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

/// Runs a scrape to its answer, compressed when `gzip` is set.
pub async fn run(
    engine: &Engine,
    ready: &Arc<Ready>,
    metrics: &Metrics,
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
    let (ask, collected) = collect(engine, ready, metrics, ask, rules, deadline).await;
    let walked = began.elapsed();
    let ready = Arc::clone(ready);
    let times = (began, walked);
    // Rendering is work for a processor, not for an event loop.
    let turn = WRITERS.acquire().await;
    let answer = tokio::task::spawn_blocking(move || {
        let rules = Rules {
            show_modules: chosen_by_device,
            ..rules
        };
        let answer = write(&ready, &ask, collected, rules, times);
        if gzip { answer.packed() } else { answer }
    })
    .await
    .unwrap_or_else(|_| Answer::broken());
    drop(turn);
    for (module, took) in ask_modules(&answer) {
        metrics.collection(module, took);
    }
    for (reason, count) in answer.reasons() {
        metrics.error(reason, count);
    }
    answer
}

fn ask_modules(answer: &Answer) -> impl Iterator<Item = (&str, Duration)> {
    answer
        .modules
        .iter()
        .map(|module| (module.as_str(), answer.took))
}

/// What the target gave to all modules together.
struct Collected {
    table: crate::value::Table,
    scopes: Vec<Scope>,
    stats: Vec<ModuleStats>,
    failures: Vec<Outcome>,
    answered: bool,
}

impl Collected {
    fn failed(ask: &Ask, reason: Reason) -> Self {
        let failures = ask
            .modules
            .iter()
            .map(|module| Outcome {
                module: module.clone(),
                root: String::new(),
                reason,
            })
            .collect();
        let scopes = vec![Scope::default(); ask.modules.len()];
        let stats = vec![ModuleStats::default(); ask.modules.len()];
        Self {
            table: crate::value::Table::default(),
            scopes,
            stats,
            failures,
            answered: false,
        }
    }
}

async fn collect(
    engine: &Engine,
    ready: &Ready,
    metrics: &Metrics,
    ask: &Ask,
    rules: Rules,
    deadline: Instant,
) -> (Ask, Collected) {
    let Ok(target) = Target::parse(&ask.target) else {
        return (ask.clone(), Collected::failed(ask, Reason::Configuration));
    };
    let Some(address) = target.resolve(deadline).await else {
        return (ask.clone(), Collected::failed(ask, Reason::Dns));
    };
    let Some(auth) = ready.config.auths.get(&ask.auth) else {
        return (ask.clone(), Collected::failed(ask, Reason::Configuration));
    };
    let credentials = auth
        .targets
        .get(&target.host)
        .or_else(|| auth.targets.get(&ask.target))
        .unwrap_or(&auth.credentials);
    let context = if ask.context.is_empty() {
        auth.context_name.clone()
    } else {
        ask.context.clone()
    };
    let line = Line {
        engine,
        metrics,
        asked: Template {
            target: address,
            identity: format!(
                "{}\0{}\0{context}\0{}",
                ready.generation, ask.auth, rules.strict
            ),
            auth: Arc::new(auth.clone()),
            credentials: credentials.clone(),
            context,
            deadline,
            strict: rules.strict,
            any_source: ask
                .modules
                .iter()
                .filter_map(|name| ready.config.modules.get(name))
                .any(|module| module.use_unconnected_udp_socket),
        },
    };
    let ask = match auto::expand(&line, ready, ask).await {
        Ok(ask) => ask,
        Err(reason) => return (ask.clone(), Collected::failed(ask, reason)),
    };
    let Some(views) = plan::views(ready, &ask) else {
        return (ask.clone(), Collected::failed(&ask, Reason::Configuration));
    };
    let filtered = filter::apply(&line, &views).await;
    let planned = plan::works(&views, &filtered, rules.strict);
    let report = line.ask(planned.works.clone()).await;
    let mut stats = vec![ModuleStats::default(); views.len()];
    for (counts, owners) in report.outcome.counts.iter().zip(&planned.owners) {
        for owner in owners {
            stats[*owner].values += counts.values;
        }
        if let Some(first) = owners.first() {
            stats[*first].sent += counts.sent;
            stats[*first].again += counts.again;
        }
    }
    let mut failures = Vec::new();
    for failure in &report.outcome.failures {
        for owner in planned.owners.get(failure.work).into_iter().flatten() {
            let root = planned.works[failure.work].root.to_string();
            failures.push(Outcome {
                module: views[*owner].name.to_owned(),
                root,
                reason: failure.reason,
            });
        }
    }
    let scopes = filtered
        .into_iter()
        .map(|one| Scope::new(one.walk.into_iter().chain(one.get)))
        .collect();
    let answered = report.outcome.answered;
    if !answered {
        engine.memory().forget_modules(&line.key());
    }
    (
        ask,
        Collected {
            table: report.outcome.table,
            scopes,
            stats,
            failures,
            answered,
        },
    )
}

/// Everything but the works of an [`Asked`].
struct Template {
    target: std::net::SocketAddr,
    identity: String,
    auth: Arc<crate::config::Auth>,
    credentials: Credentials,
    context: String,
    deadline: Instant,
    strict: bool,
    any_source: bool,
}

/// The way to one target.
struct Line<'a> {
    engine: &'a Engine,
    metrics: &'a Metrics,
    asked: Template,
}

impl Line<'_> {
    fn key(&self) -> (std::net::SocketAddr, String) {
        (self.asked.target, self.asked.identity.clone())
    }

    async fn ask(&self, works: Vec<crate::scrape::Work>) -> Report {
        let Template {
            target,
            identity,
            auth,
            credentials,
            context,
            deadline,
            strict,
            any_source,
        } = &self.asked;
        let asked = Asked {
            target: *target,
            identity: identity.clone(),
            auth: Arc::clone(auth),
            credentials: credentials.clone(),
            context: context.clone(),
            works,
            deadline: *deadline,
            strict: *strict,
            any_source: *any_source,
        };
        let report = self.engine.run(asked).await;
        self.metrics.conversation(&report);
        report
    }
}

fn write(
    ready: &Ready,
    ask: &Ask,
    collected: Collected,
    rules: Rules,
    times: (Instant, Duration),
) -> Answer {
    let Collected {
        table,
        scopes,
        stats,
        mut failures,
        answered,
    } = collected;
    let views: Vec<View<'_>> = match plan::views(ready, ask) {
        Some(views) => views
            .into_iter()
            .zip(&scopes)
            .map(|(view, scope)| View {
                name: view.name,
                module: view.module,
                plan: view.plan,
                scope,
            })
            .collect(),
        None => Vec::new(),
    };
    let mut rendered = render(&views, &table, rules.wrap, rules.strict);
    if ready.vitals && ask.modules.iter().any(|module| module == vitals::NAME) {
        rendered.series += vitals::render(&table, &mut rendered.text);
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
    drop(table);
    Answer::new(ask, rules, answered, rendered, &stats, failures, times)
}
