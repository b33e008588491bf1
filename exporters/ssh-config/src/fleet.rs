//! Who is due: each device on its schedule, sooner after an event, later after failures.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::archive::Reason;

/// First wait after a failed login, so that no account gets locked; it doubles.
const AFTER_LOGIN: Duration = Duration::from_secs(15 * 60);
/// First wait after another failure; it doubles.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Longest wait after failures.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Time until a window is looked at again.
const CLOSED: Duration = Duration::from_secs(60);
/// Shortest time between two logins on one device.
const BETWEEN: Duration = Duration::from_secs(1);
/// Logins on one device that its budget lets through at once.
const AT_ONCE: u32 = 10;

/// How a collection ended, as far as the schedule is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The device was collected, wholly or not.
    Good,
    /// It failed so many times in a row.
    Failed {
        /// Times.
        in_a_row: u32,
        /// Whether the device refused the login.
        login: bool,
    },
}

/// When events lead to a collection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Time from one collection to the next.
    pub(crate) every: Duration,
    /// Silence after an event.
    pub(crate) settle: Duration,
    /// Longest time after the first event.
    pub(crate) settle_at_most: Duration,
    /// Time between two logins on one device, in the long run.
    pub(crate) between: Duration,
}

#[derive(Debug)]
struct Device {
    /// When its schedule wants it.
    scheduled: Instant,
    /// Not before: after a failed login, or just after the last one.
    not_before: Instant,
    /// When its logins so far would be over at the rate of its budget.
    spent: Instant,
    event: Option<Event>,
    running: bool,
}

#[derive(Debug)]
struct Event {
    first: Instant,
    due: Instant,
    reason: Reason,
}

/// The devices that are collected.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    devices: HashMap<Arc<str>, Device>,
    /// When each that is not running is due, the next first: those of which something is known to have changed, and the others.
    due: [BTreeSet<(Instant, Arc<str>)>; 2],
}

impl Fleet {
    /// Takes over the names of devices: new ones are due after what `wait` says, others go on, those that are missing are left out.
    pub(crate) fn update(
        &mut self,
        names: &[String],
        now: Instant,
        wait: impl Fn(&str) -> Duration,
    ) {
        let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
        self.devices.retain(|name, _| wanted.contains(&**name));
        for name in names {
            if !self.devices.contains_key(name.as_str()) {
                let device = Device {
                    scheduled: now + wait(name),
                    not_before: now,
                    spent: now,
                    event: None,
                    running: false,
                };
                self.devices.insert(name.as_str().into(), device);
            }
        }
        self.arrange();
    }

    /// The work begins anew: nothing is running.
    pub(crate) fn begin(&mut self) {
        self.devices
            .values_mut()
            .for_each(|device| device.running = false);
        self.arrange();
    }

    fn arrange(&mut self) {
        self.due = <[BTreeSet<_>; 2]>::default();
        for (name, device) in self.devices.iter().filter(|(_, device)| !device.running) {
            self.due[group(device)].insert((when(device), Arc::clone(name)));
        }
    }

    /// Changes a device and its place among those that wait.
    fn change<T>(&mut self, name: &str, change: impl FnOnce(&mut Device) -> T) -> Option<T> {
        let (name, _) = self.devices.get_key_value(name)?;
        let name = Arc::clone(name);
        let device = self.devices.get_mut(&name)?;
        let place = (when(device), name);
        self.due[group(device)].remove(&place);
        let changed = change(device);
        if !device.running {
            self.due[group(device)].insert((when(device), place.1));
        }
        Some(changed)
    }

    /// Somebody or something says that `name` is another one now. Answers whether it is one of the devices.
    pub(crate) fn event(
        &mut self,
        name: &str,
        reason: Reason,
        now: Instant,
        timing: Timing,
    ) -> bool {
        let due = now + timing.settle;
        let noted = |device: &mut Device| match &mut device.event {
            None => {
                device.event = Some(Event {
                    first: now,
                    due,
                    reason,
                });
            }
            Some(event) => {
                event.due = due.min(event.first + timing.settle_at_most);
                // Who is named stays named, and a trace is gone on with.
                let origin = event.reason.origin.take().or_else(|| reason.origin.clone());
                if reason.user.is_some() {
                    event.reason = reason;
                }
                event.reason.origin = origin;
            }
        };
        self.change(name, noted).is_some()
    }

