//! Literal texts with places: `Interface {ifName}, changed state to {state}`.
//!
//! `{name}` is of the type that the name has, `{name:type}` of another, `{name?}` may be empty, `{_}` is anything. In a
//! sentence, what stands between `[` and `]` is left out when a field in it is missing.

use std::borrow::Cow;

use memchr::memmem::Finder;

use super::place::nobody;
use super::{Fields, Kind};

/// How often a place may be tried longer, in one comparison: a bound on hostile text.
const TRIES: u32 = 24;

/// A place between words.
#[derive(Debug)]
pub(in crate::translate) struct Place {
    /// The field that it becomes, `_` for none.
    pub(in crate::translate) name: &'static str,
    /// What may stand there.
    pub(in crate::translate) kind: Kind,
    /// Whether it may be empty.
    pub(in crate::translate) optional: bool,
}

/// A piece of a text.
#[derive(Debug)]
pub(in crate::translate) enum Piece {
    /// Words.
    Literal(&'static str, Box<Finder<'static>>),
    /// A place.
    Place(Place),
    /// Where a part of a sentence begins that may be left out, and how many pieces it has.
    Optional(usize),
}

/// Literals and places in turn.
#[derive(Debug)]
pub(in crate::translate) struct Text(Vec<Piece>);

impl Text {
    /// Reads the words that a message is compared with.
    pub(super) fn pattern(text: &'static str) -> Result<Self, String> {
        pieces(text).map(Self)
    }

    /// Reads a sentence.
    pub(in crate::translate) fn sentence(text: &'static str) -> Result<Self, String> {
        let mut all = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let open = rest.find('[').unwrap_or(rest.len());
            all.extend(pieces(&rest[..open])?);
            rest = &rest[open..];
            if let Some(inner) = rest.strip_prefix('[') {
                let close = inner.find(']').ok_or("expected ] behind [")?;
                let part = pieces(&inner[..close])?;
                all.push(Piece::Optional(part.len()));
                all.extend(part);
                rest = &inner[close + 1..];
            }
        }
        Ok(Self(all))
    }

    /// Words and places in turn.
    #[cfg(test)]
    pub(in crate::translate) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The places, but those that become no field.
    pub(in crate::translate) fn places(&self) -> impl Iterator<Item = &Place> + '_ {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Place(place) if place.name != "_" => Some(place),
            _ => None,
        })
    }

    /// The fields that a sentence cannot be without.
    pub(in crate::translate) fn needed(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        let mut left = 0;
        for piece in &self.0 {
            match piece {
                Piece::Optional(count) => left = count + 1,
                Piece::Place(place) if left == 0 => names.push(place.name),
                _ => {}
            }
            left = left.saturating_sub(1);
        }
        names
    }

    /// Compares the whole message; a place takes the least that fits its type and lets the rest follow.
    pub(super) fn matches<'a>(&self, message: &'a str, fields: &mut Fields<'a>) -> bool {
        let mut message = message;
        if let Some(Piece::Literal(text, _)) = self.0.last() {
            // Releases differ in the full stop.
            if !text.ends_with('.') {
                message = message.strip_suffix('.').unwrap_or(message);
            }
            // Most rules of a key are ruled out by the words at their end.
            if !message.ends_with(*text) {
                return false;
            }
        }
        let mut tries = TRIES;
        self.step(0, 0, message, fields, &mut tries) && !self.forged(message)
    }

    /// Whether what stands between a user and the source comes again: the name of a user who failed to log in is
    /// anything that somebody typed, a false source too.
    fn forged(&self, message: &str) -> bool {
        self.0.windows(3).any(|three| {
            matches!(three, [Piece::Place(user), Piece::Literal(words, finder), Piece::Place(source)]
                if user.name == "user" && source.name == "source" && words.trim().len() > 1
                    && finder.find_iter(message.as_bytes()).nth(1).is_some())
        })
    }

    fn step<'a>(
        &self,
        mut number: usize,
        mut at: usize,
        message: &'a str,
        fields: &mut Fields<'a>,
        tries: &mut u32,
    ) -> bool {
        while let Some(Piece::Literal(text, _)) = self.0.get(number) {
            if !message[at..].starts_with(*text) {
                return false;
            }
            at += text.len();
            number += 1;
        }
        let Some(Piece::Place(place)) = self.0.get(number) else {
            return at == message.len();
        };
        if let Some(Piece::Place(_)) = self.0.get(number + 1) {
            // What may follow is open: the place takes all that can be part of it.
            let end = at + place.kind.reach(&message[at..]);
            return place.take(&message[at..end], fields)
                && self.step(number + 1, end, message, fields, tries);
        }
        let Some(Piece::Literal(text, finder)) = self.0.get(number + 1) else {
            // The last place takes the rest; a full stop ends the sentence and is no part of a value.
            let rest = &message[at..];
            let rest = if place.kind.open() {
                rest
            } else {
                rest.trim_end_matches(['.', ' '])
            };
            return place.take(rest, fields);
        };
        let known = fields.len();
        // The words at the end stand at the end.
        if number + 2 == self.0.len() {
            return message
                .len()
                .checked_sub(text.len())
                .filter(|start| *start >= at && message.ends_with(*text))
                .is_some_and(|start| place.take(&message[at..start], fields));
        }
        let mut from = at;
        while *tries > 0 {
            let Some(offset) = finder.find(&message.as_bytes()[from..]) else {
                // A place before this one that takes more only leaves less to find them in.
                if from == at {
                    *tries = 0;
                }
                return false;
            };
            *tries -= 1;
            let start = from + offset;
            let value = &message[at..start];
            if place.take(value, fields)
                && self.step(number + 2, start + text.len(), message, fields, tries)
            {
                return true;
            }
            fields.truncate(known);
            if !place.kind.may_go_on(value) {
                return false;
            }
            from = start + text.chars().next().map_or(1, char::len_utf8);
        }
        false
    }

    /// Puts the sentence together.
    pub(in crate::translate) fn fill(&self, fields: &Fields<'_>, into: &mut String) {
        let mut skip = 0;
        for (number, piece) in self.0.iter().enumerate() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            match piece {
                // A value that ends a sentence brings its full stop.
                Piece::Literal(text, _) => into.push_str(match text.strip_prefix('.') {
                    Some(rest) if into.ends_with('.') => rest,
                    _ => text,
                }),
                // A name that the device does not know is no field.
                Piece::Place(place) => {
                    into.push_str(found(fields, place.name).unwrap_or("unknown"));
                }
                Piece::Optional(count) => {
                    let inner = &self.0[number + 1..=number + count];
                    let whole = inner.iter().all(|piece| match piece {
                        Piece::Place(place) => found(fields, place.name).is_some(),
                        _ => true,
                    });
                    if !whole {
                        skip = *count;
                    }
                }
            }
        }
    }
}

