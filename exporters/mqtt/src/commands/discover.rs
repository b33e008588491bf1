//! `sotp-mqtt discover`: rules for what is published at the brokers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value as Json;

use crate::config::{Broker, Config};
use crate::metrics::OWN;
use crate::rules::{LONGEST_LABEL, Rules};
use crate::session::{Heard, Session};
use crate::topic::Pattern;

/// Most topics that are remembered.
const TOPICS: usize = 20_000;
/// Longest payload that is looked into, bytes.
const PAYLOAD: usize = 64 << 10;
/// Longest payload that becomes an example, bytes.
const EXAMPLE: usize = 2_000;
/// Most numbers of a payload, and of a rule.
const NUMBERS: usize = 100;
/// Longest time.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What was heard.
#[derive(Debug, Default)]
struct Found {
    /// A payload of each topic.
    topics: BTreeMap<String, Vec<u8>>,
    messages: u64,
    covered: u64,
    overflow: u64,
}

/// Listens, and writes the rules.
pub(super) fn run(file: &Path, time: &str, filter: &str) -> anyhow::Result<()> {
    let time = units::duration(time).map_err(|error| anyhow::anyhow!("--for: {error}"))?;
    ensure!(
        (Duration::from_secs(1)..=LONGEST).contains(&time),
        "--for: expected 1s to 1h"
    );
    let pattern = Pattern::parse(filter).map_err(|error| anyhow::anyhow!("--topics: {error}"))?;
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let config = Config::parse(&text, file)?;
    let found = Arc::new(Mutex::new(Found::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let reached = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for broker in &config.brokers {
            let broker = Arc::new(Broker::clone(broker).for_once());
            let (found, rules) = (Arc::clone(&found), Arc::clone(&config.settings.rules));
            let filter = pattern.filter();
            tasks.spawn(async move {
                // Its own end would be an error: it listens for ever.
                let listening = listen(&broker, &filter, &rules, &found);
                let ended = tokio::time::timeout(time, listening).await.ok();
                (broker, ended)
            });
        }
        let mut reached = 0;
        while let Some(task) = tasks.join_next().await {
            let (broker, ended) = task?;
            match ended {
                None => reached += 1,
                Some(error) => writeln!(std::io::stderr(), "note: {}: {error:#}", broker.name)?,
            }
        }
        anyhow::Ok(reached)
    })?;
    ensure!(reached > 0, "no broker could be listened to until the end");
    let found = found.lock().map_err(|_| anyhow::anyhow!("a task failed"))?;
    let (text, left) = rules(&found.topics);
    // What this program would refuse is not printed.
    Rules::parse([(&*text, Path::new("rules"))]).context("the rules that were made")?;
    let mut err = std::io::stderr();
    writeln!(
        err,
        "note: {} messages of {} topics were heard; {} messages are taken by the configured rules already",
        found.messages,
        found.topics.len(),
        found.covered
    )?;
    if found.overflow > 0 {
        writeln!(
            err,
            "note: {} messages of further topics were left out; ask for fewer with --topics",
            found.overflow
        )?;
    }
    for topic in left.iter().take(20) {
        writeln!(err, "note: no number in {topic}")?;
    }
    if left.len() > 20 {
        writeln!(err, "note: and in {} other topics", left.len() - 20)?;
    }
    write!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// Listens until there is an error.
async fn listen(
    broker: &Broker,
    filter: &str,
    rules: &Rules,
    found: &Mutex<Found>,
) -> anyhow::Error {
    let mut session = match Session::new(broker) {
        Ok(session) => session,
        Err(error) => return error.into(),
    };
    loop {
        match session.next().await {
            Err(error) => return error.into(),
            Ok(Heard::Connected) => {
                if let Err(error) = session.subscribe(broker, &[filter.to_owned()]) {
                    return error.into();
                }
            }
            Ok(Heard::Subscribed(granted)) if granted.contains(&false) => {
                return anyhow::anyhow!("the broker does not grant the subscription to {filter}");
            }
            Ok(Heard::Message { topic, payload, .. }) => {
                let mut found = found
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                found.messages += 1;
                if !rules.matching(&topic).is_empty() || rules.announcement(&topic, b"").is_some() {
                    found.covered += 1;
                } else if !usable(&topic) || payload.len() > PAYLOAD {
                    found.overflow += 1;
                } else if found.topics.len() < TOPICS || found.topics.contains_key(&topic) {
                    found.topics.insert(topic, payload.to_vec());
                } else {
                    found.overflow += 1;
                }
            }
            Ok(_) => {}
        }
    }
}

/// Whether a topic can stand in a rule as it is.
fn usable(topic: &str) -> bool {
    !topic.contains(['{', '}']) && Pattern::parse(topic).is_ok_and(|pattern| pattern.is_exact())
}

/// The numbers of a payload, by the way to them; the empty one is the payload itself.
fn numbers(payload: &[u8]) -> BTreeSet<String> {
    let text = std::str::from_utf8(payload).unwrap_or_default().trim();
    let json = serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()));
    let mut found = BTreeSet::new();
    walk(&json, &mut Vec::new(), &mut found);
    found
}

