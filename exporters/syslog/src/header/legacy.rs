//! RFC 3164 and everything near it.

use super::scan::{self, digits, is_host, tag, token};
use super::time::DeviceTime;
use super::{Form, Header, rfc5424, time, vendor};

/// How many parts a header may have: a relay's and the device's own.
const PARTS: usize = 14;

/// What may stand where a header ends and the message begins.
fn begins_message(text: &str) -> bool {
    const STARTS: [&str; 13] = [
        "%",
        "CEF:",
        "LEEF:",
        "{",
        "date=",
        "id=",
        "device=",
        "@@",
        "last message repeated",
        "message repeated",
        "[",
        "(",
        "\"",
    ];
    let first = text.bytes().next();
    first.is_some_and(|b| b"%CL{di@lm[(\"".contains(&b))
        && STARTS.iter().any(|start| text.starts_with(start))
}

fn follows_header(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    let plain = text.strip_prefix("%$").map_or(text, |_| "%");
    plain.starts_with('%')
        || plain.starts_with("CEF:")
        || plain.starts_with("LEEF:")
        || plain.starts_with("NetScreen device_id=")
        || time::parse(text).is_some()
        || node(text).is_some()
        || task(text).is_some()
        || rfc5424::begins(text)
        // The name of a switch without a colon, and its count.
        || sequence(text).is_some_and(|s| time::parse(s.1.trim_start_matches(' ')).is_some())
}

/// Whether Cisco's parts follow up to the `%` of the mnemonic: counts, times, tasks, places.
fn leads_to_mnemonic(text: &str) -> bool {
    let mut rest = text;
    for _ in 0..5 {
        rest = rest.trim_start_matches([' ', ':']);
        if rest.starts_with('%') {
            return true;
        }
        let next = sequence(rest)
            .map(|s| s.1)
            .or_else(|| time::parse(rest).map(|t| t.1))
            .or_else(|| node(rest))
            .or_else(|| task(rest).map(|t| t.1));
        match next {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    false
}

/// `local7.info`, as some senders write the priority.
fn facility_and_level(word: &str) -> Option<u8> {
    const FACILITIES: [&str; 14] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "ntp", "audit",
    ];
    let (facility, level) = word.split_once('.')?;
    let (name, number) = facility.split_at_checked(5).unwrap_or_default();
    let local = name.eq_ignore_ascii_case("local")
        && number.len() == 1
        && number.as_bytes()[0].is_ascii_digit();
    (local || FACILITIES.iter().any(|f| f.eq_ignore_ascii_case(facility)))
        .then(|| scan::severity(level))?
}

/// IOS-XR writes the place without a space before the time: `LC/0/2/CPU0:Jul  7 20:16:14`.
fn node(text: &str) -> Option<&str> {
    let colon = text.bytes().take(40).position(|b| b == b':')?;
    // It ends with the number of the processor.
    if !text.as_bytes()[..colon].last()?.is_ascii_digit() {
        return None;
    }
    let (place, behind) = text.split_at(colon);
    let behind = &behind[1..];
    (place.contains("/CPU") && !place.contains(' ') && time::parse(behind).is_some())
        .then_some(behind)
}

/// Cisco's wireless controllers write the task before the time: `*spamApTask1: May 26 18:52:01.958`.
fn task(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix('*')?.split_once(": ")?;
    let plain = !name.is_empty()
        && name.len() <= 32
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' '));
    (plain && time::parse(behind).is_some()).then_some((name, behind))
}

