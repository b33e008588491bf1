//! Values by their names or positions: `key=value` pairs, `Key: value` lists, columns, CEF and LEEF.

use std::borrow::Cow;

use memchr::memmem::Finder;

use crate::header::scan::value_by;
use crate::header::vendor::pipes;

use super::text::nothing;
use super::{Fields, Kind};

/// Where the values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) enum Reading {
    /// `key=value key="value" key:"value"`.
    Pairs,
    /// `Key: value, Key: value`.
    Listed,
    /// Comma-separated, by position.
    Columns,
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
}

/// A value that a rule takes: `user`, `source=srcip`, `user!` (must be there), `action^deny|block` (must begin with one of
/// these; `_` stands for a space), `text?^Web` (may be missing, and must begin so where it is), `virus-` (must be missing or empty), `~login_failed` (the message must say so), `source/sport/zone=src` (parts between colons, or `first(second)`).
#[derive(Debug)]
pub(in crate::translate) struct Taken {
    parts: Vec<(&'static str, Kind)>,
    key: &'static str,
    finder: Box<Finder<'static>>,
    column: usize,
    begins: Vec<&'static str>,
    /// Whether the rule matches only with it.
    pub(super) needed: bool,
    absent: bool,
    says: Option<String>,
}

impl Taken {
    pub(super) fn parse(text: &'static str, reading: Reading) -> Result<Self, String> {
        if let Some(words) = text.strip_prefix('~') {
            return Ok(Self {
                parts: Vec::new(),
                key: "",
                finder: Box::new(Finder::new("")),
                column: 0,
                begins: Vec::new(),
                needed: false,
                absent: false,
                says: Some(words.replace('_', " ")),
            });
        }
        let (plain, begins) = text.split_once('^').unwrap_or((text, ""));
        let (name, absent) = plain
            .strip_suffix('-')
            .map_or((plain, false), |n| (n, true));
        let (name, must) = name.strip_suffix('!').map_or((name, false), |n| (n, true));
        let (name, may) = name.strip_suffix('?').map_or((name, false), |n| (n, true));
        let (field, key) = name.split_once('=').unwrap_or((name, name));
        let column = match reading {
            Reading::Columns => key.parse().map_err(|_| "expected the number of a column")?,
            _ => 0,
        };
        let kind = |name: &str| match Kind::of(name) {
            // Names have spaces where they stand in quotes.
            Kind::User if !field.contains('/') => Kind::Name,
            Kind::State | Kind::Peer | Kind::Label if !field.contains('/') => Kind::Text,
            kind => kind,
        };
        Ok(Self {
            parts: field.split('/').map(|name| (name, kind(name))).collect(),
            key,
            finder: Box::new(Finder::new(key)),
            column,
            begins: begins.split('|').filter(|word| !word.is_empty()).collect(),
            needed: must || !may && !begins.is_empty(),
            absent,
            says: None,
        })
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.parts.iter().map(|part| part.0)
    }

    fn begins_right(&self, value: &str) -> bool {
        self.begins.is_empty()
            || self.begins.iter().any(|begins| {
                value.len() >= begins.len()
                    && value.bytes().zip(begins.bytes()).all(|(found, wanted)| {
                        found.eq_ignore_ascii_case(&wanted) || (wanted == b'_' && found == b' ')
                    })
            })
    }

