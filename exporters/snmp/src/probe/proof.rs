//! What a device must show before anything is left out for it, and go on showing.
//!
//! A stamp is believed once it was seen moving while the device ran on: many devices have one that never does. 32-bit counters are made
//! from their 64-bit twins once both were seen counting on together. Scrapes that keep columns verify some of them; the first
//! contradiction ends it for the device, as long as it is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::uptime::UpTime;
use crate::oid::Oid;

/// Scrapes in a row in which our own questions stayed without an answer, after which they are given up.
const SILENT: u32 = 2;
/// Scrapes after which instances of the configuration that the device did not have are asked for again.
const ASKED_AGAIN: u32 = 16;
/// A stamp beyond this may be followed by a small one.
const WRAPS: u64 = 1 << 31;
/// Sets of columns whose contents are remembered by their digest.
const DIGESTS: usize = 32;

/// Something that is left out for a device, or asked beside what the modules want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortcut {
    /// Columns that are kept under the stamp of their table.
    KeptColumns,
    /// 32-bit counters that are made from their 64-bit twins.
    TwinCounters,
    /// sysUpTime and the stamps, which no module asks for.
    OwnQuestions,
}

impl Shortcut {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::KeptColumns, Self::TwinCounters, Self::OwnQuestions];

    /// The value of the label `shortcut`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeptColumns => "kept_columns",
            Self::TwinCounters => "twin_counters",
            Self::OwnQuestions => "own_questions",
        }
    }
}

/// What one device has shown.
#[derive(Debug, Default)]
pub struct Proof(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    up: Option<UpTime>,
    stamps: BTreeMap<Oid, Stamp>,
    twins: BTreeMap<Oid, Twin>,
    /// Digests of what columns held under a stamp, by that stamp and a digest of the columns' names.
    contents: BTreeMap<(Oid, u64), (u64, u64)>,
    /// Instances that the device has, and those that it has not, of our own questions.
    there: BTreeSet<Oid>,
    missing: BTreeSet<Oid>,
    silent: u32,
    scrapes: u32,
    turn: usize,
    off: BTreeSet<Shortcut>,
}

#[derive(Debug)]
struct Stamp {
    value: u64,
    moved: bool,
    broken: bool,
}

/// Twins at their first agreement, as sums of the low halves of all rows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Twin {
    Seen { low: u32, wide: u32 },
    Proven,
    Broken,
}

/// Own questions by how they are asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Questions {
    /// The device has these instances.
    pub(super) known: Vec<Oid>,
    /// Whether it has these will be seen.
    pub(super) fresh: Vec<Oid>,
}

impl Proof {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was switched off for the device.
    pub(super) fn off(&self) -> Vec<Shortcut> {
        self.shown().off.iter().copied().collect()
    }

    /// Whether the device answers our own questions, as far as is known.
    pub(super) fn asks(&self) -> bool {
        self.shown().silent < SILENT
    }

    /// Which of these instances are worth asking for, and how.
    pub(super) fn questions(&self, instances: impl IntoIterator<Item = Oid>) -> Questions {
        let shown = self.shown();
        let there = instances
            .into_iter()
            .filter(|oid| !shown.missing.contains(oid));
        let (known, fresh) = there.partition(|oid| shown.there.contains(oid));
        Questions { known, fresh }
    }

    /// From time to time lets these be asked for again, although the device had none of them.
    pub(super) fn ask_again(&self, instances: &[Oid]) {
        let mut shown = self.shown();
        shown.scrapes = shown.scrapes.wrapping_add(1);
        if shown.scrapes.is_multiple_of(ASKED_AGAIN) {
            for instance in instances {
                shown.missing.remove(instance);
            }
        }
    }

    /// Remembers which of our own questions were answered. Answers what is given up by it.
    pub(super) fn heard(
        &self,
        unheard: bool,
        fresh: &[Oid],
        has: impl Fn(&Oid) -> bool,
    ) -> Option<Shortcut> {
        let mut shown = self.shown();
        for oid in fresh {
            if has(oid) {
                shown.there.insert(oid.clone());
            } else if !unheard {
                shown.missing.insert(oid.clone());
            }
        }
        shown.silent = if unheard { shown.silent + 1 } else { 0 };
        (shown.silent == SILENT && shown.off.insert(Shortcut::OwnQuestions))
            .then_some(Shortcut::OwnQuestions)
    }

