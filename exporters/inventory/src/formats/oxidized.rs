//! Oxidized's `router.db`: fields with colons between them, in the order `name:ip:model:group` that its
//! documentation configures, or `name:model`.

use inventory::Inventory;
use inventory::document::DeviceEntry;

use super::{Read, name, some};

pub(super) fn read(text: &str, read: &mut Read) {
    for (index, line) in text.lines().enumerate() {
        let number = index as u64 + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split(':').collect();
        let (own, address, model, group) = match fields[..] {
            [own, model] => (own, own, model, ""),
            [own, address, model] => (own, address, model, ""),
            [own, address, model, group] => (own, address, model, group),
            _ => {
                read.wrong(
                    number,
                    "",
                    format!(
                        "{} fields; expected name:ip:model:group, name:ip:model or name:model",
                        fields.len()
                    ),
                );
                continue;
            }
        };
        let Some(device) = some(own) else {
            read.wrong(number, "name", "nothing; expected the name of the device");
            continue;
        };
        read.devices.push((
            number,
            DeviceEntry {
                name: device,
                address: some(address).or_else(|| some(own)),
                platform: some(model).map(|model| name(&model)),
                groups: some(group).map(|group| name(&group)).into_iter().collect(),
                ..DeviceEntry::default()
            },
        ));
    }
}

pub(super) fn write(inventory: &Inventory) -> String {
    let mut text = String::new();
    for device in inventory.devices() {
        let address = device.address.to_string();
        if address.contains(':') {
            // The colon is the separator there.
            text.push_str(&format!("# {} has an IPv6 address only\n", device.name));
            continue;
        }
        let group = device
            .groups
            .last()
            .map(|group| &**group)
            .unwrap_or_default();
        text.push_str(&format!(
            "{}:{address}:{}:{group}\n",
            device.name, &*device.platform
        ));
    }
    text
}