/// A count of messages: digits and a colon, before anything that a header goes on with.
fn sequence(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = digits(text);
    let rest = rest.strip_prefix(':')?;
    if number.is_empty() || number.len() > 19 || !rest.starts_with([' ', '*', '.']) {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

/// Reads every part of a header that stands at the beginning, in whatever order.
pub(super) fn parse<'a>(text: &'a str, header: &mut Header<'a>) {
    let mut rest = text.strip_prefix(':').unwrap_or(text);
    let mut named = false;
    if rfc5424::epoch_first(rest, header) {
        return;
    }
    rest = forwarded(rest, header);
    for _ in 0..PARTS {
        rest = rest.trim_start_matches(' ');
        if let Some((priority, behind)) = scan::priority(rest)
            && (header.time.is_some() || header.host.is_some())
        {
            // A relay put its own header in front of the whole message.
            header.relay = header.host;
            header.priority = Some(priority);
            header.time = None;
            if rfc5424::parse(behind, header) {
                header.host = header.host.or(header.relay);
                return;
            }
            named = false;
            rest = behind;
        } else if let Some((number, behind)) = sequence(rest).filter(|_| header.process.is_none()) {
            // The last of two counts is the device's own.
            header.sequence = Some(number);
            rest = behind;
        } else if header.host.is_some() && rfc5424::begins(rest) {
            // A relay dropped the priority in between.
            header.relay = header.host;
            if rfc5424::parse(rest, header) {
                header.host = header.host.or(header.relay);
                return;
            }
            break;
        } else if let Some((found, behind)) = bracketed_time(rest, header) {
            header.time = Some(found);
            header.form = Form::Rfc3164;
            rest = behind;
        } else if let Some((found, behind)) = time::parse(rest) {
            header.time = Some(found);
            header.form = Form::Rfc3164;
            rest = behind
                .trim_start_matches(' ')
                .strip_prefix(": ")
                .unwrap_or(behind);
            named = false;
        } else if let Some(behind) = node(rest) {
            rest = behind;
        } else if let Some((name, behind)) = task(rest) {
            header.process = Some(name);
            rest = behind;
        } else if let Some((host, behind)) = session(rest, header) {
            header.host = Some(host);
            rest = behind;
        } else if let Some(behind) = hardware(rest).filter(|_| header.host.is_some()) {
            rest = behind;
        } else if begins_message(rest) && bracketed(rest).is_none() {
            break;
        } else if let Some((severity, behind)) = level(rest) {
            header.stated_severity = Some(severity);
            rest = behind;
        } else if let Some((process, behind)) = before_time(rest, header) {
            header.process = Some(process);
            rest = behind;
        } else if let Some((host, behind)) = host(rest, header, named) {
            if let Some(outer) = header.host {
                header.relay = Some(outer);
            }
            header.host = Some(host);
            named = true;
            rest = behind;
        } else {
            break;
        }
    }
    rest = rest.trim_start_matches(' ');
    rest = own_address(rest, header);
    rest = serial(rest, header);
    rest = category(rest, header);
    rest = spaced(rest, header);
    rest = level_word(rest, header);
    rest = event_number(rest, header);
    rest = card(rest, header);
    // A process before the time is the process; what follows the time is the message.
    if header.process.is_none()
        && !begins_message(rest)
        && !vendor::is_vrp(rest)
        && let Some((process, pid, behind)) = tag(rest).filter(|t| acceptable(t.0, header))
    {
        header.process = Some(process);
        header.pid = pid;
        if header.form == Form::Raw {
            header.form = Form::Rfc3164;
        }
        rest = behind;
        // Arista may count behind the agent.
        if let Some((number, behind)) = sequence(rest)
            && behind.trim_start_matches(' ').starts_with('%')
        {
            header.sequence = Some(number);
            rest = behind.trim_start_matches(' ');
        }
    }
    if header.process.is_some()
        && rest.starts_with("20")
        && rest.contains("[junos@")
        && rfc5424::without_version(rest, header)
    {
        return;
    }
    header.message = rest;
}

/// A relay that speaks RFC 5424 may carry Cisco's whole header in the message: `sw7: *Jun 23 15:52:38.534: %SYS-6-…`.
pub(super) fn inside(header: &mut Header<'_>) {
    let message = header.message;
    let head = &message.as_bytes()[..message.len().min(96)];
    if message.starts_with('%') || memchr::memmem::find(head, b": %").is_none() {
        return;
    }
    let mut inner = Header::default();
    parse(message, &mut inner);
    if inner.time.is_none() || !inner.message.starts_with('%') || inner.process.is_some() {
        return;
    }
    if inner.host.is_some() {
        header.relay = header.host;
        header.host = inner.host;
        (header.process, header.pid) = (None, None);
    }
    if header.mnemonic == Some("MSGOUT") {
        header.mnemonic = None;
    }
    header.time = inner.time;
    header.sequence = inner.sequence.or(header.sequence);
    header.message = inner.message;
}

/// `user.info` or `<local0.info>` between time and name.
fn level(text: &str) -> Option<(u8, &str)> {
    let (word, behind) = token(text);
    let plain = word
        .strip_prefix('<')
        .and_then(|w| w.strip_suffix('>'))
        .unwrap_or(word);
    Some((facility_and_level(plain)?, behind))
}

/// Kiwi's relay puts `Original Address=192.0.2.7 ` in front.
fn forwarded<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    let Some(inner) = text.strip_prefix("Original Address=") else {
        return text;
    };
    let (address, behind) = token(inner);
    header.host = Some(address);
    behind
}

