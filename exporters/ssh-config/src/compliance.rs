//! Which device breaks which rule, since when, and by whom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inventory::Device;
use schemars::JsonSchema;
use serde::Serialize;
use ssh::Driver;

use crate::archive::{Archive, MOST_VERSIONS};
use crate::rules::{Breach, Rule, Rules, Severity, Waiver, vars};
use crate::tree::Tree;

/// How a device stands to a rule.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Verdict {
    pub(crate) rule: String,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    pub(crate) why: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) fix: String,
    /// Empty when it holds.
    pub(crate) breaches: Vec<Breach>,
    /// The version that brought it, where the archive reaches so far back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) introduced: Option<Introduced>,
    /// Who answers for it that the device may break the rule, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiver: Option<Waiver>,
    /// Places that break it and that no waiver covers.
    #[serde(skip)]
    pub(crate) open: usize,
}

/// How a device stands to a rule, as it is kept: with ten thousand devices, what a rule says must not be there for each of them.
#[derive(Clone, Debug)]
struct Judged {
    rule: Arc<Rule>,
    /// Empty when it holds.
    breaches: Box<[Breach]>,
    introduced: Option<Introduced>,
    waiver: Option<Box<Waiver>>,
}

impl Judged {
    /// Places that break the rule and that no waiver covers at a time (Unix seconds).
    fn open(&self, now: i64) -> usize {
        match &self.waiver {
            Some(waiver) if waiver.holds(now) => 0,
            _ => self.breaches.len(),
        }
    }

    fn verdict(&self, now: i64) -> Verdict {
        Verdict {
            rule: self.rule.id.clone(),
            title: self.rule.title.clone(),
            severity: self.rule.severity,
            why: self.rule.why.clone(),
            fix: self.rule.fix.clone(),
            breaches: self.breaches.to_vec(),
            introduced: self.introduced.clone(),
            waiver: self.waiver.as_deref().cloned(),
            open: self.open(now),
        }
    }
}

/// How a device stands to a rule, in numbers.
pub(crate) struct Count {
    pub(crate) rule: Arc<Rule>,
    /// Places that break it and that no waiver covers.
    pub(crate) open: usize,
    /// When a waiver of what breaks it ends, Unix seconds.
    pub(crate) waived_until: Option<i64>,
    /// When the version was found that brought it, Unix seconds.
    pub(crate) since: Option<i64>,
}

/// The version that brought a breach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Introduced {
    /// Unix seconds.
    pub(crate) at: i64,
    /// Who made the change, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// Its commit.
    pub(crate) commit: String,
    /// Whether it is the oldest version there is, so that the breach may be older.
    pub(crate) or_before: bool,
}

/// Rules that are meant for a device, each with where its configuration breaks it.
pub(crate) type Breaches = Vec<(Arc<Rule>, Vec<Breach>)>;

/// A device's configuration held against the rules.
pub(crate) fn breaches(rules: &Rules, device: &Device, driver: &Driver, text: &str) -> Breaches {
    let tree = Tree::parse(driver.structure(), text);
    let vars = vars(device);
    let own = rules.iter().filter(|rule| rule.is_for(device));
    own.map(|rule| (Arc::clone(rule), rule.breaches(&tree, &vars)))
        .collect()
}

/// The verdicts of all devices.
#[derive(Debug, Default)]
pub(crate) struct Compliance(Mutex<HashMap<String, Vec<Judged>>>);

impl Compliance {
    /// Holds a device's configuration against the rules. `version` is its time, author and commit when it is a new one: what it
    /// breaks and the one before did not, it brought.
    pub(crate) fn judge(
        &self,
        rules: &Rules,
        device: &Device,
        driver: &Driver,
        text: &str,
        version: Option<(i64, Option<&str>, &str)>,
    ) {
        let found = breaches(rules, device, driver, text);
        self.note(rules, device, found, version);
    }

    /// [`Compliance::judge`] of what [`breaches`] found.
    pub(crate) fn note(
        &self,
        rules: &Rules,
        device: &Device,
        found: Breaches,
        version: Option<(i64, Option<&str>, &str)>,
    ) {
        let before = self.held().get(&*device.name).cloned();
        let before = before.unwrap_or_default();
        let mut judged = Vec::new();
        for (rule, breaches) in found {
            let earlier = before.iter().find(|before| before.rule.id == rule.id);
            let introduced = match (breaches.is_empty(), earlier, version) {
                (true, _, _) => None,
                (false, Some(earlier), _) if !earlier.breaches.is_empty() => {
                    earlier.introduced.clone()
                }
                (false, _, Some((at, by, commit))) => Some(Introduced {
                    at,
                    by: by.map(str::to_owned),
                    commit: commit.to_owned(),
                    or_before: earlier.is_none(),
                }),
                (false, _, None) => None,
            };
            let waiver = rules.waiver(&rule.id, device).cloned().map(Box::new);
            judged.push(Judged {
                rule,
                breaches: breaches.into(),
                introduced,
                waiver,
            });
        }
        judged.shrink_to_fit();
        self.held().insert(device.name.to_string(), judged);
    }

