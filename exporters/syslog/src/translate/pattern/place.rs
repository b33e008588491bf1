//! Places in a rule and what may stand in them: a value of another type makes the rule not match.

use std::borrow::Cow;
use std::net::IpAddr;

use super::states::state;

/// Longest value of a place that is no free text.
const LONGEST: usize = 80;

/// Longest reason.
const REASON: usize = 240;

/// Longest name of a user, as in a directory.
const NAME: usize = 256;

/// What may stand in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::translate) enum Kind {
    /// Anything, nothing too; it becomes no field.
    Any,
    /// Any text of one character or more.
    Text,
    /// Text that says why: what a separator begins is the rest of something else.
    Reason,
    /// What something is called or how it is: short, without quotes, and no second message.
    Label,
    /// An IPv4 or IPv6 address, and nothing glued to it.
    Address,
    /// The name of an interface: one word, or a word and a number.
    Interface,
    /// A neighbour: address, router id, system id or name, one word.
    Peer,
    /// A user's name: one word.
    User,
    /// A user's name that may have spaces, where something else ends it.
    Name,
    /// A port, 0 to 65535, or the name of a service.
    Port,
    /// Digits.
    Number,
    /// An address of hardware.
    Mac,
    /// VLANs: numbers, or a word with one.
    Vlan,
    /// One word without brackets and quotes.
    Word,
    /// The name of a host: letters, digits, dots, hyphens and underscores, and no address.
    Host,
    /// The line that somebody came in by (`vty0`): one word, and no address.
    Line,
    /// A state: one to four words that states are made of.
    State,
    /// Hexadecimal digits.
    Hash,
    /// A time span: starts with a digit.
    Duration,
    /// One of these words, in any case of letters.
    OneOf(Vec<&'static str>),
}

impl Kind {
    /// The type that a field of this name has, wherever no other is said.
    pub(in crate::translate) fn of(name: &str) -> Self {
        match name {
            "_" => Self::Any,
            "source" | "destination" | "address" | "natAddress" | "otherAddress" | "own"
            | "router" => Self::Address,
            "ifName" | "other" => Self::Interface,
            "peer" => Self::Peer,
            "user" | "target" => Self::User,
            "port" | "sport" | "dport" | "natPort" | "otherPort" => Self::Port,
            "count" | "pid" | "ifIndex" | "bytes" => Self::Number,
            "mac" => Self::Mac,
            "vlan" => Self::Vlan,
            "reason" => Self::Reason,
            "alias" | "answer" | "app" | "application" | "attack" | "category" | "command"
            | "detail" | "initiator" | "key" | "message" | "name" | "operation" | "path"
            | "recipient" | "relay" | "request" | "sender" | "signature" | "statement" | "text"
            | "threat" | "time" | "to" | "url" | "virus" => Self::Text,
            "file" | "mode" | "slot" => Self::Word,
            "line" => Self::Line,
            "host" => Self::Host,
            "vrf" | "asn" | "protocol" | "acl" | "code" | "level" | "direction" | "szone"
            | "dzone" | "zone" => Self::Word,
            "state" | "from" => Self::State,
            "duration" => Self::Duration,
            _ => Self::Label,
        }
    }

    /// A type by its name, or the words that may stand there.
    pub(super) fn named(text: &'static str) -> Result<Self, String> {
        Ok(match text {
            "any" => Self::Any,
            "text" => Self::Text,
            "address" => Self::Address,
            "interface" => Self::Interface,
            "peer" => Self::Peer,
            "user" => Self::User,
            "name" => Self::Name,
            "label" => Self::Label,
            "port" => Self::Port,
            "number" => Self::Number,
            "mac" => Self::Mac,
            "vlan" => Self::Vlan,
            "word" => Self::Word,
            "host" => Self::Host,
            "state" => Self::State,
            "hash" => Self::Hash,
            "duration" => Self::Duration,
            words if words.contains('|') => {
                Self::OneOf(words.split('|').filter(|word| !word.is_empty()).collect())
            }
            other => {
                return Err(format!(
                    "expected a type or words with | between, found {other}"
                ));
            }
        })
    }

    /// Whether any text may stand here.
    pub(super) fn open(&self) -> bool {
        matches!(
            self,
            Self::Any | Self::Text | Self::Reason | Self::Label | Self::Name
        )
    }

    /// Whether a value that starts so can still become one that fits.
    pub(super) fn may_go_on(&self, begun: &str) -> bool {
        self.open() || (begun.len() <= LONGEST && !begun.contains(['\n', '"']))
    }