    /// Takes the value; false when the rule does not match because of it.
    fn take<'a>(&self, found: Option<&'a str>, fields: &mut Fields<'a>, decode: bool) -> bool {
        let Some(found) = found.filter(|f| !nothing(f) && *f != "None") else {
            return self.absent || !self.needed;
        };
        if self.absent || !self.begins_right(found) {
            return false;
        }
        let mut fits = true;
        if let [(name, kind)] = &self.parts[..] {
            // Protocols without ports have port 0.
            if *kind == Kind::Port && found == "0" {
                return !self.needed;
            }
            // A login at the console has no address, a client that is not let in yet none of the tunnel.
            if matches!(*name, "source" | "address")
                && !self.needed
                && matches!(found, "0.0.0.0" | "::")
            {
                return true;
            }
            fits = kind.accepts(found);
            if fits && *name != "_" {
                let value = if decode {
                    unescaped(found)
                } else {
                    Cow::Borrowed(found)
                };
                fields.push((name, value));
            }
        } else {
            // `ssh(192.0.2.7)`
            if let ([(first, one), (second, two)], Some((before, inner))) = (
                &self.parts[..],
                found.strip_suffix(')').and_then(|f| f.split_once('(')),
            ) {
                for (name, kind, part) in [(first, one, before), (second, two, inner)] {
                    if *name != "_" && kind.accepts(part) {
                        fields.push((name, Cow::Borrowed(part)));
                    }
                }
                return true;
            }
            // An address of IPv6 has colons of its own: the other parts stand behind it.
            // `tcp/https`
            let between = if self.parts[0].0 == "protocol" {
                '/'
            } else {
                ':'
            };
            // Behind `192.0.2.7:50000:X0` a name may follow.
            let first = found.split(between).next().unwrap_or(found);
            let inner = if self.parts[0].1.accepts(first) {
                0
            } else {
                let count = found.matches(between).count();
                (count + 1).saturating_sub(self.parts.len())
            };
            let mut rest = Some(found);
            for (number, (name, kind)) in self.parts.iter().enumerate() {
                let Some(text) = rest else { break };
                let skip = if number == 0 { inner } else { 0 };
                let (part, behind) = match text.match_indices(between).nth(skip) {
                    Some((at, _)) => (&text[..at], Some(&text[at + 1..])),
                    None => (text, None),
                };
                rest = behind;
                if kind.accepts(part) {
                    if *name != "_" {
                        fields.push((name, Cow::Borrowed(part)));
                    }
                } else if number == 0 {
                    fits = false;
                }
            }
        }
        fits || !self.needed
    }
}

/// Names of the header of CEF and LEEF.
const FRAME: [&str; 3] = ["vendor", "product", "name"];
/// Fields of CEF that have the names of all others too.
const COMMON: [(&str, &str); 12] = [
    ("src", "source"),
    ("dst", "destination"),
    ("spt", "sport"),
    ("dpt", "dport"),
    ("srcPort", "sport"),
    ("dstPort", "dport"),
    ("act", "action"),
    ("action", "action"),
    ("suser", "user"),
    ("usrName", "user"),
    ("duser", "target"),
    ("proto", "protocol"),
];
/// Names that a line has from elsewhere.
const TAKEN: [&str; 28] = [
    "vendor",
    "product",
    "name",
    "level",
    "facility",
    "form",
    "transport",
    "source_ip",
    "hostname",
    "relay",
    "process",
    "pid",
    "mnemonic",
    "sequence",
    "device_time",
    "sentence",
    "runbook",
    "event",
    "severity",
    "site",
    "role",
    "device",
    "job",
    "truncated",
    "unfinished",
    "source",
    "destination",
    "interface",
];
/// Fields of an extension that are kept.
const MOST: usize = 40;

/// Whether it is of ICMP, which has types and codes where other protocols have ports.
fn icmp(fields: &Fields<'_>) -> bool {
    fields.iter().any(|(name, value)| {
        *name == "protocol"
            && ["1", "58", "icmp", "icmp6", "icmpv6", "ipv6-icmp"]
                .iter()
                .any(|icmp| value.eq_ignore_ascii_case(icmp))
    })
}

/// Whether a type or code of ICMP was taken for a port.
pub(super) fn icmp_with_ports(fields: &Fields<'_>) -> bool {
    fields.iter().any(|f| matches!(f.0, "sport" | "dport")) && icmp(fields)
}