    /// Holds the newest version of a device against the rules, and looks back in the archive for what brought each breach.
    pub(crate) fn trace(
        &self,
        rules: &Rules,
        device: &Device,
        driver: &Driver,
        archive: &Archive,
    ) -> Result<(), git::Error> {
        let versions = archive.versions(&*device.name, MOST_VERSIONS)?;
        let Some(newest) = versions.first() else {
            self.held().remove(&*device.name);
            return Ok(());
        };
        let Some(text) = archive.text(&*device.name, &newest.id)? else {
            return Ok(());
        };
        self.held().remove(&*device.name);
        self.judge(rules, device, driver, &text, None);
        let vars = vars(device);
        let judged = self.held().get(&*device.name).cloned();
        let mut open: Vec<Arc<Rule>> = judged
            .into_iter()
            .flatten()
            .filter(|judged| !judged.breaches.is_empty())
            .map(|judged| judged.rule)
            .collect();
        for pair in 0..versions.len() {
            if open.is_empty() {
                break;
            }
            let older = match versions.get(pair + 1) {
                Some(older) => archive.text(&*device.name, &older.id)?,
                None => None,
            };
            let tree = older
                .as_deref()
                .map(|text| Tree::parse(driver.structure(), text));
            let version = &versions[pair];
            open.retain(|rule| {
                let held_before = tree
                    .as_ref()
                    .is_none_or(|tree| rule.breaches(tree, &vars).is_empty());
                if held_before {
                    let introduced = Introduced {
                        at: version.seconds,
                        by: Some(version.author.clone()).filter(|author| author != "unknown"),
                        commit: version.id.clone(),
                        or_before: tree.is_none(),
                    };
                    self.introduce(&device.name, &rule.id, introduced);
                }
                !held_before
            });
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Vec<Judged>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn introduce(&self, device: &str, rule: &str, introduced: Introduced) {
        let mut all = self.held();
        let mut own = all.get_mut(device).into_iter().flatten();
        if let Some(judged) = own.find(|judged| judged.rule.id == rule) {
            judged.introduced = Some(introduced);
        }
    }

    /// The verdicts on a device at a time (Unix seconds), in order of rules; empty when it has not been collected.
    pub(crate) fn of(&self, device: &str, now: i64) -> Vec<Verdict> {
        let all = self.held();
        let own = all.get(device).into_iter().flatten();
        own.map(|judged| judged.verdict(now)).collect()
    }

    /// The same in numbers.
    pub(crate) fn counts(&self, device: &str, now: i64) -> Vec<Count> {
        let all = self.held();
        let own = all.get(device).into_iter().flatten();
        let count = |judged: &Judged| {
            let waiver = judged.waiver.as_ref();
            let waiver = waiver.filter(|_| !judged.breaches.is_empty());
            Count {
                rule: Arc::clone(&judged.rule),
                open: judged.open(now),
                waived_until: waiver.map(|waiver| waiver.until),
                since: judged.introduced.as_ref().map(|own| own.at),
            }
        };
        own.map(count).collect()
    }

    /// The rules that a device breaks, without those that a waiver covers at a time (Unix seconds).
    pub(crate) fn broken(&self, device: &str, now: i64) -> Vec<String> {
        let counts = self.counts(device, now).into_iter();
        let broken = counts.filter(|count| count.open > 0);
        broken.map(|count| count.rule.id.clone()).collect()
    }

    /// Forgets devices that `known` does not hold.
    pub(crate) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.held().retain(|device, _| known(device));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Reason;

    #[test]
    fn breach_is_traced_to_the_version_that_brought_it() {
        let dir = testkit::TempDir::new().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let inventory = inventory::Inventory::parse(
            "devices: [{name: r1, address: 198.18.0.1, platform: frr}]",
            "i.yaml".as_ref(),
        )
        .unwrap();
        let device = inventory.device("r1").unwrap();
        let driver = Driver::load("frr").unwrap();
        let rules = Rules::starter();
        let store = |text: &str, at: i64, user: &str| {
            let reason = Reason {
                origin: None,
                trigger: "syslog",
                user: Some(user.to_owned()),
            };
            archive.store("r1", text, at, &reason, [1, 0]).unwrap()
        };
        store("log syslog\nlog commands\n", 100, "bob");
        let bad = store("log commands\n", 200, "alice");
        store("log commands\nhostname r1\n", 300, "bob");
        let compliance = Compliance::default();
        compliance.trace(&rules, device, &driver, &archive).unwrap();
        let verdict = |id: &str| {
            compliance
                .of("r1", 1000)
                .into_iter()
                .find(|verdict| verdict.rule == id)
                .unwrap()
        };
        let introduced = verdict("frr-log-syslog").introduced.unwrap();
        assert_eq!(
            (
                introduced.at,
                introduced.by.as_deref(),
                introduced.or_before
            ),
            (200, Some("alice"), false)
        );
        assert_eq!(introduced.commit, bad);
        assert!(verdict("frr-log-commands").breaches.is_empty());
        // A new version that breaks another rule keeps what is known of the first.
        compliance.judge(
            &rules,
            device,
            &driver,
            "hostname r1\n",
            Some((400, Some("eve"), "c")),
        );
        assert_eq!(
            verdict("frr-log-syslog").introduced.unwrap().by.as_deref(),
            Some("alice")
        );
        assert_eq!(
            verdict("frr-log-commands")
                .introduced
                .unwrap()
                .by
                .as_deref(),
            Some("eve")
        );
        compliance.judge(
            &rules,
            device,
            &driver,
            "log syslog\nlog commands\n",
            Some((500, None, "d")),
        );
        assert!(
            compliance
                .of("r1", 1000)
                .iter()
                .all(|verdict| verdict.breaches.is_empty())
        );
    }
}