    /// Watches stamps, which were read at `up`. Answers what ends by it: one that goes back while the device runs on is no time.
    pub(super) fn watch(&self, stamps: &[(Oid, u64)], up: UpTime) -> Option<Shortcut> {
        let mut shown = self.shown();
        let before = shown.up.replace(up);
        let same_run = before.is_some_and(|before| before.runs_on(up));
        // Scrapes at the same time may be told in either order.
        let later = same_run && before.is_some_and(|before| before.hundredths < up.hundredths);
        let mut believed = false;
        for (oid, value) in stamps {
            let stamp = shown.stamps.entry(oid.clone()).or_insert(Stamp {
                value: *value,
                moved: false,
                broken: false,
            });
            // One that was set anew by a restart has not moved.
            stamp.moved |= same_run && stamp.value < *value;
            // Time stamps begin anew after 497 days, as sysUpTime does.
            if later && *value < stamp.value && stamp.value < WRAPS {
                believed |= stamp.moved && !stamp.broken;
                stamp.broken = true;
            }
            stamp.value = *value;
        }
        (believed && shown.off.insert(Shortcut::KeptColumns)).then_some(Shortcut::KeptColumns)
    }

    /// Whether this stamp tells of changes.
    pub(super) fn moves(&self, stamp: &[u32]) -> bool {
        let shown = self.shown();
        let known = shown.stamps.iter().find(|(oid, _)| oid.ids() == stamp);
        known.is_some_and(|(_, stamp)| stamp.moved && !stamp.broken)
    }

    /// Holds what a whole scrape brought below a stamp against what was there under the same stamp. Answers what it contradicts.
    pub(super) fn hold(&self, stamp: &(Oid, u64), columns: u64, contents: u64) -> Option<Shortcut> {
        let (oid, value) = stamp;
        let before = {
            let mut shown = self.shown();
            if shown.contents.len() >= DIGESTS {
                shown.contents.pop_first();
            }
            shown
                .contents
                .insert((oid.clone(), columns), (*value, contents))
        };
        match before {
            Some((under, other)) if under == *value && other != contents => self.broken(oid),
            _ => None,
        }
    }

    /// What stood under this stamp has changed without it. Answers what ends by that: nothing, when the stamp was never believed.
    pub(super) fn broken(&self, stamp: &Oid) -> Option<Shortcut> {
        let mut shown = self.shown();
        let stamp = shown.stamps.get_mut(stamp)?;
        let believed = stamp.moved && !stamp.broken;
        stamp.broken = true;
        (believed && shown.off.insert(Shortcut::KeptColumns)).then_some(Shortcut::KeptColumns)
    }

    /// Twins agreed in every row of a whole scrape, with these sums of their low halves; `least` is what both must have counted to be
    /// told from twins that only stand near each other. Says whether the 32-bit column may be made from the other.
    pub(super) fn agreed(&self, column: &Oid, low: u32, wide: u32, least: u64) -> bool {
        let mut shown = self.shown();
        let twin = shown
            .twins
            .entry(column.clone())
            .or_insert(Twin::Seen { low, wide });
        if let Twin::Seen {
            low: first_low,
            wide: first_wide,
        } = *twin
        {
            let counted = |now: u32, first: u32| u64::from(now.wrapping_sub(first)) > least;
            if counted(low, first_low) && counted(wide, first_wide) {
                *twin = Twin::Proven;
            }
        }
        *twin == Twin::Proven
    }

    /// Twins were apart. Answers what ends by that.
    pub(super) fn apart(&self, column: &Oid) -> Option<Shortcut> {
        let mut shown = self.shown();
        let proven = shown.twins.get(column) == Some(&Twin::Proven);
        if proven {
            shown.twins.insert(column.clone(), Twin::Broken);
        } else if shown.twins.get(column) != Some(&Twin::Broken) {
            // They begin from where they agree again.
            shown.twins.remove(column);
        }
        (proven && shown.off.insert(Shortcut::TwinCounters)).then_some(Shortcut::TwinCounters)
    }