    /// The next device that is due, with why; it counts as running from now on. A change that somebody waits for comes before the schedule.
    ///
    /// One that the schedule wants and that is not `open` now waits for a minute.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        open: impl Fn(&str) -> bool,
    ) -> Option<(String, Reason)> {
        loop {
            let due = self.due.iter().find_map(|group| {
                let next = group.first().filter(|(at, _)| *at <= now);
                next.map(|(_, name)| Arc::clone(name))
            });
            let name = due?;
            let taken = self.change(&name, |device| {
                let event = device.event.take_if(|event| event.due <= now);
                if event.is_none() && !open(&name) {
                    device.scheduled = now + CLOSED;
                    return None;
                }
                device.running = true;
                Some(event.map_or(
                    Reason {
                        origin: None,
                        trigger: "schedule",
                        user: None,
                    },
                    |event| event.reason,
                ))
            });
            if let Some(reason) = taken.flatten() {
                return Some((name.to_string(), reason));
            }
        }
    }

    /// When the next device that is not running is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let first = self.due.iter().filter_map(BTreeSet::first);
        first.map(|(at, _)| *at).min()
    }

    /// A collection ended.
    pub(crate) fn ended(&mut self, name: &str, ending: Ending, now: Instant, timing: Timing) {
        self.change(name, |device| {
            device.running = false;
            device.spent = device.spent.max(now) + timing.between;
            let saved = timing.between * (AT_ONCE - 1);
            let left = device.spent.checked_sub(saved).unwrap_or(now);
            device.not_before = left.max(now + BETWEEN);
            device.scheduled = now + timing.every.mul_f64(0.95 + 0.1 * fastrand::f64());
            if let Ending::Failed { in_a_row, login } = ending {
                let first = if login { AFTER_LOGIN } else { AFTER_FAILURE };
                let wait = first
                    .saturating_mul(1 << in_a_row.saturating_sub(1).min(16))
                    .min(LONGEST);
                if login {
                    device.not_before = device.not_before.max(now + wait);
                }
                device.scheduled = now + wait.min(timing.every.max(first));
            }
        });
    }
}

/// Those of which something is known to have changed, or the others.
fn group(device: &Device) -> usize {
    usize::from(device.event.is_none())
}

