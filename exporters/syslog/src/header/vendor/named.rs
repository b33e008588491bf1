//! Names of messages that vendors put at the beginning.

use super::cisco::severity_of;
use crate::header::scan::{self, token};
use crate::header::{Form, Header};

/// `MODULE/4/NAME:` with the signs in front of it lost or halved.
pub(in crate::header) fn is_vrp(text: &str) -> bool {
    let module = text
        .bytes()
        .take(24)
        .position(|b| !(b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'))
        .unwrap_or(0);
    module > 1
        && matches!(text.as_bytes()[module..], [b'/', b'0'..=b'7', b'/', next, ..] if next.is_ascii_alphabetic())
}

/// `01MODULE/4/NAME(l)[4997]:text` behind `%%`.
pub(super) fn vrp<'a>(rest: &'a str, header: &mut Header<'a>) {
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

/// `system,info,account user admin logged in`
pub(super) fn topics<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    const FIRST: [&str; 31] = [
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
        "pptp",
        "sstp",
        "ovpn",
        "ntp",
        "ssh",
        "certificate",
        "lte",
    ];
    let (word, _) = token(message);
    let mut names = word.split(',');
    let first = names.next().unwrap_or_default();
    let all = word
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b',' | b'-' | b'!'));
    if all && word.contains(',') && FIRST.contains(&first) {
        if header.form != Form::Rfc5424 {
            header.form = Form::Topics;
        }
        header.stated_severity = word.split(',').find_map(scan::severity);
        header.process = Some(first);
        header.mnemonic = Some(word);
        header.message = message[word.len()..].trim_start_matches([' ', ':']);
        return true;
    }
    false
}

/// `0-PPE-0 : default SSLVPN HTTPREQUEST 12 0 : text`
pub(super) fn citrix<'a>(message: &'a str, header: &mut Header<'a>) {
    let head = &message.as_bytes()[..message.len().min(16)];
    if memchr::memmem::find(head, b": ").is_none() {
        return;
    }
    let old = message.strip_prefix(": ").map(|rest| ("", rest));
    let Some((engine, rest)) = old.or_else(|| message.split_once(" : ")) else {
        return;
    };
    if !engine.is_empty() {
        if !(engine.contains("PPE") && engine.len() <= 12) {
            return;
        }
        header.process = Some(engine);
    } else if !rest.contains(" : ")
        || !token(rest).1.starts_with(|c: char| c.is_ascii_uppercase())
        || token(rest).0.contains('=')
    {
        return;
    }
    let rest = rest.strip_prefix("default ").unwrap_or(rest);
    let end = rest.match_indices(' ').nth(1).map_or(rest.len(), |m| m.0);
    header.mnemonic = Some(&rest[..end]);
    if let Some((_, text)) = rest.split_once(" : ") {
        header.message = text.trim_start_matches(' ');
    }
}

/// ONTAP: `[node-1:monitor.globalStatus.ok:notice]: text`
pub(super) fn netapp<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
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

/// Brocade: `2026/12/06-18:17:08, [FW-1424], 2387, FID 128, WARNING, …`, also behind `0 AUDIT, `, and Extreme's SLX:
/// `[log@1588 value="RASLOG"]…[msgid@1588 value="SNMP-1005"]…`
fn raslog<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    let slx = message.starts_with("[log@1588 ");
    let head = message.get(..72).unwrap_or(message);
    let audit = head.starts_with("AUDIT, ") || head.starts_with("0 AUDIT, ");
    if !(slx || audit || header.process == Some("raslogd")) {
        return false;
    }
    let (before, after) = if slx {
        ("[msgid@1588 value=\"", '"')
    } else {
        (", [", ']')
    };
    let Some((_, rest)) = message.split_once(before) else {
        return false;
    };
    header.mnemonic = rest.split(after).next().filter(|id| !id.is_empty());
    header.stated_severity = if slx {
        message
            .split_once("[severity@1588 value=\"")
            .and_then(|(_, rest)| scan::severity(rest.split('"').next()?))
    } else {
        rest.split(", ").skip(1).take(4).find_map(scan::severity)
    };
    true
}

/// Names of messages that other vendors put first.
pub(super) fn named<'a>(message: &'a str, header: &mut Header<'a>) {
    // Aruba controllers: <124198> <4130> <ERRS> <ac1 192.0.2.10>
    if let Some(rest) = message.strip_prefix('<')
        && let Some((id, rest)) = rest.split_once("> ")
        && !id.is_empty()
        && id.len() <= 8
        && id.bytes().all(|b| b.is_ascii_digit())
    {
        header.mnemonic = Some(id);
        // <process> <level> <name address>, each of which may be missing.
        let mut text = rest;
        while let Some((inner, behind)) = text.strip_prefix('<').and_then(|t| t.split_once('>')) {
            if let Some(severity) = scan::severity(inner) {
                header.stated_severity = Some(severity);
            } else if let (name, address) = token(inner)
                && address.parse::<std::net::IpAddr>().is_ok()
            {
                header.host = header.host.or(Some(name));
            }
            text = behind.trim_start_matches(' ');
        }
        header.message = text;
        return;
    }
    if raslog(message, header) {
        return;
    }
    // Snare: level, log, count, date, number of the event, …
    if header.process == Some("MSWinEventLog") {
        header.mnemonic = message.split('\t').nth(4).filter(|id| !id.is_empty());
        return;
    }
    // WatchGuard: msg_id="3000-0148" Deny …
    if let Some(rest) = message.strip_prefix("msg_id=\"") {
        header.mnemonic = rest.split('"').next().filter(|id| !id.is_empty());
        return;
    }
    // Clavister: CONN: prio=1 id=00600004 rev=1 …
    if header.process == Some("EFW") {
        header.mnemonic = scan::value(message, "id");
        return;
    }
    // ScreenOS: NetScreen device_id=fw1  [Root]system-warning-00515: text
    if let Some(rest) = message.strip_prefix("NetScreen device_id=") {
        if let Some((_, behind)) = rest.split_once(']')
            && let Some((name, text)) = behind.split_once(": ").or_else(|| behind.split_once(':'))
            && name.starts_with("system-")
        {
            let name = name.split('(').next().unwrap_or(name);
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
    let head = &message.as_bytes()[..message.len().min(82)];
    if let Some(at) = memchr::memmem::find(head, b" %") {
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
