//! NetBox: the objects of `/api/dcim/devices/`, as a list or as the page that its API answers.

use std::net::IpAddr;

use inventory::Inventory;
use inventory::document::{AddressesEntry, DeviceEntry};
use serde_json::{Value, json};

use super::{Read, name, some};

pub(super) fn read(text: &str, read: &mut Read) {
    let body: Value = match serde_json::from_str(text) {
        Ok(body) => body,
        Err(error) => return read.wrong(error.line() as u64, "", format!("not JSON: {error}")),
    };
    let Value::Array(objects) = body.get("results").unwrap_or(&body) else {
        return read.wrong(
            1,
            "results",
            "expected a list of devices, or an object with results",
        );
    };
    if body.get("next").is_some_and(|next| !next.is_null()) {
        read.note(
            1,
            "next",
            "this is one page; the devices of the others are not in it",
        );
    }
    let lines = lines(text);
    for (index, object) in objects.iter().enumerate() {
        let line = lines.get(index).copied().unwrap_or(1);
        match device(object) {
            Ok(device) => read.devices.push((line, device)),
            Err((field, detail)) => read.wrong(line, &format!("[{index}].{field}"), detail),
        }
    }
}

/// The slug or name of a related object, which may stand there as text.
fn slug(object: &Value, keys: &[&str]) -> Option<String> {
    let related = keys
        .iter()
        .map(|key| &object[*key])
        .find(|value| !value.is_null())?;
    let text = related
        .as_str()
        .or_else(|| related["slug"].as_str())
        .or_else(|| related["name"].as_str());
    text.map(name).and_then(|text| some(&text))
}

fn address(object: &Value, key: &str) -> Result<Option<IpAddr>, (String, String)> {
    let value = &object[key];
    let Some(text) = value.as_str().or_else(|| value["address"].as_str()) else {
        return Ok(None);
    };
    let bare = text.split('/').next().unwrap_or_default();
    let wrong = |_| {
        (
            key.to_owned(),
            format!("{text:?}; expected an address like 192.0.2.1/24"),
        )
    };
    bare.parse().map(Some).map_err(wrong)
}

fn device(object: &Value) -> Result<DeviceEntry, (String, String)> {
    let missing = || {
        (
            "name".to_owned(),
            "nothing; expected the name of the device".to_owned(),
        )
    };
    let own = object["name"].as_str().and_then(some).ok_or_else(missing)?;
    let (v4, v6) = (
        address(object, "primary_ip4")?,
        address(object, "primary_ip6")?,
    );
    let primary = address(object, "primary_ip")?;
    let main = primary.or(v4).or(v6);
    let both = v4.is_some() && v6.is_some();
    let tags = object["tags"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let tags = tags
        .iter()
        .filter_map(|tag| tag.as_str().or_else(|| tag["slug"].as_str()));
    Ok(DeviceEntry {
        address: main.map(|ip| ip.to_string()).or_else(|| Some(own.clone())),
        addresses: both.then(|| AddressesEntry {
            ipv4: v4.map(|ip| ip.to_string()),
            ipv6: v6.map(|ip| ip.to_string()),
        }),
        name: own,
        site: slug(object, &["site"]),
        role: slug(object, &["role", "device_role"]),
        platform: slug(object, &["platform"]),
        tags: tags.map(name).collect(),
        ..DeviceEntry::default()
    })
}

/// The line that each object of the list begins on.
fn lines(text: &str) -> Vec<u64> {
    let (mut lines, mut line, mut depth, mut list) = (Vec::new(), 1, 0_usize, None);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            b'\n' => line += 1,
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                if byte == b'{' && list == Some(depth) {
                    lines.push(line);
                }
                depth += 1;
                if byte == b'[' && list.is_none() {
                    list = Some(depth);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    lines
}

pub(super) fn write(inventory: &Inventory) -> String {
    let related = |name: &str| {
        if name.is_empty() {
            Value::Null
        } else {
            json!({"name": name, "slug": name})
        }
    };
    let objects = inventory.devices().iter().map(|device| {
        let v4 = device.ipv4.map(|ip| json!({"address": format!("{ip}/32")}));
        let v6 = device
            .ipv6
            .map(|ip| json!({"address": format!("{ip}/128")}));
        json!({
            "name": &*device.name,
            "site": related(&device.site),
            "role": related(&device.role),
            "platform": related(&device.platform),
            "primary_ip4": v4,
            "primary_ip6": v6,
            "tags": device.tags.iter().map(|tag| related(tag)).collect::<Vec<_>>(),
        })
    });
    let objects: Vec<Value> = objects.collect();
    let body = json!({"count": objects.len(), "next": null, "previous": null, "results": objects});
    serde_json::to_string_pretty(&body).unwrap_or_default() + "\n"
}
