//! Small readers that the others share: each takes text and gives what it found with the text behind it.

use memchr::memmem::Finder;

/// `<N>` with N up to 191.
pub(super) fn priority(text: &str) -> Option<(u8, &str)> {
    let inner = text.strip_prefix('<')?;
    let end = inner.bytes().take(4).position(|b| b == b'>')?;
    let digits = &inner[..end];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u8 = digits.parse().ok().filter(|p| *p < 192)?;
    Some((value, &inner[end + 1..]))
}

/// The text up to a space, and what stands behind the space.
pub(super) fn token(text: &str) -> (&str, &str) {
    match memchr::memchr(b' ', text.as_bytes()) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

/// Digits at the beginning.
pub(super) fn digits(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Whether text can be the name or address of a device.
pub(super) fn is_host(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':' || b >= 0x80)
        && text.len() <= 255
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'.' | b'-' | b'_' | b':' | b'/' | b'@' | b'%')
                || b >= 0x80
        })
        && (!text.ends_with(':') || text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// `program:` or `program[pid]:`; gives program, pid and what stands behind the colon.
pub(super) fn tag(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let limit = text.len().min(80);
    let bytes = &text.as_bytes()[..limit];
    let end = bytes
        .iter()
        .position(|b| matches!(b, b':' | b'[' | b' ' | b'('))?;
    if end == 0
        || !bytes[..end].iter().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(
                    b,
                    b'_' | b'-' | b'.' | b'/' | b'*' | b'@' | b'+' | b'#' | b'!'
                )
        })
    {
        return None;
    }
    let name = &text[..end];
    let rest = &text[end..];
    if let Some(inner) = rest.strip_prefix('[') {
        let close = inner.bytes().take(40).position(|b| b == b']')?;
        let behind = &inner[close + 1..];
        let behind = behind
            .strip_prefix(':')
            .or_else(|| behind.strip_prefix(" :"))
            .or(behind.starts_with(' ').then_some(behind))?;
        return Some((name, Some(&inner[..close]), behind.trim_start_matches(' ')));
    }
    let behind = match rest.strip_prefix('(') {
        // sudo(pam_unix)[12]: and the like.
        Some(inner) => {
            let close = inner.bytes().take(40).position(|b| b == b')')?;
            let behind = &inner[close + 1..];
            let (pid, behind) = match behind.strip_prefix('[') {
                Some(inner) => {
                    let close = inner.bytes().take(40).position(|b| b == b']')?;
                    (Some(&inner[..close]), &inner[close + 1..])
                }
                None => (None, behind),
            };
            return behind.strip_prefix(": ").map(|behind| (name, pid, behind));
        }
        None => rest.strip_prefix(':')?,
    };
    // `10:42` and `192.0.2.1:4711` are no tags, `kernel:text` is.
    if name.bytes().all(|b| b.is_ascii_digit() || b == b'.') || behind.starts_with(':') {
        return None;
    }
    Some((name, None, behind.trim_start_matches(' ')))
}

/// The value of `key` in `key=value key="value" key:"value"` text, without quotes.
pub(crate) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    value_by(text, &Finder::new(key))
}

/// The same with a key that is searched often.
pub(crate) fn value_by<'a>(text: &'a str, key: &Finder<'_>) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = key.find(&text.as_bytes()[from..]) {
        let start = from + at;
        let behind = start + key.needle().len();
        from = behind;
        let boundary = start == 0
            || matches!(
                text.as_bytes()[start - 1],
                b' ' | b',' | b';' | b'|' | b'[' | b']' | b'(' | b'\t'
            );
        // Check Point writes `name:"value"`.
        let named = text.as_bytes().get(behind) == Some(&b'=')
            || text.as_bytes().get(behind..behind + 2) == Some(b":\"");
        if boundary && named {
            let rest = &text[behind + 1..];
            return Some(match rest.bytes().next() {
                // Structured data escapes its quotes.
                Some(b'"') if text.starts_with('[') => &rest[1..1 + closing(&rest[1..])],
                Some(b'"') => rest[1..].split('"').next().unwrap_or_default(),
                Some(b'\'') if rest[1..].contains('\'') => {
                    rest[1..].split('\'').next().unwrap_or_default()
                }
                // Check Point's log exporter.
                _ if text.starts_with("time=") && text.contains("|hostname=") => {
                    rest.split('|').next().unwrap_or(rest)
                }
                _ => rest.split([' ', ',', ';']).next().unwrap_or(rest),
            });
        }
    }
    None
}

/// Where the quote stands that ends a value of structured data.
fn closing(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|b| {
        let closes = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    });
    end.unwrap_or(text.len())
}

/// A severity by its name.
pub(super) fn severity(word: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 29] = [
        ("emerg", 0),
        ("emergency", 0),
        ("panic", 0),
        ("alert", 1),
        ("crit", 2),
        ("critical", 2),
        ("err", 3),
        ("error", 3),
        ("errs", 3),
        ("erro", 3),
        ("warning", 4),
        ("warn", 4),
        ("wrng", 4),
        ("minor", 4),
        ("major", 3),
        ("notice", 5),
        ("note", 5),
        ("noti", 5),
        ("info", 6),
        ("information", 6),
        ("informational", 6),
        ("debug", 7),
        ("dbug", 7),
        ("log_info", 6),
        ("log_err", 3),
        ("high", 3),
        ("medium", 4),
        ("low", 5),
        ("fatal", 2),
    ];
    if !(3..=13).contains(&word.len()) {
        return None;
    }
    NAMES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|n| n.1)
}
