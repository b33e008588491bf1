//! Strict YAML: unknown and duplicate keys refused, errors with line and path, no source text in messages.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::ConfigError;

mod node;

/// Parses one YAML document; one without content counts as an empty mapping.
///
/// The type must carry `#[serde(deny_unknown_fields)]`; duplicate keys, alias bombs and deep nesting are refused here.
///
/// # Errors
/// The first mistake with line, column and path. Neighbouring lines are never quoted, since they may hold secrets.
pub fn parse<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T, ConfigError> {
    let text = if is_empty(text) { "{}" } else { text };
    let mut path = None;
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |from| {
        serde_path_to_error::deserialize(from).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    parsed.map_err(|error| refused(&error, origin, path))
}

/// Line and column, counted from 1, of the value at a path such as `devices[3].address`; of its nearest parent when it is not there.
#[must_use]
pub fn locate(text: &str, path: &str) -> Option<(u64, u64)> {
    let root: serde_saphyr::Spanned<node::Node> =
        serde_saphyr::from_str_with_options(text, options()).ok()?;
    let mut at = root.referenced;
    let mut node = &root.value;
    for step in node::steps(path) {
        let Some(next) = node.child(&step) else { break };
        at = next.referenced;
        node = &next.value;
    }
    Some((at.line(), at.column()))
}

/// The path of a key below another one, in quotes where it needs them to be read back.
#[must_use]
pub fn join(parent: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if plain {
        format!("{parent}.{key}")
    } else {
        format!("{parent}.\"{key}\"")
    }
}

fn is_empty(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// Values that aliases may stand for in one document, so that a small file never becomes a large one.
const MOST_REPLAYED: usize = 200_000;

fn options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::options! { with_snippet: false };
    options.alias_limits.max_total_replayed_events = MOST_REPLAYED;
    options
}

fn refused(error: &serde_saphyr::Error, origin: &Path, path: Option<String>) -> ConfigError {
    let place = error
        .location()
        .map(|at| (at.line(), at.column()))
        .filter(|(line, _)| *line > 0);
    let message = error
        .without_snippet()
        .render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The renderer repeats the place, which stands at the head of our line already.
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = plain(message.trim());
    // A question mark stands for an element that the path does not name.
    let path = path.map(|path| path.trim_end_matches('?').trim_end_matches('.').to_owned());
    let path = path.filter(|path| !path.is_empty());
    ConfigError {
        origin: origin.to_owned(),
        place,
        path,
        message,
    }
}

/// What the parser says of a value of the wrong type, as what was expected.
fn plain(message: &str) -> String {
    let number = |most: u64| format!("expected a whole number from 0 to {most}");
    match message {
        "invalid u8" => number(u8::MAX.into()),
        "invalid u16" => number(u16::MAX.into()),
        "invalid u32" => number(u32::MAX.into()),
        "invalid u64" => number(u64::MAX),
        "invalid boolean" => "expected true or false".to_owned(),
        "invalid IPv4 address syntax" => "expected an IPv4 address such as 192.0.2.1".to_owned(),
        "invalid IPv6 address syntax" => "expected an IPv6 address such as 2001:db8::1".to_owned(),
        "invalid IP address syntax" => {
            "expected an IP address such as 192.0.2.1 or 2001:db8::1".to_owned()
        }
        "expected mapping start" => "expected keys with values".to_owned(),
        "expected sequence start" => "expected a list".to_owned(),
        "expected string scalar" => "expected one value, not a list or keys".to_owned(),
        "null is not allowed here" => "expected a value, found none".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Example {
        name: String,
        devices: Vec<Device>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Device {
        address: String,
        port: u16,
    }

    fn error(text: &str) -> String {
        parse::<Example>(text, Path::new("x.yaml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn mistakes_name_line_column_and_path() {
        let wrong_type = error("name: a\ndevices:\n  - address: b\n    port: many\n");
        assert!(
            wrong_type.starts_with("x.yaml:4:11: devices[0].port: "),
            "{wrong_type}"
        );
        let unknown = error("devices:\n  - adress: b\n");
        assert!(
            unknown.starts_with("x.yaml:2:5: devices[0].adress: unknown field `adress`"),
            "{unknown}"
        );
        let twice = error("name: a\nname: b\n");
        assert!(
            twice.starts_with("x.yaml:2:1: ") && twice.contains("duplicate"),
            "{twice}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_what_was_expected() {
        for (text, expected) in [
            (
                "devices: [{port: many}]",
                "expected a whole number from 0 to 65535",
            ),
            (
                "devices: [{port: 65536}]",
                "expected a whole number from 0 to 65535",
            ),
            (
                "devices: [{port: -1}]",
                "expected a whole number from 0 to 65535",
            ),
            ("devices: 5", "expected a list"),
            ("devices: [5]", "expected keys with values"),
            ("name: [a]", "expected one value, not a list or keys"),
            (
                "devices: [{address: {a: b}}]",
                "expected one value, not a list or keys",
            ),
        ] {
            let error = error(text);
            assert!(error.ends_with(&format!(": {expected}")), "{text}: {error}");
        }
    }

    #[test]
    fn message_quotes_no_other_line() {
        let error = error("name: hunter2\ndevices: 5\n# hunter2\n");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn nothing_is_an_empty_mapping() {
        for text in ["", "\n\n", "# a comment\n", "---\n"] {
            assert_eq!(
                parse::<Example>(text, Path::new("x")),
                Ok(Example::default()),
                "{text:?}"
            );
        }
        assert!(parse::<Example>("5", Path::new("x")).is_err());
    }

    #[test]
    fn alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let row = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{row}]\n"));
        }
        let began = std::time::Instant::now();
        assert!(
            parse::<std::collections::BTreeMap<String, serde::de::IgnoredAny>>(
                &text,
                Path::new("x")
            )
            .is_err()
        );
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn places_are_found_from_paths() {
        let text =
            "name: a\ndevices:\n  - address: b\n  - address: c\n    port: 5\nusers:\n  j.doe: x\n";
        for (path, place) in [
            ("name", (1, 7)),
            ("devices[1].port", (5, 11)),
            ("devices[1].missing", (4, 5)),
            ("users.\"j.doe\"", (7, 10)),
            ("nothing", (1, 1)),
        ] {
            assert_eq!(locate(text, path), Some(place), "{path}");
        }
        assert_eq!(join("users", "j.doe"), "users.\"j.doe\"");
        assert_eq!(locate("[", "a"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-a-z0-9:{}\\[\\]&*!|>'\"#%@,? \n\t]{0,200}", path in any::<String>()) {
            let _ = parse::<Example>(&text, Path::new("x"));
            let _ = crate::web_config::parse(&text, Path::new("x"));
            let _ = locate(&text, &path);
        }
    }
}
