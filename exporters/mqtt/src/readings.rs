//! What the sensors said last, bounded, for as long as it holds.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use toolkit::Labels;

use crate::owners::Owners;
use crate::rules::Sample;

/// Most series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of devices of the inventory.
    pub known: usize,
    /// Of topics that no device of the inventory publishes.
    pub unknown: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    device: Labels,
    own: Labels,
}

/// What a key is made of, so that one that is there is found without making another.
trait Parts {
    fn parts(&self) -> (&Labels, &Labels);
}

impl Parts for Key {
    fn parts(&self) -> (&Labels, &Labels) {
        (&self.device, &self.own)
    }
}

impl Parts for (&Labels, &Labels) {
    fn parts(&self) -> (&Labels, &Labels) {
        *self
    }
}

impl Hash for dyn Parts + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for dyn Parts + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Parts + '_ {}

impl<'a> Borrow<dyn Parts + 'a> for Key {
    fn borrow(&self) -> &(dyn Parts + 'a) {
        self
    }
}

#[derive(Debug, Clone)]
struct Reading {
    value: f64,
    seen: Instant,
    /// `None` holds while its broker is connected.
    until: Option<Instant>,
    topic: Arc<str>,
    broker: Arc<str>,
    known: bool,
}

/// Where a message came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The broker.
    pub broker: &'a Arc<str>,
    /// The topic.
    pub topic: &'a Arc<str>,
    /// Labels of the device that publishes it.
    pub device: Option<&'a Labels>,
}

/// The series.
#[derive(Debug)]
pub struct Readings {
    bounds: Bounds,
    series: BTreeMap<Arc<str>, HashMap<Key, Reading>>,
    /// How many are of devices of the inventory, and how many are not.
    count: [usize; 2],
}

/// The labels of what no device of the inventory publishes.
static NOBODY: LazyLock<Labels> =
    LazyLock::new(|| Labels::new([("device", ""), ("site", ""), ("role", "")]));

