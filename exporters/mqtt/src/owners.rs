//! Whose a topic is: the inventory says which device publishes what.

use std::collections::HashMap;
use std::sync::Arc;

use inventory::Inventory;
use toolkit::Labels;

use crate::topic::Pattern;

/// A device that publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: Arc<str>,
    /// `device`, `site` and `role`.
    pub labels: Labels,
}

/// The devices of the inventory by what they publish.
#[derive(Debug, Default)]
pub struct Owners {
    all: Vec<Arc<Owner>>,
    exact: HashMap<String, Arc<Owner>>,
    /// The most precise first.
    patterns: Vec<(Pattern, Arc<Owner>)>,
}

impl Owners {
    /// Of every device with a section `mqtt`. Where filters of two devices match one topic, the more precise decides, and of equals the
    /// device whose name comes first.
    #[must_use]
    pub fn new(inventory: &Inventory) -> Self {
        let mut owners = Self::default();
        let mut devices: Vec<_> = inventory.devices().iter().collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        for device in devices {
            let Some(mqtt) = &device.mqtt else { continue };
            let owner = Arc::new(Owner {
                name: (*device.name).into(),
                labels: devices::labels(device),
            });
            owners.all.push(Arc::clone(&owner));
            // The inventory has checked the filters; a level in braces is no name there, and matches nothing that is published.
            for topic in &mqtt.topics {
                match Pattern::parse(topic) {
                    Ok(pattern) if !pattern.is_exact() => {
                        owners.patterns.push((pattern, Arc::clone(&owner)));
                    }
                    _ => {
                        let topic = (**topic).to_owned();
                        owners
                            .exact
                            .entry(topic)
                            .or_insert_with(|| Arc::clone(&owner));
                    }
                }
            }
        }
        owners
            .patterns
            .sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.precision()));
        owners
    }

    /// Every device that publishes, by name.
    #[must_use]
    pub fn all(&self) -> &[Arc<Owner>] {
        &self.all
    }

    /// The device that publishes this topic.
    #[must_use]
    pub fn of(&self, topic: &str) -> Option<&Arc<Owner>> {
        self.exact.get(topic).or_else(|| {
            let found = self
                .patterns
                .iter()
                .find(|(pattern, _)| pattern.matches(topic).is_some());
            found.map(|(_, owner)| owner)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_precise_filter_says_whose_a_topic_is() {
        let text = "\
devices:
  - {name: hub, address: 192.0.2.1, mqtt: {topics: ['zigbee2mqtt/#']}}
  - {name: rack, address: 192.0.2.2, mqtt: {topics: [zigbee2mqtt/rack, 'tele/+/SENSOR']}}
  - {name: also, address: 192.0.2.3, mqtt: {topics: ['tele/+/SENSOR', 'zigbee2mqtt/+/availability']}}
  - {name: none, address: 192.0.2.4}
";
        let owners =
            Owners::new(&inventory::Inventory::parse(text, std::path::Path::new("x")).unwrap());
        let of = |topic| owners.of(topic).map(|owner| &*owner.name);
        assert_eq!(of("zigbee2mqtt/rack"), Some("rack"));
        assert_eq!(of("zigbee2mqtt/hall"), Some("hub"));
        assert_eq!(of("zigbee2mqtt/rack/availability"), Some("also"));
        assert_eq!(of("tele/x/SENSOR"), Some("also"));
        assert_eq!(of("tele/x/STATE"), None);
        let all: Vec<_> = owners.all().iter().map(|owner| &*owner.name).collect();
        assert_eq!(all, ["also", "hub", "rack"]);
    }
}