/// Leaves out what stands where other protocols have ports.
pub(super) fn drop_ports_of_icmp(fields: &mut Fields<'_>, taken: &[Taken]) {
    if icmp(fields) {
        fields.retain(|(name, value)| {
            let number = *name == "service" && value.bytes().all(|b| b.is_ascii_digit());
            !(number || matches!(*name, "sport" | "dport"))
                || taken.iter().any(|t| t.needed && t.parts[0].0 == *name)
        });
    }
}

impl Reading {
    pub(super) fn gives(self, name: &str) -> bool {
        matches!(self, Self::Cef | Self::Leef)
            && (FRAME.contains(&name) || COMMON.iter().any(|c| c.0 == name || c.1 == name))
    }

    /// Whether it gives this field of every message.
    pub(super) fn always(self, name: &str) -> bool {
        matches!(self, Self::Cef | Self::Leef) && FRAME.contains(&name)
    }

    pub(super) fn matches<'a>(
        self,
        taken: &[Taken],
        message: &'a str,
        fields: &mut Fields<'a>,
    ) -> bool {
        match self {
            Self::Pairs => {
                let structured = message.starts_with('[');
                taken.iter().all(|t| match &t.says {
                    Some(words) => message.contains(&**words),
                    None => t.take(value_by(message, &t.finder), fields, structured),
                }) && !fields.is_empty()
            }
            Self::Listed => {
                taken
                    .iter()
                    .all(|t| t.take(listed(message, t.key), fields, false))
                    && !fields.is_empty()
            }
            Self::Columns => {
                let mut found = [""; 48];
                let most = taken.iter().map(|t| t.column + 1).max().unwrap_or(0);
                for (place, cell) in found.iter_mut().zip(cells(message).take(most)) {
                    *place = cell;
                }
                let all = taken
                    .iter()
                    .all(|t| t.take(found.get(t.column).copied(), fields, false));
                for (_, value) in &mut *fields {
                    if value.contains("\"\"") {
                        *value = Cow::Owned(value.replace("\"\"", "\""));
                    }
                }
                all && !fields.is_empty()
            }
            Self::Cef => framed(message, [1, 2, 5], 7, fields) && conditions(taken, fields),
            Self::Leef => framed(message, [1, 2, 4], 5, fields) && conditions(taken, fields),
        }
    }
}

/// Whether the fields that were found are as the rule wants them; `user=duser` makes a user of the `duser`.
fn conditions(taken: &[Taken], fields: &mut Fields<'_>) -> bool {
    taken.iter().all(|taken| {
        let found = fields.iter().find(|f| f.0 == taken.key);
        let Some((_, value)) = found else {
            return taken.absent || !taken.needed;
        };
        if taken.absent || !taken.begins_right(value) {
            return false;
        }
        let [(name, kind)] = &taken.parts[..] else {
            return true;
        };
        if *name == taken.key {
            return true;
        }
        let fits = kind.accepts(value);
        if fits && !fields.iter().any(|f| f.0 == *name) {
            let value = value.clone();
            fields.push((name, value));
        }
        fits || !taken.needed
    })
}

fn framed<'a>(message: &'a str, at: [usize; 3], extension: usize, fields: &mut Fields<'a>) -> bool {
    // LEEF 2 names the sign between its fields in a column of its own.
    let second = message.starts_with("LEEF:2");
    let extension = extension + usize::from(second);
    let mut start = 0;
    for (number, part) in pipes(message).enumerate().take(extension) {
        start += part.len() + 1;
        if let Some(name) = at.iter().position(|a| *a == number)
            && !part.is_empty()
        {
            fields.push((FRAME[name], unescaped(part)));
        }
    }
    if fields.len() != 3 {
        return false;
    }
    let rest = message.get(start..).unwrap_or_default();
    for (name, found) in extended(rest).take(MOST) {
        if !found.is_empty() && !TAKEN.contains(&name) && !fields.iter().any(|f| f.0 == name) {
            fields.push((name, unescaped(found)));
        }
        if let Some((_, common)) = COMMON.iter().find(|c| c.0 == name)
            && Kind::of(common).accepts(found)
            && !fields.iter().any(|f| f.0 == *common)
        {
            fields.push((common, unescaped(found)));
        }
    }
    true
}