impl Readings {
    /// None yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            series: BTreeMap::new(),
            count: [0, 0],
        }
    }

    /// Other bounds; what is there stays until it is stale.
    pub fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The bounds.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How many series are of devices of the inventory, and how many are not.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.count[1], self.count[0])
    }

    /// Takes a sample; false when there is no room for another series.
    pub fn take(
        &mut self,
        origin: Origin<'_>,
        sample: &Sample,
        stale: Duration,
        now: Instant,
    ) -> bool {
        let known = origin.device.is_some();
        let device = origin.device.unwrap_or(&NOBODY);
        let stale = sample.stale_after.unwrap_or(stale);
        let until = (!sample.state).then(|| now + stale);
        let family = self.series.get_mut(&sample.metric);
        let parts: &dyn Parts = &(device, &sample.labels);
        if let Some(have) = family.and_then(|family| family.get_mut(parts)) {
            (have.value, have.seen, have.until) = (sample.value, now, until);
            for (have, new) in [
                (&mut have.topic, origin.topic),
                (&mut have.broker, origin.broker),
            ] {
                if !Arc::ptr_eq(have, new) {
                    *have = Arc::clone(new);
                }
            }
            return true;
        }
        let most = if known {
            self.bounds.known
        } else {
            self.bounds.unknown
        };
        if self.count[usize::from(known)] >= most {
            return false;
        }
        let key = Key {
            device: device.clone(),
            own: sample.labels.clone(),
        };
        let reading = Reading {
            value: sample.value,
            seen: now,
            until,
            topic: Arc::clone(origin.topic),
            broker: Arc::clone(origin.broker),
            known,
        };
        let family = self.series.entry(Arc::clone(&sample.metric)).or_default();
        self.count[usize::from(known)] += 1;
        family.insert(key, reading);
        true
    }

    fn keep(&mut self, keep: impl Fn(&str, &Reading) -> bool) {
        let mut count = [0, 0];
        self.series.retain(|name, family| {
            family.retain(|_, reading| {
                let kept = keep(name, reading);
                count[usize::from(reading.known)] += usize::from(kept);
                kept
            });
            !family.is_empty()
        });
        self.count = count;
    }

    /// Forgets what no longer holds.
    pub fn sweep(&mut self, now: Instant) {
        self.keep(|_, reading| reading.until.is_none_or(|until| now < until));
    }

    /// Forgets what is said only when it changes: the broker that would say so is gone.
    pub fn disconnected(&mut self, broker: &str) {
        self.keep(|_, reading| reading.until.is_some() || &*reading.broker != broker);
    }

    /// Forgets families and brokers that the configuration no longer has.
    pub fn only(&mut self, has: impl Fn(&str, &str) -> bool) {
        self.keep(|name, reading| has(name, &reading.broker));
    }

    /// Gives each series to the device that publishes its topic now; of two that become one the later stays.
    pub fn reassign(&mut self, owners: &Owners) {
        let mut count = [0, 0];
        for family in self.series.values_mut() {
            let mut all: Vec<(Key, Reading)> = family.drain().collect();
            all.sort_by_key(|(_, reading)| reading.seen);
            for (key, mut reading) in all {
                let owner = owners.of(&reading.topic);
                reading.known = owner.is_some();
                let device = owner.map_or_else(|| NOBODY.clone(), |owner| owner.labels.clone());
                family.insert(Key { device, ..key }, reading);
            }
            for reading in family.values() {
                count[usize::from(reading.known)] += 1;
            }
        }
        self.count = count;
    }

    /// Each family that has series, with labels of the device, labels of its own, and value.
    pub fn each(
        &self,
        mut take: impl FnMut(&Arc<str>, &mut dyn Iterator<Item = (&Labels, &Labels, f64)>),
    ) {
        for (name, family) in &self.series {
            let mut all = family
                .iter()
                .map(|(key, reading)| (&key.device, &key.own, reading.value));
            take(name, &mut all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE: Duration = Duration::from_secs(60);

    fn sample(labels: &str, value: f64, state: bool) -> Sample {
        Sample {
            metric: "t".into(),
            labels: Labels::new([("sensor", labels)]),
            value,
            state,
            stale_after: None,
        }
    }

    fn shown(readings: &Readings) -> Vec<String> {
        let mut shown = Vec::new();
        readings.each(|name, all| {
            for (device, own, value) in all {
                shown.push(format!(
                    "{name}{{{},{}}} {value}",
                    device.as_str(),
                    own.as_str()
                ));
            }
        });
        shown.sort();
        shown
    }

    fn owners(text: &str) -> Owners {
        Owners::new(&inventory::Inventory::parse(text, std::path::Path::new("x")).unwrap())
    }

    #[test]
    fn readings_go_when_they_are_stale_and_states_when_the_broker_is_gone() {
        let (broker, topic) = ("main".into(), "x".into());
        let origin = Origin {
            broker: &broker,
            topic: &topic,
            device: None,
        };
        let mut readings = Readings::new(Bounds {
            known: 9,
            unknown: 9,
        });
        let now = Instant::now();
        assert!(readings.take(origin, &sample("a", 1.0, false), STALE, now));
        assert!(readings.take(origin, &sample("b", 2.0, true), STALE, now));
        readings.sweep(now + STALE - Duration::from_millis(1));
        assert_eq!(shown(&readings).len(), 2);
        readings.sweep(now + STALE);
        assert_eq!(
            shown(&readings),
            ["t{device=\"\",site=\"\",role=\"\",sensor=\"b\"} 2"]
        );
        readings.disconnected("other");
        assert_eq!(readings.count(), (0, 1));
        readings.disconnected("main");
        assert!(shown(&readings).is_empty() && readings.count() == (0, 0));
    }

    #[test]
    fn topics_of_nobody_cannot_take_the_room_of_devices() {
        let (broker, topic) = ("main".into(), "x".into());
        let device = Labels::new([("device", "r1")]);
        let stranger = Origin {
            broker: &broker,
            topic: &topic,
            device: None,
        };
        let known = Origin {
            device: Some(&device),
            ..stranger
        };
        let mut readings = Readings::new(Bounds {
            known: 1,
            unknown: 1,
        });
        let now = Instant::now();
        assert!(readings.take(stranger, &sample("a", 1.0, false), STALE, now));
        assert!(!readings.take(stranger, &sample("b", 1.0, false), STALE, now));
        assert!(readings.take(known, &sample("b", 1.0, false), STALE, now));
        assert!(!readings.take(known, &sample("c", 1.0, false), STALE, now));
        // What is there is renewed even when it is full.
        assert!(readings.take(known, &sample("b", 5.0, false), STALE, now));
        assert_eq!(readings.count(), (1, 1));
    }

    #[test]
    fn a_sensor_that_moves_has_no_series_at_its_old_place() {
        let (broker, topic): (Arc<str>, Arc<str>) = ("main".into(), "tele/a/SENSOR".into());
        let mut readings = Readings::new(Bounds {
            known: 9,
            unknown: 9,
        });
        let before =
            owners("devices: [{name: r1, address: 192.0.2.1, mqtt: {topics: ['tele/#']}}]");
        let device = before.of(&topic).map(|owner| &owner.labels);
        let origin = Origin {
            broker: &broker,
            topic: &topic,
            device,
        };
        assert!(readings.take(origin, &sample("a", 1.0, false), STALE, Instant::now()));
        readings.reassign(&owners(
            "devices: [{name: r2, address: 192.0.2.1, role: router, mqtt: {topics: ['tele/a/+']}}]",
        ));
        assert_eq!(
            shown(&readings),
            ["t{device=\"r2\",site=\"\",role=\"router\",sensor=\"a\"} 1"]
        );
        readings.reassign(&owners("devices: []"));
        assert_eq!(readings.count(), (0, 1));
    }
}
