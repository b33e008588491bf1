//! Where a value stands in a JSON payload: `ENERGY.Power`, `{part}.Temperature`, `readings.0`.

use serde_json::Value as Json;

use crate::topic::is_label_name;

/// A way through objects and lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A key, or the position in a list.
    Key(Box<str>),
    /// `{name}`: every key, which becomes a label.
    Each(Box<str>),
}

/// Keys that became labels, each with the name of the label.
type Keys<'j> = [(&'j str, &'j str)];

/// Most steps of a path.
const DEEPEST: usize = 16;

impl Path {
    /// Reads a path; an empty one is the payload itself.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut steps = Vec::new();
        for part in text.split('.') {
            let named = part.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
            steps.push(match named {
                Some(name) if is_label_name(name) => Step::Each(name.into()),
                None if !part.is_empty() && !part.contains(['{', '}']) => Step::Key(part.into()),
                _ => {
                    return Err(format!(
                        "expected keys with dots between them, such as ENERGY.Power or {{part}}.Temperature, found {text:?}"
                    ));
                }
            });
        }
        if steps.len() > DEEPEST {
            return Err(format!("expected at most {DEEPEST} keys"));
        }
        Ok(Self(steps))
    }

    /// The names of its labels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Each(name) => Some(&**name),
            Step::Key(_) => None,
        })
    }

    /// Every value that it leads to, with the keys that became labels.
    pub(crate) fn each<'j>(&'j self, json: &'j Json, take: &mut dyn FnMut(&Keys<'j>, &'j Json)) {
        walk(&self.0, json, &mut Vec::new(), take);
    }

    /// The first value that it leads to.
    pub(crate) fn first<'j>(&'j self, json: &'j Json) -> Option<&'j Json> {
        let mut first = None;
        self.each(json, &mut |_, value| {
            first.get_or_insert(value);
        });
        first
    }
}

fn walk<'j>(
    steps: &'j [Step],
    json: &'j Json,
    labels: &mut Vec<(&'j str, &'j str)>,
    take: &mut dyn FnMut(&Keys<'j>, &'j Json),
) {
    let Some((step, rest)) = steps.split_first() else {
        take(labels, json);
        return;
    };
    match (step, json) {
        (Step::Key(key), Json::Object(map)) => {
            if let Some(inner) = map.get(&**key) {
                walk(rest, inner, labels, take);
            }
        }
        (Step::Key(key), Json::Array(list)) => {
            if let Some(inner) = key.parse().ok().and_then(|at: usize| list.get(at)) {
                walk(rest, inner, labels, take);
            }
        }
        (Step::Each(name), Json::Object(map)) => {
            for (key, inner) in map {
                labels.push((name, key));
                walk(rest, inner, labels, take);
                labels.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, json: &str) -> Vec<String> {
        let (path, json) = (Path::parse(path).unwrap(), json.parse::<Json>().unwrap());
        let mut found = Vec::new();
        path.each(&json, &mut |labels, value| {
            found.push(format!("{labels:?} {value}"));
        });
        found
    }

    #[test]
    fn keys_positions_and_names_lead_to_values() {
        assert_eq!(found("", "5"), ["[] 5"]);
        assert_eq!(found("a.b", r#"{"a":{"b":1}}"#), ["[] 1"]);
        assert_eq!(found("a.1", r#"{"a":[7,8]}"#), ["[] 8"]);
        assert_eq!(
            found("{part}.T", r#"{"Time":"x","A":{"T":1},"B":{"T":2,"H":3}}"#),
            [r#"[("part", "A")] 1"#, r#"[("part", "B")] 2"#]
        );
        assert!(found("a.b", r#"{"a":5}"#).is_empty());
        assert!(found("a.9", r#"{"a":[1]}"#).is_empty());
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["a..b", "{", "{a b}", ".", &"a.".repeat(20)] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }
}