/// Clavister: `[2026-07-10 17:20:49] EFW: …`
fn bracketed_time<'a>(text: &'a str, header: &Header<'_>) -> Option<(DeviceTime, &'a str)> {
    let inner = text.strip_prefix('[').filter(|_| header.time.is_none())?;
    let (found, behind) = time::parse(inner)?;
    Some((found, behind.strip_prefix("] ")?))
}

/// WatchGuard writes its serial number and its own time between name and process:
/// `FB-1 80DA0236DA8D1 (2026-05-10T09:49:05) firewall: msg_id="3000-0148" …`
fn serial<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    if !text.starts_with(|c: char| c == '(' || c.is_ascii_uppercase() || c.is_ascii_digit()) {
        return text;
    }
    let (word, behind) = token(text);
    let number = word.len() >= 9
        && word.bytes().any(|b| b.is_ascii_digit())
        && word
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let inner = if number { behind } else { text };
    if header.host.is_none() || header.process.is_some() {
        return text;
    }
    if let Some(dated) = inner.strip_prefix('(')
        && let Some((found, behind)) = time::parse(dated)
        && let Some(behind) = behind.strip_prefix(") ")
        && tag(behind).is_some()
    {
        header.time = Some(found);
        return behind;
    }
    if number && tag(inner).is_some_and(|t| t.2.starts_with("msg_id=")) {
        return inner;
    }
    text
}

/// Opengear writes name and process before the time: `ts1 port02 2026-Nov- 9 15:38:25.341`.
fn before_time<'a>(text: &'a str, header: &Header<'_>) -> Option<(&'a str, &'a str)> {
    let (word, behind) = token(text);
    let plain = header.time.is_none() && header.host.is_some() && !word.ends_with(':');
    (plain && is_host(word) && time::parse(behind).is_some()).then_some((word, behind))
}

/// Whether a word with a colon is a process: with no other sign of a header, only when it looks like one.
fn acceptable(name: &str, header: &Header<'_>) -> bool {
    header.time.is_some() || header.host.is_some() || name.len() <= 32
}

