//! What vendors put at the beginning of the message: mnemonics, and headers inside the message.

use super::scan::{self, token, value};
use super::time::{self, DeviceTime};
use super::{Form, Header};

/// Completes the header from the message behind it.
pub(super) fn refine(header: &mut Header<'_>) {
    strip_slot(header);
    if let Some(behind) = header.message.strip_prefix("(Stack) ") {
        header.message = behind;
    }
    let message = header.message;
    if let Some(rest) = message.strip_prefix("%%")
        && rest.starts_with(|c: char| c.is_ascii_digit())
    {
        return vrp(rest, header);
    }
    // Some configurations of a relay double the sign.
    let message = message
        .strip_prefix('%')
        .filter(|m| m.starts_with('%'))
        .unwrap_or(message);
    if message.starts_with('%') && cisco(message, header) {
        return;
    }
    if header.pid.is_none() && bare(header) {
        return;
    }
    // IOS-XR names the process first, Arista the agent.
    if message.starts_with("CEF:") || message.starts_with("LEEF:") {
        return cef(message, header);
    }
    if matches!(header.form, Form::Raw | Form::Rfc3164) {
        if key_value(message, header) || palo_alto(message, header) {
            return;
        }
        if header.process.is_none() && header.time.is_none() {
            topics(message, header);
        }
        if header.process == Some("snmpd") || header.process.is_none() {
            citrix(message, header);
        }
    }
    if header.form == Form::Rfc5424 && header.mnemonic.is_none() && palo_alto(message, header) {
        return;
    }
    if header.mnemonic.is_none() && !netapp(message, header) {
        named(message, header);
    }
    if let Some(sequence) = header.structured.find("sequenceId=\"") {
        let rest = &header.structured[sequence + 12..];
        header.sequence = rest.split('"').next().and_then(|n| n.parse().ok());
    }
}

/// `slot1/lb1` is the device lb1.
fn strip_slot(header: &mut Header<'_>) {
    if let Some(host) = header.host
        && let Some((slot, name)) = host.split_once('/')
        && slot.starts_with("slot")
        && !name.is_empty()
    {
        header.host = Some(name);
    }
}

/// `%FACILITY[-SUB…]-SEVERITY-MNEMONIC: text`; also `%NAME: text` and parts such as `%STKUNIT0-M:CP %…`.
fn cisco<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    let mut rest = message;
    // NX-OS: `%$ VDC-1 %$ %ETHPORT-5-…`
    if let Some(inner) = rest.strip_prefix("%$ ")
        && let Some((_, behind)) = inner.split_once("%$ ")
    {
        rest = behind;
    }
    for _ in 0..2 {
        let Some(text) = rest.strip_prefix('%') else {
            return false;
        };
        let end = text
            .bytes()
            .position(|b| matches!(b, b':' | b' ' | b'('))
            .unwrap_or(text.len());
        let name = &text[..end];
        let behind = text[end..].trim_start_matches(' ');
        if let Some(severity) = severity_of(name) {
            header.mnemonic = Some(name);
            if header.host.is_none() {
                viptela(name, header);
            }
            header.form = if header.form == Form::Rfc5424 {
                Form::Rfc5424
            } else {
                Form::Cisco
            };
            header.stated_severity = Some(severity);
            header.message = behind
                .strip_prefix(':')
                .unwrap_or(behind)
                .trim_start_matches(' ');
            return true;
        }
        let skipped = text[end..].find(" %").filter(|at| *at < 12);
        match skipped {
            Some(at) => rest = &text[end + at + 1..],
            None => {
                let plain = name.len() > 2
                    && name.bytes().all(|b| {
                        b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-'
                    });
                if plain && behind.starts_with(':') {
                    header.mnemonic = Some(name);
                    header.message = behind[1..].trim_start_matches(' ');
                    return true;
                }
                return false;
            }
        }
    }
    false
}

