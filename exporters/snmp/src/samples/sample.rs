//! Samples of one scrape: every metric of every module asked for, merged into families.

use std::borrow::Cow;

use super::Started;
use super::labels::{Rows, combined_name, is_combined, named};
use super::{Shape, text, time};
use crate::budget::Claim;
use crate::config::{Metric, Module};
use crate::expose::Page;
use crate::oid::{self, Oid};
use crate::value::{Entry, Table, Value};

/// What a module needs and makes, worked out once when the configuration is read.
#[derive(Debug)]
pub struct Plan {
    shapes: Vec<Shape>,
    metrics: Vec<(usize, usize)>,
    families: Vec<Family>,
    wanted: Vec<Oid>,
    /// Objects of metrics without an index: each is a scalar, or an instance itself.
    scalars: Vec<Oid>,
}

/// One metric family that a module may give.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family {
    /// Its name.
    pub name: String,
    metric: usize,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number,
    Text,
    Info,
    States,
    Bits,
    Extract(usize),
}

impl Plan {
    /// Of one module.
    #[must_use]
    pub fn new(module: &Module) -> Self {
        let mut shapes: Vec<Shape> = Vec::new();
        let mut metrics = Vec::new();
        let mut families = Vec::new();
        let mut wanted = Vec::new();
        for (at, metric) in module.metrics.iter().enumerate() {
            if !reached(&module.metrics, at) {
                continue;
            }
            let shape = Shape::new(&metric.indexes, &metric.lookups);
            let place = shapes
                .iter()
                .position(|other| *other == shape)
                .unwrap_or_else(|| {
                    wanted.extend(shape.columns());
                    shapes.push(shape);
                    shapes.len() - 1
                });
            metrics.push((at, place));
            wanted.push(metric.oid.clone());
            if is_combined(&metric.kind) {
                wanted.extend(metric.oid.previous());
            }
            let of_metric = metrics.len() - 1;
            families.extend(parts(metric).into_iter().map(|(name, part)| Family {
                name,
                metric: of_metric,
                part,
            }));
        }
        wanted.sort();
        wanted.dedup();
        families.sort();
        let without_index = |(metric, _): &(usize, usize)| {
            let metric = &module.metrics[*metric];
            metric.indexes.is_empty().then(|| metric.oid.clone())
        };
        let mut scalars: Vec<Oid> = metrics.iter().filter_map(without_index).collect();
        scalars.sort();
        Self {
            shapes,
            metrics,
            families,
            wanted,
            scalars,
        }
    }

    /// Of columns that somebody else turns into series.
    #[must_use]
    pub fn of_columns(mut wanted: Vec<Oid>) -> Self {
        wanted.sort();
        Self {
            shapes: Vec::new(),
            metrics: Vec::new(),
            families: Vec::new(),
            wanted,
            scalars: Vec::new(),
        }
    }

    /// The columns that matter, sorted.
    #[must_use]
    pub fn wanted(&self) -> &[Oid] {
        &self.wanted
    }

    /// Columns that labels are read from.
    pub fn looked_up(&self) -> impl Iterator<Item = Oid> + '_ {
        self.shapes.iter().flat_map(Shape::columns)
    }

    /// Whether a metric without an index is of this object.
    #[must_use]
    pub fn is_scalar(&self, oid: &Oid) -> bool {
        self.scalars.binary_search(oid).is_ok()
    }

    /// Columns that become counters.
    pub fn counters<'a>(&'a self, module: &'a Module) -> impl Iterator<Item = Oid> + 'a {
        self.metrics
            .iter()
            .map(|(metric, _)| &module.metrics[*metric])
            .filter(|metric| metric.kind == "counter")
            .map(|metric| metric.oid.clone())
    }

    /// The parts of the tree below `root` that matter.
    pub fn columns_of<'a>(&'a self, root: &'a Oid) -> impl Iterator<Item = Oid> + 'a {
        self.wanted.iter().filter_map(move |column| {
            if oid::within(column.ids(), root.ids()) {
                Some(column.clone())
            } else {
                oid::within(root.ids(), column.ids()).then(|| root.clone())
            }
        })
    }
}

/// A metric is reached unless a shorter one stands on its path, or a later one has the same identifier.
fn reached(metrics: &[Metric], at: usize) -> bool {
    let ids = metrics[at].oid.ids();
    !metrics.iter().enumerate().any(|(other, metric)| {
        let same = metric.oid.ids() == ids;
        (same && other > at) || (!same && oid::within(ids, metric.oid.ids()))
    })
}

