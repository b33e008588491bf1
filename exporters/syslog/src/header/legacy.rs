//! RFC 3164 and everything near it.

mod behind;
mod host;
mod parts;

use super::scan::{self, tag, token};
use super::{Form, Header, rfc5424, time, vendor};
use behind::{card, category, event_number, level_word, own_address, serial, spaced};
use host::host;
use parts::{
    before_time, begins_message, bracketed, bracketed_time, hardware, level, node, passed_on,
    sequence, session, task,
};

/// How many parts a header may have: a relay's and the device's own.
const PARTS: usize = 14;

/// Reads every part of a header that stands at the beginning, in whatever order.
pub(super) fn parse<'a>(text: &'a str, header: &mut Header<'a>) {
    let mut rest = text.strip_prefix(':').unwrap_or(text);
    let mut named = false;
    if rfc5424::epoch_first(rest.trim_start_matches(' '), header) {
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
            if versioned(behind, header) {
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
            if versioned(rest, header) {
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
        } else if let Some((name, behind)) = passed_on(rest) {
            header.relay = header.host;
            header.host = Some(name);
            named = true;
            rest = behind;
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

/// Reads RFC 5424, and what a relay that speaks it may have put into the message.
pub(super) fn versioned<'a>(text: &'a str, header: &mut Header<'a>) -> bool {
    let read = rfc5424::parse(text, header);
    if read && header.form == Form::Rfc5424 {
        inside(header);
    }
    read
}

/// A relay that speaks RFC 5424 may carry Cisco's whole header in the message: `sw7: *Jun 23 15:52:38.534: %SYS-6-…`.
fn inside(header: &mut Header<'_>) {
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

/// Kiwi's relay puts `Original Address=192.0.2.7 ` in front.
fn forwarded<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    let Some(inner) = text.strip_prefix("Original Address=") else {
        return text;
    };
    let (address, behind) = token(inner);
    header.host = Some(address);
    behind
}

/// Whether a word with a colon is a process: with no other sign of a header, only when it looks like one.
fn acceptable(name: &str, header: &Header<'_>) -> bool {
    header.time.is_some() || header.host.is_some() || name.len() <= 32
}