/// `key=value with spaces key2=value`: a value goes on to the next name; tabs end it too.
fn extended(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, behind) = loop {
            let equals = rest.find('=')?;
            let name = rest[..equals]
                .rsplit([' ', '\t', '|', '^'])
                .next()
                .unwrap_or_default();
            let behind = &rest[equals + 1..];
            if named(name) {
                break (name, behind);
            }
            rest = behind;
        };
        let mut from = 0;
        let end = loop {
            let Some(next) = behind[from..].find('=').map(|at| from + at) else {
                break behind.len();
            };
            let before = &behind[..next];
            let begins = before.rfind([' ', '\t', '^']);
            if let Some(begins) = begins
                && named(&before[begins + 1..])
                && !before.ends_with('\\')
            {
                break begins;
            }
            from = next + 1;
        };
        rest = &behind[end..];
        Some((name, behind[..end].trim_end_matches([' ', '\t', '^'])))
    })
}

/// A name that Loki takes for metadata.
fn named(name: &str) -> bool {
    name.len() <= 64
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `\"`, `\\`, `\]`, `\=`, `\|` without their escapes (RFC 5424 section 6.3.3, CEF); other backslashes stay.
pub(in crate::translate) fn unescaped(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some(&next @ ('"' | '\\' | ']' | '=' | '|'))) => {
                out.push(next);
                characters.next();
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The value behind `key: `, up to the next comma and name.
fn listed<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text.as_bytes()[from..], key.as_bytes()) {
        let start = from + at;
        let behind = start + key.len();
        from = behind;
        let boundary = start == 0 || text[..start].ends_with(", ");
        if boundary && let Some(rest) = text[behind..].strip_prefix(": ") {
            return Some(rest.split(", ").next().unwrap_or(rest).trim_matches('"'));
        }
    }
    None
}

/// Where the quotes of a cell end: two in a row are one of its text.
fn closing(cell: &str) -> usize {
    let mut from = 0;
    while let Some(at) = cell[from..].find('"').map(|at| from + at) {
        if !cell[at + 1..].starts_with('"') {
            return at;
        }
        from = at + 2;
    }
    cell.len()
}

/// Comma-separated cells; a quoted one may hold commas.
pub(in crate::translate) fn cells(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (cell, behind) = match text.strip_prefix('"') {
            Some(inner) => {
                let end = closing(inner);
                (&inner[..end], inner.get(end + 1..).unwrap_or_default())
            }
            None => {
                let end = memchr::memchr(b',', text.as_bytes()).unwrap_or(text.len());
                (&text[..end], &text[end..])
            }
        };
        rest = behind.strip_prefix(',');
        Some(cell)
    })
}

/// All `key=value`, `key="value"` and `key='value'` pairs of a text.
pub(in crate::translate) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let equals = rest.find('=')?;
            let start = rest[..equals]
                .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
                .map_or(0, |at| {
                    at + rest[at..].chars().next().map_or(1, char::len_utf8)
                });
            let name = &rest[start..equals];
            let behind = &rest[equals + 1..];
            let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (found, after) = match quote {
                Some(quote) => {
                    let quoted = &behind[1..];
                    let end = quoted.find(quote).unwrap_or(quoted.len());
                    (&quoted[..end], quoted.get(end + 1..).unwrap_or_default())
                }
                None => {
                    let end = behind
                        .find([' ', ',', ';', '\t', ']', ')'])
                        .unwrap_or(behind.len());
                    (&behind[..end], &behind[end..])
                }
            };
            rest = after;
            if !name.is_empty() && name.as_bytes()[0].is_ascii_alphabetic() && !found.is_empty() {
                return Some((name, found));
            }
        }
    })
}
