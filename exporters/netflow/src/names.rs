//! The names of interfaces, as SNMP has them: what joins flows with every other series of the interface.

use std::collections::HashMap;

use promapi::{Error, Prometheus};

/// Most names that are kept.
const MOST: usize = 1_000_000;
/// Longest name; a longer one is no name.
const LONGEST: usize = 128;

/// `ifName` by device and ifIndex.
#[derive(Debug, Default)]
pub struct InterfaceNames(HashMap<String, HashMap<u32, String>>);

impl InterfaceNames {
    /// Asks Prometheus; series without the three labels say nothing.
    ///
    /// # Errors
    /// The query's.
    pub async fn ask(prometheus: &Prometheus, query: &str) -> Result<Self, Error> {
        let answer = prometheus.instant(query, None).await?;
        let mut names: HashMap<String, HashMap<u32, String>> = HashMap::new();
        for mut sample in answer.samples.into_iter().take(MOST) {
            let index = sample
                .labels
                .get("ifIndex")
                .and_then(|index| index.parse().ok());
            let (device, name) = (
                sample.labels.remove("device"),
                sample.labels.remove("ifName"),
            );
            if let (Some(device), Some(index), Some(name)) = (device, index, name)
                && name.len() <= LONGEST
            {
                names.entry(device).or_default().insert(index, name);
            }
        }
        Ok(Self(names))
    }

    /// The name; `None` when SNMP has not told it.
    #[must_use]
    pub fn get(&self, device: &str, index: u32) -> Option<&str> {
        self.0.get(device)?.get(&index).map(String::as_str)
    }

    /// Names that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
