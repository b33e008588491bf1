//! RFC 3164 and everything near it.

use super::scan::{self, digits, is_host, tag, token};
use super::{Form, Header, rfc5424, time};

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
    STARTS.iter().any(|start| text.starts_with(start))
}

fn follows_header(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    let plain = text.strip_prefix("%$").map_or(text, |_| "%");
    plain.starts_with('%')
        || plain.starts_with("CEF:")
        || plain.starts_with("LEEF:")
        || time::parse(text).is_some()
        || node(text).is_some()
        || task(text).is_some()
}

/// IOS-XR writes the place without a space before the time: `LC/0/2/CPU0:Jul  7 20:16:14`.
fn node(text: &str) -> Option<&str> {
    let (place, behind) = text.split_at_checked(text.bytes().take(40).position(|b| b == b':')?)?;
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
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
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
        } else if begins_message(rest) {
            break;
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
    rest = level_word(rest, header);
    rest = event_number(rest, header);
    if !begins_message(rest)
        && let Some((process, pid, behind)) = tag(rest).filter(|t| acceptable(t.0, header))
    {
        header.process = Some(process);
        header.pid = pid;
        if header.form == Form::Raw {
            header.form = Form::Rfc3164;
        }
        rest = behind;
    }
    header.message = rest;
}

/// Whether a word with a colon is a process: with no other sign of a header, only when it looks like one.
fn acceptable(name: &str, header: &Header<'_>) -> bool {
    header.time.is_some() || header.host.is_some() || name.len() <= 32
}

/// The device's name at the beginning, when what stands around it says that it is one.
fn host<'a>(text: &'a str, header: &Header<'_>, named: bool) -> Option<(&'a str, &'a str)> {
    let (word, behind) = token(text);
    if let Some(name) = word.strip_suffix(':') {
        // `r1: *Nov 14 …`, `r1: 521: …`, `r1: %LINK-3-UPDOWN: …`
        let next = behind.trim_start_matches(' ');
        let cisco =
            follows_header(next) || (sequence(next).is_some() && follows_header(sequence(next)?.1));
        let process = header.host.is_some() && (next.starts_with('%') && named);
        return (is_host(name) && cisco && !process && !name.bytes().all(|b| b.is_ascii_digit()))
            .then_some((name, behind));
    }
    // Ubiquiti: model, address and version in one word.
    let name = word.split(',').next().unwrap_or(word);
    let plain = if name.len() < word.len() && word.matches(',').count() == 2 {
        name
    } else {
        word
    };
    if named || behind.is_empty() || !is_host(plain) {
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
        let known = header.host.is_some();
        let inner = known && !(tag(next).is_some() || follows_header(next));
        return (!inner).then_some((plain, behind));
    }
    let tagged = tag(next).is_some_and(|t| t.1.is_some());
    let csv = next.starts_with("1,20");
    (follows_header(next)
        || tagged
        || csv
        || (next.starts_with(": ") && follows_header(&next[2..])))
    .then_some((plain, behind))
}

/// F5 and others write the level between name and process.
fn level_word<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    let (word, behind) = token(text);
    match scan::severity(word) {
        Some(severity) if header.host.is_some() && tag(behind).is_some() => {
            header.stated_severity = Some(severity);
            behind
        }
        _ => text,
    }
}

/// `HP ProCurve` writes the number of the event between name and process.
fn event_number<'a>(text: &'a str, header: &mut Header<'a>) -> &'a str {
    let (word, behind) = token(text);
    if word.len() == 5
        && word.bytes().all(|b| b.is_ascii_digit())
        && tag(behind).is_some_and(|t| t.1.is_none())
    {
        header.mnemonic = Some(word);
        return behind;
    }
    text
}
