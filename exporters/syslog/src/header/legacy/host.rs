//! The device's name among the parts of a header.

use super::parts::{bracketed, cef, follows_header, hardware, leads_to_mnemonic, sequence};
use crate::header::scan::{self, is_host, tag, token};
use crate::header::{Form, Header, time};

/// The device's name at the beginning, when what stands around it says that it is one.
pub(super) fn host<'a>(
    text: &'a str,
    header: &Header<'_>,
    named: bool,
) -> Option<(&'a str, &'a str)> {
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
        let tagged = ["cef", "leef"]
            .iter()
            .any(|tag| name.eq_ignore_ascii_case(tag));
        return (is_host(name)
            && !tagged
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

/// A relay in front of a header that goes on with neither tag nor mnemonic (Cisco ISE).
fn repeated(header: &Header<'_>, name: &str, next: &str) -> bool {
    header.form == Form::Rfc3164
        && name
            .bytes()
            .any(|b| matches!(b, b'-' | b'.' | b'_') || b.is_ascii_digit())
        && next.starts_with("CISE_")
}

/// ScreenOS: `ssg5: NetScreen device_id=ssg5 …`; a number instead of the name is the hardware's.
fn screen(name: &str, text: &str) -> bool {
    text.strip_prefix("NetScreen device_id=").is_some_and(|id| {
        let id = token(id).0;
        id == name || id.bytes().all(|b| b.is_ascii_digit())
    })
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
