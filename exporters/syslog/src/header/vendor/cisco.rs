//! `%FACILITY-SEVERITY-MNEMONIC` and its variants.

use crate::header::{Form, Header};

/// `%FACILITY[-SUB…]-SEVERITY-MNEMONIC: text`; also `%NAME: text` and parts such as `%STKUNIT0-M:CP %…`.
pub(super) fn cisco<'a>(message: &'a str, header: &mut Header<'a>) -> bool {
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
                let lettered = letter_severity(name);
                if (plain || lettered.is_some()) && behind.starts_with(':') {
                    header.mnemonic = Some(name);
                    header.stated_severity = lettered;
                    header.message = behind[1..].trim_start_matches(' ');
                    return true;
                }
                return false;
            }
        }
    }
    false
}

/// Switches for small offices write a letter in the place of the digit: `LINK-W-Down`.
fn letter_severity(name: &str) -> Option<u8> {
    let mut parts = name.split('-');
    let (facility, letter, event) = (parts.next()?, parts.next()?, parts.next()?);
    let place = b"FACEWNID".iter().position(|l| [*l] == letter.as_bytes())?;
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (!facility.is_empty() && !event.is_empty() && plain(facility) && plain(event))
        .then_some(place as u8)
}

/// A mnemonic whose `%` was lost on the way, or never sent: `ASA-6-302013: text`, `DTP-1-ILGLCFG: text`.
pub(super) fn bare(header: &mut Header<'_>) -> bool {
    let Some(name) = header.process else {
        return false;
    };
    // Servers of Dell: `USR0030: text`.
    let digits = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
    if (3..=4).contains(&(name.len() - digits.len()))
        && (3..=4).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        header.process = None;
        header.mnemonic = Some(name);
        return true;
    }
    let known = name.bytes().take(2).all(|b| b.is_ascii_uppercase());
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
pub(super) fn severity_of(name: &str) -> Option<u8> {
    let levels = name.as_bytes().windows(3);
    levels
        .filter(|window| window[0] == b'-' && window[2] == b'-')
        .find_map(|window| (b'0'..=b'7').contains(&window[1]).then(|| window[1] - b'0'))
}
