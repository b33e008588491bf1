//! The parts of a header that can stand in any order; each reader gives what it found and the text behind it.

use crate::header::scan::{self, digits, is_host, token};
use crate::header::time::DeviceTime;
use crate::header::{Header, rfc5424, time};

/// What may stand where a header ends and the message begins.
pub(super) fn begins_message(text: &str) -> bool {
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

pub(super) fn follows_header(text: &str) -> bool {
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
pub(super) fn leads_to_mnemonic(text: &str) -> bool {
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
pub(super) fn facility_and_level(word: &str) -> Option<u8> {
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
pub(super) fn node(text: &str) -> Option<&str> {
    let colon = memchr::memchr(b':', &text.as_bytes()[..text.len().min(40)])?;
    // It ends with the number of the processor, behind those of the shelf.
    let before = &text.as_bytes()[..colon];
    if !before.last()?.is_ascii_digit() || memchr::memchr(b'/', before).is_none() {
        return None;
    }
    let (place, behind) = text.split_at(colon);
    let behind = &behind[1..];
    (place.contains("/CPU") && !place.contains(' ') && time::parse(behind).is_some())
        .then_some(behind)
}

/// Cisco's wireless controllers write the task before the time: `*spamApTask1: May 26 18:52:01.958`.
pub(super) fn task(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix('*')?.split_once(": ")?;
    let plain = !name.is_empty()
        && name.len() <= 32
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' '));
    (plain && time::parse(behind).is_some()).then_some((name, behind))
}

/// A count of messages: digits and a colon, before anything that a header goes on with.
pub(super) fn sequence(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = digits(text);
    let rest = rest.strip_prefix(':')?;
    if number.is_empty() || number.len() > 19 || !rest.starts_with([' ', '*', '.']) {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

/// `user.info` or `<local0.info>` between time and name.
pub(super) fn level(text: &str) -> Option<(u8, &str)> {
    let (word, behind) = token(text);
    let plain = word
        .strip_prefix('<')
        .and_then(|w| w.strip_suffix('>'))
        .unwrap_or(word);
    Some((facility_and_level(plain)?, behind))
}

/// Clavister: `[2026-07-10 17:20:49] EFW: …`
pub(super) fn bracketed_time<'a>(
    text: &'a str,
    header: &Header<'_>,
) -> Option<(DeviceTime, &'a str)> {
    let inner = text.strip_prefix('[').filter(|_| header.time.is_none())?;
    let (found, behind) = time::parse(inner)?;
    Some((found, behind.strip_prefix("] ")?))
}

/// Opengear writes name and process before the time: `ts1 port02 2026-Nov- 9 15:38:25.341`.
pub(super) fn before_time<'a>(text: &'a str, header: &Header<'_>) -> Option<(&'a str, &'a str)> {
    let (word, behind) = token(text);
    let plain = header.time.is_none() && header.host.is_some() && !word.ends_with(':');
    (plain && is_host(word) && time::parse(behind).is_some()).then_some((word, behind))
}

/// An address in brackets behind the time (Zscaler): `[192.0.2.7] NSS: …`.
pub(super) fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (inner, behind) = text.strip_prefix('[')?.split_once("] ")?;
    inner
        .parse::<std::net::IpAddr>()
        .is_ok()
        .then_some((inner, behind))
}

pub(super) fn cef(text: &str) -> bool {
    text.starts_with("CEF:") || text.starts_with("LEEF:")
}

/// Ubiquiti's hardware address, model and version: `74acb9aabbcc,U7-Pro-8.6.11: hostapd[12]: …`
pub(super) fn hardware(text: &str) -> Option<&str> {
    if text.as_bytes().get(12) != Some(&b',') {
        return None;
    }
    let (word, behind) = token(text);
    let (address, model) = word.strip_suffix(':')?.split_once(',')?;
    let plain = address.len() == 12 && address.bytes().all(|b| b.is_ascii_hexdigit());
    (plain && model.bytes().any(|b| b.is_ascii_digit())).then_some(behind)
}

/// Cisco with a session's name: `[syslog@9 s_id="sw1:666"]: *Jan  2 …`
pub(super) fn session<'a>(text: &'a str, header: &Header<'_>) -> Option<(&'a str, &'a str)> {
    let inner = text
        .strip_prefix("[syslog@9 s_id")
        .filter(|_| header.host.is_none())?;
    let (id, behind) = inner.split_once('"')?.1.split_once("\"]: ")?;
    Some((id.split(':').next().unwrap_or(id), behind))
}

/// AIX as a relay: `Message forwarded from aix1: sshd[12]: …`
pub(super) fn passed_on(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("Message forwarded from ")?;
    inner.split_once(": ").filter(|(name, _)| is_host(name))
}
