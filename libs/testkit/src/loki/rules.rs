//! What Loki refuses, and with which words.

use std::time::Duration;

use super::wire::PushedEntry;

/// Loki's limits; the defaults are Loki's.
#[derive(Debug, Clone)]
pub struct LokiLimits {
    /// Longest line in bytes.
    pub line_bytes: usize,
    /// Most labels of a stream.
    pub labels: usize,
    /// Longest label name.
    pub label_name_bytes: usize,
    /// Longest label value.
    pub label_value_bytes: usize,
    /// Most metadata pairs.
    pub metadata_pairs: usize,
    /// Most bytes of metadata.
    pub metadata_bytes: usize,
    /// Structured metadata is taken.
    pub metadata_allowed: bool,
    /// Oldest entry.
    pub max_age: Duration,
    /// Furthest ahead.
    pub max_ahead: Duration,
    /// How far behind the newest of its stream.
    pub max_behind: Duration,
    /// Active streams of a tenant.
    pub streams: usize,
    /// Largest body.
    pub body_bytes: usize,
    /// Bytes per second and burst of a tenant; none: unlimited.
    pub rate: Option<(f64, f64)>,
    /// Text that makes a line poison, for tests: refused with 400.
    pub poison: Option<&'static str>,
}

impl Default for LokiLimits {
    fn default() -> Self {
        Self {
            line_bytes: 256 << 10,
            labels: 15,
            label_name_bytes: 1024,
            label_value_bytes: 2048,
            metadata_pairs: 128,
            metadata_bytes: 64 << 10,
            metadata_allowed: true,
            max_age: Duration::from_secs(7 * 86_400),
            max_ahead: Duration::from_secs(600),
            max_behind: Duration::from_secs(3_600),
            streams: 5_000,
            body_bytes: 100 << 20,
            rate: Some((4e6, 6e6)),
            poison: None,
        }
    }
}

/// The labels of `{name="value", …}` in order of names, as Loki's parser reads them.
///
/// # Errors
/// What is wrong, in words like Loki's.
pub fn parse_labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for matcher in matchers(text)? {
        if matcher.how != How::Is {
            return Err(format!("error parsing labels '{text}': expected =\""));
        }
        if labels.iter().any(|l| l.0 == matcher.name) {
            return Err(format!(
                "stream '{text}' has duplicate label name: '{}'",
                matcher.name
            ));
        }
        labels.push((matcher.name, matcher.value));
    }
    labels.sort();
    Ok(labels)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Is,
    IsNot,
    Fits,
    FitsNot,
}

/// What a selector asks of one label; one that is not there is empty.
#[derive(Debug)]
pub(super) struct Matcher {
    name: String,
    how: How,
    value: String,
}

impl Matcher {
    pub(super) fn takes(&self, labels: &[(String, String)]) -> bool {
        let found = labels.iter().find(|l| l.0 == self.name);
        let found = found.map_or("", |l| &l.1);
        let fits = || self.value.split('|').any(|word| word == found);
        match self.how {
            How::Is => found == self.value,
            How::IsNot => found != self.value,
            How::Fits => fits(),
            How::FitsNot => !fits(),
        }
    }
}

/// The matchers of a selector. Of regular expressions the double knows alternatives of plain words.
pub(super) fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let wrong = |what: &str| Err(format!("error parsing labels '{text}': {what}"));
    let Some(mut rest) = text.strip_prefix('{') else {
        return wrong("expected {");
    };
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(tail) = rest.strip_prefix('}') {
            if !tail.trim().is_empty() {
                return wrong("text behind }");
            }
            break;
        }
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return wrong("expected a label name");
        }
        let ways = [
            ("=~", How::Fits),
            ("!~", How::FitsNot),
            ("!=", How::IsNot),
            ("=", How::Is),
        ];
        let tail = tail.trim_start();
        let way = ways.iter().find(|(sign, _)| tail.starts_with(sign));
        let Some((how, tail)) = way.and_then(|(sign, how)| {
            let tail = tail[sign.len()..].trim_start();
            Some((*how, tail.strip_prefix('"')?))
        }) else {
            return wrong("expected =\"");
        };
        let (value, tail) = match unquote(tail) {
            Ok(found) => found,
            Err(what) => return wrong(what),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-|".contains(c);
        if matches!(how, How::Fits | How::FitsNot) && !value.chars().all(plain) {
            return wrong("expected words between |, the double knows nothing else");
        }
        let name = name.to_owned();
        found.push(Matcher { name, how, value });
        rest = tail.trim_start();
        if let Some(tail) = rest.strip_prefix(',') {
            rest = tail;
        } else if !rest.starts_with('}') {
            return wrong("expected , or }");
        }
    }
    Ok(found)
}

