//! From messages to readings.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use inventory::Inventory;
use quick_cache::unsync::Cache;
use toolkit::Labels;

use crate::announced::Announced;
use crate::owners::{Owner, Owners};
use crate::readings::{Bounds, Origin, Readings};
use crate::rules::{Announcement, LONGEST_LABEL, Match, Read, Refused, Rule, Rules};

/// Topics whose rules and device are remembered.
const REMEMBERED: usize = 20_000;
/// Longest topic, bytes.
const LONGEST_TOPIC: usize = 512;
/// Topics that are named for having found no room.
const NAMED: usize = 20;
/// The name of all others.
const OTHER: &str = "other";
/// Pause between two lines about refused series.
const QUIET: Duration = Duration::from_secs(60);

/// How a message ended. Each ends in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It gave a sample at least.
    Taken,
    /// Rules take its topic, and found nothing in it.
    NoValue,
    /// It told of an entity (Home Assistant's discovery).
    Announcement,
    /// No rule takes its topic.
    NoRule,
    /// The broker had kept it, and nobody knows how old it is.
    Retained,
    /// Its payload is neither text nor JSON.
    Malformed,
    /// Its payload is longer than is read.
    Oversized,
    /// Its topic is too long or has control characters.
    BadTopic,
    /// All its values were refused.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Taken,
        Self::NoValue,
        Self::Announcement,
        Self::NoRule,
        Self::Retained,
        Self::Malformed,
        Self::Oversized,
        Self::BadTopic,
        Self::Refused,
    ];

    /// As the label says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::NoValue => "no_value",
            Self::Announcement => "announcement",
            Self::NoRule => "no_rule",
            Self::Retained => "retained",
            Self::Malformed => "malformed",
            Self::Oversized => "oversized",
            Self::BadTopic => "bad_topic",
            Self::Refused => "refused",
        }
    }
}

/// What holds for every message.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The rules.
    pub rules: Arc<Rules>,
    /// After which time a reading is no longer shown.
    pub stale_after: Duration,
    /// Whether readings that the broker had kept are taken.
    pub retained: bool,
    /// Longest payload, bytes.
    pub payload_bytes: usize,
    /// Most entities that announce themselves.
    pub announced: usize,
    /// Most series.
    pub bounds: Bounds,
}

struct Known {
    topic: Arc<str>,
    owner: Option<Arc<Owner>>,
    matching: Match,
    announced: Vec<Arc<Rule>>,
}

/// What a device of the inventory has published.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Published {
    /// Messages.
    pub messages: u64,
    /// When the last came.
    pub last: Option<SystemTime>,
}

/// Messages in, readings out.
pub struct Intake {
    settings: Settings,
    owners: Owners,
    /// The readings.
    pub readings: Readings,
    known: Cache<Arc<str>, Arc<Known>>,
    messages: BTreeMap<Arc<str>, [u64; Outcome::ALL.len()]>,
    refused: [u64; Refused::ALL.len()],
    /// Values for which there was no room, by topic.
    over_budget: BTreeMap<Arc<str>, u64>,
    /// The entities that have announced themselves.
    pub announced: Announced,
    devices: HashMap<Arc<str>, Published>,
    said: Option<Instant>,
}

