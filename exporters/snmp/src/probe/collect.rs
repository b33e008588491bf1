//! What a target gives to all modules of a request together.

use std::sync::Arc;
use std::time::Instant;

use super::column_cache::{self, ColumnCache, Found};
use super::counters::Counter;
use super::plan::{Planned, Wanted};
use super::prepared::Prepared;
use super::proof::{Questions, Shortcut};
use super::uptime::{SYS_UP_TIME, UpTime};
use super::{Ask, Line, ModuleStats, Outcome, Prober, Ready, Rules, auto, counters, filter, plan};
use crate::budget::Claim;
use crate::engine::{Key, Report};
use crate::oid::Oid;
use crate::reason::Reason;
use crate::samples::Started;
use crate::scrape::Sizes;
use crate::value::Table;

/// What the target gave to all modules together.
pub(super) struct Collected {
    pub(super) table: Table,
    /// What was asked for; nothing where nobody was asked.
    pub(super) prepared: Option<Arc<Prepared>>,
    pub(super) stats: Vec<ModuleStats>,
    pub(super) failures: Vec<Outcome>,
    pub(super) answered: bool,
    /// Since when counters count, where that is known and asked for.
    pub(super) started: Option<Started>,
    /// Answers to what only we wanted to know.
    own: Table,
    /// Whether such a question stayed without an answer.
    unheard: bool,
    /// The memory that the tables take.
    pub(super) claims: Vec<Claim>,
    /// What is not done for this target any more, since it showed that it cannot be.
    pub(super) off: Vec<Shortcut>,
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
        Self {
            table: Table::default(),
            prepared: None,
            stats: vec![ModuleStats::default(); ask.modules.len()],
            failures,
            answered: false,
            started: None,
            own: Table::default(),
            unheard: false,
            claims: Vec::new(),
            off: Vec::new(),
        }
    }

    /// Counts what a session brought.
    fn add(&mut self, report: Report, planned: &Planned, views: &[Wanted<'_>]) {
        for (counts, owners) in report.outcome.counts.iter().zip(&planned.owners) {
            for owner in owners {
                self.stats[*owner].values += counts.values;
            }
            // What only we want to know costs the first module.
            if let Some(first) = self.stats.get_mut(owners.first().copied().unwrap_or(0)) {
                first.sent += counts.sent;
                first.again += counts.again;
            }
        }
        for failure in &report.outcome.failures {
            for owner in planned.owners.get(failure.work).into_iter().flatten() {
                self.failures.push(Outcome {
                    module: views[*owner].name.to_owned(),
                    root: planned.works[failure.work].root.to_string(),
                    reason: failure.reason,
                });
            }
        }
        self.answered |= report.outcome.answered;
        self.claims.extend(report.outcome.claim);
        self.unheard |= report.outcome.unheard;
        self.own.absorb(&report.outcome.own);
        if self.table.columns().is_empty() {
            self.table = report.outcome.table;
        } else {
            self.table.absorb(&report.outcome.table);
        }
    }
}

pub(super) async fn collect(
    prober: &Prober,
    ready: &Ready,
    ask: &Ask,
    rules: Rules,
    deadline: Instant,
) -> (Ask, Collected) {
    let opened = Line::open(prober, ready, ask, rules, deadline).await;
    let line = match opened {
        Ok(line) => line,
        Err(reason) => return (ask.clone(), Collected::failed(ask, reason)),
    };
    let ask = match auto::expand(&line, ready, ask).await {
        Ok(ask) => ask,
        Err(reason) => return (ask.clone(), Collected::failed(ask, reason)),
    };
    let Some(views) = plan::views(ready, &ask) else {
        return (ask.clone(), Collected::failed(&ask, Reason::Configuration));
    };
    let filtered = filter::apply(&line, &views).await;
    let known = &ready.prepared;
    let prepared = known.prepare(&ask.modules, &views, filtered, rules.strict);
    let mut collected = Collected {
        table: Table::default(),
        prepared: Some(Arc::clone(&prepared)),
        stats: vec![ModuleStats::default(); views.len()],
        failures: Vec::new(),
        answered: false,
        started: None,
        own: Table::default(),
        unheard: false,
        claims: Vec::new(),
        off: Vec::new(),
    };
    if rules.strict || views.is_empty() {
        let report = line.ask(prepared.planned.works.clone()).await;
        collected.add(report, &prepared.planned, &views);
    } else {
        let frugal = Frugal {
            line: &line,
            views: &views,
            prepared: &prepared,
            rules,
            key: line.key_of(&ask.modules),
        };
        frugal.fill(&mut collected).await;
    }
    if !collected.answered {
        prober.memory.forget_modules(&line.key());
    }
    (ask, collected)
}

/// Questions of our own that a scrape asks at most: they fit one request.
const QUESTIONS: usize = 22;

/// A scrape that uses what is known of the target.
struct Frugal<'a> {
    line: &'a Line<'a>,
    views: &'a [Wanted<'a>],
    prepared: &'a Prepared,
    rules: Rules,
    key: Key,
}