/// The device's name at the beginning, when what stands around it says that it is one.
fn host<'a>(text: &'a str, header: &Header<'_>, named: bool) -> Option<(&'a str, &'a str)> {
    let (word, behind) = token(text);
    if let Some((address, behind)) = bracketed(text).filter(|_| header.host.is_none()) {
        return Some((address, behind));
    }
    if let Some(name) = word.strip_suffix(':').filter(|name| !name.contains('=')) {
        // `r1: *Nov 14 …`, `r1: 521: …`, `r1: %LINK-3-UPDOWN: …`
        let next = behind.trim_start_matches(' ');
        let cisco = match header.time {
            None => {
                follows_header(next)
                    || (sequence(next).is_some() && follows_header(sequence(next)?.1))
            }
            // Behind a header, a time of its own does not make a device of a process.
            Some(_) => leads_to_mnemonic(next) || cef(next) || screen(name, next),
        };
        // Ubiquiti without a name: address of the hardware and version.
        if let (Some((name, _)), Some((_, version))) = (name.split_once(','), name.rsplit_once(','))
            && version.starts_with('v')
            && is_host(name)
            && tag(next).is_some()
        {
            return Some((name, behind));
        }
        let counted = sequence(next).map_or(next, |s| s.1.trim_start_matches(' '));
        let process = header.host.is_some() && (counted.starts_with('%') && named)
            || cef(next)
                && name.contains('.')
                && scan::severity(name.rsplit('.').next()?).is_some();
        // `sw-1: sshd[12]: …`: a name that no process has.
        let doubled = header.time.is_some()
            && header.host.is_none()
            && name.contains(|c: char| matches!(c, '-' | '.') || c.is_ascii_digit())
            && tag(next).is_some_and(|t| t.1.is_some());
        return (is_host(name)
            && (cisco || doubled)
            && !process
            && !name.bytes().all(|b| b.is_ascii_digit()))
        .then_some((name, behind));
    }
    // Ubiquiti: model, address and version in one word.
    let comma = memchr::memchr(b',', word.as_bytes());
    let name = comma.map_or(word, |at| &word[..at]);
    let paired = word.get(name.len() + 1..).is_some_and(|r| r.contains('='));
    let plain = if name.len() < word.len() && (word.matches(',').count() == 2 || paired) {
        name
    } else {
        word
    };
    if named || behind.is_empty() || !is_host(plain) {
        return None;
    }
    // VMware and others write a level where a name may be missing: `info vpxd[12] …`
    if scan::severity(plain).is_some() && tag(behind).is_some() {
        return None;
    }
    let next = behind.trim_start_matches(' ');
    if header.time.is_some() {
        // Behind a time stands the name, unless the word belongs to the message.
        let aside = next
            .strip_prefix(": ")
            .or_else(|| next.strip_prefix(":"))
            .filter(|n| follows_header(n) || n.trim_start().starts_with('%'));
        if let Some(aside) = aside {
            return Some((plain, aside));
        }
        // Behind a relay's own header nothing is known yet.
        let known = header.host.is_some() && header.host != header.relay;
        if hardware(text).is_some() {
            return None;
        }
        let inner = known
            && !(tag(next).is_some()
                || follows_header(next)
                || engine(next) && !plain.contains("-PPE-")
                || repeated(header, plain, next));
        if paired && plain.len() < word.len() {
            return (!inner).then_some((plain, &text[plain.len() + 1..]));
        }
        return (!inner).then_some((plain, behind));
    }
    let tagged = tag(next).is_some_and(|t| t.1.is_some());
    let csv = next.starts_with("1,20");
    let (second, third) = token(next);
    let processed = is_host(second) && !second.ends_with(':') && time::parse(third).is_some();
    (follows_header(next)
        || hardware(next).is_some()
        || tagged
        || csv
        || processed
        || (next.starts_with(": ") && follows_header(&next[2..])))
    .then_some((plain, behind))
}

/// An address in brackets behind the time (Zscaler): `[192.0.2.7] NSS: …`.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (inner, behind) = text.strip_prefix('[')?.split_once("] ")?;
    inner
        .parse::<std::net::IpAddr>()
        .is_ok()
        .then_some((inner, behind))
}

fn cef(text: &str) -> bool {
    text.starts_with("CEF:") || text.starts_with("LEEF:")
}

/// Infoblox writes its address behind its name: `grid1 192.0.2.3 httpd: …`
fn own_address<'a>(text: &'a str, header: &Header<'_>) -> &'a str {
    if header.process.is_some() || !text.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return text;
    }
    let (word, behind) = token(text);
    let address =
        |text: &str| text.contains(['.', ':']) && text.parse::<std::net::IpAddr>().is_ok();
    if header.host.is_some_and(|host| !address(host)) && address(word) && tag(behind).is_some() {
        return behind;
    }
    text
}

