//! CSV: a header line, then one device a line. Lists inside a field have spaces or `;` between their values.

use inventory::Inventory;
use inventory::document::{AddressesEntry, DeviceEntry, SnmpEntry};

use super::{Read, some};

const COLUMNS: [&str; 11] = [
    "name",
    "address",
    "ipv4",
    "ipv6",
    "site",
    "role",
    "platform",
    "groups",
    "tags",
    "snmp_module",
    "snmp_auth",
];

pub(super) fn read(text: &str, read: &mut Read) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_ascii_lowercase).collect(),
        Err(error) => return read.wrong(1, "", format!("the header cannot be read: {error}")),
    };
    let mut sound = header.iter().any(|column| column == "name");
    if !sound {
        read.wrong(
            1,
            "name",
            format!(
                "no column name; expected a header with {}",
                COLUMNS.join(", ")
            ),
        );
    }
    for (index, column) in header.iter().enumerate() {
        if !COLUMNS.contains(&&**column) {
            sound = false;
            read.wrong(
                1,
                column,
                format!("unknown column; expected some of {}", COLUMNS.join(", ")),
            );
        } else if header[..index].contains(column) {
            sound = false;
            read.wrong(1, column, "the column stands twice");
        }
    }
    if !sound {
        return;
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                read.wrong(line, "", error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            read.wrong(
                line,
                "",
                format!(
                    "{} fields; expected {} as in the header",
                    record.len(),
                    header.len()
                ),
            );
            continue;
        }
        let field = |name: &str| {
            header
                .iter()
                .position(|column| column == name)
                .and_then(|at| record.get(at))
                .and_then(some)
        };
        let list = |name: &str| -> Vec<String> {
            let text = field(name).unwrap_or_default();
            text.split([' ', ';']).filter_map(some).collect()
        };
        let Some(name) = field("name") else {
            read.wrong(line, "name", "nothing; expected the name of the device");
            continue;
        };
        let addresses = AddressesEntry {
            ipv4: field("ipv4"),
            ipv6: field("ipv6"),
        };
        let snmp = SnmpEntry {
            module: field("snmp_module"),
            auth: field("snmp_auth"),
            ..SnmpEntry::default()
        };
        let device = DeviceEntry {
            name,
            address: field("address"),
            addresses: (addresses != AddressesEntry::default()).then_some(addresses),
            site: field("site"),
            role: field("role"),
            platform: field("platform"),
            groups: list("groups"),
            tags: list("tags"),
            snmp: (snmp != SnmpEntry::default()).then_some(snmp),
            ..DeviceEntry::default()
        };
        read.devices.push((line, device));
    }
}

pub(super) fn write(inventory: &Inventory) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let join = |list: &[inventory::Text]| {
        list.iter()
            .map(|text| &**text)
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Writing to memory fails only when memory does.
    let _ = writer.write_record(COLUMNS);
    for device in inventory.devices() {
        let ip = |ip: Option<String>| ip.unwrap_or_default();
        let _ = writer.write_record([
            &*device.name,
            &device.address.to_string(),
            &ip(device.ipv4.map(|ip| ip.to_string())),
            &ip(device.ipv6.map(|ip| ip.to_string())),
            &device.site,
            &device.role,
            &device.platform,
            &join(&device.groups),
            &join(&device.tags),
            device.snmp.as_ref().map_or("", |snmp| &*snmp.module),
            device
                .snmp
                .as_ref()
                .and_then(|snmp| snmp.auth.as_deref())
                .unwrap_or_default(),
        ]);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}
