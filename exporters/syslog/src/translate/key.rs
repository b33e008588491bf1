//! What a message's rules are found by.

use crate::header::{Form, Header};

use crate::header::scan::value;

use super::pattern::cells;

/// Longest key.
const LONGEST: usize = 96;

/// A key put together without asking for memory.
struct Key {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Key {
    fn new(parts: &[&str]) -> Option<Self> {
        let mut key = Self {
            bytes: [0; LONGEST],
            length: 0,
        };
        for part in parts {
            let end = key.length + part.len();
            key.bytes
                .get_mut(key.length..end)?
                .copy_from_slice(part.as_bytes());
            key.length = end;
        }
        Some(key)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// Offers the keys of a message, best first, until one is taken.
pub(super) fn candidates<T>(
    header: &Header<'_>,
    mut take: impl FnMut(&str) -> Option<T>,
) -> Option<T> {
    let offer = |parts: &[&str], take: &mut dyn FnMut(&str) -> Option<T>| {
        Key::new(parts).and_then(|key| take(key.text()))
    };
    if let Some(name) = header.mnemonic {
        let found = match header.form {
            Form::Vrp => {
                let mut parts = name.split('/');
                match (parts.next(), parts.nth(1)) {
                    (Some(module), Some(message)) => offer(&[module, "/", message], &mut take)
                        .or_else(|| offer(&[module, "/*"], &mut take)),
                    _ => None,
                }
            }
            Form::KeyValue => name
                .get(name.len().saturating_sub(5)..)
                .filter(|_| value(header.message, "logid").is_some())
                .and_then(|tail| offer(&["FG-", tail], &mut take))
                .or_else(|| {
                    let serial = value(header.message, "device_id")?;
                    let begins = match serial.get(..2)? {
                        "FE" => "FML-",
                        "FV" => "FWB-",
                        _ => return None,
                    };
                    offer(&[begins, value(header.message, "type")?], &mut take)
                })
                .or_else(|| {
                    let kind = value(header.message, "type")?;
                    let part = value(header.message, "subtype")?;
                    offer(&["FG-", kind, "-", part], &mut take)
                })
                .or_else(|| {
                    value(header.message, "sys")?;
                    offer(&["UTM-", value(header.message, "sub")?], &mut take)
                })
                .or_else(|| {
                    let kind = value(header.message, "log_type")?;
                    offer(&["SFOS-", kind], &mut take)
                })
                .or_else(|| {
                    let firewall = value(header.message, "id") == Some("firewall");
                    firewall.then(|| offer(&["SONICWALL-", name], &mut take))?
                })
                .or_else(|| {
                    let firewall = value(header.message, "id") == Some("firewall");
                    firewall.then(|| take("SONICWALL-*"))?
                }),
            Form::PaloAlto => cells(header.message)
                .nth(8)
                .filter(|_| matches!(name, "SYSTEM" | "GLOBALPROTECT"))
                .and_then(|event| offer(&["PAN-", name, "-", event], &mut take))
                .or_else(|| {
                    let kind = cells(header.message).nth(4)?;
                    offer(&["PAN-", name, "-", kind], &mut take)
                })
                .or_else(|| offer(&["PAN-", name, "-*"], &mut take)),
            Form::Cef => take(if header.message.starts_with("LEEF") {
                "LEEF"
            } else {
                "CEF"
            }),
            _ => take(name)
                .or_else(|| without_severity(name, |parts| offer(parts, &mut take)))
                .or_else(|| of_daemon(name, header, |parts| offer(parts, &mut take))),
        };
        if found.is_some() {
            return found;
        }
    } else if header.form == Form::Cef {
        return take(if header.message.starts_with("LEEF") {
            "LEEF"
        } else {
            "CEF"
        });
    } else if header.form == Form::KeyValue
        && let Some(kind) = value(header.message, "logtype")
    {
        return offer(&["SNS-", kind], &mut take);
    } else if header.form == Form::KeyValue && header.message.contains("|hostname=") {
        return take("@CheckPoint");
    }
    if header.form == Form::Meraki {
        return offer(&["MERAKI-", header.process?], &mut take);
    }
    let process = header.process.or_else(|| Some(level_in_front(header)?.0))?;
    let process = process.trim_start_matches('/');
    let found = offer(&["@", process], &mut take).or_else(|| {
        // `fpc3`, `port02`, `filterlog`: cards and ports are counted.
        let kind = process.trim_end_matches(|c: char| c.is_ascii_digit());
        (kind.len() < process.len()).then(|| offer(&["@", kind], &mut take))?
    });
    let found = found.or_else(|| LEVELS.contains(&process).then(|| take("@level"))?);
    // Every program that lets people in speaks through PAM.
    found.or_else(|| header.message.starts_with("pam_").then(|| take("pam"))?)
}

/// What D-Link switches write where others write a program.
const LEVELS: [&str; 9] = [
    "EMER", "ALER", "CRIT", "ERRO", "WARN", "NOTI", "NOTICE", "INFO", "DEBG",
];

/// D-Link switches write the level where others write a program, and the text behind it: `INFO(6) Port 1 link down`.
pub(super) fn level_in_front<'a>(header: &Header<'a>) -> Option<(&'a str, &'a str)> {
    if header.process.is_some() || header.mnemonic.is_some() {
        return None;
    }
    let (level, rest) = header.message.split_once('(')?;
    let text = rest.get(1..)?.strip_prefix(") ")?;
    let plain = (3..=5).contains(&level.len()) && level.bytes().all(|b| b.is_ascii_uppercase());
    (plain && rest.starts_with(|c: char| c.is_ascii_digit())).then_some((level, text))
}

/// What Junos writes before the severity and the name of a message with `explicit-priority`: `%DAEMON-4-UI_COMMIT`.
const JUNOS: [&str; 13] = [
    "AUTH", "CHANGE", "CONFLICT", "CRON", "DAEMON", "DFC", "EXTERNAL", "FIREWALL", "FTP",
    "INTERACT", "KERN", "PFE", "USER",
];

/// The text behind what a device says of the part that speaks: `-MDC=1-Slot=2; Fan 1 failed.` (Comware),
/// `CID=0x807a0405-alarmID=0x0813;The interface …`, `Slot=5,Vcpu=0;Rate …` (VRP),
/// `Switch 1 R0/0: install_engine: Started …` (IOS-XE), `%$VSAN 10%$ Interface …` (NX-OS).
pub(super) fn behind_part<'a>(header: &Header<'_>, mut message: &'a str) -> &'a str {
    // How many parts a message may have in front.
    const PARTS: usize = 3;
    for _ in 0..PARTS {
        match part(header, message) {
            Some(behind) => message = behind,
            None => break,
        }
    }
    message
}

/// What is behind one part.
fn part<'a>(header: &Header<'_>, message: &'a str) -> Option<&'a str> {
    match header.form {
        Form::Vrp => {
            let (part, text) = message.split_once(';')?;
            let known = part.len() <= 120
                && part.trim_start_matches('-').split(['-', ',']).all(|pair| {
                    let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
                    matches!(
                        name,
                        "MDC"
                            | "Context"
                            | "Chassis"
                            | "Slot"
                            | "CPU"
                            | "Vcpu"
                            | "DevIP"
                            | "SN"
                            | "CID"
                            | "alarmID"
                            | "clearType"
                            | "OID"
                            | "VS"
                            | "Admin"
                            | "UVS"
                    )
                });
            known.then(|| text.trim_start_matches(' '))
        }
        Form::Cisco if message.starts_with("%$") => {
            // `%$VSAN 10%$ Interface …`
            let (part, text) = message[2..].split_once("%$")?;
            (part.len() <= 40).then(|| text.trim_start_matches(' '))
        }
        Form::Cisco => {
            let (part, text) = message.split_once(": ")?;
            let (part, slot) = part.rsplit_once(' ').unwrap_or(("", part));
            let (kind, bay) = slot.split_once('/')?;
            let known = kind.starts_with(['R', 'F', 'C', 'S', 'B'])
                && kind.len() <= 3
                && bay.len() <= 2
                && (part.is_empty() || part.starts_with("Switch ") || part.starts_with("Chassis "));
            let (process, text) = known.then(|| text.split_once(": "))??;
            let plain = process
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            plain.then(|| text.trim_start_matches(' '))
        }
        _ => None,
    }
}

/// `LINK-3-UPDOWN` as `LINK-UPDOWN`, `FTD-6-302013` as `ASA-302013`, `SNMP-WARNING-linkDown-2004` as `linkDown`.
fn without_severity<T>(name: &str, mut offer: impl FnMut(&[&str]) -> Option<T>) -> Option<T> {
    let bytes = name.as_bytes();
    let at = (1..bytes.len().saturating_sub(1))
        .find(|&i| bytes[i - 1] == b'-' && bytes[i].is_ascii_digit() && bytes[i + 1] == b'-');
    if let Some(at) = at {
        let (before, behind) = (&name[..at - 1], &name[at + 2..]);
        if ["ASA", "FTD", "PIX", "FWSM", "NGIPS"]
            .iter()
            .any(|name| before.starts_with(name))
        {
            // Cisco numbers them by class: 713 and three more digits are about VPN.
            return offer(&["ASA-", behind]).or_else(|| offer(&["ASA-", behind.get(..3)?, "*"]));
        }
        return offer(&[before, "-", behind])
            .or_else(|| {
                let facility = without_processor(before)?;
                offer(&[facility, "-", behind]).or_else(|| offer(&[facility, "-*"]))
            })
            .or_else(|| offer(&[before, "-*"]))
            .or_else(|| JUNOS.contains(&before).then(|| offer(&[behind]))?);
    }
    let mut parts = name.split('-');
    let (application, severity, event) = (parts.next()?, parts.next()?, parts.next()?);
    let nokia = application
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b == b'_')
        && severity.bytes().all(|b| b.is_ascii_uppercase());
    if nokia { offer(&[event]) } else { None }
}

/// Catalyst 6500 and 4500 name the processor that speaks behind the facility: `PM-SP`, `LINK-DFC2`, `SYS-SW1_SPSTBY`.
fn without_processor(facility: &str) -> Option<&str> {
    let (facility, processor) = facility.rsplit_once('-')?;
    let plain = processor.rsplit('_').next()?;
    let kind = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(
        kind,
        "SP" | "SPSTBY"
            | "SP_STBY"
            | "STDBY"
            | "STBY"
            | "DFC"
            | "RP"
            | "SLOT"
            | "LC"
            | "STANDBY"
            | "SW"
            | "FPC"
    )
    .then_some(facility)
}

/// Messages that no rule names: Junos' by their daemon (`RPD_BGP_*`, `CHASSISD_*`), Aruba CX' all together.
fn of_daemon<T>(
    name: &str,
    header: &Header<'_>,
    mut offer: impl FnMut(&[&str]) -> Option<T>,
) -> Option<T> {
    if header.message.starts_with("Event|") {
        return offer(&["CX-*"]);
    }
    let (daemon, rest) = name
        .split_once('_')
        .filter(|_| !header.message.is_empty())?;
    let part = rest.split('_').next()?;
    offer(&[daemon, "_", part, "_*"]).or_else(|| offer(&[daemon, "_*"]))
}

/// The vendor that the header's form points to, where several share a mnemonic.
pub(super) fn likely_vendor(header: &Header<'_>) -> Option<&'static str> {
    match (header.form, header.process, header.pid) {
        (Form::Cisco, Some(_), Some(_)) => Some("cisco_iosxr"),
        (Form::Cisco, Some(_), None) => Some("arista"),
        (Form::Cisco, None, _) => Some("cisco_ios"),
        (Form::Topics, ..) => Some("mikrotik"),
        _ => None,
    }
}
