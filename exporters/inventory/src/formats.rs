//! Lists of devices as other systems keep them.
//!
//! A reader answers the devices it found and, for each line it cannot take, what is wrong with it; it never stops at
//! the first. A writer loses what the other system has no place for, and says which columns it writes.

use std::collections::BTreeSet;

use inventory::Document;
use inventory::document::{DeviceEntry, GroupEntry, SiteEntry};
use inventory::edit::{Edit, Entry};

mod ansible;
mod netbox;
mod oxidized;
mod table;

/// A list that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Objects of NetBox's `/api/dcim/devices/`.
    Netbox,
    /// CSV with a header line (RFC 4180).
    Csv,
    /// Oxidized's `router.db`.
    Oxidized,
    /// An Ansible inventory in YAML.
    Ansible,
}

impl Format {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Netbox, Self::Csv, Self::Oxidized, Self::Ansible];

    /// Its name in the interface.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Netbox => "netbox",
            Self::Csv => "csv",
            Self::Oxidized => "oxidized",
            Self::Ansible => "ansible",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The type of what is written.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Netbox => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Oxidized => "text/plain; charset=utf-8",
            Self::Ansible => "application/yaml",
        }
    }

    /// The devices in `text`.
    #[must_use]
    pub fn read(self, text: &str) -> Read {
        let mut read = Read::default();
        match self {
            Self::Netbox => netbox::read(text, &mut read),
            Self::Csv => table::read(text, &mut read),
            Self::Oxidized => oxidized::read(text, &mut read),
            Self::Ansible => ansible::read(text, &mut read),
        }
        read
    }

    /// The devices of `document`, whose groups' defaults are in `inventory`.
    #[must_use]
    pub fn write(self, inventory: &inventory::Inventory) -> String {
        match self {
            Self::Netbox => netbox::write(inventory),
            Self::Csv => table::write(inventory),
            Self::Oxidized => oxidized::write(inventory),
            Self::Ansible => ansible::write(inventory),
        }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// Devices with the line each was read from.
    pub devices: Vec<(u64, DeviceEntry)>,
    /// Lines that cannot be taken.
    pub wrong: Vec<Wrong>,
    /// What was left out, and why; it is no error.
    pub notes: Vec<Wrong>,
}

/// A line that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Wrong {
    /// From 1.
    pub line: u64,
    /// The column or key.
    pub field: String,
    /// What is wrong, and what was expected.
    pub detail: String,
}

impl Read {
    fn wrong(&mut self, line: u64, field: &str, detail: impl Into<String>) {
        self.wrong.push(Wrong {
            line,
            field: field.to_owned(),
            detail: detail.into(),
        });
    }

    fn note(&mut self, line: u64, field: &str, detail: impl Into<String>) {
        self.notes.push(Wrong {
            line,
            field: field.to_owned(),
            detail: detail.into(),
        });
    }

    /// The edits that bring the devices in: sites and groups that are missing, then devices, changed where the list
    /// says something and as they were elsewhere.
    pub fn edits(&mut self, document: &Document) -> Vec<(u64, Edit)> {
        let mut edits = Vec::new();
        let mut sites: BTreeSet<&str> = document.sites.iter().map(|site| &*site.name).collect();
        let mut groups: BTreeSet<&str> = document.groups.iter().map(|group| &*group.name).collect();
        let mut seen = std::collections::HashMap::new();
        let mut twice = Vec::new();
        let mut devices = Vec::new();
        let known: std::collections::HashMap<&str, &DeviceEntry> = document
            .devices
            .iter()
            .map(|device| (&*device.name, device))
            .collect();
        for (line, device) in &self.devices {
            if let Some(first) = seen.insert(&*device.name, *line) {
                twice.push((
                    *line,
                    format!(
                        "{} stands on line {first} too; expected each once",
                        device.name
                    ),
                ));
                continue;
            }
            if let Some(site) = device.site.as_deref()
                && sites.insert(site)
            {
                let entry = SiteEntry {
                    name: site.to_owned(),
                    ..SiteEntry::default()
                };
                edits.push((*line, Edit::Put(Entry::Site(entry))));
            }
            for group in &device.groups {
                if groups.insert(group) {
                    let entry = GroupEntry {
                        name: group.clone(),
                        ..GroupEntry::default()
                    };
                    edits.push((*line, Edit::Put(Entry::Group(Box::new(entry)))));
                }
            }
            let entry = match known.get(&*device.name) {
                Some(known) => over((*known).clone(), device),
                None => device.clone(),
            };
            if known
                .get(&*device.name)
                .is_none_or(|known| **known != entry)
            {
                devices.push((*line, Edit::Put(Entry::Device(Box::new(entry)))));
            }
        }
        edits.append(&mut devices);
        for (line, detail) in twice {
            self.wrong(line, "name", detail);
        }
        edits
    }
}

/// `known` with what `new` says put over it.
fn over(mut known: DeviceEntry, new: &DeviceEntry) -> DeviceEntry {
    fn take<T: Clone>(known: &mut Option<T>, new: &Option<T>) {
        if new.is_some() {
            known.clone_from(new);
        }
    }
    if new.address.is_some() || new.addresses.is_some() {
        known.address.clone_from(&new.address);
        known.addresses.clone_from(&new.addresses);
    }
    take(&mut known.site, &new.site);
    take(&mut known.role, &new.role);
    take(&mut known.platform, &new.platform);
    if let Some(port) = new.ssh.as_ref().and_then(|ssh| ssh.port) {
        known.ssh.get_or_insert_default().port = Some(port);
    }
    if !new.groups.is_empty() {
        known.groups.clone_from(&new.groups);
    }
    if !new.tags.is_empty() {
        known.tags.clone_from(&new.tags);
    }
    known
}

/// A name of another system as it can stand here: what no name can have becomes `-`.
fn name(text: &str) -> String {
    let clean: String = text
        .trim()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    clean.trim_start_matches(['.', '_', '-']).to_owned()
}

fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
