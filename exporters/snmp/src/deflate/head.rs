//! What stands before families: comments and the name of the first sample, the same in every page of the same modules.
//!
//! It is parsed once, against itself and the heads before it, with a search that would be too slow for every page, and said again by that
//! parse wherever the same heads stand before it. Between two heads stand samples, so that a parse names heads and not distances.

use std::collections::HashMap;

use super::block::{Token, distance_code};
use super::repetition::{LEAST, Repetition, WINDOW, common, lengthen, repeat};
use super::search::Search;
use super::slots::hash;

/// Octets of heads and their parses that are kept.
const KEPT: usize = if cfg!(test) { 1 << 14 } else { 1 << 19 };
/// A longer head is not kept.
const LONGEST: usize = 2000;
/// Places that each place of a new head is held against.
const STEPS: usize = 64;
/// A parse for this page reaches not quite as far back as one may, since there may be more between the heads of the next.
const REACH: usize = WINDOW - WINDOW / 64;

/// Where a head begins and ends, and where in it the name of the first sample begins.
#[derive(Debug)]
pub(super) struct Head {
    start: usize,
    pub(super) name: usize,
    pub(super) end: usize,
}

/// Whether a head begins here: with the end of the line before, or with the page.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    let rest = &text[at..];
    rest.starts_with(b"\n#") || (at == 0 && rest.starts_with(b"#"))
}

impl Head {
    /// The one that begins here.
    pub(super) fn at(text: &[u8], start: usize) -> Self {
        let mut name = start + usize::from(text[start] == b'\n');
        while text.get(name) == Some(&b'#') {
            name = memchr::memchr(b'\n', &text[name..]).map_or(text.len(), |at| name + at + 1);
        }
        let sample = memchr::memchr3(b'{', b' ', b'\n', &text[name..]);
        let end = sample.map_or(text.len(), |at| name + at);
        Self { start, name, end }
    }
}

/// A head that is kept.
#[derive(Debug)]
struct Kept {
    text: Box<[u8]>,
    parse: Box<[Part]>,
}

/// An octet, or so many of the head so many before, 0 for itself, from an octet on.
#[derive(Clone, Copy, Debug)]
enum Part {
    Octet,
    Repeat { len: u16, back: u16, from: u16 },
}

impl Part {
    fn len(self) -> usize {
        match self {
            Self::Octet => 1,
            Self::Repeat { len, .. } => usize::from(len),
        }
    }
}

/// The heads that are kept.
#[derive(Debug, Default)]
pub(super) struct Heads {
    all: Vec<Kept>,
    octets: usize,
    /// By the hash of the text, and what stands before.
    known: HashMap<(u64, usize), usize>,
    /// Those of this page so far, and where they stand.
    page: Vec<(usize, usize)>,
    /// What stands before the first of a page of this size.
    root: usize,
    /// Octets of this page.
    len: usize,
    /// The places in those of this page, once one of them is new, and how many of them it has.
    search: Search,
    noted: Option<usize>,
}

impl Heads {
    /// Begins a page of so many octets.
    pub(super) fn begin(&mut self, len: usize) {
        if self.octets > KEPT {
            self.all.clear();
            self.known.clear();
            self.octets = 0;
        }
        self.page.clear();
        self.noted = None;
        self.len = len;
        // Four sizes an octave: about the same heads are near in pages of the same.
        let octave = len.max(4).ilog2() as usize;
        self.root = usize::MAX - (octave * 4 + (len >> (octave - 2)) % 4);
    }

    /// Says a head; up to `at` all is said.
    pub(super) fn say(&mut self, text: &[u8], head: &Head, at: usize, out: &mut Vec<Token>) {
        let octets = &text[head.start..head.end];
        if at > head.start || octets.len() > LONGEST || self.octets > 2 * KEPT {
            let left = text.get(at..head.end).unwrap_or_default();
            out.extend(left.iter().map(|octet| Token::octet(*octet)));
            return;
        }
        let before = self.page.last().map_or(self.root, |(number, _)| *number);
        let key = (hash(octets), before);
        let found = self.known.get(&key).copied();
        let number = found
            .filter(|number| *self.all[*number].text == *octets)
            .unwrap_or(self.all.len());
        if number == self.all.len() {
            let parse = self.parse(text, head);
            self.octets += octets.len() + size_of_val(&*parse);
            self.all.push(Kept {
                text: octets.into(),
                parse,
            });
            self.known.insert(key, number);
        } else if !self.reaches(head, number) {
            // There is more between the heads than there was. A parse for that holds where there is less, too.
            self.all[number].parse = self.parse(text, head);
        }
        let mut at = head.start;
        let mut follows = true;
        for part in &self.all[number].parse {
            // What the line before repeats may go on.
            follows = follows && lengthen(out, text, at, part.len());
            if !follows {
                match self.distance(head, at, *part) {
                    Some(distance) => repeat(
                        out,
                        text,
                        at,
                        Repetition {
                            len: part.len(),
                            distance,
                        },
                    ),
                    None => out.push(Token::octet(text[at])),
                }
            }
            at += part.len();
        }
        self.page.push((number, head.start));
    }

