//! What senders write between the name and the message. Each reader gives the text behind what it found.

use crate::header::scan::{self, tag, token};
use crate::header::{Header, time};

/// WatchGuard writes its serial number and its own time between name and process:
/// `FB-1 80DA0236DA8D1 (2026-05-10T09:49:05) firewall: msg_id="3000-0148" …`
pub(super) fn serial<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
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

/// Infoblox writes its address behind its name: `grid1 192.0.2.3 httpd: …`
pub(super) fn own_address<'a>(text: &'a str, header: &Header<'_>) -> &'a str {
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
pub(super) fn category<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    if text.starts_with("CISE_") && header.process.is_none() {
        let (word, behind) = token(text);
        header.process = Some(word);
        return behind;
    }
    text
}

/// Programs whose names have a space or no colon: Dell's on servers, and Snare's for Windows.
pub(super) fn spaced<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
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

/// F5 and others write the level between name and process.
pub(super) fn level_word<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
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
pub(super) fn card<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
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
pub(super) fn event_number<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
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
