//! What the double keeps.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::rules::LokiLimits;
use super::wire::PushedEntry;

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The labels in order of names.
    pub labels: Vec<(String, String)>,
    /// Nanoseconds since 1970.
    pub stamp: u64,
    /// The text.
    pub line: String,
    /// Structured metadata.
    pub metadata: Vec<(String, String)>,
}

impl Entry {
    /// The value of a label, or of metadata.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .chain(&self.metadata)
            .find(|p| p.0 == name)
            .map(|p| p.1.as_str())
    }
}

type Labels = Vec<(String, String)>;

#[derive(Default)]
pub(super) struct Stream {
    newest: i128,
    entries: BTreeMap<u64, Vec<(String, Labels)>>,
}

#[derive(Default)]
struct Tenant {
    streams: HashMap<Labels, Stream>,
    tokens: Option<(f64, i128)>,
}

#[derive(Default)]
pub(super) struct Store {
    tenants: HashMap<String, Tenant>,
    count: usize,
    refused: HashSet<String>,
}

impl Stream {
    /// Takes an entry; `keep` false only minds the order. Gives how many more are kept.
    pub(super) fn add(
        &mut self,
        entry: &PushedEntry<'_>,
        limits: &LokiLimits,
        keep: bool,
    ) -> Result<usize, (u16, String)> {
        if entry.stamp < self.newest - limits.max_behind.as_nanos() as i128 {
            return Err((
                400,
                format!("entry too far behind, entry timestamp is: {}", entry.stamp),
            ));
        }
        self.newest = self.newest.max(entry.stamp);
        if keep {
            let stamp = u64::try_from(entry.stamp).unwrap_or(0);
            let same = self.entries.entry(stamp).or_default();
            let line = &*entry.line;
            if !same.iter().any(|(other, _)| other == line) {
                same.push((line.to_owned(), entry.metadata.to_vec()));
                return Ok(1);
            }
        }
        Ok(0)
    }
}

impl Store {
    /// Whether the rate allows so many bytes now.
    pub(super) fn within_rate(
        &mut self,
        tenant: &str,
        bytes: f64,
        limits: &LokiLimits,
        now: i128,
    ) -> bool {
        let Some((rate, burst)) = limits.rate else {
            return true;
        };
        let tenant = self.tenants.entry(tenant.to_owned()).or_default();
        let (tokens, filled) = tenant.tokens.unwrap_or((burst, now));
        let tokens = (tokens + (now - filled) as f64 / 1e9 * rate).min(burst);
        let fits = bytes <= tokens;
        tenant.tokens = Some((if fits { tokens - bytes } else { tokens }, now));
        fits
    }

    /// The stream of some labels, made when there is room for it.
    pub(super) fn stream(
        &mut self,
        tenant: &str,
        labels: &Labels,
        limits: &LokiLimits,
    ) -> Result<&mut Stream, (u16, String)> {
        let tenant = self.tenants.entry(tenant.to_owned()).or_default();
        let full = tenant.streams.len() >= limits.streams;
        if full && !tenant.streams.contains_key(labels) {
            return Err((
                429,
                format!("maximum active stream limit exceeded: {}", limits.streams),
            ));
        }
        Ok(tenant.streams.entry(labels.clone()).or_default())
    }

    /// Counts entries that were kept.
    pub(super) fn kept(&mut self, count: usize) {
        self.count += count;
    }

    pub(super) fn note_refusal(&mut self, text: &str) {
        if self.refused.len() < 1_000 {
            self.refused.insert(text.to_owned());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn streams(&self) -> usize {
        self.tenants.values().map(|t| t.streams.len()).sum()
    }

    pub(super) fn entries(&self, tenant: Option<&str>) -> Vec<Entry> {
        let tenants = self
            .tenants
            .iter()
            .filter(|(name, _)| tenant.is_none_or(|t| t == *name));
        let mut all = Vec::new();
        for (labels, stream) in tenants.flat_map(|(_, t)| &t.streams) {
            for (stamp, same) in &stream.entries {
                for (line, metadata) in same {
                    all.push(Entry {
                        labels: labels.clone(),
                        stamp: *stamp,
                        line: line.clone(),
                        metadata: metadata.clone(),
                    });
                }
            }
        }
        all.sort_by_key(|e| e.stamp);
        all
    }
}