/// What stands where there is no value, or a hidden one (`*****`).
pub(super) fn nothing(value: &str) -> bool {
    matches!(value, "-" | "N/A" | "n/a") || value.bytes().all(|b| b == b'*')
}

fn found<'f>(fields: &'f Fields<'_>, name: &str) -> Option<&'f str> {
    fields.iter().find(|f| f.0 == name).map(|f| &*f.1)
}

impl Place {
    /// Takes the value as a field when it fits.
    fn take<'a>(&self, value: &'a str, fields: &mut Fields<'a>) -> bool {
        if self.name == "_" && self.kind == Kind::Any {
            return true;
        }
        if nothing(value) || matches!(value, "???" | "(null)") {
            return self.optional;
        }
        if !self.kind.accepts(value) {
            return self.optional && nobody(value);
        }
        if self.name != "_" {
            let value = if matches!(self.kind, Kind::Text | Kind::Reason | Kind::Label) {
                value.trim_matches(' ')
            } else {
                value
            };
            fields.push((self.name, Cow::Borrowed(value)));
        }
        true
    }
}

fn pieces(text: &'static str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let open = rest.find('{').unwrap_or(rest.len());
        if open > 0 {
            let words = &rest[..open];
            pieces.push(Piece::Literal(words, Box::new(Finder::new(words))));
        }
        rest = &rest[open..];
        if let Some(inner) = rest.strip_prefix('{') {
            let close = inner.find('}').ok_or("expected } behind {")?;
            let inside = &inner[..close];
            if let Some(Piece::Place(before)) = pieces.last()
                && (before.kind.open() || inside != "_")
            {
                return Err(
                    "expected words between two places, or {_} behind one with a type".to_owned(),
                );
            }
            let (name, kind) = inside.split_once(':').unwrap_or((inside, ""));
            let (name, optional) = name.strip_suffix('?').map_or((name, false), |n| (n, true));
            let kind = if kind.is_empty() {
                Kind::of(name)
            } else {
                Kind::named(kind)?
            };
            pieces.push(Piece::Place(Place {
                name,
                kind,
                optional,
            }));
            rest = &inner[close + 1..];
        }
    }
    Ok(pieces)
}