fn parts(metric: &Metric) -> Vec<(String, Part)> {
    match metric.kind.as_str() {
        "gauge" | "counter" | "Float" | "Double" | "DateAndTime" | "ParseDateAndTime"
        | "NTPTimeStamp" => {
            vec![(metric.name.clone(), Part::Number)]
        }
        "EnumAsInfo" => vec![(format!("{}_info", metric.name), Part::Info)],
        "EnumAsStateSet" => vec![(metric.name.clone(), Part::States)],
        "Bits" => vec![(metric.name.clone(), Part::Bits)],
        _ if metric.regex_extracts.is_empty() => vec![(metric.name.clone(), Part::Text)],
        _ => metric
            .regex_extracts
            .keys()
            .enumerate()
            .map(|(at, suffix)| (format!("{}{suffix}", metric.name), Part::Extract(at)))
            .collect(),
    }
}

/// The subtrees that a module asked for in this scrape. What lies elsewhere does not exist for it.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    roots: Vec<Oid>,
}

impl Scope {
    /// Of the walks and gets of a module.
    #[must_use]
    pub fn new(roots: impl IntoIterator<Item = Oid>) -> Self {
        let mut all: Vec<Oid> = roots.into_iter().collect();
        all.sort();
        let mut roots: Vec<Oid> = Vec::with_capacity(all.len());
        for root in all {
            if !roots
                .last()
                .is_some_and(|last| oid::within(root.ids(), last.ids()))
            {
                roots.push(root);
            }
        }
        Self { roots }
    }

    /// Whether this instance was asked for.
    #[must_use]
    pub fn covers(&self, ids: &[u32]) -> bool {
        let after = self.roots.partition_point(|root| root.ids() <= ids);
        after
            .checked_sub(1)
            .is_some_and(|at| oid::within(ids, self.roots[at].ids()))
    }
}

/// One module as a scrape sees it.
#[derive(Debug)]
pub struct View<'a> {
    /// The module's name.
    pub name: &'a str,
    /// Its configuration.
    pub module: &'a Module,
    /// What was worked out from it.
    pub plan: &'a Plan,
    /// What it asked for.
    pub scope: &'a Scope,
}

/// A fault in what was collected: the configuration and the device do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The module.
    pub module: String,
    /// The metric.
    pub metric: String,
    /// `duplicate`, `bad_type` or `inconsistent`.
    pub reason: &'static str,
}

/// Samples as text, and what was wrong.
#[derive(Debug, Default)]
pub struct Rendered {
    /// Families, sorted by name.
    pub page: Page,
    /// Series written.
    pub series: usize,
    /// Faults, each metric and reason once.
    pub faults: Vec<Fault>,
}

struct Filled<'a> {
    view: &'a View<'a>,
    rows: Vec<Rows<'a>>,
    entries: Vec<Vec<(u32, &'a Entry)>>,
}

/// How values become samples.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style<'a> {
    /// Wrap Counter64 at 2^53.
    pub wrap: bool,
    /// A series that several modules give is a fault; else it is written once.
    pub strict: bool,
    /// Protobuf instead of text.
    pub protobuf: bool,
    /// Since when counters count.
    pub started: Option<&'a Started>,
}

/// Writes every family of the modules from what the table holds, which must be sorted, as far as there is room.
#[must_use]
pub fn render(views: &[View<'_>], table: &Table, style: Style<'_>, room: Claim) -> Rendered {
    let filled: Vec<Filled<'_>> = views.iter().map(|view| fill(view, table)).collect();
    let of = |one| move |family| (one, family);
    let mut families: Vec<(&Filled<'_>, &Family)> = filled
        .iter()
        .flat_map(|one| one.view.plan.families.iter().map(of(one)))
        .filter(|(one, family)| !one.entries[family.metric].is_empty())
        .collect();
    if filled.len() > 1 {
        families.sort_by_key(|(_, family)| &family.name);
    }
    let page = if style.protobuf {
        Page::protobuf()
    } else {
        Page::text(table.len() * 96)
    };
    let mut out = Rendered {
        page: page.within(room),
        ..Rendered::default()
    };
    for members in families.chunk_by(|(_, one), (_, other)| one.name == other.name) {
        if out.page.is_full() {
            break;
        }
        Writer {
            table,
            style,
            out: &mut out,
        }
        .family(&members[0].1.name, members);
    }
    out
}

fn fill<'a>(view: &'a View<'a>, table: &'a Table) -> Filled<'a> {
    let mut rows: Vec<Rows<'a>> = view.plan.shapes.iter().map(Rows::new).collect();
    let mut entries = Vec::with_capacity(view.plan.metrics.len());
    for (metric, shape) in &view.plan.metrics {
        let root = view.module.metrics[*metric].oid.ids();
        let whole = view.scope.covers(root);
        let mut hint = 0;
        let mut list = Vec::new();
        for (at, entry) in table.below(root) {
            if whole || view.scope.covers(&at.ids()) {
                let row = rows[*shape].row(at.behind(root.len()), hint, table, view.scope);
                hint = row + 1;
                list.push((row, entry));
            }
        }
        entries.push(list);
    }
    rows.iter_mut().for_each(Rows::finish);
    Filled {
        view,
        rows,
        entries,
    }
}