    /// How far a value that begins here can reach.
    pub(super) fn reach(&self, text: &str) -> usize {
        let end = text.bytes().position(|b| match self {
            Self::Any | Self::Text | Self::Reason | Self::Label | Self::Name => false,
            Self::Number => !b.is_ascii_digit(),
            Self::Port => !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')),
            Self::Address | Self::Mac | Self::Hash => {
                !(b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'-'))
            }
            Self::State | Self::OneOf(_) => !b.is_ascii_alphabetic(),
            Self::User | Self::Word | Self::Host | Self::Line | Self::Duration => {
                b <= b' ' || matches!(b, b'(' | b')' | b'[' | b']' | b',' | b';')
            }
            Self::Interface | Self::Peer | Self::Vlan => {
                !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'_' | b'/'))
            }
        });
        let end = end.unwrap_or(text.len());
        // A full stop or colon behind a value ends it.
        text[..end].trim_end_matches(['.', ',']).len()
    }

    /// Whether the value is of this type.
    pub(in crate::translate) fn accepts(&self, value: &str) -> bool {
        let bytes = value.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return *self == Self::Any;
        };
        if !self.open() && bytes.len() > LONGEST {
            return false;
        }
        match self {
            Self::Any | Self::Text => true,
            Self::Reason => {
                !separator(*first) && *first != b'(' && bytes.len() <= REASON && !second(value)
            }
            // What stands in brackets behind a word is an addition.
            Self::Label => {
                !separator(*first)
                    && !value.contains(" (")
                    && bytes.len() <= LONGEST
                    && !bytes.contains(&b'"')
                    && !second(value)
            }
            // Firewalls write other things where a user would stand.
            Self::Name => {
                bytes.len() <= NAME
                    && !bytes.iter().any(|b| matches!(b, b'"' | b'<' | b'>'))
                    && !nobody(value)
                    && !value.starts_with("x-fwd-for:")
            }
            Self::Address => address(value),
            Self::Interface => interface(value),
            Self::Peer => {
                (first.is_ascii_alphanumeric() || *first == b':')
                    && (last.is_ascii_alphanumeric() || value.ends_with("::"))
                    && bytes.iter().all(|b| {
                        b.is_ascii_alphanumeric()
                            || matches!(b, b'.' | b':' | b'-' | b'_' | b'/' | b'@' | b'%')
                    })
            }
            Self::Port => port(value),
            Self::Number => bytes.iter().all(u8::is_ascii_digit),
            Self::Mac => mac(bytes),
            // `MST0` is a tree of many VLANs.
            Self::Vlan => {
                !value.starts_with("MST")
                    && bytes.iter().any(u8::is_ascii_digit)
                    && last.is_ascii_alphanumeric()
                    && bytes.iter().all(|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'-' | b',' | b'.' | b'_')
                    })
            }
            Self::User if bytes.iter().any(|b| matches!(b, b'<' | b'>')) => false,
            Self::User | Self::Word => {
                !matches!(*last, b',' | b';' | b':')
                    && bytes.iter().all(|b| {
                        *b > b' '
                            && !matches!(
                                b,
                                b'(' | b')'
                                    | b'['
                                    | b']'
                                    | b'"'
                                    | b'\''
                                    | b'{'
                                    | b'}'
                                    | b'='
                                    | b'|'
                            )
                    })
            }
            Self::Line => Self::Word.accepts(value) && (line(value) || nobody(value)),
            Self::Host => {
                first.is_ascii_alphanumeric()
                    && bytes
                        .iter()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
                    && !address(value)
            }
            Self::State => state(value),
            Self::Hash => bytes.iter().all(u8::is_ascii_hexdigit),
            Self::Duration => first.is_ascii_digit() && bytes.len() <= 40,
            Self::OneOf(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
        }
    }
}

/// A line of a device: the word for the kind of line, and after it a number or
/// what else tells one from the other, `vty0`, `pts/1`, `con0_RP0_CPU0`.
fn line(value: &str) -> bool {
    let value = value.strip_prefix("/dev/").unwrap_or(value);
    let end = value
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(value.len());
    let (word, rest) = value.split_at(end);
    match word {
        "" => {
            let digits = rest.strip_prefix(':').unwrap_or(rest);
            !digits.is_empty()
                && digits
                    .bytes()
                    .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'/'))
        }
        word => {
            word.starts_with("tty")
                || word.starts_with("pty")
                || LINES.iter().any(|known| known.eq_ignore_ascii_case(word))
        }
    }
}

/// The kinds of lines that devices name.
const LINES: [&str; 29] = [
    "api", "async", "aux", "cli", "co", "con", "console", "cty", "ftp", "gui", "http", "https",
    "line", "netconf", "ptmx", "pts", "pty", "rest", "serial", "snmp", "ssh", "sshd", "telnet",
    "tty", "vsh", "vt", "vty", "web", "webui",
];