/// Reads to the closing quote with Go's escapes.
fn unquote(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\n' => return Err("a line end in a quoted value"),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                _ => return Err("an unknown escape"),
            },
            c => value.push(c),
        }
    }
    Err("no closing quote")
}

impl LokiLimits {
    pub(super) fn check_labels(&self, text: &str) -> Result<Vec<(String, String)>, String> {
        let labels = parse_labels(text)?;
        if labels.is_empty() {
            return Err("error at least one label pair is required per stream".to_owned());
        }
        if labels.len() > self.labels {
            return Err(format!(
                "entry for stream '{text}' has {} label names; limit {}",
                labels.len(),
                self.labels
            ));
        }
        for (name, value) in &labels {
            if name.len() > self.label_name_bytes {
                return Err(format!("stream '{text}' has label name too long: '{name}'"));
            }
            if value.len() > self.label_value_bytes {
                return Err(format!(
                    "stream '{text}' has label value too long: '{value}'"
                ));
            }
        }
        Ok(labels)
    }

    pub(super) fn check_entry(
        &self,
        labels: &str,
        entry: &PushedEntry<'_>,
        now: i128,
    ) -> Result<(), String> {
        let nanos = |d: Duration| d.as_nanos() as i128;
        if entry.line.len() > self.line_bytes {
            return Err(format!(
                "Max entry size '{}' bytes exceeded for stream '{labels}' while adding an entry with length '{}' bytes",
                self.line_bytes,
                entry.line.len()
            ));
        }
        if let Some(poison) = self.poison
            && entry.line.contains(poison)
        {
            return Err(format!("entry of stream '{labels}' is poison"));
        }
        if entry.stamp < now - nanos(self.max_age) {
            return Err(format!(
                "entry for stream '{labels}' has timestamp too old: {}",
                entry.stamp
            ));
        }
        if entry.stamp > now + nanos(self.max_ahead) {
            return Err(format!(
                "entry for stream '{labels}' has timestamp too new: {}",
                entry.stamp
            ));
        }
        if !entry.metadata.is_empty() && !self.metadata_allowed {
            return Err(format!(
                "stream '{labels}' includes structured metadata, but this feature is disallowed"
            ));
        }
        let bytes = entry.metadata.bytes();
        if entry.metadata.len() > self.metadata_pairs || bytes > self.metadata_bytes {
            return Err(format!(
                "stream '{labels}' has structured metadata too large"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_ask_for_labels_and_pushes_have_only_equal_ones() {
        let labels = [
            ("job".to_owned(), "syslog".to_owned()),
            ("event".to_owned(), "reboot".to_owned()),
        ];
        for (text, takes) in [
            (r#"{job="syslog", event=~"reboot|upgrade"}"#, true),
            (r#"{job="syslog", event=~"reb|upgrade"}"#, false),
            (r#"{job="syslog", event!~"reboot"}"#, false),
            (r#"{job="syslog", device!=""}"#, false),
            (r#"{job="syslog", device=""}"#, true),
            (r#"{job!="syslog"}"#, false),
        ] {
            let asked = matchers(text);
            let found = asked.map(|all| all.iter().all(|one| one.takes(&labels)));
            assert_eq!(found, Ok(takes), "{text}");
        }
        assert!(matchers(r#"{job=~"sys.*"}"#).is_err());
        assert!(matchers(r#"{job=="syslog"}"#).is_err());
        assert!(parse_labels(r#"{job!="syslog"}"#).is_err());
        assert!(parse_labels(r#"{job="a",job="a"}"#).is_err());
    }
}
