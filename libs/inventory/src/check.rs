//! From the document to the checked inventory: every entry by itself, then what they say of each other.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::document::{CredentialEntry, DeviceEntry, Document, GroupEntry, SiteEntry};
use crate::model::{
    Index, Inventory, MAX_BYTES, MAX_CREDENTIALS, MAX_DEVICES, MAX_GROUPS, MAX_SITES, Site,
};
use crate::names;
use crate::node::{At, Node};
use crate::problem::{Error, Problem, Problems};
use crate::text::Text;

mod amend;
mod device;
mod read;
mod settings;
mod unique;

use read::{Sound, read};
use settings::Settings;
use unique::{Exclusive, Place, Taken};

pub(crate) use amend::amend;

pub(crate) fn parse(text: &str, origin: &str) -> Result<Inventory, Error> {
    parse_both(text, origin).map(|(_, inventory)| inventory)
}

/// As [`parse`], with the document beside the inventory.
pub(crate) fn parse_both(text: &str, origin: &str) -> Result<(Document, Inventory), Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLarge {
            origin: origin.to_owned(),
        });
    }
    let mut problems = Problems::new(origin);
    let root = match crate::node::parse(text) {
        Ok(root) => root,
        Err(problem) => {
            problems.push(problem);
            return Err(Error::Invalid(problems));
        }
    };
    let read = read(&root, text, &mut problems);
    let inventory = Checker::new(problems, Some(&root)).run(&read.document, &read.sound)?;
    Ok((read.document, inventory))
}

/// The document that `json` was written from; the empty one for no text at all.
pub(crate) fn document(json: &[u8]) -> Document {
    let text = std::str::from_utf8(json).unwrap_or_default();
    let mut problems = Problems::new("");
    crate::node::parse(text).map_or_else(
        |_| Document::default(),
        |root| read(&root, text, &mut problems).document,
    )
}

pub(crate) fn check(document: &Document, origin: &str) -> Result<Inventory, Error> {
    let whole = |count: usize| vec![true; count];
    let sound = Sound {
        sites: whole(document.sites.len()),
        groups: whole(document.groups.len()),
        devices: whole(document.devices.len()),
        credentials: whole(document.credentials.len()),
    };
    Checker::new(Problems::new(origin), None).run(document, &sound)
}

/// The state of one check.
struct Checker<'a> {
    problems: Problems,
    root: Option<&'a Node>,
    texts: HashMap<Box<str>, Text>,
}

impl<'a> Checker<'a> {
    fn new(problems: Problems, root: Option<&'a Node>) -> Self {
        Self {
            problems,
            root,
            texts: HashMap::new(),
        }
    }

    fn at(&self, path: &str) -> At {
        self.root.map_or(At::default(), |root| root.locate(path))
    }

    fn problem(&mut self, path: String, message: String) {
        let at = self.at(&path);
        self.problems.push(Problem::new(at, path, message));
    }