fn walk(json: &Json, way: &mut Vec<String>, found: &mut BTreeSet<String>) {
    let mut inside = |key: String, inner: &Json| {
        let plain = !key.is_empty() && !key.contains(['.', '{', '}']);
        if plain && way.len() < 8 && found.len() < NUMBERS {
            way.push(key);
            walk(inner, way, found);
            way.pop();
        }
    };
    match json {
        Json::Object(map) => map
            .iter()
            .for_each(|(key, inner)| inside(key.clone(), inner)),
        Json::Array(list) => {
            let all = list.iter().take(NUMBERS).enumerate();
            all.for_each(|(index, inner)| inside(index.to_string(), inner));
        }
        Json::Number(_) | Json::Bool(_) => {
            found.insert(way.join("."));
        }
        // A time or an identifier is no reading.
        Json::String(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
            found.insert(way.join("."));
        }
        _ => {}
    }
}

/// Topics that are alike: as many levels, the same numbers, and the same last level where it says what a bare number is.
type Alike<'t> = BTreeMap<(usize, BTreeSet<String>, &'t str), Vec<&'t str>>;

/// Rules for these topics, and the topics in which there is no number.
fn rules(topics: &BTreeMap<String, Vec<u8>>) -> (String, Vec<&str>) {
    let (mut alike, mut left) = (Alike::new(), Vec::new());
    for (topic, payload) in topics {
        let found = numbers(payload);
        if found.is_empty() {
            left.push(&**topic);
            continue;
        }
        let levels = topic.split('/').count();
        let last = topic.rsplit('/').next().filter(|_| found.contains(""));
        let key = (levels, found, last.unwrap_or_default());
        alike.entry(key).or_default().push(topic);
    }
    let (mut metrics, mut rules, mut examples) = (BTreeMap::new(), String::new(), String::new());
    for ((_, ways, _), members) in &alike {
        for group in parted(members) {
            let pattern = generalised(&group);
            let sensor = pattern.contains("{sensor}");
            let last = group[0].rsplit('/').next().unwrap_or_default();
            let good = |text: &&str| !text.is_empty() && text.len() <= LONGEST_LABEL;
            let fixed = Some(last).filter(|_| !sensor).filter(good);
            let _ = writeln!(rules, "  - topic: {}\n    values:", quoted(&pattern));
            for way in ways {
                let base = if way.is_empty() { last } else { way };
                let metric = match format!("mqtt_{}", name(base)) {
                    taken if OWN.contains(&&*taken) => format!("mqtt_reading_{}", name(base)),
                    free => free,
                };
                metrics
                    .entry(metric.clone())
                    .or_insert_with(|| format!("{} of {pattern}, in its own unit.", shown(base)));
                let path = if way.is_empty() {
                    String::new()
                } else {
                    format!(", path: {}", quoted(way))
                };
                let labels = fixed.map_or_else(String::new, |fixed| {
                    format!(", labels: {{sensor: {}}}", quoted(fixed))
                });
                let _ = writeln!(rules, "      - {{metric: {metric}{path}{labels}}}");
            }
            let payload = topics.get(group[0]).map_or(&[][..], Vec::as_slice);
            let text = String::from_utf8_lossy(payload);
            if text.len() <= EXAMPLE {
                let _ = writeln!(examples, "# {} {}", shown(group[0]), shown(&text));
            }
        }
    }
    let mut text = "# Written by sotp-mqtt discover: what was heard, as gauges in their own units. Name the series by what they are and give them base\n\
                    # units (divide, multiply) before you use it; docs/mqtt.md.\n"
        .to_owned();
    text.push_str("metrics:");
    text.push_str(if metrics.is_empty() { " {}\n" } else { "\n" });
    for (metric, help) in &metrics {
        let _ = writeln!(text, "  {metric}: {{help: {}}}", quoted(help));
    }
    text.push_str("rules:");
    text.push_str(if rules.is_empty() { " []\n" } else { "\n" });
    (
        text + &rules + "\n# A message of each rule:\n" + &examples,
        left,
    )
}