    /// Octets that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.octets
    }

    /// How far back a part of the head at hand lies from a place; nothing for an octet.
    fn distance(&self, head: &Head, at: usize, part: Part) -> Option<usize> {
        let Part::Repeat { back, from, .. } = part else {
            return None;
        };
        let place = match back {
            0 => head.start,
            _ => self.page[self.page.len() - usize::from(back)].1,
        };
        Some(at - place - usize::from(from))
    }

    /// Whether all that a kept head repeats is near enough in this page.
    fn reaches(&self, head: &Head, number: usize) -> bool {
        let mut at = head.start;
        self.all[number].parse.iter().all(|part| {
            let distance = self.distance(head, at, *part);
            at += part.len();
            distance.is_none_or(|distance| distance <= WINDOW)
        })
    }

    /// The parse of a head that takes the fewest bits, about.
    fn parse(&mut self, text: &[u8], head: &Head) -> Box<[Part]> {
        let Head { start, end, .. } = *head;
        let found = self.repetitions(&text[..end], start);
        let usual = self
            .page
            .last()
            .map_or(0, |(_, place)| distance_code(start - place).0);
        // What is left costs from each place on, in half bits, and the first step of it: each from those behind it.
        let mut costs = vec![(0, Repetition::default()); end - start + 1];
        for at in (0..end - start).rev() {
            let octet = text[start + at];
            let common =
                octet.is_ascii_lowercase() || octet.is_ascii_digit() || b" .".contains(&octet);
            let (left, _) = costs[at + 1];
            let mut best = (left + if common { 12 } else { 18 }, Repetition::default());
            let mut len = LEAST;
            for longest in &found[at] {
                let (code, more, _) = distance_code(longest.distance);
                // Most repetitions are of the head before.
                let near = if code.abs_diff(usual) < 2 { 8 } else { 0 };
                while len <= longest.len {
                    let (left, _) = costs[at + len];
                    let of_length = len.ilog2().saturating_sub(2) as usize;
                    let cost = left + 24 - near + 2 * (usize::from(more) + of_length);
                    if cost < best.0 {
                        best = (
                            cost,
                            Repetition {
                                len,
                                distance: longest.distance,
                            },
                        );
                    }
                    len += 1;
                }
            }
            costs[at] = best;
        }
        let mut parse = Vec::new();
        let mut at = start;
        while at < end {
            let (_, Repetition { len, distance }) = costs[at - start];
            let part = if len == 0 {
                Part::Octet
            } else {
                self.part(start, at - distance, len)
            };
            parse.push(part);
            at += part.len();
        }
        parse.into()
    }

    /// For each place from `start` to the end of the text the repetitions there: each longer and farther back than the one before.
    fn repetitions(&mut self, text: &[u8], start: usize) -> Vec<Vec<Repetition>> {
        let noted = self.noted.unwrap_or_else(|| {
            self.search.begin(self.len);
            0
        });
        for (number, place) in self.page.get(noted..).unwrap_or_default() {
            for at in *place..place + self.all[*number].text.len() {
                self.search.note(text, at);
            }
        }
        self.noted = Some(self.page.len() + 1);
        let mut found = Vec::with_capacity(text.len() - start);
        for at in start..text.len() {
            let mut longer: Vec<Repetition> = Vec::new();
            for place in self.search.places(text, at, STEPS) {
                let distance = at - place;
                if distance > REACH {
                    break;
                }
                // Not beyond the head in which it begins.
                let until = match self.page.partition_point(|(_, begins)| *begins <= place) {
                    _ if place >= start => usize::MAX,
                    0 => place,
                    head => self.page[head - 1].1 + self.all[self.page[head - 1].0].text.len(),
                };
                let len = common(text, place, at).min(until.saturating_sub(place));
                if len >= LEAST && longer.last().is_none_or(|last| len > last.len) {
                    longer.push(Repetition { len, distance });
                }
            }
            found.push(longer);
        }
        found
    }

    /// So many octets from a place on, as a part of the head that begins at `start`.
    fn part(&self, start: usize, place: usize, len: usize) -> Part {
        let ahead = self.page.partition_point(|(_, begins)| *begins <= place);
        let (back, begins) = match ahead.checked_sub(1) {
            Some(head) if place < start => (self.page.len() - head, self.page[head].1),
            _ => (0, start),
        };
        match (
            u16::try_from(len),
            u16::try_from(back),
            u16::try_from(place - begins),
        ) {
            (Ok(len), Ok(back), Ok(from)) => Part::Repeat { len, back, from },
            _ => Part::Octet,
        }
    }
}