/// Locks it, also after a panic of another thread: every message is taken whole or not at all.
pub fn lock(intake: &Mutex<Intake>) -> MutexGuard<'_, Intake> {
    intake.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Intake {
    /// Nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            owners: Owners::default(),
            readings: Readings::new(settings.bounds),
            known: Cache::new(REMEMBERED),
            messages: BTreeMap::new(),
            refused: [0; Refused::ALL.len()],
            over_budget: BTreeMap::from([(OTHER.into(), 0)]),
            announced: Announced::default(),
            devices: HashMap::new(),
            said: None,
            settings,
        }
    }

    /// Goes on with other settings and brokers; the counters of brokers that stay go on.
    pub fn configure(&mut self, settings: Settings, brokers: &[Arc<str>]) {
        self.readings.bound(settings.bounds);
        self.readings.only(|metric, broker| {
            settings.rules.metrics().contains_key(metric) && brokers.iter().any(|b| **b == *broker)
        });
        self.messages.retain(|broker, _| brokers.contains(broker));
        for broker in brokers {
            self.messages.entry(Arc::clone(broker)).or_default();
        }
        self.known.clear();
        if !settings.rules.announces() {
            self.announced.clear();
        }
        self.settings = settings;
    }

    /// Goes on with these devices.
    pub fn follow(&mut self, inventory: &Inventory) {
        self.owners = Owners::new(inventory);
        self.known.clear();
        self.readings.reassign(&self.owners);
        let before = std::mem::take(&mut self.devices);
        for owner in self.owners.all() {
            let published = before.get(&owner.name).copied().unwrap_or_default();
            self.devices.insert(Arc::clone(&owner.name), published);
        }
    }

    /// Takes a message.
    pub fn take(
        &mut self,
        broker: &Arc<str>,
        topic: &str,
        payload: &[u8],
        retained: bool,
    ) -> Outcome {
        let outcome = self.outcome(broker, topic, payload, retained);
        if !self.messages.contains_key(broker) {
            self.messages.insert(Arc::clone(broker), Default::default());
        }
        let at = Outcome::ALL.iter().position(|one| *one == outcome);
        if let Some(counts) = self.messages.get_mut(broker)
            && let Some(count) = at.and_then(|at| counts.get_mut(at))
        {
            *count += 1;
        }
        outcome
    }

    fn outcome(
        &mut self,
        broker: &Arc<str>,
        topic: &str,
        payload: &[u8],
        retained: bool,
    ) -> Outcome {
        if topic.is_empty() || topic.len() > LONGEST_TOPIC || topic.contains(char::is_control) {
            return Outcome::BadTopic;
        }
        let known = self.known(topic);
        if let Some(published) = known
            .owner
            .as_ref()
            .and_then(|owner| self.devices.get_mut(&owner.name))
            && !retained
        {
            published.messages += 1;
            published.last = Some(SystemTime::now());
        }
        let rules = Arc::clone(&self.settings.rules);
        let unread = known.matching.is_empty() && known.announced.is_empty();
        if unread && !rules.announces() {
            return Outcome::NoRule;
        }
        if payload.len() > self.settings.payload_bytes {
            return Outcome::Oversized;
        }
        if let Some(announcement) = rules.announcement(topic, payload) {
            return self.announce(broker, topic, announcement);
        }
        if unread {
            return Outcome::NoRule;
        }
        let retained = (retained, self.settings.retained);
        match rules.read(&known.matching, &known.announced, payload, retained) {
            Err(_) => Outcome::Malformed,
            Ok(read) => self.store(broker, &known, &read),
        }
    }

    /// Takes what an entity says of itself.
    fn announce(&mut self, broker: &Arc<str>, topic: &str, announcement: Announcement) -> Outcome {
        match announcement {
            Announcement::Entities { count, rules } => {
                let others = self.announced.len() - self.announced.of_announcement(topic);
                if others + count > self.settings.announced {
                    self.no_room(topic);
                    return Outcome::Refused;
                }
                self.announced.insert(broker, topic, count, rules);
            }
            Announcement::Unused if self.announced.of_announcement(topic) == 0 => {
                return Outcome::NoValue;
            }
            Announcement::Gone | Announcement::Unused => self.announced.remove(topic),
        }
        self.known.clear();
        Outcome::Announcement
    }

    /// Counts a value for which there is no room, by its topic as long as there is room for that.
    fn no_room(&mut self, topic: &str) {
        let named = self.over_budget.len() <= NAMED || self.over_budget.contains_key(topic);
        let shown = named && topic.len() <= LONGEST_LABEL;
        let topic = if shown { topic } else { OTHER };
        match self.over_budget.get_mut(topic) {
            Some(count) => *count += 1,
            None => {
                self.over_budget.insert(topic.into(), 1);
            }
        }
        if let Some(at) = Refused::ALL.iter().position(|one| *one == Refused::Budget) {
            self.refused[at] += 1;
        }
    }

    fn store(&mut self, broker: &Arc<str>, known: &Known, read: &Read) -> Outcome {
        let now = Instant::now();
        let origin = Origin {
            broker,
            topic: &known.topic,
            device: known.owner.as_ref().map(|owner| &owner.labels),
        };
        let mut taken = false;
        let mut over = false;
        for sample in &read.samples {
            let mut room = self
                .readings
                .take(origin, sample, self.settings.stale_after, now);
            if !room
                && self
                    .said
                    .is_none_or(|said| now.duration_since(said) > QUIET)
            {
                // What is stale makes room; looked for once in a while, since it costs a walk through all.
                self.readings.sweep(now);
                room = self
                    .readings
                    .take(origin, sample, self.settings.stale_after, now);
                if !room {
                    self.said = Some(now);
                    tracing::warn!(
                        topic = &*known.topic,
                        metric = &*sample.metric,
                        "no room for another series"
                    );
                }
            }
            taken |= room;
            if !room {
                self.no_room(&known.topic);
                over = true;
            }
        }
        for reason in &read.refused {
            if let Some(at) = Refused::ALL.iter().position(|one| one == reason) {
                self.refused[at] += 1;
            }
        }
        match (taken, read.refused.is_empty() && !over) {
            (true, _) => Outcome::Taken,
            (false, false) => Outcome::Refused,
            (false, true) if read.retained => Outcome::Retained,
            (false, true) => Outcome::NoValue,
        }
    }

    fn known(&mut self, topic: &str) -> Arc<Known> {
        if let Some(known) = self.known.get(topic) {
            return Arc::clone(known);
        }
        let known = Arc::new(Known {
            topic: topic.into(),
            owner: self.owners.of(topic).cloned(),
            matching: self.settings.rules.matching(topic),
            announced: self.announced.of(topic),
        });
        self.known
            .insert(Arc::clone(&known.topic), Arc::clone(&known));
        known
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.settings.rules
    }

    /// Messages by broker and outcome.
    pub fn messages(&self) -> impl Iterator<Item = (&str, Outcome, u64)> {
        self.messages.iter().flat_map(|(broker, counts)| {
            Outcome::ALL
                .into_iter()
                .zip(counts)
                .map(|(outcome, count)| (&**broker, outcome, *count))
        })
    }

    /// Values for which there was no room, by topic; `other` for those beyond the first topics.
    pub fn over_budget(&self) -> impl Iterator<Item = (&str, u64)> {
        self.over_budget
            .iter()
            .map(|(topic, count)| (&**topic, *count))
    }

    /// Values that became no series, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Refused, u64)> {
        Refused::ALL.into_iter().zip(self.refused)
    }

    /// What each device of the inventory that publishes has published.
    pub fn published(&self) -> impl Iterator<Item = (&Labels, Published)> {
        let all = self.owners.all().iter();
        all.map(|owner| {
            (
                &owner.labels,
                self.devices.get(&owner.name).copied().unwrap_or_default(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn intake(bounds: Bounds) -> (Intake, Arc<str>) {
        let files = crate::rules::BUILT_IN.map(|(name, text)| (text, Path::new(name)));
        let broker: Arc<str> = "main".into();
        let settings = Settings {
            rules: Arc::new(Rules::parse(files).unwrap()),
            stale_after: Duration::from_secs(600),
            retained: false,
            payload_bytes: 1_000,
            announced: 2,
            bounds,
        };
        let mut intake = Intake::new(settings.clone());
        intake.configure(settings, &[Arc::clone(&broker)]);
        let devices =
            "devices: [{name: r1, address: 192.0.2.1, mqtt: {topics: [zigbee2mqtt/rack]}}]";
        intake.follow(&Inventory::parse(devices, Path::new("x")).unwrap());
        (intake, broker)
    }

    #[test]
    fn each_message_ends_in_one_way_and_is_counted_once() {
        let (mut intake, broker) = intake(Bounds {
            known: 2,
            unknown: 1,
        });
        let long = "x".repeat(600);
        for (topic, payload, retained, outcome) in [
            (
                "zigbee2mqtt/rack",
                r#"{"temperature":21}"#,
                false,
                Outcome::Taken,
            ),
            (
                "zigbee2mqtt/rack",
                r#"{"temperature":21}"#,
                true,
                Outcome::Retained,
            ),
            (
                "zigbee2mqtt/rack",
                r#"{"colour":"red"}"#,
                false,
                Outcome::NoValue,
            ),
            (
                "zigbee2mqtt/rack",
                r#"{"temperature":"warm"}"#,
                false,
                Outcome::Refused,
            ),
            (
                "zigbee2mqtt/rack",
                r#"{"temperature":"#,
                false,
                Outcome::Malformed,
            ),
            (
                "zigbee2mqtt/rack",
                &"9".repeat(1_001),
                false,
                Outcome::Oversized,
            ),
            ("zigbee2mqtt/a/b/c", "1", false, Outcome::NoRule),
            (&long, "1", false, Outcome::BadTopic),
            ("a\u{7}", "1", false, Outcome::BadTopic),
            (
                "zigbee2mqtt/x",
                r#"{"temperature":1}"#,
                false,
                Outcome::Taken,
            ),
            (
                "zigbee2mqtt/y",
                r#"{"temperature":1}"#,
                false,
                Outcome::Refused,
            ),
            (
                "zigbee2mqtt/x",
                r#"{"temperature":2}"#,
                false,
                Outcome::Taken,
            ),
        ] {
            let topic_short = &topic[..topic.len().min(30)];
            assert_eq!(
                intake.take(&broker, topic, payload.as_bytes(), retained),
                outcome,
                "{topic_short} {payload:.30}"
            );
        }
        let counts: u64 = intake.messages().map(|(_, _, count)| count).sum();
        assert_eq!(counts, 12);
        let refused: Vec<_> = intake.refused().filter(|(_, count)| *count > 0).collect();
        assert_eq!(refused, [(Refused::NotANumber, 1), (Refused::Budget, 1)]);
        let (_, published) = intake.published().next().unwrap();
        // What the broker had kept says nothing of when the device spoke.
        assert_eq!(published.messages, 5);
        let over: Vec<_> = intake.over_budget().collect();
        assert_eq!(over, [(OTHER, 0), ("zigbee2mqtt/y", 1)]);
    }

    #[test]
    fn topics_without_room_are_named_up_to_a_bound() {
        let (mut intake, broker) = intake(Bounds {
            known: 0,
            unknown: 0,
        });
        for number in 0..100 {
            let topic = format!("zigbee2mqtt/s{number}");
            for _ in 0..2 {
                intake.take(&broker, &topic, br#"{"temperature":1,"humidity":2}"#, false);
            }
        }
        let over: Vec<_> = intake.over_budget().collect();
        assert_eq!(over.len(), NAMED + 1);
        assert_eq!(over[0], (OTHER, 320));
        assert!(over[1..].iter().all(|(_, count)| *count == 4), "{over:?}");
        let budget = intake
            .refused()
            .find(|(reason, _)| *reason == Refused::Budget);
        assert_eq!(budget, Some((Refused::Budget, 400)));
    }

    #[test]
    fn entities_are_read_as_long_as_they_are_announced_and_no_more_than_there_is_room_for() {
        let (mut intake, broker) = intake(Bounds {
            known: 9,
            unknown: 9,
        });
        let config = |name: &str| {
            let topic = format!("homeassistant/sensor/{name}/t/config");
            let payload = format!(
                r#"{{"stat_t":"{name}/t","dev_cla":"temperature","unit_of_meas":"°C","avty_t":"{name}/up"}}"#
            );
            (topic, payload)
        };
        let mut take = |topic: &str, payload: &str, retained| {
            intake.take(&broker, topic, payload.as_bytes(), retained)
        };
        assert_eq!(take("a/t", "21", false), Outcome::NoRule);
        let (topic, payload) = config("a");
        assert_eq!(take(&topic, &payload, true), Outcome::Announcement);
        assert_eq!(take("a/t", "21", false), Outcome::Taken);
        assert_eq!(take("a/t", "22", true), Outcome::Retained);
        assert_eq!(take("a/up", "online", true), Outcome::Taken);
        assert_eq!(take("b/t", "21", false), Outcome::NoRule);
        let (topic, payload) = config("b");
        assert_eq!(take(&topic, &payload, true), Outcome::Announcement);
        let (third, payload) = config("c");
        assert_eq!(take(&third, &payload, true), Outcome::Refused);
        // Announced again it is no other one; what is gone makes room.
        let (_, again) = config("b");
        assert_eq!(take(&topic, &again, true), Outcome::Announcement);
        assert_eq!(take(&topic, "", false), Outcome::Announcement);
        assert_eq!(take("b/t", "21", false), Outcome::NoRule);
        assert_eq!(take(&third, &payload, true), Outcome::Announcement);
        assert_eq!(
            take("homeassistant/sensor/x/config", "{", true),
            Outcome::NoValue
        );
        // A device of three entities finds no room where there is one place; with one in its place it does.
        let device = |more: &str| {
            format!(
                r#"{{"dev":{{"name":"d"}},"stat_t":"d/state","cmps":{{"t":{{"p":"sensor","dev_cla":"temperature","unit_of_meas":"°C"}}{more}}}}}"#
            )
        };
        let switch = r#","a":{"p":"switch"},"b":{"p":"switch"}"#;
        let topic = "homeassistant/device/d/config";
        assert_eq!(take(&third, "", false), Outcome::Announcement);
        assert_eq!(take(topic, &device(switch), true), Outcome::Refused);
        assert_eq!(take(topic, &device(""), true), Outcome::Announcement);
        assert_eq!(take("d/state", "21", false), Outcome::Taken);
        assert_eq!(take(topic, "", true), Outcome::Announcement);
        assert_eq!(take("d/state", "21", false), Outcome::NoRule);
        let (_, payload) = config("c");
        assert_eq!(take(&third, &payload, true), Outcome::Announcement);
        let asked = intake.announced.unasked("main");
        let c = ["c/t", "c/up"];
        let before = ["a/t", "a/up", "b/t", "b/up", "b/t", "b/up"];
        assert_eq!(asked, [&before[..], &c, &["d/state"], &c].concat());
        assert!(intake.announced.unasked("main").is_empty());
        let topics: Vec<_> = intake.announced.topics("main").into_iter().collect();
        assert_eq!(topics, ["a/t", "a/up", "c/t", "c/up"]);
    }
}