/// Cisco ISE: `CISE_Passed_Authentications 0000453439 1 0 …`
fn category<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    if text.starts_with("CISE_") && header.process.is_none() {
        let (word, behind) = token(text);
        header.process = Some(word);
        return behind;
    }
    text
}

/// Citrix names the packet engine: `0-PPE-0 : default TCP CONN_DELINK …`; older ones do not: `: TCP CONN_DELINK …`
fn engine(text: &str) -> bool {
    let (word, behind) = token(text);
    let shouted = |text: &str| {
        let word = token(text).0;
        word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase())
    };
    word.contains("-PPE-") && behind.starts_with(": ") || word == ":" && shouted(behind)
}

/// Ubiquiti's hardware address, model and version: `74acb9aabbcc,U7-Pro-8.6.11: hostapd[12]: …`
fn hardware(text: &str) -> Option<&str> {
    if text.as_bytes().get(12) != Some(&b',') {
        return None;
    }
    let (word, behind) = token(text);
    let (address, model) = word.strip_suffix(':')?.split_once(',')?;
    let plain = address.len() == 12 && address.bytes().all(|b| b.is_ascii_hexdigit());
    (plain && model.bytes().any(|b| b.is_ascii_digit())).then_some(behind)
}

/// ScreenOS: `ssg5: NetScreen device_id=ssg5 …`; a number instead of the name is the hardware's.
fn screen(name: &str, text: &str) -> bool {
    text.strip_prefix("NetScreen device_id=").is_some_and(|id| {
        let id = token(id).0;
        id == name || id.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Cisco with a session's name: `[syslog@9 s_id="sw1:666"]: *Jan  2 …`
fn session<'a>(text: &'a str, header: &Header<'_>) -> Option<(&'a str, &'a str)> {
    let inner = text
        .strip_prefix("[syslog@9 s_id")
        .filter(|_| header.host.is_none())?;
    let (id, behind) = inner.split_once('"')?.1.split_once("\"]: ")?;
    Some((id.split(':').next().unwrap_or(id), behind))
}

/// Programs whose names have a space or no colon: Dell's on servers, and Snare's for Windows.
fn spaced<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    for (name, end) in [("Server Administrator", ": "), ("MSWinEventLog", "\t")] {
        if let Some(behind) = text.strip_prefix(name).and_then(|t| t.strip_prefix(end))
            && header.process.is_none()
        {
            header.process = Some(name);
            return behind;
        }
    }
    text
}

/// A relay in front of a header that goes on with neither tag nor mnemonic (Cisco ISE).
fn repeated(header: &Header<'_>, name: &str, next: &str) -> bool {
    header.form == Form::Rfc3164
        && name
            .bytes()
            .any(|b| matches!(b, b'-' | b'.' | b'_') || b.is_ascii_digit())
        && next.starts_with("CISE_")
}

/// F5 and others write the level between name and process.
fn level_word<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    let (word, behind) = token(text);
    match scan::severity(word) {
        Some(severity)
            if tag(behind).is_some_and(|t| {
                header.host.is_some() || header.time.is_some() || t.1.is_some()
            }) =>
        {
            header.stated_severity = Some(severity);
            behind
        }
        _ => text,
    }
}

/// Junos writes the card without a colon: `mx1 fpc0 NH: …`.
fn card<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    if !text.starts_with("fpc") {
        return text;
    }
    let (word, behind) = token(text);
    let counted = word
        .strip_prefix("fpc")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if counted && header.host.is_some() && header.process.is_none() {
        header.process = Some(word);
        return behind;
    }
    text
}

/// `HP ProCurve` writes the number of the event between name and process.
fn event_number<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    if text.as_bytes().get(5) != Some(&b' ') {
        return text;
    }
    let (word, behind) = text.split_at(5);
    let behind = &behind[1..];
    if word.len() == 5
        && word.bytes().all(|b| b.is_ascii_digit())
        && tag(behind).is_some_and(|t| t.1.is_none())
    {
        header.mnemonic = Some(word);
        return behind;
    }
    text
}