    /// The value, or `None` after its problem was noted under `path`.
    fn noted<T>(&mut self, path: impl FnOnce() -> String, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.problem(path(), message)).ok()
    }

    /// One copy of each text that many devices share.
    fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new: Text = text.into();
        self.texts.insert(text.into(), new.clone());
        new
    }

    fn bounded(&mut self, path: &str, count: usize, max: usize) {
        if count > max {
            self.problem(
                path.to_owned(),
                format!("{count} entries; expected {max} at most"),
            );
        }
    }

    fn run(mut self, document: &Document, sound: &Sound) -> Result<Inventory, Error> {
        self.bounded("sites", document.sites.len(), MAX_SITES);
        self.bounded("groups", document.groups.len(), MAX_GROUPS);
        self.bounded("credentials", document.credentials.len(), MAX_CREDENTIALS);
        self.bounded("devices", document.devices.len(), MAX_DEVICES);
        let mut inventory = Inventory::default();
        self.sites(&document.sites, &sound.sites, &mut inventory);
        let groups = self.groups(&document.groups, &sound.groups, &inventory);
        self.devices(&document.devices, &sound.devices, &groups, &mut inventory);
        self.credentials(&document.credentials, &sound.credentials);
        if !self.problems.is_empty() {
            self.problems.sort();
            return Err(Error::Invalid(self.problems));
        }
        inventory.name(document);
        Ok(inventory)
    }

    fn sites(&mut self, entries: &[SiteEntry], sound: &[bool], inventory: &mut Inventory) {
        let mut names = Taken::new();
        let (mut sites, mut by_name) = (Vec::with_capacity(entries.len()), HashMap::new());
        for (index, entry) in entries.iter().enumerate() {
            let path = |key: &str| format!("sites[{index}].{key}");
            if !sound[index] && entry.name.is_empty() {
                continue;
            }
            let place = Place {
                list: "sites",
                index,
                key: "name",
            };
            self.claim(&mut names, &*entry.name, place, || {
                format!("the site name \"{}\"", names::shown(&entry.name))
            });
            self.noted(|| path("name"), names::name(&entry.name, names::MAX_NAME));
            let region = entry.region.as_deref().unwrap_or_default();
            self.noted(|| path("region"), names::free_text(region, 128));
            let mut within = |key: &str, value: Option<f64>, max: f64| {
                let value = value?;
                let wrong =
                    || format!("{value} is out of bounds; expected degrees from -{max} to {max}");
                let result = if value.abs() <= max {
                    Ok(value)
                } else {
                    Err(wrong())
                };
                self.noted(|| path(key), result)
            };
            let latitude = within("latitude", entry.latitude, 90.0);
            let longitude = within("longitude", entry.longitude, 180.0);
            if entry.latitude.is_some() != entry.longitude.is_some() {
                let message =
                    "one coordinate alone; expected both latitude and longitude, or neither"
                        .to_owned();
                self.problem(format!("sites[{index}]"), message);
            }
            let site = Site {
                name: self.text(&entry.name),
                region: self.text(region),
                coordinates: latitude.zip(longitude),
            };
            by_name.insert(site.name.clone(), sites.len());
            sites.push(site);
        }
        inventory.sites = Arc::new(sites);
        inventory.site_by_name = Arc::new(by_name);
    }

    fn groups(
        &mut self,
        entries: &[GroupEntry],
        sound: &[bool],
        inventory: &Inventory,
    ) -> HashMap<String, Settings> {
        let mut names = Taken::new();
        let mut groups = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            if !sound[index] && entry.name.is_empty() {
                continue;
            }
            let path = || format!("groups[{index}].name");
            let place = Place {
                list: "groups",
                index,
                key: "name",
            };
            self.claim(&mut names, &*entry.name, place, || {
                format!("the group name \"{}\"", names::shown(&entry.name))
            });
            self.noted(path, names::name(&entry.name, names::MAX_NAME));
            let settings = self.settings(
                &entry.defaults,
                &format!("groups[{index}].defaults"),
                inventory,
            );
            groups.insert(entry.name.clone(), settings);
        }
        groups
    }

    fn credentials(&mut self, entries: &[CredentialEntry], sound: &[bool]) {
        let mut names = Taken::new();
        for (index, entry) in entries.iter().enumerate() {
            if !sound[index] && entry.name.is_empty() {
                continue;
            }
            let place = Place {
                list: "credentials",
                index,
                key: "name",
            };
            self.claim(&mut names, &*entry.name, place, || {
                format!("the credential name \"{}\"", names::shown(&entry.name))
            });
            self.noted(
                || format!("credentials[{index}].name"),
                names::name(&entry.name, names::MAX_NAME),
            );
            let remark = entry.remark.as_deref().unwrap_or_default();
            self.noted(
                || format!("credentials[{index}].remark"),
                names::free_text(remark, 128),
            );
        }
    }

    fn devices(
        &mut self,
        entries: &[DeviceEntry],
        sound: &[bool],
        groups: &HashMap<String, Settings>,
        inventory: &mut Inventory,
    ) {
        let mut names = Taken::new();
        let mut taken = Exclusive::default();
        let mut found = Index::default();
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("devices[{index}]");
            if !entry.name.is_empty() || sound[index] {
                let place = Place {
                    list: "devices",
                    index,
                    key: "name",
                };
                self.claim(&mut names, &*entry.name, place, || {
                    format!("the device name \"{}\"", names::shown(&entry.name))
                });
                self.noted(
                    || format!("{path}.name"),
                    names::name(&entry.name, names::MAX_DEVICE_NAME),
                );
            }
            if !sound[index] {
                continue;
            }
            let Some(device) = self.device(entry, &path, groups, inventory) else {
                continue;
            };
            self.exclusive(&mut taken, entry, &device, index);
            found.add(&device, inventory.devices.len());
            inventory.devices.push(Arc::new(device));
        }
        inventory.index = Arc::new(found);
    }
}

impl Inventory {
    /// Takes over the JSON form of `document`, and the version that it gives.
    fn name(&mut self, document: &Document) {
        let json = document.to_json();
        self.version = hex(&Sha256::digest(&json)[..16]);
        self.json = json.into();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
