//! An inventory made of the one before: what the edits leave alone is not looked at again.

use std::collections::HashMap;
use std::sync::Arc;

use super::Checker;
use super::settings::Settings;
use crate::document::{DeviceEntry, Document};
use crate::edit::{Edit, Entry, Kind};
use crate::model::{Index, Inventory, MAX_DEVICES};
use crate::names;
use crate::problem::Problems;

/// With more edits than these the whole check costs no more.
const MOST: usize = 200;

/// `old` after `edits`, which have made `document` of its document. `None` where that takes the whole check: for other
/// entries than devices, for many edits, where devices share an address, and for anything that is wrong, so that all of it can be told.
pub(crate) fn amend(old: &Inventory, document: &Document, edits: &[Edit]) -> Option<Inventory> {
    if old.index.shared || edits.len() > MOST || old.devices.len() + edits.len() > MAX_DEVICES {
        return None;
    }
    let mut new = Inventory {
        sites: Arc::clone(&old.sites),
        site_by_name: Arc::clone(&old.site_by_name),
        devices: old.devices.clone(),
        index: Arc::clone(&old.index),
        ..Inventory::default()
    };
    let mut checker = Checker::new(Problems::new(""), None);
    let groups = checker.groups(&document.groups, &vec![true; document.groups.len()], &new);
    for edit in edits {
        match edit {
            Edit::Put(Entry::Device(entry)) => checker.put(&mut new, entry, &groups)?,
            Edit::Delete(Kind::Device, name) => delete(&mut new, name),
            _ => return None,
        }
    }
    if !checker.problems.is_empty() || new.devices.len() != document.devices.len() {
        return None;
    }
    new.name(document);
    Some(new)
}

impl Checker<'_> {
    fn put(
        &mut self,
        new: &mut Inventory,
        entry: &DeviceEntry,
        groups: &HashMap<String, Settings>,
    ) -> Option<()> {
        names::name(&entry.name, names::MAX_DEVICE_NAME).ok()?;
        let device = self.device(entry, "device", groups, new)?;
        let known = new.index.by_name.get(&device.name).copied();
        let at = known.unwrap_or(new.devices.len());
        if new.index.takes(&device, at) {
            return None;
        }
        match known {
            Some(at) => {
                if !Index::alike(&new.devices[at], &device) {
                    let index = Arc::make_mut(&mut new.index);
                    index.remove(&new.devices[at]);
                    index.add(&device, at);
                }
                new.devices[at] = Arc::new(device);
            }
            None => {
                Arc::make_mut(&mut new.index).add(&device, at);
                new.devices.push(Arc::new(device));
            }
        }
        Some(())
    }
}

fn delete(new: &mut Inventory, name: &str) {
    let Some(at) = new.index.by_name.get(name).copied() else {
        return;
    };
    let index = Arc::make_mut(&mut new.index);
    index.remove(&new.devices[at]);
    index.close(at);
    new.devices.remove(at);
}

#[cfg(test)]
mod tests;
