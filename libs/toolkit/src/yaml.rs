//! Strict YAML for configuration files: unknown and duplicate keys refused, errors with line and path, no value in messages.

use std::path::Path;

use serde::de::DeserializeOwned;
use yaml::Rules;

use crate::ConfigError;

pub use yaml::{Spanned, join};

/// Parses one YAML document; one without content counts as an empty mapping.
///
/// The type must carry `#[serde(deny_unknown_fields)]`; duplicate keys, alias bombs and deep nesting are refused here.
///
/// # Errors
/// The first mistake with line, column and path. Neither the value nor neighbouring lines are quoted, since they may hold secrets.
pub fn parse<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T, ConfigError> {
    yaml::parse(text, &Rules::CONFIGURATION).map_err(|mistakes| {
        let first = mistakes.into_iter().next();
        first.map_or_else(
            || ConfigError::new(origin, "expected a configuration"),
            |mistake| ConfigError {
                origin: origin.to_owned(),
                place: (mistake.at.line > 0)
                    .then(|| (mistake.at.line.into(), mistake.at.column.into())),
                path: Some(mistake.path).filter(|path| !path.is_empty()),
                message: mistake.message,
            },
        )
    })
}

/// Line and column, counted from 1, of the value at a path such as `devices[3].address`; of its nearest parent when it is not there.
#[must_use]
pub fn locate(text: &str, path: &str) -> Option<(u64, u64)> {
    let root = yaml::read(text, &Rules::CONFIGURATION).ok()?;
    let at = root.locate(path);
    Some((at.line.into(), at.column.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Example {
        devices: Vec<u16>,
    }

    #[test]
    fn the_first_mistake_stands_in_one_line_behind_the_file() {
        let error = |text| {
            let parsed = parse::<Example>(text, Path::new("x.yaml"));
            parsed.unwrap_err().to_string()
        };
        assert_eq!(
            error("devices: [1, many]\nextra: 5\n"),
            "x.yaml:1:14: devices[1]: expected a whole number from 0 to 65535, found text"
        );
        assert_eq!(
            error("extra: 5\n"),
            "x.yaml:1:1: unknown key \"extra\"; expected one of devices"
        );
        assert_eq!(locate("devices: [1, 2]", "devices[1]"), Some((1, 14)));
        assert_eq!(locate("[", "a"), None);
    }

    proptest! {
        #[test]
        fn no_web_configuration_panics(text in "[-a-z0-9:{}\\[\\]&*!|>'\"#%@,? \n\t]{0,200}") {
            let _ = crate::web_config::parse(&text, Path::new("x"));
        }
    }
}