/// What devices write where a name would stand that they do not know.
const NOBODY: [&str; 16] = [
    "-",
    "No Authentication Required",
    "Not Found",
    "Not Available",
    "N/A",
    "NA",
    "NIL",
    "None",
    "Null",
    "(null)",
    "(none)",
    "Undefined",
    "Unknown",
    "[unknown]",
    "<unknown>",
    "*****",
];

pub(super) fn nobody(value: &str) -> bool {
    NOBODY.iter().any(|n| n.eq_ignore_ascii_case(value))
}

/// Whether a field that names somebody or something, or a reason, has a value that says that none is known.
pub(in crate::translate) fn unnamed(name: &str, value: &str) -> bool {
    matches!(
        name,
        "file"
            | "reason"
            | "user"
            | "target"
            | "host"
            | "peer"
            | "line"
            | "ifName"
            | "other"
            | "vrf"
            | "group"
            | "ap"
            | "ssid"
    ) && nobody(value)
        // What Cisco's access server writes for a name that it does not know.
        || name == "user" && value == "INVALID"
}

/// What stands between a value and the next one.
fn separator(byte: u8) -> bool {
    matches!(byte, b',' | b';' | b':' | b')' | b']')
}

/// Whether the head of a second message of Cisco's form stands in it: `: %SYS-5-RESTART: `.
fn second(value: &str) -> bool {
    value.match_indices(": %").any(|(at, _)| {
        value[at + 3..].starts_with(|c: char| c.is_ascii_uppercase())
            && value[at + 3..].contains('-')
    })
}

/// An address and nothing else.
fn address(value: &str) -> bool {
    let first = value.as_bytes().first().copied().unwrap_or_default();
    (first.is_ascii_hexdigit() || first == b':')
        && value.len() <= 45
        && value.parse::<IpAddr>().is_ok()
}

/// One word, or a word and a number (`ethernet 1/1`, `Port-channel 10`), without brackets; behind a colon or slash there
/// is more of it.
fn interface(value: &str) -> bool {
    let inner = value
        .strip_prefix('<')
        .and_then(|v| v.strip_suffix('>'))
        .unwrap_or(value);
    let bytes = inner.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let mut words = 0;
    let plain = bytes.iter().enumerate().all(|(at, b)| match b {
        b' ' => {
            words += 1;
            bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
        }
        b => {
            b.is_ascii_alphanumeric()
                || matches!(b, b'/' | b'.' | b':' | b'-' | b'_' | b'@' | b'*' | b'+')
        }
    });
    plain
        && words <= 1
        && first.is_ascii_alphanumeric()
        && (last.is_ascii_alphanumeric() || *last == b'*')
        // An address is not an interface.
        && !(address(inner))
}

fn port(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes[0].is_ascii_digit() {
        return bytes.len() <= 5 && value.parse::<u16>().is_ok();
    }
    bytes.len() <= 20
        && bytes[0].is_ascii_lowercase()
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

/// Twelve hexadecimal digits in groups of two or four, or eight of sixteen.
fn mac(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|b| b.is_ascii_hexdigit()).count();
    matches!(digits, 12 | 16)
        && bytes.len() <= 23
        && bytes
            .iter()
            .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'-' | b'.'))
}

/// Cisco's short names of interfaces and the full ones, which `ifDescr` has.
const SHORT: [(&str, &str); 22] = [
    ("Gi", "GigabitEthernet"),
    ("Te", "TenGigabitEthernet"),
    ("Fa", "FastEthernet"),
    ("Eth", "Ethernet"),
    ("Et", "Ethernet"),
    ("Po", "Port-channel"),
    ("Vl", "Vlan"),
    ("Lo", "Loopback"),
    ("Tu", "Tunnel"),
    ("Se", "Serial"),
    ("Hu", "HundredGigE"),
    ("Fo", "FortyGigabitEthernet"),
    ("Twe", "TwentyFiveGigE"),
    ("Tw", "TwoGigabitEthernet"),
    ("Fi", "FiveGigabitEthernet"),
    ("Ap", "AppGigabitEthernet"),
    ("BE", "Bundle-Ether"),
    ("Di", "Dialer"),
    ("Mu", "Multilink"),
    ("Nu", "Null"),
    ("nve", "nve"),
    ("Ce", "Cellular"),
];

/// `GigabitEthernet0/1` for `Gi0/1`; a name that is no short one is as it was.
pub(in crate::translate) fn full_interface(name: &str) -> Cow<'_, str> {
    let letters = name.bytes().position(|b| b.is_ascii_digit()).unwrap_or(0);
    let (short, number) = name.split_at(letters);
    if !(2..=3).contains(&letters) {
        return Cow::Borrowed(name);
    }
    match SHORT.iter().find(|(begins, _)| *begins == short) {
        Some((_, full)) if *full != short => Cow::Owned(format!("{full}{number}")),
        _ => Cow::Borrowed(name),
    }
}
