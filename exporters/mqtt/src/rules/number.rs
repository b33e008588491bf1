//! From what stands in a payload to a number in base units.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// `(value + add) * multiply / divide`, and what texts mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conversion {
    pub(super) map: BTreeMap<String, f64>,
    pub(super) add: f64,
    pub(super) multiply: f64,
    pub(super) divide: f64,
}

impl Default for Conversion {
    fn default() -> Self {
        Self {
            map: BTreeMap::new(),
            add: 0.0,
            multiply: 1.0,
            divide: 1.0,
        }
    }
}

impl Conversion {
    /// `None` when it is no finite number and no text of the map. What the map says is taken as it is.
    pub(super) fn apply(&self, json: &Json) -> Option<f64> {
        let number = match json {
            Json::Number(number) => number.as_f64()?,
            Json::Bool(value) => {
                let text = if *value { "true" } else { "false" };
                let meant = self.map.get(text).copied();
                return meant.or_else(|| self.map.is_empty().then(|| f64::from(u8::from(*value))));
            }
            Json::String(text) if !self.map.is_empty() => return self.map.get(text).copied(),
            Json::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        let value = (number + self.add) * self.multiply / self.divide;
        value.is_finite().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_texts_and_truths_become_numbers() {
        let plain = Conversion::default();
        let percent = Conversion {
            divide: 100.0,
            ..plain.clone()
        };
        let fahrenheit = Conversion {
            add: -32.0,
            multiply: 5.0,
            divide: 9.0,
            ..plain.clone()
        };
        let switch = Conversion {
            map: BTreeMap::from([("ON".to_owned(), 1.0), ("OFF".to_owned(), 0.0)]),
            ..plain.clone()
        };
        for (conversion, json, expected) in [
            (&plain, json!(21.5), Some(21.5)),
            (&plain, json!("-3.25 "), Some(-3.25)),
            (&plain, json!(true), Some(1.0)),
            (&plain, json!("nan"), None),
            (&plain, json!("inf"), None),
            (&plain, json!("warm"), None),
            (&plain, json!([1]), None),
            (&percent, json!(45.5), Some(0.455)),
            (&fahrenheit, json!(212), Some(100.0)),
            (&switch, json!("ON"), Some(1.0)),
            (&switch, json!("OFF"), Some(0.0)),
            (&switch, json!("OPEN"), None),
            (&switch, json!(true), None),
            (&switch, json!(5), Some(5.0)),
        ] {
            assert_eq!(conversion.apply(&json), expected, "{json}");
        }
    }
}