fn when(device: &Device) -> Instant {
    let event = device.event.as_ref().map(|event| event.due);
    let wanted = event.map_or(device.scheduled, |event| event.min(device.scheduled));
    wanted.max(device.not_before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        every: Duration::from_secs(3600),
        settle: Duration::from_secs(1),
        settle_at_most: Duration::from_secs(3),
        between: Duration::from_secs(60),
    };

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    fn by(user: &str) -> Reason {
        Reason {
            origin: None,
            trigger: "syslog",
            user: Some(user.to_owned()),
        }
    }

    fn fleet(now: Instant) -> Fleet {
        let mut fleet = Fleet::default();
        fleet.update(&["r1".to_owned(), "r2".to_owned()], now, |_| seconds(100.0));
        fleet
    }

    #[test]
    fn device_is_collected_once_its_log_is_quiet_or_at_last_anyway() {
        let now = Instant::now();
        let mut fleet = fleet(now);
        assert!(fleet.take(now, |_| true).is_none());
        for tenth in [0.0, 0.8, 1.6] {
            assert!(fleet.event("r1", by("alice"), now + seconds(tenth), TIMING));
        }
        assert!(fleet.take(now + seconds(2.5), |_| true).is_none());
        assert_eq!(fleet.next(), Some(now + seconds(2.6)));
        let (name, reason) = fleet.take(now + seconds(2.6), |_| true).unwrap();
        assert_eq!((name.as_str(), reason), ("r1", by("alice")));
        for half in 0..8 {
            fleet.event(
                "r2",
                by("bob"),
                now + seconds(f64::from(half) * 0.5),
                TIMING,
            );
        }
        assert!(fleet.take(now + seconds(3.0), |_| true).is_some());
        assert!(!fleet.event("r3", by("eve"), now, TIMING));
    }

    #[test]
    fn event_during_a_collection_leads_to_another_one() {
        let now = Instant::now();
        let mut fleet = fleet(now);
        fleet.event("r1", by("alice"), now, TIMING);
        assert!(fleet.take(now + seconds(1.0), |_| true).is_some());
        fleet.event("r1", by("alice"), now + seconds(1.1), TIMING);
        assert!(
            fleet.take(now + seconds(5.0), |_| true).is_none(),
            "it runs still"
        );
        fleet.ended("r1", Ending::Good, now + seconds(5.0), TIMING);
        assert!(fleet.take(now + seconds(6.0), |_| true).is_some());
    }

    #[test]
    fn refused_login_is_not_tried_again_soon_whatever_comes() {
        let now = Instant::now();
        let mut fleet = fleet(now);
        fleet.event("r1", by("alice"), now, TIMING);
        fleet.take(now + seconds(1.0), |_| true).unwrap();
        let failed = Ending::Failed {
            in_a_row: 1,
            login: true,
        };
        fleet.ended("r1", failed, now + seconds(1.0), TIMING);
        fleet.event("r1", by("alice"), now + seconds(2.0), TIMING);
        fleet.update(&["r1".to_owned()], now, |_| Duration::ZERO);
        assert!(fleet.take(now + seconds(900.0), |_| true).is_none());
        assert!(fleet.take(now + seconds(902.0), |_| true).is_some());
    }

    #[test]
    fn events_without_end_lead_to_no_more_logins_than_the_budget_of_the_device() {
        let begin = Instant::now();
        let mut fleet = fleet(begin);
        fleet.update(&["r1".to_owned()], begin, |_| Duration::ZERO);
        let mut logins = 0;
        for tenth in 0..36_000u32 {
            let now = begin + Duration::from_millis(100) * tenth;
            fleet.event("r1", by("eve"), now, TIMING);
            if fleet.take(now, |_| true).is_some() {
                logins += 1;
                fleet.ended("r1", Ending::Good, now, TIMING);
            }
        }
        // Ten at once, and one a minute.
        assert!((68..=70).contains(&logins), "{logins}");
    }

    #[test]
    fn schedule_waits_for_a_window_and_an_event_does_not() {
        let now = Instant::now();
        let mut fleet = fleet(now);
        let late = now + seconds(200.0);
        assert!(fleet.take(late, |_| false).is_none());
        assert_eq!(fleet.next(), Some(late + CLOSED));
        fleet.event("r1", by("alice"), late, TIMING);
        let (name, _) = fleet.take(late + seconds(1.0), |_| false).unwrap();
        assert_eq!(name, "r1");
        let (name, reason) = fleet.take(late + CLOSED, |_| true).unwrap();
        assert_eq!((name.as_str(), reason.trigger), ("r2", "schedule"));
    }

    #[test]
    fn change_comes_before_the_schedule_and_that_in_its_order() {
        let now = Instant::now();
        let names: Vec<String> = (0..50).map(|number| format!("r{number}")).collect();
        let mut fleet = Fleet::default();
        let place = |name: &str| name[1..].parse::<f64>().unwrap();
        fleet.update(&names, now, |name| seconds(50.0 - place(name)));
        fleet.event("r3", by("alice"), now + seconds(90.0), TIMING);
        let mut order = Vec::new();
        while let Some((name, reason)) = fleet.take(now + seconds(100.0), |_| true) {
            order.push((name, reason.trigger));
        }
        assert_eq!(order.len(), 50);
        assert_eq!(order[0], ("r3".to_owned(), "syslog"));
        let rest: Vec<f64> = order[1..].iter().map(|(name, _)| place(name)).collect();
        assert!(rest.is_sorted_by(|one, next| one > next), "{rest:?}");
        assert_eq!(fleet.next(), None);
        fleet.ended("r7", Ending::Good, now + seconds(100.0), TIMING);
        assert!(fleet.next().is_some_and(|at| at > now + seconds(3000.0)));
    }

    #[test]
    fn device_that_left_the_inventory_is_forgotten() {
        let now = Instant::now();
        let mut fleet = fleet(now);
        fleet.update(&["r2".to_owned()], now, |_| Duration::ZERO);
        assert!(!fleet.devices.contains_key("r1") && fleet.devices.contains_key("r2"));
        assert_eq!(fleet.next(), Some(now + seconds(100.0)));
    }
}
