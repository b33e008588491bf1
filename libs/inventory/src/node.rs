//! The tree of an inventory's text, and its bounds.

use serde::de::DeserializeOwned;
use yaml::Rules;

use crate::problem::{Problem, Problems};

pub(crate) use yaml::{At, Key, Node, Value};

/// Values: those of [`MAX_DEVICES`](crate::MAX_DEVICES) with all they may say; aliases: ten for each of them, and some.
const RULES: Rules = Rules {
    quotes: true,
    lenient: false,
    octal: false,
    bytes: crate::MAX_BYTES,
    values: 3_000_000,
    repeated: 500_000,
    aliases: 200_000,
    depth: 16,
};

/// The tree of `text`; the error is the first one that the YAML parser meets.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    yaml::read(text, &RULES).map_err(Problem::from)
}

/// The `T` at `node`, or `None` after everything wrong with it went to `problems`.
pub(crate) fn decode<T: DeserializeOwned>(
    node: &Node,
    text: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<T> {
    let mut mistakes = Vec::new();
    let value = yaml::decode(node, text, path, &RULES, &mut mistakes);
    for mut mistake in mistakes {
        if let Some(hint) = hint(&mistake) {
            mistake.message.push_str(hint);
        }
        problems.push(mistake.into());
    }
    value
}

/// Where a secret belongs that somebody wrote into the inventory.
fn hint(mistake: &yaml::Mistake) -> Option<&'static str> {
    let key = mistake.message.strip_prefix("unknown key \"")?;
    let key = key.split('"').next()?;
    let section = mistake.path.rsplit('.').next()?;
    match (section, key) {
        ("snmp", "community" | "version" | "username" | "password" | "v3" | "security_level") => {
            Some(
                "; communities and users stand in sotp-snmp's --config.file, under auths, and auth names one of them",
            )
        }
        ("ssh", "username" | "user" | "password" | "key" | "private_key") => Some(
            "; users and keys stand with the service that logs in, under credentials, and credentials names one of them",
        ),
        _ => None,
    }
}
