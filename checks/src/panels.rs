//! Every query of every dashboard, asked of a real Prometheus, or through a Grafana: a panel that stays empty is a fault.
//!
//! Some panels are empty as long as all is well. `dashboards/conditions.yaml` names them and the condition under which
//! they show something; they are asked for only when the caller says that the condition holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::dashboards::{self, Dashboard, Query, Variable};
use crate::prometheus::Prometheus;
use crate::variables::{Values, label_values};

/// How many values of a variable are tried at most.
const CHOICES: usize = 20;
/// Between two looks at something that is still empty.
const PAUSE: Duration = Duration::from_millis(500);

/// Whoever answers queries.
pub trait Answers {
    /// Whether this query is one for it; others are left out.
    fn knows(&self, query: &Query) -> bool;
    /// The values of a label over the series that `selector` chooses.
    fn label_values(
        &self,
        selector: &str,
        label: &str,
    ) -> impl Future<Output = anyhow::Result<Vec<String>>> + Send;
    /// How many series or frames with something in them `text` brings, which is the text of `query` with its variables filled; `range`
    /// and `step` are seconds.
    fn filled(
        &self,
        query: &Query,
        text: &str,
        range: u64,
        step: u64,
    ) -> impl Future<Output = anyhow::Result<usize>> + Send;
}

impl Answers for Prometheus {
    fn knows(&self, query: &Query) -> bool {
        query.is_prometheus()
    }

    async fn label_values(&self, selector: &str, label: &str) -> anyhow::Result<Vec<String>> {
        Prometheus::label_values(self, selector, label).await
    }

    async fn filled(
        &self,
        query: &Query,
        text: &str,
        range: u64,
        step: u64,
    ) -> anyhow::Result<usize> {
        if query.instant {
            self.instant(text).await
        } else {
            self.range(text, range, step).await
        }
    }
}

/// A panel that is empty unless its condition holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditional {
    /// Uid of the dashboard.
    pub dashboard: String,
    /// Title of the panel.
    pub panel: String,
    /// One query of the panel, such as `A`; without it all of them.
    #[serde(default)]
    pub query: Option<String>,
    /// Name of the condition.
    #[serde(rename = "while")]
    pub condition: String,
    /// Why the panel is empty otherwise.
    pub reason: String,
}

impl Conditional {
    fn is_about(&self, query: &Query) -> bool {
        let named = self.query.as_ref().is_none_or(|name| *name == query.name);
        named && self.panel == query.place
    }
}

/// What to ask for, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The condition that holds: only its panels are asked. Without one, all panels that need none.
    pub condition: Option<String>,
    /// Values that the caller sets, by variable.
    pub variables: BTreeMap<String, String>,
    /// The time range, in seconds.
    pub range: u64,
    /// The interval between two scrapes, in seconds.
    pub scrape: u64,
    /// How long an empty panel may take to fill.
    pub within: Duration,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Queries that returned data.
    pub filled: usize,
    /// Panels that were not asked, since their condition is not the one that holds.
    pub left_out: Vec<String>,
    /// Each query without data, or refused, with the reason.
    pub empty: Vec<String>,
}

/// The conditional panels of `folder`.
///
/// # Errors
/// When the file cannot be read or is not of that form.
pub fn conditions(folder: &Path) -> anyhow::Result<Vec<Conditional>> {
    let path = folder.join("conditions.yaml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
}

/// Conditional panels that no dashboard has.
#[must_use]
pub fn condition_problems(conditions: &[Conditional], dashboards: &[Dashboard]) -> Vec<String> {
    let there = |conditional: &&Conditional| {
        let mut of_uid = dashboards
            .iter()
            .filter(|dashboard| dashboard.uid == conditional.dashboard);
        of_uid.any(|dashboard| {
            dashboard
                .queries()
                .iter()
                .any(|query| conditional.is_about(query))
        })
    };
    let lost = conditions.iter().filter(|conditional| !there(conditional));
    lost.map(|lost| {
        format!(
            "conditions.yaml: `{}` has no panel `{}`",
            lost.dashboard, lost.panel
        )
    })
    .collect()
}

/// Asks every query of the dashboards in `folder`.
///
/// # Errors
/// When the dashboards cannot be read, or `wanted` names a condition that no panel has.
pub async fn run(
    folder: &Path,
    prometheus: &impl Answers,
    wanted: &Wanted,
) -> anyhow::Result<Outcome> {
    let dashboards = dashboards::read(folder)?;
    ensure!(
        !dashboards.is_empty(),
        "{} holds no dashboard",
        folder.display()
    );
    let conditions = conditions(folder)?;
    if let Some(condition) = &wanted.condition {
        let known = conditions
            .iter()
            .any(|conditional| conditional.condition == *condition);
        ensure!(known, "no panel is conditional on `{condition}`");
    }
    let deadline = Instant::now() + wanted.within;
    let mut outcome = Outcome::default();
    for dashboard in &dashboards {
        let choices = match variables(dashboard, prometheus, wanted, deadline).await {
            Ok(choices) => choices,
            Err(error) => {
                outcome.empty.push(format!("{}: {error:#}", dashboard.uid));
                continue;
            }
        };
        for query in dashboard.queries() {
            let place = format!("{} / {} {}", dashboard.uid, query.place, query.name);
            if !prometheus.knows(&query)
                || condition(&conditions, dashboard, &query) != wanted.condition.as_deref()
            {
                outcome.left_out.push(place);
            } else if let Err(error) =
                eventually(prometheus, &query, &choices, wanted, deadline).await
            {
                outcome.empty.push(format!("{place}: {error:#}"));
            } else {
                outcome.filled += 1;
            }
        }
    }
    Ok(outcome)
}

fn condition<'a>(
    conditions: &'a [Conditional],
    dashboard: &Dashboard,
    query: &Query,
) -> Option<&'a str> {
    let mut own = conditions
        .iter()
        .filter(|conditional| conditional.dashboard == dashboard.uid);
    own.find(|conditional| conditional.is_about(query))
        .map(|conditional| conditional.condition.as_str())
}

