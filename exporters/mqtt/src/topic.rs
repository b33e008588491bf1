//! Topics, and patterns of topics: MQTT filters (MQTT 5.0 section 4.7) whose levels can have names.

/// A filter of topics: `tele/+/SENSOR`, `site/#`, or with a name for a level, `tele/{sensor}/SENSOR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Level>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// Exactly this text.
    Exact(Box<str>),
    /// `+` or `{name}`: any one level.
    One(Option<Box<str>>),
    /// `#`: all that follows, and the parent itself.
    Rest,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected a topic such as tele/{{sensor}}/SENSOR, with {{name}} or + for a level and # at the end, found {text:?}"
            )
        };
        if text.is_empty() || text.len() > 512 || text.contains(char::is_control) {
            return Err(wrong());
        }
        let parts: Vec<&str> = text.split('/').collect();
        let last = parts.len() - 1;
        let mut levels = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let named = part.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
            levels.push(match (part, named) {
                ("#", _) if index == last => Level::Rest,
                ("+", _) => Level::One(None),
                (_, Some(name)) if is_label_name(name) => Level::One(Some(name.into())),
                (exact, None) if !exact.contains(['+', '#', '{', '}']) => {
                    Level::Exact(exact.into())
                }
                _ => return Err(wrong()),
            });
        }
        Ok(Self(levels))
    }

    /// The filter that a broker understands.
    #[must_use]
    pub fn filter(&self) -> String {
        let levels = self.0.iter().map(|level| match level {
            Level::Exact(text) => text,
            Level::One(_) => "+",
            Level::Rest => "#",
        });
        levels.collect::<Vec<_>>().join("/")
    }

    /// The names of its levels, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|level| match level {
            Level::One(name) => name.as_deref(),
            _ => None,
        })
    }

    /// Whether it names one topic only.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.0.iter().all(|level| matches!(level, Level::Exact(_)))
    }

    /// What its named levels are in `topic`; `None` when it does not match. Wildcards at the beginning match no topic that begins with `$`.
    #[must_use]
    pub fn matches<'p, 't>(&'p self, topic: &'t str) -> Option<Vec<(&'p str, &'t str)>> {
        if topic.starts_with('$') && !matches!(self.0.first(), Some(Level::Exact(_))) {
            return None;
        }
        let mut named = Vec::new();
        let mut parts = topic.split('/');
        for level in &self.0 {
            match (level, parts.next()) {
                (Level::Rest, _) => return Some(named),
                (Level::Exact(exact), Some(part)) if **exact == *part => {}
                (Level::One(name), Some(part)) => {
                    if let Some(name) = name {
                        named.push((&**name, part));
                    }
                }
                _ => return None,
            }
        }
        parts.next().is_none().then_some(named)
    }

    /// Whether each topic that `other` matches is matched by it as well.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let mut others = other.0.iter();
        for level in &self.0 {
            match (level, others.next()) {
                (Level::Rest, _) => return true,
                (Level::One(_), Some(Level::One(_) | Level::Exact(_))) => {}
                (Level::Exact(a), Some(Level::Exact(b))) if a == b => {}
                _ => return false,
            }
        }
        others.next().is_none()
    }

    /// How much it says of a topic: more exact levels first, then those without `#`.
    #[must_use]
    pub fn precision(&self) -> (usize, bool) {
        let exact = self.0.iter().filter(|l| matches!(l, Level::Exact(_)));
        (exact.count(), self.0.last() != Some(&Level::Rest))
    }
}

/// The filters of these patterns that together match the same topics, each once.
#[must_use]
pub fn subscriptions<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> Vec<String> {
    let mut kept: Vec<&Pattern> = Vec::new();
    for pattern in patterns {
        if kept.iter().any(|have| have.covers(pattern)) {
            continue;
        }
        kept.retain(|have| !pattern.covers(have));
        kept.push(pattern);
    }
    kept.into_iter().map(Pattern::filter).collect()
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, at most 64 characters, and none of Prometheus' own.
pub(crate) fn is_label_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && name.len() <= 64
        && !name.starts_with("__")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn levels_match_as_mqtt_says() {
        for (filter, topic, expected) in [
            (
                "tele/{sensor}/SENSOR",
                "tele/rack/SENSOR",
                Some("sensor=rack"),
            ),
            ("tele/{sensor}/SENSOR", "tele/rack/STATE", None),
            ("tele/{sensor}/SENSOR", "tele/a/b/SENSOR", None),
            ("{a}/+/{b}", "x//z", Some("a=x b=z")),
            ("site/#", "site", Some("")),
            ("site/#", "site/a/b", Some("")),
            ("site/+", "site", None),
            ("#", "$SYS/broker/uptime", None),
            ("+/broker/uptime", "$SYS/broker/uptime", None),
            ("$SYS/#", "$SYS/broker/uptime", Some("")),
        ] {
            let pattern = pattern(filter);
            let found = pattern.matches(topic).map(|named| {
                let all = named.iter().map(|(name, value)| format!("{name}={value}"));
                all.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(found.as_deref(), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "a/#/b", "a+", "a/{}", "a/{1x}", "{a", "a\n", "a/{__x}"] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_filter_within_another_is_not_subscribed_to() {
        let all = ["a/{x}", "a/b", "a/#", "c/+/d", "c/e/d", "c/+/+"].map(pattern);
        assert_eq!(subscriptions(&all), ["a/#", "c/+/+"]);
        assert!(!pattern("a/+").covers(&pattern("a/#")));
    }

    proptest! {
        #[test]
        fn what_is_covered_matches(wide in "[ab+/]{1,7}#?", narrow in "[ab+/]{1,7}#?", topic in "[ab/]{1,9}") {
            if let (Ok(wide), Ok(narrow)) = (Pattern::parse(&wide), Pattern::parse(&narrow))
                && wide.covers(&narrow) && narrow.matches(&topic).is_some()
            {
                prop_assert!(wide.matches(&topic).is_some());
            }
        }
    }
}
