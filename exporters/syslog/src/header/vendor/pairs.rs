//! Headers inside of `key=value` pairs.

use crate::header::scan::{self, value};
use crate::header::time::{self, DeviceTime};
use crate::header::{Form, Header};

/// FortiGate, Sophos, SonicWall: the header is in the pairs.
pub(super) fn key_value<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    let starts = [
        "date=",
        "logver=",
        "device=",
        "device_name=",
        "id=",
        "timestamp=",
        "eventtime=",
        "devname=",
        "itime=",
        "time=",
        "log_id=",
        "device_id=",
    ];
    let first = message.bytes().next();
    if !first.is_some_and(|b| b"dlite".contains(&b)) {
        return false;
    }
    if message.starts_with("time=") && message.contains("|hostname=") {
        return piped(message, header);
    }
    if !starts.iter().any(|s| message.starts_with(s)) {
        return false;
    }
    header.form = Form::KeyValue;
    let name = ["devname", "device_name", "dvchost", "hostname"]
        .iter()
        .find_map(|key| value(message, key))
        .filter(|n| !n.is_empty());
    // The name of a relay is no name of the firewall.
    let own = header.host.filter(|_| header.host != header.relay);
    header.host = name
        .or(own)
        .or_else(|| value(message, "fw"))
        .or_else(|| value(message, "sn"))
        .or_else(|| value(message, "device_id"))
        .or_else(|| value(message, "device_serial_id"))
        .or(header.host);
    header.mnemonic = ["logid", "log_id", "m", "msgid"]
        .iter()
        .find_map(|key| value(message, key))
        .or_else(|| value(message, "id").filter(|_| message.contains(" sys=")));
    if header.process.is_none() {
        header.process = ["type", "log_type", "c"]
            .iter()
            .find_map(|key| value(message, key));
    }
    if let Some(level) = ["level", "priority", "pri"]
        .iter()
        .find_map(|key| value(message, key))
    {
        header.stated_severity =
            scan::severity(level).or_else(|| level.parse().ok().filter(|s| *s <= 7));
    }
    if let Some(found) = pair_time(message) {
        header.time = Some(found);
    }
    true
}

/// Check Point's log exporter: `time=1789984800|hostname=fw1|severity=Medium|product=IPS|…`
fn piped<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    header.form = Form::KeyValue;
    for part in message.split('|') {
        let Some((name, found)) = part.split_once('=') else {
            continue;
        };
        match name {
            "time" if header.time.is_none() => {
                header.time = time::epoch(found).map(|(clock, _)| DeviceTime {
                    clock,
                    unsynchronised: false,
                });
            }
            "hostname" => header.host = Some(found),
            "severity" => header.stated_severity = scan::severity(found),
            "product" => header.process = Some(found),
            _ => {}
        }
    }
    true
}

fn pair_time(message: &str) -> Option<DeviceTime> {
    if let (Some(date), Some(clock)) = (value(message, "date"), value(message, "time")) {
        let zone = value(message, "tz")
            .or_else(|| value(message, "timezone"))
            .unwrap_or_default();
        // FortiMail: `(GMT+1:00)Brussels`
        let zone = zone
            .strip_prefix('(')
            .and_then(|z| z.split(')').next())
            .unwrap_or(zone);
        let text = format!("{date} {clock} {zone}");
        let plain = format!("{date} {clock}");
        return time::parse(text.trim_end())
            .or_else(|| time::parse(&plain))
            .map(|t| t.0);
    }
    let text = value(message, "time").or_else(|| value(message, "timestamp"))?;
    let zoned = value(message, "tz").map(|zone| format!("{text} {zone}"));
    zoned
        .and_then(|text| time::parse(&text).map(|t| t.0))
        .or_else(|| time::parse(text).map(|t| t.0))
}