/// A firewall whose `%` was lost on the way: `ASA-6-302013: text`.
fn bare(header: &mut Header<'_>) -> bool {
    let Some(name) = header.process else {
        return false;
    };
    let known = ["ASA-", "FTD-", "PIX-", "FWSM-"]
        .iter()
        .any(|p| name.starts_with(p));
    let Some(severity) = severity_of(name).filter(|_| known) else {
        return false;
    };
    header.process = None;
    header.mnemonic = Some(name);
    header.form = Form::Cisco;
    header.stated_severity = Some(severity);
    true
}

/// SD-WAN edges carry their name in the mnemonic: `Viptela-NAME-daemon-6-INFO-1400002`.
fn viptela<'a>(name: &'a str, header: &mut Header<'a>) {
    if let Some(rest) = name.strip_prefix("Viptela-") {
        let mut parts = rest.rsplitn(5, '-');
        let (process, host) = (parts.nth(3), parts.next());
        if let (Some(process), Some(host)) = (process, host.filter(|h| !h.is_empty())) {
            header.process = Some(process);
            header.host = Some(host);
        }
    }
}

/// The digit between two dashes, or the first part for ASA's `ASA-6-302015`.
fn severity_of(name: &str) -> Option<u8> {
    let mut parts = name.split('-').skip(1).peekable();
    while let Some(part) = parts.next() {
        if let [digit @ b'0'..=b'7'] = part.as_bytes()
            && parts.peek().is_some()
        {
            return Some(digit - b'0');
        }
    }
    None
}

/// `01MODULE/4/NAME(l)[4997]:text` behind `%%`.
fn vrp<'a>(rest: &'a str, header: &mut Header<'a>) {
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let end = rest
        .bytes()
        .position(|b| matches!(b, b':' | b'(' | b'[' | b' ' | b';'))
        .unwrap_or(rest.len());
    let name = &rest[..end];
    let severity = name
        .split('/')
        .nth(1)
        .and_then(|s| s.parse::<u8>().ok())
        .filter(|s| *s <= 7);
    let Some(severity) = severity else { return };
    header.form = Form::Vrp;
    header.mnemonic = Some(name);
    header.stated_severity = Some(severity);
    let behind = &rest[end..];
    let start = if behind.starts_with(['(', '[']) {
        let mut depth = 0i32;
        behind
            .bytes()
            .position(|b| {
                depth += i32::from(matches!(b, b'(' | b'[')) - i32::from(matches!(b, b')' | b']'));
                depth == 0 && matches!(b, b':' | b';' | b' ')
            })
            .unwrap_or(0)
    } else {
        0
    };
    header.message = behind[start..].trim_start_matches([':', ';', ' ']);
}

/// `CEF:0|vendor|product|version|id|name|severity|extension`
fn cef<'a>(message: &'a str, header: &mut Header<'a>) {
    header.form = Form::Cef;
    let id = pipes(message).nth(4);
    header.mnemonic = id.filter(|id| !id.is_empty());
    let extension = pipes(message).nth(7).unwrap_or_default();
    header.host = header
        .host
        .or_else(|| value(extension, "dvchost"))
        .or_else(|| value(extension, "deviceExternalId"));
    if header.time.is_none()
        && let Some(rt) = value(extension, "rt")
        && rt.len() == 13
        && let Ok(milliseconds) = rt.parse::<i64>()
    {
        header.time = Some(DeviceTime {
            clock: time::Clock::Unix(milliseconds.saturating_mul(1_000_000)),
            unsynchronised: false,
        });
    }
}

/// Splits at pipes that are not escaped.
pub(crate) fn pipes(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut escaped = false;
        let end = text.bytes().position(|b| {
            let here = b == b'|' && !escaped;
            escaped = b == b'\\' && !escaped;
            here
        });
        match end {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                Some(&text[..at])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// FortiGate, Sophos, SonicWall: the header is in the pairs.
fn key_value<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
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
    ];
    if message.starts_with("time=") && message.contains("|hostname=") {
        return piped(message, header);
    }
    if !starts.iter().any(|s| message.starts_with(s)) {
        return false;
    }
    header.form = Form::KeyValue;
    let name = ["devname", "device_name", "dvchost"]
        .iter()
        .find_map(|key| value(message, key))
        .filter(|n| !n.is_empty());
    // The name of a relay is no name of the firewall.
    let own = header.host.filter(|_| header.host != header.relay);
    header.host = name
        .or(own)
        .or_else(|| value(message, "fw"))
        .or_else(|| value(message, "sn"))
        .or(header.host);
    header.mnemonic = ["logid", "log_id", "m", "msgid"]
        .iter()
        .find_map(|key| value(message, key));
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
        let text = format!("{date} {clock} {zone}");
        let plain = format!("{date} {clock}");
        return time::parse(text.trim_end())
            .or_else(|| time::parse(&plain))
            .map(|t| t.0);
    }
    let text = value(message, "time").or_else(|| value(message, "timestamp"))?;
    time::parse(text).map(|t| t.0)
}

