//! Formats with a fixed frame: CEF, LEEF and Palo Alto's values.

use crate::header::scan::{self, value};
use crate::header::time::{self, DeviceTime};
use crate::header::{Form, Header};

/// `CEF:0|vendor|product|version|id|name|severity|extension`
pub(super) fn cef<'a>(message: &'a str, header: &mut Header<'a>) {
    header.form = Form::Cef;
    let id = pipes(message).nth(4);
    header.mnemonic = id.filter(|id| !id.is_empty());
    let extension = pipes(message).nth(7).unwrap_or_default();
    header.stated_severity = pipes(message).nth(6).and_then(cef_severity);
    header.host = header
        .host
        .or_else(|| value(extension, "dvchost"))
        .or_else(|| value(extension, "deviceExternalId"))
        .or_else(|| value(extension, "dvc"));
    if header.time.is_none() {
        header.time = ["rt", "end", "start"]
            .iter()
            .find_map(|key| extension_time(extension, key));
    }
}

/// 0 to 10, or a word: 9 and more is critical, 7 an error, 4 a warning.
fn cef_severity(text: &str) -> Option<u8> {
    match text.parse::<u8>() {
        Ok(0..=3) => Some(6),
        Ok(4..=6) => Some(4),
        Ok(7..=8) => Some(3),
        Ok(9..=10) => Some(2),
        Ok(_) => None,
        Err(_) => match text {
            "Very-High" => Some(2),
            word => scan::severity(word),
        },
    }
}

/// Milliseconds since 1970, or a date as people write it.
fn extension_time(extension: &str, key: &str) -> Option<DeviceTime> {
    let digits = value(extension, key)?;
    if digits.len() == 13
        && let Ok(milliseconds) = digits.parse::<i64>()
    {
        return Some(DeviceTime {
            clock: time::Clock::Unix(milliseconds.saturating_mul(1_000_000)),
            unsynchronised: false,
        });
    }
    let at = digits.as_ptr() as usize - extension.as_ptr() as usize;
    time::parse(&extension[at..]).map(|found| found.0)
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

/// `1,2026/03/28 05:34:14,serial,TYPE,subtype,…`
pub(super) fn palo_alto<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
    let head = &message.as_bytes()[..message.len().min(8)];
    if memchr::memchr(b',', head).is_none() {
        return false;
    }
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
    const KINDS: [&str; 4] = ["TRAFFIC", "THREAT", "SYSTEM", "CONFIG"];
    let found = time::parse(received).map(|found| found.0);
    // A spreadsheet in between writes dates its own way.
    if found.is_none() && !(KINDS.contains(&kind) && received.contains('/')) {
        return false;
    }
    header.form = Form::PaloAlto;
    header.mnemonic = Some(kind);
    header.time = header.time.or(found);
    header.host = header.host.or(Some(serial));
    true
}