impl Frugal<'_> {
    async fn fill(&self, collected: &mut Collected) {
        let Prepared {
            planned, instances, ..
        } = self.prepared;
        let memory = &self.line.prober.memory;
        let version = self.line.auth.version;
        let proof = memory.proof(&self.line.key());
        let counted = self.counters();
        // Row filters ask for other rows at each scrape.
        let keeps = !self.rules.keep.is_zero()
            && version != 1
            && self.views.iter().all(|view| view.module.filters.is_empty());
        let column_cache = keeps.then(|| {
            ColumnCache::new(
                &memory.columns,
                self.key.clone(),
                self.prepared,
                self.rules.keep,
                Arc::clone(&proof),
            )
        });
        let stamps: &[Oid] = if keeps { &self.prepared.stamps } else { &[] };
        proof.ask_again(instances);
        let questions = if proof.asks() {
            let mut wanted = Vec::new();
            if !(stamps.is_empty() && counted.is_empty()) {
                wanted.push(Oid::new(SYS_UP_TIME));
                if self.rules.protobuf && version != 1 {
                    wanted.push(Oid::new(counters::HOST_UP_TIME));
                }
                wanted.extend_from_slice(stamps);
                wanted.retain(|oid| !planned.asks(oid));
            }
            wanted.extend(instances.iter().cloned());
            proof.questions(wanted)
        } else {
            Questions::default()
        };
        let Questions { mut known, fresh } = questions;
        let room = QUESTIONS.saturating_sub(known.len() + fresh.len());
        let checks = column_cache
            .as_ref()
            .map_or_else(Vec::new, |one| one.checks(room));
        known.extend(checks.iter().map(|check| check.instance.clone()));
        let sizes = memory.sizes.get(&self.key).unwrap_or_default();
        let (mut now, later) = match &column_cache {
            Some(column_cache) => column_cache.part(planned.clone()),
            None => (planned.clone(), Planned::default()),
        };
        let asks_own = !(known.is_empty() && fresh.is_empty());
        now.own(known, fresh.clone(), plan::params(self.views[0].module));
        let report = self.line.ask_planned(&now, Arc::clone(&sizes)).await;
        let read = Instant::now();
        collected.add(report, &now, self.views);
        if !collected.answered {
            return;
        }
        if asks_own {
            let has = |oid: &Oid| collected.own.get(oid.ids()).is_some();
            let given_up = proof.heard(collected.unheard, &fresh, has);
            self.end(given_up);
            let there: Vec<Oid> = instances.iter().filter(|oid| has(oid)).cloned().collect();
            if !there.is_empty() {
                collected.table.absorb(&collected.own.only(&there));
                collected.table.sort();
            }
        }
        let of = |instance: &[u32]| column_cache::read(instance, &collected.table, &collected.own);
        let host_up_time = of(&counters::HOST_UP_TIME);
        let up = of(&SYS_UP_TIME).and_then(|hundredths| {
            Some(UpTime {
                hundredths: u32::try_from(hundredths).ok()?,
                read,
            })
        });
        if let Some(column_cache) = &column_cache {
            if let Some(up) = up {
                let stamps = column_cache.read_stamps(&collected.table, &collected.own);
                self.end(proof.watch(&stamps, up));
            }
            let (found, off) =
                column_cache.complete(&mut collected.table, &collected.own, &checks, up);
            self.end(off);
            self.line.prober.metrics.kept(found.name());
            if found == Found::Changed {
                column_cache.forget(&memory.columns);
                let report = self.line.ask_planned(&later, Arc::clone(&sizes)).await;
                collected.add(report, &later, self.views);
            }
            collected.table.sort();
            if let Some(up) = up
                && found != Found::Hit
                && collected.failures.is_empty()
            {
                let read = (&collected.table, &collected.own);
                self.end(column_cache.learn(&memory.columns, read, planned, up));
            }
            if found != Found::Hit && collected.failures.is_empty() && !sizes.hold(&collected.table)
            {
                let sizes = Sizes::of(&collected.table, version == 3);
                let octets = sizes.octets_held();
                memory.sizes.put(self.key.clone(), sizes, octets);
            }
        }
        if let Some(up) = up.filter(|_| self.rules.carry && !counted.is_empty()) {
            let key = self.line.key();
            let before = memory.counters.get(&key);
            let mut after = counters::carry(&mut collected.table, counted, before.as_deref(), up);
            collected.started =
                (self.rules.protobuf).then(|| after.started(&collected.table, host_up_time));
            let octets = after.octets_held();
            memory.counters.put(key, after, octets);
        }
        collected.off = proof.off();
    }

    /// Tells what ends for this target.
    fn end(&self, off: impl IntoIterator<Item = Shortcut>) {
        for shortcut in off {
            self.line.prober.metrics.shortcut_off(shortcut);
        }
    }

    /// Columns that become counters, sorted.
    fn counters(&self) -> &[Counter] {
        if self.rules.carry {
            &self.prepared.counters
        } else {
            &[]
        }
    }
}