/// `1,2026/03/28 05:34:14,serial,TYPE,subtype,…`
fn palo_alto<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    let mut parts = message.splitn(6, ',');
    let (Some(_future), Some(received), Some(serial), Some(kind)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let digits_only = serial.len() >= 6 && serial.bytes().all(|b| b.is_ascii_alphanumeric());
    if !digits_only
        || !kind
            .bytes()
            .all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_'))
        || kind.len() < 3
    {
        return false;
    }
    let Some((found, _)) = time::parse(received) else {
        return false;
    };
    header.form = Form::PaloAlto;
    header.mnemonic = Some(kind);
    header.time = header.time.or(Some(found));
    header.host = header.host.or(Some(serial));
    true
}

/// `system,info,account user admin logged in`
fn topics<'a>(message: &'a str, header: &mut Header<'a>) {
    const FIRST: [&str; 24] = [
        "system",
        "interface",
        "firewall",
        "dhcp",
        "wireless",
        "ospf",
        "bgp",
        "route",
        "script",
        "info",
        "warning",
        "error",
        "critical",
        "ppp",
        "pppoe",
        "l2tp",
        "ipsec",
        "caps",
        "account",
        "radius",
        "dns",
        "bridge",
        "hotspot",
        "snmp",
    ];
    let (word, _) = token(message);
    let mut names = word.split(',');
    let first = names.next().unwrap_or_default();
    let all = word
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b',' | b'-' | b'!'));
    if all && word.contains(',') && FIRST.contains(&first) {
        header.form = Form::Topics;
        header.stated_severity = word.split(',').find_map(scan::severity);
        header.process = Some(first);
        header.mnemonic = Some(word);
        header.message = message[word.len()..].trim_start_matches([' ', ':']);
    }
}

/// `0-PPE-0 : default SSLVPN HTTPREQUEST 12 0 : text`
fn citrix<'a>(message: &'a str, header: &mut Header<'a>) {
    let Some((engine, rest)) = message.split_once(" : ") else {
        return;
    };
    if !(engine.contains("PPE") && engine.len() <= 12) {
        return;
    }
    header.process = Some(engine);
    let rest = rest.strip_prefix("default ").unwrap_or(rest);
    let end = rest.match_indices(' ').nth(1).map_or(rest.len(), |m| m.0);
    header.mnemonic = Some(&rest[..end]);
    if let Some((_, text)) = rest.split_once(" : ") {
        header.message = text.trim_start_matches(' ');
    }
}

/// ONTAP: `[node-1:monitor.globalStatus.ok:notice]: text`
fn netapp<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    let Some((inner, behind)) = message.strip_prefix('[').and_then(|m| m.split_once("]: ")) else {
        return false;
    };
    let mut parts = inner.split(':');
    let (Some(host), Some(event), Some(level), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Some(severity) = scan::severity(level) else {
        return false;
    };
    if !scan::is_host(host) || event.contains(' ') {
        return false;
    }
    header.host = header.host.or(Some(host));
    header.mnemonic = Some(event);
    header.stated_severity = Some(severity);
    header.message = behind;
    true
}