/// A sample before it is written.
struct Sample {
    labels: String,
    value: f64,
    since: Option<f64>,
}

impl Sample {
    fn of(labels: String, value: f64) -> Self {
        Self {
            labels,
            value,
            since: None,
        }
    }
}

struct Writer<'a> {
    table: &'a Table,
    style: Style<'a>,
    out: &'a mut Rendered,
}

impl Writer<'_> {
    fn family(&mut self, name: &str, members: &[(&Filled<'_>, &Family)]) {
        if let [(filled, family)] = members
            && family.part == Part::Number
            && filled.rows[filled.view.plan.metrics[family.metric].1].unique()
        {
            self.numbers(name, filled, family);
            return;
        }
        let mut samples: Vec<(Sample, usize)> = Vec::new();
        let mut found: Vec<Sample> = Vec::new();
        let mut head: Option<(Cow<'_, str>, &str, &str)> = None;
        for (member, (filled, family)) in members.iter().enumerate() {
            self.samples(filled, family, &mut found);
            if found.is_empty() {
                continue;
            }
            samples.extend(found.drain(..).map(|sample| (sample, member)));
            let metric = metric_of(filled, family);
            let (help, kind) = (help(metric, family.part), kind(metric, family.part));
            match &head {
                Some((first_help, first_kind, module)) => {
                    let differs = *first_help != help || *first_kind != kind;
                    if differs && (self.style.strict || *module == filled.view.name) {
                        self.fault(filled, metric, "inconsistent");
                    }
                }
                None => head = Some((help, kind, filled.view.name)),
            }
        }
        let Some((help, kind, _)) = head else { return };
        self.out.page.head(name, &help, kind);
        samples.sort_by(|(a, _), (b, _)| a.labels.cmp(&b.labels));
        let mut last: Option<(&str, usize)> = None;
        for (sample, member) in &samples {
            let labels = &sample.labels;
            if let Some((_, first)) = last.filter(|(text, _)| text == labels) {
                let ((one, _), (other, family)) = (members[first], members[*member]);
                if self.style.strict || one.view.name == other.view.name {
                    self.fault(other, metric_of(other, family), "duplicate");
                }
                continue;
            }
            self.out
                .page
                .counted(name, labels, sample.value, sample.since);
            self.out.series += 1;
            last = Some((labels, *member));
        }
    }

    /// The common case: one metric of numbers whose rows all differ.
    fn numbers(&mut self, name: &str, filled: &Filled<'_>, family: &Family) {
        let metric = metric_of(filled, family);
        let rows = &filled.rows[filled.view.plan.metrics[family.metric].1];
        let mut by_row: Vec<Option<&Entry>> = vec![None; rows.len()];
        for (row, entry) in &filled.entries[family.metric] {
            by_row[*row as usize] = Some(entry);
        }
        let mut headed = false;
        for row in rows.order() {
            let Some(value) =
                by_row[*row as usize].and_then(|entry| self.value(metric, &entry.value))
            else {
                continue;
            };
            if !headed {
                self.out
                    .page
                    .head(name, &help(metric, family.part), kind(metric, family.part));
                headed = true;
            }
            let since = self.since(metric, rows, *row);
            self.out.page.counted(name, rows.labels(*row), value, since);
            self.out.series += 1;
        }
    }

    fn samples(&mut self, filled: &Filled<'_>, family: &Family, out: &mut Vec<Sample>) {
        let metric = metric_of(filled, family);
        let rows = &filled.rows[filled.view.plan.metrics[family.metric].1];
        let labelled = rows.shape().names().contains(&metric.name);
        for (row, entry) in &filled.entries[family.metric] {
            let row = *row;
            let labels = || rows.labels(row).to_owned();
            match family.part {
                Part::Number => out.extend(self.value(metric, &entry.value).map(|value| Sample {
                    since: self.since(metric, rows, row),
                    ..Sample::of(labels(), value)
                })),
                Part::Text => {
                    let value = scaled(metric, 1.0);
                    if labelled {
                        out.push(Sample::of(labels(), value));
                    } else {
                        out.push(Sample::of(
                            rows.labels_with(
                                row,
                                &metric.name,
                                &self.text(filled, family, row, entry),
                            ),
                            value,
                        ));
                    }
                }
                Part::Extract(at) => {
                    let text = self.text(filled, family, row, entry);
                    let list = metric
                        .regex_extracts
                        .values()
                        .nth(at)
                        .map(Vec::as_slice)
                        .unwrap_or_default();
                    let found = list
                        .iter()
                        .find_map(|one| text::parsed(&one.regex.expand(&text, &one.value)?));
                    out.extend(found.map(|value| Sample::of(labels(), scaled(metric, value))));
                }
                Part::Info if labelled => {}
                Part::States | Part::Bits if labelled => self.fault(filled, metric, "inconsistent"),
                Part::Info => {
                    let state = named(
                        &metric.enum_values,
                        text::number(&entry.value, self.style.wrap) as i64,
                    );
                    out.push(Sample::of(rows.labels_with(row, &metric.name, &state), 1.0));
                }
                Part::States => {
                    let current = text::number(&entry.value, self.style.wrap) as i64;
                    out.push(Sample::of(
                        rows.labels_with(row, &metric.name, &named(&metric.enum_values, current)),
                        1.0,
                    ));
                    let others = metric
                        .enum_values
                        .iter()
                        .filter(|(number, _)| **number != current);
                    out.extend(others.map(|(_, state)| {
                        Sample::of(rows.labels_with(row, &metric.name, state), 0.0)
                    }));
                }
                Part::Bits => {
                    let Value::Octets(span) = entry.value else {
                        self.fault(filled, metric, "bad_type");
                        continue;
                    };
                    let octets = self.table.octets(span);
                    out.extend(metric.enum_values.iter().map(|(bit, state)| {
                        let octet = usize::try_from(bit / 8)
                            .ok()
                            .and_then(|at| octets.get(at))
                            .copied()
                            .unwrap_or(0);
                        let set = *bit >= 0 && octet & (128 >> (bit % 8)) != 0;
                        Sample::of(
                            rows.labels_with(row, &metric.name, state),
                            f64::from(u8::from(set)),
                        )
                    }));
                }
            }
        }
    }

    /// Since when the counter in this row counts, Unix seconds.
    fn since(&self, metric: &Metric, rows: &Rows<'_>, row: u32) -> Option<f64> {
        let started = self.style.started?;
        (metric.kind == "counter").then(|| started.of(&metric.oid, rows.index(row)))?
    }

    /// A number, or nothing for a time that cannot be read.
    fn value(&self, metric: &Metric, value: &Value) -> Option<f64> {
        let octets = || match value {
            Value::Octets(span) => Some(self.table.octets(*span)),
            _ => None,
        };
        let number = match metric.kind.as_str() {
            "DateAndTime" => time::date_and_time(octets()?)? as f64,
            "NTPTimeStamp" => time::ntp(octets()?)? as f64,
            "ParseDateAndTime" => time::parse(
                &text::label(self.table, value, "DisplayString", ""),
                &metric.datetime_pattern,
            )? as f64,
            _ => text::number(value, self.style.wrap),
        };
        Some(scaled(metric, number))
    }

    /// The text of a value, its real type read from the column before where it stands there.
    fn text(&self, filled: &Filled<'_>, family: &Family, row: u32, entry: &Entry) -> String {
        let metric = metric_of(filled, family);
        let rows = &filled.rows[filled.view.plan.metrics[family.metric].1];
        let mut kind = metric.kind.as_str();
        if is_combined(kind) {
            let previous = metric.oid.previous().map(|oid| oid.join(rows.index(row)));
            let subtype = previous
                .filter(|oid| filled.view.scope.covers(oid.ids()))
                .and_then(|oid| self.table.get(oid.ids()).copied());
            kind = subtype
                .and_then(|value| combined_name(kind, text::number(&value, true) as i64))
                .unwrap_or("OctetString");
        }
        text::label(self.table, &entry.value, kind, &metric.display_hint)
    }

    fn fault(&mut self, filled: &Filled<'_>, metric: &Metric, reason: &'static str) {
        let fault = Fault {
            module: filled.view.name.to_owned(),
            metric: metric.name.clone(),
            reason,
        };
        if !self.out.faults.contains(&fault) {
            self.out.faults.push(fault);
        }
    }
}

fn metric_of<'a>(filled: &Filled<'a>, family: &Family) -> &'a Metric {
    &filled.view.module.metrics[filled.view.plan.metrics[family.metric].0]
}

fn scaled(metric: &Metric, value: f64) -> f64 {
    (if metric.scale == 0.0 {
        value
    } else {
        value * metric.scale
    }) + metric.offset
}

fn help(metric: &Metric, part: Part) -> Cow<'_, str> {
    let remark = match part {
        Part::Number | Part::Text => return metric.help.as_str().into(),
        Part::Info => " (EnumAsInfo)",
        Part::States => " (EnumAsStateSet)",
        Part::Bits => " (Bits)",
        Part::Extract(_) => " (regex extracted)",
    };
    format!("{}{remark}", metric.help).into()
}

fn kind(metric: &Metric, part: Part) -> &'static str {
    if part == Part::Number && metric.kind == "counter" {
        "counter"
    } else {
        "gauge"
    }
}

#[cfg(test)]
mod tests;
