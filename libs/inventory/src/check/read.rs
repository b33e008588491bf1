//! The document out of the tree: every entry that can be read, and the names of the others.

use crate::document::{CredentialEntry, DeviceEntry, Document, GroupEntry, SiteEntry};
use crate::names;
use crate::node::{Node, Value, decode};
use crate::problem::{Problem, Problems};

/// A document, and which of its entries could be read; the others hold their name at most.
pub(super) struct Read {
    pub(super) document: Document,
    pub(super) sound: Sound,
}

/// Which entries of each list could be read.
pub(super) struct Sound {
    pub(super) sites: Vec<bool>,
    pub(super) groups: Vec<bool>,
    pub(super) devices: Vec<bool>,
    pub(super) credentials: Vec<bool>,
}

pub(super) fn read(root: &Node, text: &str, problems: &mut Problems) -> Read {
    const KEYS: [&str; 4] = ["sites", "groups", "devices", "credentials"];
    match &root.value {
        // Another file, perhaps one with secrets: what is in it is not told to those who may read what is wrong.
        Value::Map(entries)
            if !entries.is_empty()
                && !entries.iter().any(|(key, _)| KEYS.contains(&&*key.name)) =>
        {
            let message = format!(
                "this is no inventory; expected a mapping with some of {}",
                KEYS.join(", ")
            );
            problems.push(Problem::new(root.at, String::new(), message));
        }
        Value::Map(entries) => {
            for (key, _) in entries
                .iter()
                .filter(|(key, _)| !KEYS.contains(&&*key.name))
            {
                let message = format!(
                    "unknown key \"{}\"; expected one of {}",
                    names::shown(&key.name),
                    KEYS.join(", ")
                );
                problems.push(Problem::new(key.at, String::new(), message));
            }
        }
        Value::Null => {}
        _ => {
            let message = format!(
                "expected a mapping with {}, found {}",
                KEYS.join(", "),
                root.describe(text, false)
            );
            problems.push(Problem::new(root.at, String::new(), message));
        }
    }
    let (sites, sound_sites) = list(root, text, "sites", problems, |name| SiteEntry {
        name,
        ..Default::default()
    });
    let (groups, sound_groups) = list(root, text, "groups", problems, |name| GroupEntry {
        name,
        ..Default::default()
    });
    let (devices, sound_devices) = list(root, text, "devices", problems, |name| DeviceEntry {
        name,
        ..Default::default()
    });
    let (credentials, sound_credentials) = list(root, text, "credentials", problems, |name| {
        CredentialEntry {
            name,
            ..Default::default()
        }
    });
    Read {
        document: Document {
            sites,
            groups,
            devices,
            credentials,
        },
        sound: Sound {
            sites: sound_sites,
            groups: sound_groups,
            devices: sound_devices,
            credentials: sound_credentials,
        },
    }
}

/// The entries under `key`; one that cannot be read is stood in for by its name, so that it is known to the others.
fn list<T: serde::de::DeserializeOwned>(
    root: &Node,
    text: &str,
    key: &str,
    problems: &mut Problems,
    named: impl Fn(String) -> T,
) -> (Vec<T>, Vec<bool>) {
    let Some(node) = root.get(key) else {
        return Default::default();
    };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null => &[],
        _ => {
            let message = format!("expected a list, found {}", node.describe(text, true));
            problems.push(Problem::new(node.at, key.to_owned(), message));
            &[]
        }
    };
    let read = |(index, item): (usize, &Node)| match decode(
        item,
        text,
        &format!("{key}[{index}]"),
        problems,
    ) {
        Some(entry) => (entry, true),
        None => {
            let name = item.get("name").map(|name| match &name.value {
                Value::String(name) => name.to_string(),
                _ => name.spelled(text).unwrap_or_default().to_owned(),
            });
            (named(name.unwrap_or_default()), false)
        }
    };
    items.iter().enumerate().map(read).unzip()
}