/// Names of messages that other vendors put first.
fn named<'a>(message: &'a str, header: &mut Header<'a>) {
    // Aruba controllers: <124198> <4130> <ERRS> <ac1 192.0.2.10>
    if let Some(rest) = message.strip_prefix('<')
        && let Some((id, rest)) = rest.split_once("> ")
        && !id.is_empty()
        && id.len() <= 8
        && id.bytes().all(|b| b.is_ascii_digit())
    {
        header.mnemonic = Some(id);
        let level = rest.split('<').nth(2).and_then(|l| l.split('>').next());
        header.stated_severity = level.and_then(scan::severity);
        return;
    }
    // ScreenOS: NetScreen device_id=fw1  [Root]system-warning-00515: text
    if let Some(rest) = message.strip_prefix("NetScreen device_id=") {
        if let Some((_, behind)) = rest.split_once(']')
            && let Some((name, text)) = behind.split_once(": ").or_else(|| behind.split_once(':'))
            && name.starts_with("system-")
        {
            header.mnemonic = Some(name);
            header.stated_severity = name.split('-').nth(1).and_then(scan::severity);
            header.message = text.trim_start_matches(' ');
        }
        let id = rest.split(' ').next().filter(|id| !id.is_empty());
        header.host = header.host.or(id);
        return;
    }
    // Aruba CX: Event|403|LOG_INFO|…
    if let Some(rest) = message.strip_prefix("Event|") {
        header.mnemonic = rest.split('|').next();
        return;
    }
    // Extreme: <Info:vlan.msgs.portLinkStateUp>
    if let Some(rest) = message.strip_prefix('<')
        && let Some((inner, behind)) = rest.split_once('>')
        && let Some((level, name)) = inner.split_once(':')
        && let Some(severity) = scan::severity(level)
    {
        header.stated_severity = Some(severity);
        header.mnemonic = Some(name);
        header.message = behind.trim_start_matches(' ');
        return;
    }
    // Nokia: 169 Base SNMP-WARNING-linkDown-2004 [1/1/c1/1]:
    if header.process == Some("TMNX")
        && let Some(name) = message
            .split(' ')
            .take(5)
            .find(|w| w.matches('-').count() >= 3)
    {
        header.mnemonic = Some(name);
        header.sequence = message.split(' ').next().and_then(|n| n.parse().ok());
        header.stated_severity = name.split('-').nth(1).and_then(scan::severity);
        header.message = message
            .split_once("]:")
            .map_or(message, |m| m.1)
            .trim_start_matches(' ');
        return;
    }
    // FRR: [M59KS-A3ZXZ] %ADJCHANGE: …
    if let Some(rest) = message.strip_prefix('[')
        && let Some((id, behind)) = rest.split_once(']')
        && id.len() == 11
        && id.as_bytes()[5] == b'-'
        && id
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
    {
        header.mnemonic = Some(id);
        header.message = behind.trim_start_matches(' ');
        if let Some(inner) = header.message.strip_prefix('%')
            && let Some((name, text)) = inner.split_once(": ")
            && !name.contains(' ')
        {
            header.mnemonic = Some(name);
            header.message = text;
        }
        return;
    }
    // Dell OS10 and others: … %IFM_OSTATE_UP: text
    if let Some(at) = message.find(" %").filter(|at| *at < 80) {
        let inner = &message[at + 2..];
        let end = inner
            .bytes()
            .position(|b| {
                !(b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
            })
            .unwrap_or(0);
        if end > 3 && inner[end..].starts_with(':') {
            header.mnemonic = Some(&inner[..end]);
            header.stated_severity = severity_of(&inner[..end]);
            header.message = inner[end + 1..].trim_start_matches(' ');
            return;
        }
    }
    // Junos and F5: NAME: text, 01420002:5: text
    let end = message
        .bytes()
        .take(64)
        .position(|b| matches!(b, b':' | b' '))
        .unwrap_or(0);
    let (name, behind) = message.split_at(end);
    if let Some(text) = behind.strip_prefix(':') {
        let junos = name.len() >= 4
            && name.contains('_')
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            && text.starts_with(' ');
        let f5 = name.len() == 8
            && name.bytes().all(|b| b.is_ascii_hexdigit())
            && text.as_bytes().get(1) == Some(&b':');
        if junos || f5 {
            header.mnemonic = Some(name);
            header.message = if f5 {
                text.get(2..).unwrap_or_default()
            } else {
                text
            }
            .trim_start_matches(' ');
        }
    }
}
