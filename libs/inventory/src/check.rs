//! From the document to the checked inventory: every entry by itself, then what they say of each other.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::document::{DeviceEntry, Document, GroupEntry, SiteEntry};
use crate::model::{Device, Inventory, MAX_BYTES, MAX_DEVICES, MAX_GROUPS, MAX_SITES, Site};
use crate::names;
use crate::node::{At, Node, Value, decode::decode};
use crate::problem::{Error, Problem, Problems};
use crate::text::Text;

mod device;
mod settings;

use settings::Settings;

pub(crate) fn parse(text: &str, origin: &str) -> Result<Inventory, Error> {
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
    Checker::new(problems, Some(&root)).run(read)
}

pub(crate) fn check(document: Document, origin: &str) -> Result<Inventory, Error> {
    let whole = |count: usize| vec![true; count];
    let sound = (
        whole(document.sites.len()),
        whole(document.groups.len()),
        whole(document.devices.len()),
    );
    Checker::new(Problems::new(origin), None).run(Read {
        document,
        sites: sound.0,
        groups: sound.1,
        devices: sound.2,
    })
}

/// A document, and which of its entries could be read; the others hold their name at most.
struct Read {
    document: Document,
    sites: Vec<bool>,
    groups: Vec<bool>,
    devices: Vec<bool>,
}

fn read(root: &Node, text: &str, problems: &mut Problems) -> Read {
    const KEYS: [&str; 3] = ["sites", "groups", "devices"];
    match &root.value {
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
                root.describe(text)
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
    Read {
        document: Document {
            sites,
            groups,
            devices,
        },
        sites: sound_sites,
        groups: sound_groups,
        devices: sound_devices,
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
            let message = format!("expected a list, found {}", node.describe(text));
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
                _ => name.number(text).unwrap_or_default().to_owned(),
            });
            (named(name.unwrap_or_default()), false)
        }
    };
    items.iter().enumerate().map(read).unzip()
}

/// The state of one check.
struct Checker<'a> {
    problems: Problems,
    root: Option<&'a Node>,
    texts: HashMap<Box<str>, Text>,
}

/// Who holds a name or an address already.
type Taken<K> = HashMap<K, String>;

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

    /// Notes that `key` belongs to `path`, or that another entry has it.
    fn claim<K: Hash + Eq>(
        &mut self,
        taken: &mut Taken<K>,
        key: K,
        what: &str,
        path: String,
    ) -> bool {
        match taken.get(&key) {
            None => {
                taken.insert(key, path);
                true
            }
            Some(holder) => {
                let holder = holder.clone();
                let place = match self.at(&holder).line {
                    0 => holder,
                    line => format!("{holder} on line {line}"),
                };
                self.problem(
                    path,
                    format!("{what} is taken by {place}; expected each once"),
                );
                false
            }
        }
    }

    fn run(mut self, read: Read) -> Result<Inventory, Error> {
        let document = read.document;
        self.bounded("sites", document.sites.len(), MAX_SITES);
        self.bounded("groups", document.groups.len(), MAX_GROUPS);
        self.bounded("devices", document.devices.len(), MAX_DEVICES);
        let mut inventory = Inventory::default();
        self.sites(&document.sites, &read.sites, &mut inventory);
        let groups = self.groups(&document.groups, &read.groups, &inventory);
        self.devices(&document.devices, &read.devices, &groups, &mut inventory);
        if !self.problems.is_empty() {
            self.problems.sort();
            return Err(Error::Invalid(self.problems));
        }
        let json = document.to_json();
        inventory.version = hex(&Sha256::digest(&json)[..16]);
        inventory.json = json.into();
        inventory.document = document;
        Ok(inventory)
    }

    fn sites(&mut self, entries: &[SiteEntry], sound: &[bool], inventory: &mut Inventory) {
        let mut names = Taken::new();
        for (index, entry) in entries.iter().enumerate() {
            let path = |key: &str| format!("sites[{index}].{key}");
            if !sound[index] && entry.name.is_empty() {
                continue;
            }
            let what = format!("the site name \"{}\"", names::shown(&entry.name));
            self.claim(&mut names, entry.name.clone(), &what, path("name"));
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
            inventory
                .site_by_name
                .insert(site.name.clone(), inventory.sites.len());
            inventory.sites.push(site);
        }
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
            let what = format!("the group name \"{}\"", names::shown(&entry.name));
            self.claim(&mut names, entry.name.clone(), &what, path());
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

    fn devices(
        &mut self,
        entries: &[DeviceEntry],
        sound: &[bool],
        groups: &HashMap<String, Settings>,
        inventory: &mut Inventory,
    ) {
        let mut names = Taken::new();
        let mut addresses = Taken::new();
        let mut flow = Taken::new();
        let mut syslog = Taken::new();
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("devices[{index}]");
            if !entry.name.is_empty() || sound[index] {
                let what = format!("the device name \"{}\"", names::shown(&entry.name));
                self.claim(
                    &mut names,
                    entry.name.clone(),
                    &what,
                    format!("{path}.name"),
                );
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
            self.addresses(&device, &path, &mut addresses);
            self.senders(&mut flow, device.flow.as_ref(), "flow", &path);
            self.senders(&mut syslog, device.syslog.as_ref(), "syslog", &path);
            index_device(inventory, device);
        }
    }

    fn addresses(&mut self, device: &Device, path: &str, taken: &mut Taken<String>) {
        let main = device.address.to_string();
        // The main address stands under `address`, or is one of `addresses`.
        let given = self
            .root
            .is_none_or(|root| root.has(&format!("{path}.address")));
        let of_family = [
            ("addresses.ipv4", device.ipv4.map(|ip| ip.to_string())),
            ("addresses.ipv6", device.ipv6.map(|ip| ip.to_string())),
        ];
        let of_family = of_family
            .into_iter()
            .filter_map(|(key, ip)| ip.map(|ip| (key, ip)));
        let others: Vec<_> = of_family.filter(|(_, ip)| !given || *ip != main).collect();
        for (key, address) in given.then_some(("address", main)).into_iter().chain(others) {
            let what = format!("the address {}", names::shown(&address));
            self.claim(taken, address, &what, format!("{path}.{key}"));
        }
    }

    fn senders(
        &mut self,
        taken: &mut Taken<IpAddr>,
        senders: Option<&crate::Senders>,
        job: &str,
        path: &str,
    ) {
        for source in senders
            .map(|senders| senders.sources.as_slice())
            .unwrap_or_default()
        {
            self.claim(
                taken,
                *source,
                &format!("the {job} source {source}"),
                format!("{path}.{job}.sources"),
            );
        }
    }
}

fn index_device(inventory: &mut Inventory, device: Device) {
    let index = inventory.devices.len();
    inventory.by_name.insert(device.name.clone(), index);
    for ip in [device.ipv4.map(IpAddr::V4), device.ipv6.map(IpAddr::V6)]
        .into_iter()
        .flatten()
    {
        inventory.by_ip.insert(ip, index);
    }
    if let crate::Address::Dns(name) = &device.address {
        inventory.by_dns.insert(name.to_string(), index);
    }
    let sources = |senders: &Option<crate::Senders>| {
        senders
            .as_ref()
            .map(|s| s.sources.clone())
            .unwrap_or_default()
    };
    inventory.flow_sources.extend(
        sources(&device.flow)
            .into_iter()
            .map(|source| (source, index)),
    );
    inventory.syslog_sources.extend(
        sources(&device.syslog)
            .into_iter()
            .map(|source| (source, index)),
    );
    inventory.devices.push(device);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