    /// Where the next sample begins.
    pub(super) fn turn(&self) -> usize {
        let mut shown = self.shown();
        shown.turn = shown.turn.wrapping_add(1);
        shown.turn
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const STAMP: [u32; 3] = [1, 5, 0];

    fn watched(values: &[(u32, u64)]) -> Proof {
        let (proof, start) = (Proof::default(), Instant::now());
        for (seconds, (hundredths, stamp)) in (0..).zip(values) {
            let up = UpTime {
                hundredths: *hundredths,
                read: start + Duration::from_secs(seconds),
            };
            proof.watch(&[(Oid::new(STAMP), *stamp)], up);
        }
        proof
    }

    #[test]
    fn a_stamp_is_believed_once_it_moved_while_the_device_ran_on() {
        assert!(!watched(&[(90_000, 70), (90_100, 70)]).moves(&STAMP));
        assert!(watched(&[(90_000, 70), (90_100, 90_050), (90_200, 90_050)]).moves(&STAMP));
        // Set by a restart, or gone back to 0.
        assert!(!watched(&[(90_000, 70), (300, 71)]).moves(&STAMP));
        assert!(!watched(&[(90_000, 70), (90_100, 0)]).moves(&STAMP));
    }

    #[test]
    fn a_stamp_that_goes_back_is_no_time_and_is_not_believed_again() {
        let back = watched(&[(90_000, 70), (90_100, 80), (90_200, 75), (90_300, 90)]);
        assert!(!back.moves(&STAMP));
        assert_eq!(back.off(), [Shortcut::KeptColumns]);
        let never = watched(&[(90_000, 70), (90_100, 60), (90_200, 65)]);
        assert!(!never.moves(&STAMP) && never.off().is_empty());
        // A restart, two scrapes told in the wrong order, the end of 32 bits.
        let restarted = [(90_000, 70), (90_100, 80), (300, 10), (400, 20)];
        let crossed = [(90_000, 70), (90_100, 80), (90_090, 70), (90_200, 80)];
        let wrapped = [
            (u32::MAX - 150, 70),
            (u32::MAX - 50, u64::from(u32::MAX) - 60),
            (50, 20),
            (150, 20),
        ];
        for values in [restarted, crossed, wrapped] {
            assert!(watched(&values).moves(&STAMP), "{values:?}");
        }
    }

    #[test]
    fn the_first_contradiction_ends_it_and_is_told_once() {
        let proof = watched(&[(90_000, 70), (90_100, 90_050)]);
        let stamp = (Oid::new(STAMP), 90_050);
        assert_eq!(proof.hold(&stamp, 1, 11), None);
        assert_eq!(proof.hold(&stamp, 1, 11), None);
        assert_eq!(proof.hold(&stamp, 2, 12), None, "other columns");
        assert!(proof.moves(&STAMP));
        assert_eq!(proof.hold(&stamp, 1, 12), Some(Shortcut::KeptColumns));
        assert!(!proof.moves(&STAMP));
        assert_eq!(proof.broken(&stamp.0), None);
        assert_eq!(proof.off(), [Shortcut::KeptColumns]);
    }

    #[test]
    fn twins_must_have_counted_on_together() {
        let (proof, column) = (Proof::default(), Oid::new([1, 2]));
        assert!(!proof.agreed(&column, 300, 300, 16));
        assert!(!proof.agreed(&column, 310, 300, 16));
        assert!(!proof.agreed(&column, 400, 300, 16), "one stands still");
        assert!(proof.agreed(&column, 400, 400, 16));
        assert_eq!(proof.apart(&column), Some(Shortcut::TwinCounters));
        assert!(!proof.agreed(&column, 900, 900, 16), "never again");
        // Apart before it was believed: from the beginning.
        let other = Oid::new([1, 3]);
        proof.agreed(&other, 1, 1, 16);
        assert_eq!(proof.apart(&other), None);
        assert!(!proof.agreed(&other, 400, 400, 16));
        assert!(proof.agreed(&other, 500, 500, 16));
    }

    #[test]
    fn an_instance_that_was_not_there_is_asked_for_again_some_scrapes_later() {
        let (proof, instance) = (Proof::default(), Oid::new([1, 2, 3]));
        let mut asked = Vec::new();
        for scrape in 1..=40 {
            proof.ask_again(std::slice::from_ref(&instance));
            let fresh = proof.questions([instance.clone()]).fresh;
            if !fresh.is_empty() {
                asked.push(scrape);
            }
            proof.heard(false, &fresh, |_| scrape == 32);
        }
        assert_eq!(asked, [1, 16, 32]);
        let known = proof.questions([instance.clone()]).known;
        assert_eq!(known, [instance], "there, so asked for by its name");
    }

    #[test]
    fn questions_without_an_answer_are_given_up() {
        let proof = Proof::default();
        let oid = |number| Oid::new([1, number, 0]);
        let fresh = proof.questions([oid(1), oid(2)]).fresh;
        assert_eq!(fresh, [oid(1), oid(2)]);
        assert_eq!(proof.heard(false, &fresh, |asked| *asked == oid(1)), None);
        let next = proof.questions([oid(1), oid(2), oid(3)]);
        assert_eq!((next.known, next.fresh), (vec![oid(1)], vec![oid(3)]));
        assert_eq!(proof.heard(true, &[], |_| false), None);
        assert!(proof.asks());
        let given_up = proof.heard(true, &[], |_| false);
        assert_eq!(given_up, Some(Shortcut::OwnQuestions));
        assert!(!proof.asks());
    }
}
