//! What a device said, without what tells whose it is.
//!
//! Secrets, names and free text are scrambled character by character, so that each keeps its form and the same one its twin;
//! addresses become those kept for documentation. What cannot be told from the rest of the text is no name here: read a recording
//! before it is handed on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use ring::hmac;

/// A pattern of this file.
fn pattern(text: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "each is compiled by a test")]
    Regex::new(text).expect("a pattern written here")
}

static MAC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}|[0-9a-f]{4}[.-][0-9a-f]{4}[.-][0-9a-f]{4})\b",
    )
});
static V4: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]+(?:\.[0-9]+){3}"));
static V6: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*"));
static MAIL: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"));
static DOMAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:[a-z0-9_-]+\.)+(?:com|net|org|edu|gov|mil|int|info|biz|io|local|lan|corp|intern|internal|home|de|at|ch|fr|uk|nl|be|it|es|pl|cz|se|no|dk|fi|eu|us|ca|au|jp|cn|in|br)\b",
    )
});
/// Words behind which free text stands to the end of the line.
static FREE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b(?:description|descr|remark|location|contact|syslocation|syscontact|comment|alias)(?:[ \t]*=[ \t]*|[ \t]+)(?P<text>[^\r\n]*[^\r\n;"' \t])"#,
    )
});
/// Words behind which a name stands.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b(?:hostname|host-name|sysname|switchname|username|local-user|login user|snmp-server user|usm-user|domain-name)(?:[ \t]*=[ \t]*|[ \t]+)(?P<text>"[^"]+"|[^\s;"{}]+)"#,
    )
});

/// Who is named at the end of a line.
static AUTHOR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)\bby (?P<text>[A-Za-z][^\s]*)[ \t\r]*$"));
/// The line before the text of a banner, and what ends that.
static BANNER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^[ \t]*banner [a-z-]+[ \t]*$|^[ \t]*(?:set )?(?:banner|header) (?:[a-z-]+[ \t]+)?(?P<end>\^C|[^\sa-z])(?P<text>.*)$",
    )
});

/// Names of which nobody learns anything.
const PLAIN: [&str; 12] = [
    "admin", "root", "cisco", "default", "public", "user", "console", "system", "local", "vty",
    "permit", "deny",
];

/// Makes texts of one recording anonymous: the same value becomes the same everywhere.
pub(crate) struct Anonymiser {
    key: hmac::Key,
    /// Values that go wherever they stand, and what stands for each.
    values: BTreeMap<String, String>,
    networks: BTreeMap<[u8; 3], u32>,
    hosts: BTreeMap<Ipv6Addr, u32>,
    cards: BTreeMap<String, u32>,
    domains: BTreeMap<String, usize>,
    /// What ends the text of the banner that the next line belongs to.
    banner: Option<String>,
}

/// What could not be taken out of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left;

