//! Which path a flow takes, and which it took before: a bounded memory.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;

/// A path from the first hop to the target. A hop that has not answered yet can be anybody.
pub type Hops = Vec<Option<IpAddr>>;

/// One path with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Eight hexadecimal digits, made of the hops as they were first seen.
    pub id: String,
    /// Its hops, the target last.
    pub hops: Hops,
}

impl Path {
    /// `198.18.1.1 > * > 198.18.0.3`
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (at, hop) in self.hops.iter().enumerate() {
            let arrow = if at > 0 { " > " } else { "" };
            let _ = match hop {
                Some(address) => write!(text, "{arrow}{address}"),
                None => write!(text, "{arrow}*"),
            };
        }
        text
    }
}

/// A path was left for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Identity of the one before.
    pub before: String,
    /// The one now.
    pub now: Path,
}

/// The paths of one flow; the one it takes is the last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    paths: VecDeque<Path>,
    changes: u64,
}

impl Known {
    /// Takes the hops of a trace that got to the target; `keep` paths are remembered (one at least). Answers the change, when the flow
    /// took another path before.
    ///
    /// A hop that is silent in either is no difference: it loses an answer now and then. What a trace adds is kept, under the identity
    /// the path has.
    pub fn take(&mut self, hops: Hops, keep: usize) -> Option<Change> {
        let before = self.paths.back().map(|path| path.id.clone());
        // The path it takes is asked first, so that silence is never a change.
        let seen = self.paths.iter().rposition(|path| agree(&path.hops, &hops));
        let path = match seen.and_then(|at| self.paths.remove(at)) {
            Some(mut path) => {
                for (known, found) in path.hops.iter_mut().zip(&hops) {
                    *known = known.or(*found);
                }
                path
            }
            None => Path {
                id: identity(&hops),
                hops,
            },
        };
        let changed = before.filter(|before| *before != path.id);
        self.paths.push_back(path.clone());
        while self.paths.len() > keep.max(1) {
            self.paths.pop_front();
        }
        changed.map(|before| {
            self.changes += 1;
            Change { before, now: path }
        })
    }

    /// The path the flow takes; `None` before the first trace that got there.
    pub fn current(&self) -> Option<&Path> {
        self.paths.back()
    }

    /// How many paths are remembered.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// None is.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// How often the flow changed to another path.
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

/// Both can be the same path.
fn agree(one: &Hops, other: &Hops) -> bool {
    let same = |(one, other): (&Option<IpAddr>, &Option<IpAddr>)| match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// FNV-1a of 32 bits over the hops.
fn identity(hops: &Hops) -> String {
    let fold = |hash: u32, bytes: &[u8]| {
        let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        bytes.iter().fold(hash, step)
    };
    let hash = hops.iter().fold(0x811c_9dc5, |hash, hop| match hop {
        None => fold(hash, &[0]),
        Some(IpAddr::V4(v4)) => fold(fold(hash, &[4]), &v4.octets()),
        Some(IpAddr::V6(v6)) => fold(fold(hash, &[6]), &v6.octets()),
    });
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hops(text: &str) -> Hops {
        let hop = |byte: u8| match byte {
            b'*' => None,
            byte => Some(IpAddr::from([198, 18, 0, byte])),
        };
        text.bytes().map(hop).collect()
    }

    #[test]
    fn a_change_is_told_and_silence_is_none() {
        let mut known = Known::default();
        assert_eq!(known.take(hops("abz"), 4), None, "the first is no change");
        let first = known.current().unwrap().id.clone();
        assert_eq!(known.take(hops("a*z"), 4), None);
        let change = known.take(hops("acz"), 4).unwrap();
        assert_eq!(change.before, first);
        assert_eq!(
            change.now.text(),
            "198.18.0.97 > 198.18.0.99 > 198.18.0.122"
        );
        let back = known.take(hops("abz"), 4).unwrap();
        assert_eq!(back.now.id, first, "a path that returns has its name again");
        assert!(known.take(hops("abyz"), 4).is_some(), "another length");
        assert_eq!((known.changes(), known.len()), (3, 3));
    }

    #[test]
    fn a_hop_that_speaks_up_is_kept_under_the_same_name() {
        let mut known = Known::default();
        known.take(hops("*bz"), 4);
        let name = known.current().unwrap().id.clone();
        assert_eq!(known.take(hops("abz"), 4), None);
        assert_eq!(known.current().unwrap().hops, hops("abz"));
        assert_eq!(known.current().unwrap().id, name);
        assert!(
            known.take(hops("cbz"), 4).is_some(),
            "now that hop is known"
        );
    }

    proptest! {
        /// Against a model that remembers everything: random routes with random silence.
        #[test]
        fn any_traces_keep_the_bounds(
            routes in proptest::collection::vec("[a-c]{1,4}", 1..5),
            steps in proptest::collection::vec((0_usize..5, any::<u8>()), 0..60),
            keep in 1_usize..4,
        ) {
            let mut known = Known::default();
            let mut changes = 0;
            for (route, silent) in steps {
                let full = hops(&format!("{}z", routes[route % routes.len()]));
                let mut found = full.clone();
                let last = found.len() - 1;
                for (at, hop) in found.iter_mut().enumerate().take(last) {
                    if silent >> (at % 8) & 1 == 1 {
                        *hop = None;
                    }
                }
                let before = known.current().cloned();
                let change = known.take(found.clone(), keep);
                let now = known.current().cloned().unwrap();
                prop_assert!(known.len() <= keep);
                prop_assert!(agree(&now.hops, &found), "what was seen is what is said");
                // Nothing that was known of the path is lost.
                let more = now.hops.iter().zip(&found).all(|(now, found)| now.is_some() || found.is_none());
                prop_assert!(more);
                match before {
                    None => prop_assert_eq!(change, None),
                    Some(before) => {
                        prop_assert_eq!(change.is_some(), before.id != now.id);
                        if agree(&before.hops, &found) {
                            prop_assert_eq!(&change, &None, "it may still be the same path");
                        }
                        changes += u64::from(change.is_some());
                    }
                }
                prop_assert_eq!(known.changes(), changes);
            }
        }
    }
}