/// Fills the variables in their order, as Grafana does when a dashboard is opened. Where the reader must choose one value,
/// each is a choice: a device that is down has no round trip to show, and one that is up has no alert.
async fn variables(
    dashboard: &Dashboard,
    prometheus: &impl Answers,
    wanted: &Wanted,
    deadline: Instant,
) -> anyhow::Result<Vec<Values>> {
    let mut first = Values::builtin(wanted.range, step(wanted), wanted.scrape);
    for (name, value) in dashboard.typed() {
        first.set(&name, value);
    }
    let mut choices = vec![first];
    for variable in dashboard.variables() {
        let mut filled = Vec::new();
        for values in choices {
            let found = found(&variable, &values, prometheus, deadline).await?;
            let chosen = wanted
                .variables
                .get(&variable.name)
                .cloned()
                .or_else(|| variable.all.clone());
            for value in chosen.map_or(found, |value| vec![value]) {
                let mut values = values.clone();
                values.set(&variable.name, value);
                filled.push(values);
            }
        }
        filled.truncate(CHOICES);
        choices = filled;
    }
    Ok(choices)
}

/// The values that the query of a variable finds; none of them by the deadline is an error.
async fn found(
    variable: &Variable,
    values: &Values,
    prometheus: &impl Answers,
    deadline: Instant,
) -> anyhow::Result<Vec<String>> {
    let place = format!("variable `{}`", variable.name);
    let query = values
        .fill(&variable.query)
        .map_err(|name| anyhow::anyhow!("{place}: `${name}` has no value"))?;
    let (selector, label) = label_values(&query).with_context(|| format!("{place}: {query}"))?;
    loop {
        let found = prometheus
            .label_values(&selector, &label)
            .await
            .with_context(|| place.clone())?;
        if !found.is_empty() {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "{place}: {query} found no value");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks a query with each choice of the variables until one of them returns data.
async fn eventually(
    prometheus: &impl Answers,
    query: &Query,
    choices: &[Values],
    wanted: &Wanted,
    deadline: Instant,
) -> anyhow::Result<()> {
    let fill = |values: &Values| {
        values
            .fill(&query.text)
            .map_err(|name| anyhow::anyhow!("`${name}` has no value"))
    };
    let texts: BTreeSet<String> = choices.iter().map(fill).collect::<Result<_, _>>()?;
    loop {
        for text in &texts {
            let found = prometheus
                .filled(query, text, wanted.range, step(wanted))
                .await;
            if found.with_context(|| text.clone())? > 0 {
                return Ok(());
            }
        }
        let others = texts.len().saturating_sub(1);
        let first = texts.first().map_or("", String::as_str);
        ensure!(
            Instant::now() < deadline,
            "no data: {first} (and {others} more choices of the variables)"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// The step that Grafana would choose for a panel some 300 points wide.
fn step(wanted: &Wanted) -> u64 {
    (wanted.range / 300).max(wanted.scrape).max(1)
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for empty in &self.empty {
            writeln!(f, "empty: {empty}")?;
        }
        let (filled, empty, left_out) = (self.filled, self.empty.len(), self.left_out.len());
        write!(
            f,
            "{filled} queries with data, {empty} without, {left_out} not asked (they need another condition)"
        )
    }
}
