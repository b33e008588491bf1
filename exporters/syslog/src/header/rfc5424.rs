//! RFC 5424, as strictly as its senders are.

use super::scan::token;
use super::time::{self, DeviceTime};
use super::{Form, Header};

fn part(text: &str) -> Option<&str> {
    (text != "-" && !text.is_empty()).then_some(text)
}

/// Reads `1 TIME HOST APP PID MSGID SD MSG` behind the priority; false when it is something else.
pub(super) fn parse<'a>(text: &'a str, header: &mut Header<'a>) -> bool {
    let (version, rest) = token(text);
    if !matches!(version, "1" | "2") {
        return false;
    }
    let dated = rest.trim_start_matches(' ');
    let (stamp, mut rest) = token(dated);
    if let Some((clock, "")) = time::epoch(stamp) {
        return meraki(clock, rest, header);
    }
    header.time = match stamp {
        "-" => None,
        stamp => match time::parse(stamp) {
            Some((found, "")) => Some(found),
            // Check Point writes a space between date and time.
            _ => match time::parse(dated) {
                Some((found, behind)) if stamp.len() == 10 && behind.starts_with(' ') => {
                    rest = &behind[1..];
                    Some(found)
                }
                _ => return false,
            },
        },
    };
    header.form = Form::Rfc5424;
    let mut fields = [""; 4];
    for field in &mut fields {
        rest = rest.trim_start_matches(' ');
        (*field, rest) = token(rest);
    }
    let [host, process, pid, id] = fields;
    header.host = part(host);
    header.process = part(process);
    header.pid = part(pid);
    header.mnemonic = part(id);
    let (structured, message) = structured(rest);
    header.structured = structured;
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    // IOS-XE writes the three letters in place of the mark.
    header.message = message
        .strip_prefix("BOM")
        .filter(|inner| inner.starts_with('%'))
        .unwrap_or(message);
    true
}

/// `TIME HOST APP PID ID [junos@…]` where something replaced the version by a tag of its own.
pub(super) fn without_version<'a>(text: &'a str, header: &mut Header<'a>) -> bool {
    let (stamp, mut rest) = token(text);
    let Some((found, "")) = time::parse(stamp) else {
        return false;
    };
    let mut fields = [""; 4];
    for field in &mut fields {
        (*field, rest) = token(rest);
    }
    if !rest.starts_with("[junos@") {
        return false;
    }
    let [host, process, pid, id] = fields;
    if header.host.is_some_and(|outer| outer != host) {
        header.relay = header.host;
    }
    header.time = Some(found);
    header.form = Form::Rfc5424;
    header.host = part(host).or(header.host);
    header.process = part(process);
    header.pid = part(pid);
    header.mnemonic = part(id);
    (header.structured, header.message) = structured(rest);
    true
}

/// Whether a version and a time stand at the beginning.
pub(super) fn begins(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("1 ") else {
        return false;
    };
    let stamp = token(rest).0;
    stamp.len() >= 10
        && (time::epoch(stamp).is_some_and(|t| t.1.is_empty())
            || time::parse(stamp).is_some_and(|t| t.1.is_empty()))
}

/// Meraki behind a relay that took the version: `1789984800.123456789 MX84 flows …`
pub(super) fn epoch_first<'a>(text: &'a str, header: &mut Header<'a>) -> bool {
    if text.as_bytes().get(10) != Some(&b'.') {
        return false;
    }
    let (stamp, rest) = token(text);
    let fraction = stamp.get(10..11) == Some(".");
    let named = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    match time::epoch(stamp) {
        Some((clock, "")) if fraction && named => meraki(clock, rest, header),
        _ => false,
    }
}

fn meraki<'a>(clock: time::Clock, rest: &'a str, header: &mut Header<'a>) -> bool {
    header.time = Some(DeviceTime {
        clock,
        unsynchronised: false,
    });
    header.form = Form::Meraki;
    let (host, rest) = token(rest);
    header.host = part(host);
    let (kind, message) = token(rest);
    header.process = part(kind);
    header.message = message;
    true
}

/// Splits structured data from the message; what is not well-formed belongs to the message.
fn structured(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    if let Some(rest) = text.strip_prefix('-') {
        if rest.is_empty() || rest.starts_with(' ') {
            return (
                "",
                rest.strip_prefix(' ')
                    .unwrap_or(rest)
                    .trim_start_matches(' '),
            );
        }
        return ("", text);
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        match element(&bytes[at..]) {
            Some(length) => at += length,
            None => break,
        }
    }
    if at == 0 || !matches!(bytes.get(at), None | Some(b' ')) {
        return ("", text);
    }
    (&text[..at], text[at..].trim_start_matches(' '))
}

/// Length of `[id name="value" …]`.
fn element(bytes: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut id = 0;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return (id > 0).then_some(at + 1),
            b' ' | b'=' if id == 0 => id = at - 1,
            // Check Point writes `name:"value";` where an identifier belongs.
            b':' | b';' if id == 0 && *byte == b':' => return None,
            _ => {}
        }
        if id == 0 && bytes.get(at + 1) == Some(&b']') {
            id = at;
        }
    }
    None
}

/// The parameters of structured data as name and value (with their escapes).
pub fn parameters(structured: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = structured;
    std::iter::from_fn(move || {
        let equals = rest.find("=\"")?;
        let name = rest[..equals]
            .rsplit([' ', '[', ']'])
            .next()
            .unwrap_or_default();
        let value = &rest[equals + 2..];
        let mut escaped = false;
        let end = value.bytes().position(|b| {
            let closes = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            closes
        })?;
        rest = &value[end + 1..];
        Some((name, &value[..end]))
    })
}