/// Topics of one shape in groups that differ in all but their constant levels by no more than two: others are told apart by their last level.
fn parted<'t>(members: &[&'t str]) -> Vec<Vec<&'t str>> {
    if differing(members).len() <= 2 {
        return vec![members.to_vec()];
    }
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for topic in members {
        let first = topic.split('/').next().unwrap_or_default();
        groups.entry(first).or_default().push(topic);
    }
    groups.into_values().collect()
}

/// The levels in which they differ.
fn differing(members: &[&str]) -> Vec<usize> {
    let first: Vec<&str> = members[0].split('/').collect();
    (0..first.len())
        .filter(|level| {
            let other = |topic: &&str| topic.split('/').nth(*level) != Some(first[*level]);
            members.iter().any(other)
        })
        .collect()
}

/// The pattern of all of them; the first level in which they differ is the sensor.
fn generalised(members: &[&str]) -> String {
    let differing = differing(members);
    let levels = members[0].split('/').enumerate();
    let levels = levels.map(
        |(index, level)| match differing.iter().position(|d| *d == index) {
            None => level.to_owned(),
            Some(0) => "{sensor}".to_owned(),
            Some(nth) => format!("{{level_{}}}", nth + 1),
        },
    );
    levels.collect::<Vec<_>>().join("/")
}

/// A part of the name of a series.
fn name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().take(80) {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_matches('_');
    // Only counters end so, and whether it is one nobody knows.
    let name = name.strip_suffix("_total").unwrap_or(name);
    if name.is_empty() { "value" } else { name }.to_owned()
}

fn shown(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(EXAMPLE)];
    cut.replace(char::is_control, " ")
}

/// A double-quoted scalar (YAML 1.2 section 5.7); topics have no control characters.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        shown(text).replace('\\', "\\\\").replace('"', "\\\"")
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(messages: &[(&str, &str)]) -> (String, Vec<String>) {
        let topics = messages
            .iter()
            .map(|(topic, payload)| ((*topic).to_owned(), payload.as_bytes().to_vec()))
            .collect();
        let (text, left) = rules(&topics);
        let left = left.into_iter().map(str::to_owned).collect();
        Rules::parse([(&*text, Path::new("x"))]).unwrap_or_else(|e| panic!("{e}\n{text}"));
        (text, left)
    }

    #[test]
    fn topics_that_are_alike_become_one_rule_and_what_has_no_number_is_named() {
        let (text, left) = of(&[
            (
                "building/1/hall/climate",
                r#"{"t":21.5,"rh":"40","at":"2026-03-01"}"#,
            ),
            (
                "building/1/attic/climate",
                r#"{"t":25,"rh":30,"at":"2026-03-01"}"#,
            ),
            ("building/1/hall/door", "open"),
            ("power/main/watts", "230.5"),
            ("power/main/connected", "1"),
        ]);
        for line in [
            "  - topic: \"building/1/{sensor}/climate\"\n    values:\n      - {metric: mqtt_rh, path: \"rh\"}\n      - {metric: mqtt_t, path: \"t\"}\n",
            "  - topic: \"power/main/watts\"\n    values:\n      - {metric: mqtt_watts, labels: {sensor: \"watts\"}}\n",
            "  mqtt_t: {help: \"t of building/1/{sensor}/climate, in its own unit.\"}\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert_eq!(left, ["building/1/hall/door"]);
        let (text, _) = of(&[]);
        assert!(text.contains("rules: []"));
    }

    proptest! {
        #[test]
        fn whatever_is_heard_gives_rules_that_are_good(topics in proptest::collection::btree_map("[a-z\"\\\\: é]{1,5}(/[a-z0-9]{0,3}){0,3}", "(\\{\"[a-z.{}\"]{0,4}\":-?[0-9]{1,3}\\}|[0-9a-z\"]{0,5}|\\[1,2\\])", 0..12)) {
            let topics: BTreeMap<String, Vec<u8>> = topics
                .into_iter()
                .filter(|(topic, _)| usable(topic))
                .map(|(topic, payload)| (topic, payload.into_bytes()))
                .collect();
            let (text, _) = rules(&topics);
            if let Err(error) = Rules::parse([(&*text, Path::new("x"))]) {
                prop_assert!(false, "{error}\n{text}");
            }
        }
    }
}