impl Anonymiser {
    /// One that knows `values` as secrets, and `names` with what shall stand for them. `key` is thrown away with it.
    pub(crate) fn new(
        key: &[u8],
        values: impl IntoIterator<Item = String>,
        names: &[(&str, &str)],
    ) -> Self {
        let mut own = Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            values: BTreeMap::new(),
            networks: BTreeMap::new(),
            hosts: BTreeMap::new(),
            cards: BTreeMap::new(),
            domains: BTreeMap::new(),
            banner: None,
        };
        for (name, shown) in names.iter().filter(|(name, _)| !name.is_empty()) {
            own.values.insert((*name).to_owned(), (*shown).to_owned());
        }
        for value in values {
            own.learn(&value);
        }
        own
    }

    /// Learns the names that `text` holds, so that they go wherever they stand.
    pub(crate) fn study(&mut self, text: &str) {
        let names: BTreeSet<String> = NAMED
            .captures_iter(text)
            .chain(AUTHOR.captures_iter(text))
            .filter_map(|found| found.name("text"))
            .map(|found| found.as_str().trim_matches('"').to_owned())
            .filter(|name| !PLAIN.contains(&name.to_ascii_lowercase().as_str()))
            .filter(|name| name.len() > 1 && name.contains(|c: char| c.is_ascii_alphabetic()))
            .collect();
        names.iter().for_each(|name| self.learn(name));
    }

    fn learn(&mut self, value: &str) {
        let value = value.trim().trim_matches(['"', '\'']);
        if value.is_empty() || self.values.contains_key(value) {
            return;
        }
        let scrambled = self.scrambled(value);
        self.values.insert(value.to_owned(), scrambled);
    }

    /// Another text begins.
    pub(crate) fn begin(&mut self) {
        self.banner = None;
    }

    /// One line without what tells whose it is.
    pub(crate) fn line(&mut self, line: &str) -> String {
        if let Some(end) = self.banner.clone() {
            return self.told(line, &end);
        }
        if let Some(found) = BANNER.captures(line) {
            let end = found.name("end").map_or("EOF", |end| end.as_str());
            self.banner = Some(end.to_owned());
            let rest = found.name("text").map_or("", |text| text.as_str());
            let head = &line[..line.len() - rest.len()];
            return format!(
                "{head}{}",
                if rest.is_empty() {
                    String::new()
                } else {
                    self.told(rest, end)
                }
            );
        }
        let mut text = FREE
            .replace_all(line, |found: &Captures<'_>| {
                let (whole, start) = (&found[0], found.get(0).map_or(0, |all| all.start()));
                let Some(free) = found.name("text") else {
                    return whole.to_owned();
                };
                let at = free.start() - start;
                format!("{}{}", &whole[..at], self.scrambled(free.as_str()))
            })
            .into_owned();
        text = self.without_values(&text);
        text = MAIL.replace_all(&text, "someone@example.net").into_owned();
        text = self.each(&MAC, &text, Self::card);
        text = self.each(&V4, &text, |own, found| {
            found
                .parse()
                .ok()
                .map(|address| own.v4(address).to_string())
        });
        text = self.each(&V6, &text, |own, found| {
            let address: Ipv6Addr = found.parse().ok()?;
            Some(own.v6(address).to_string())
        });
        self.each(&DOMAIN, &text, |own, found| {
            let lower = found.to_ascii_lowercase();
            if lower.ends_with("example.net") {
                return None;
            }
            let number = own.domains.len() + 1;
            let number = *own.domains.entry(lower).or_insert(number);
            Some(format!("n{number}.example.net"))
        })
    }

    /// A line of somebody's own words: nothing but its form is left of it.
    pub(crate) fn words(&mut self, line: &str) -> String {
        let scrambled = self.scrambled(line);
        let line = self.line(&scrambled);
        self.begin();
        line
    }

    /// A part of the text of a banner, which ends behind `end`.
    fn told(&mut self, text: &str, end: &str) -> String {
        match text.split_once(end) {
            None => self.scrambled(text),
            Some((before, after)) => {
                self.banner = None;
                format!("{}{end}{}", self.scrambled(before), self.scrambled(after))
            }
        }
    }

    /// Holds a text against everything that had to go.
    ///
    /// # Errors
    /// A secret or a name of at least four characters, or an address, is still there.
    pub(crate) fn check(&self, text: &str) -> Result<(), Left> {
        let scrambled: BTreeSet<&str> = self.values.values().map(String::as_str).collect();
        let left = self.values.iter().any(|(value, shown)| {
            value.len() > 3
                && value != shown
                && !scrambled.contains(value.as_str())
                && text.contains(value.as_str())
        });
        let real = |found: regex::Match<'_>| {
            let address = found.as_str().parse::<Ipv4Addr>();
            address.is_ok_and(|address| {
                !is_common(address)
                    && address.octets()[..2] != [198, 18]
                    && address.octets()[..2] != [198, 19]
            })
        };
        if left || V4.find_iter(text).any(real) {
            return Err(Left);
        }
        Ok(())
    }

    fn each(
        &mut self,
        regex: &Regex,
        text: &str,
        mut shown: impl FnMut(&mut Self, &str) -> Option<String>,
    ) -> String {
        let replaced = regex.replace_all(text, |found: &Captures<'_>| {
            let found = &found[0];
            shown(self, found).unwrap_or_else(|| found.to_owned())
        });
        replaced.into_owned()
    }

    /// The values that have to go, each where no letter or digit stands beside it; the longest first.
    fn without_values(&self, text: &str) -> String {
        let mut values: Vec<(&String, &String)> = self.values.iter().collect();
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        // What stands for a value is not looked into again.
        let mut pieces: Vec<(String, bool)> = vec![(text.to_owned(), false)];
        for (value, shown) in values {
            let mut next = Vec::new();
            for (piece, done) in pieces {
                if done || !piece.contains(value.as_str()) {
                    next.push((piece, done));
                    continue;
                }
                let mut from = 0;
                let mut searched = 0;
                while let Some(at) = piece[searched..].find(value.as_str()) {
                    let (start, end) = (searched + at, searched + at + value.len());
                    searched = end;
                    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                    let inside = value.len() < 8
                        && (word(piece[..start].chars().next_back())
                            || word(piece[end..].chars().next()));
                    if inside {
                        continue;
                    }
                    next.push((piece[from..start].to_owned(), false));
                    next.push((shown.clone(), true));
                    from = end;
                }
                next.push((piece[from..].to_owned(), false));
            }
            pieces = next;
        }
        pieces.into_iter().map(|(piece, _)| piece).collect()
    }

    /// Each letter and digit as another one, so that the form stays: the head of a hash and the first digit of an encrypted password too.
    fn scrambled(&self, text: &str) -> String {
        static HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\$[0-9a-z]{1,5}\$"));
        let tag = hmac::sign(&self.key, text.as_bytes());
        let head = HEAD.find(text).map_or(0, |found| found.end());
        let hexadecimal = text.len() > 5 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut noise = tag.as_ref().iter().copied().cycle();
        let mut shift = 0u32;
        let mut one = |(at, c): (usize, char)| {
            shift = shift
                .wrapping_mul(31)
                .wrapping_add(noise.next().map_or(7, u32::from));
            let turned = |first: u8, count: u32, c: char| {
                let place =
                    (u32::from(c) - u32::from(first) + 1 + (shift >> 3) % (count - 1)) % count;
                char::from_u32(u32::from(first) + place).unwrap_or(c)
            };
            match c {
                _ if at < head => c,
                '0' | '1' if at == 0 => c,
                '0'..='9' => turned(b'0', 10, c),
                'a'..='f' if hexadecimal => turned(b'a', 6, c),
                'A'..='F' if hexadecimal => turned(b'A', 6, c),
                'a'..='z' => turned(b'a', 26, c),
                'A'..='Z' => turned(b'A', 26, c),
                c if c.is_alphanumeric() => 'x',
                c => c,
            }
        };
        text.char_indices().map(&mut one).collect()
    }

    /// Addresses of one /24 stay together.
    fn v4(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        if is_common(address) {
            return address;
        }
        let [a, b, c, host] = address.octets();
        let number = u32::try_from(self.networks.len()).unwrap_or(u32::MAX);
        let number = *self.networks.entry([a, b, c]).or_insert(number) % 512;
        Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, host)) + (number << 8))
    }

    fn v6(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            return address;
        }
        let number = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX) + 1;
        let number = *self.hosts.entry(address).or_insert(number);
        let first = if address.is_unicast_link_local() {
            0xfe80
        } else {
            0x2001
        };
        let second = if first == 0x2001 { 0xdb8 } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let (high, low) = ((number >> 16) as u16, number as u16);
        Ipv6Addr::new(first, second, 0, 0, 0, 0, high, low)
    }

    fn card(&mut self, found: &str) -> Option<String> {
        let digits: String = found.chars().filter(char::is_ascii_hexdigit).collect();
        let number = u32::try_from(self.cards.len()).unwrap_or(u32::MAX) + 1;
        let number = *self
            .cards
            .entry(digits.to_ascii_lowercase())
            .or_insert(number);
        let mut shown = format!("0200{number:08x}").into_bytes().into_iter();
        let one = |c: char| match c.is_ascii_hexdigit() {
            true => shown.next().map_or('0', char::from),
            false => c,
        };
        Some(found.chars().map(one).collect())
    }
}

/// Masks, wildcards and addresses that everybody has.
fn is_common(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    let mask = |bits: u32| bits.leading_ones() + bits.trailing_zeros() >= 32;
    address.is_loopback() || address.is_multicast() || mask(bits) || mask(!bits)
}

#[cfg(test)]
mod tests;
