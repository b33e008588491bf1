//! Literal texts with places: `Interface {ifName}, changed state to {state}`.

use memchr::memmem::Finder;

use crate::header::scan::value;
use crate::header::vendor::pipes;

/// A piece of a text.
#[derive(Debug)]
enum Piece {
    Literal(&'static str, Box<Finder<'static>>),
    Place(&'static str),
}

/// Literals and places in turn.
#[derive(Debug)]
pub(super) struct Text(Vec<Piece>);

/// How a rule reads its message.
#[derive(Debug)]
pub(super) enum Pattern {
    /// By its words.
    Text(Text),
    /// `key=value` pairs.
    Pairs(Vec<Pair>),
    /// Comma-separated values by position.
    Columns(Vec<(&'static str, usize)>),
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
}

/// A value that a rule takes from pairs: `user`, `source=srcip`, `user!` (must be there), `action^Drop` (must begin so;
/// `_` stands for a space).
#[derive(Debug)]
pub(super) struct Pair {
    field: &'static str,
    key: &'static str,
    needed: bool,
    begins: &'static str,
}

impl Pair {
    fn parse(text: &'static str) -> Self {
        let (plain, begins) = text.split_once('^').unwrap_or((text, ""));
        let name = plain.strip_suffix('!').unwrap_or(plain);
        let (field, key) = name.split_once('=').unwrap_or((name, name));
        Self {
            field,
            key,
            needed: name.len() < plain.len() || !begins.is_empty(),
            begins,
        }
    }

    fn accepts(&self, value: &str) -> bool {
        value.len() >= self.begins.len()
            && value
                .bytes()
                .zip(self.begins.bytes())
                .all(|(found, wanted)| found == wanted || (wanted == b'_' && found == b' '))
    }
}

type Fields<'a> = Vec<(&'static str, &'a str)>;

impl Text {
    pub(super) fn parse(text: &'static str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let open = rest.find('{').unwrap_or(rest.len());
            if open > 0 {
                pieces.push(Piece::Literal(
                    &rest[..open],
                    Box::new(Finder::new(&rest[..open])),
                ));
            }
            rest = &rest[open..];
            if let Some(inner) = rest.strip_prefix('{') {
                let close = inner.find('}').ok_or("expected } behind {")?;
                if matches!(pieces.last(), Some(Piece::Place(_))) {
                    return Err("expected words between two places".to_owned());
                }
                pieces.push(Piece::Place(&inner[..close]));
                rest = &inner[close + 1..];
            }
        }
        Ok(Self(pieces))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Place(name) if *name != "_" => Some(*name),
            _ => None,
        })
    }

    /// Compares the whole message; a place takes the least that lets the next words follow.
    fn matches<'a>(&self, message: &'a str, fields: &mut Fields<'a>) -> bool {
        fields.clear();
        let mut at = 0;
        let mut place: Option<&'static str> = None;
        for (number, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Place(name) => place = Some(name),
                Piece::Literal(text, finder) => {
                    let last = number + 1 == self.0.len();
                    let found = match place {
                        None => message[at..].starts_with(*text).then_some(at),
                        // The words at the end stand at the end.
                        Some(_) if last => message
                            .len()
                            .checked_sub(text.len())
                            .filter(|start| *start >= at && message.ends_with(*text)),
                        Some(_) => finder
                            .find(message.as_bytes()[at..].as_ref())
                            .map(|offset| at + offset),
                    };
                    let Some(start) = found else { return false };
                    if let Some(name) = place.take()
                        && name != "_"
                    {
                        if start == at {
                            return false;
                        }
                        fields.push((name, &message[at..start]));
                    }
                    at = start + text.len();
                }
            }
        }
        match place {
            Some("_") => true,
            Some(name) => {
                fields.push((name, &message[at..]));
                at < message.len()
            }
            None => at == message.len(),
        }
    }

    pub(super) fn fill(&self, fields: &Fields<'_>, into: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text, _) => into.push_str(text),
                Piece::Place(name) => {
                    into.push_str(fields.iter().find(|f| f.0 == *name).map_or("?", |f| f.1));
                }
            }
        }
    }
}

const CEF: [&str; 3] = ["vendor", "product", "name"];

impl Pattern {
    pub(super) fn parse(text: &'static str) -> Result<Self, String> {
        if text == "cef" {
            return Ok(Self::Cef);
        }
        if text == "leef" {
            return Ok(Self::Leef);
        }
        if let Some(names) = text.strip_prefix("pairs ") {
            return Ok(Self::Pairs(names.split(' ').map(Pair::parse).collect()));
        }
        if let Some(columns) = text.strip_prefix("columns ") {
            let column = |part: &'static str| {
                let (name, number) = part.split_once('=').ok_or("expected name=column")?;
                Ok((
                    name,
                    number
                        .parse()
                        .map_err(|_| "expected the number of a column")?,
                ))
            };
            return columns
                .split(' ')
                .map(column)
                .collect::<Result<_, String>>()
                .map(Self::Columns);
        }
        Text::parse(text).map(Self::Text)
    }

    pub(super) fn gives(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => text.names().any(|n| n == name),
            Self::Pairs(pairs) => pairs.iter().any(|pair| pair.field == name),
            Self::Columns(columns) => columns.iter().any(|c| c.0 == name),
            Self::Cef | Self::Leef => CEF.contains(&name),
        }
    }

    /// Whether it reads names and values, as structured data has them, and not words.
    pub(super) fn reads_pairs(&self) -> bool {
        matches!(self, Self::Pairs(_))
    }

    pub(super) fn matches<'a>(&self, message: &'a str, fields: &mut Fields<'a>) -> bool {
        match self {
            Self::Text(text) => text.matches(message, fields),
            Self::Pairs(pairs) => {
                fields.clear();
                for pair in pairs {
                    match value(message, pair.key).filter(|found| !found.is_empty()) {
                        Some(found) if pair.accepts(found) => fields.push((pair.field, found)),
                        _ if pair.needed => return false,
                        _ => {}
                    }
                }
                !fields.is_empty()
            }
            Self::Columns(columns) => {
                fields.clear();
                for (at, cell) in cells(message).enumerate() {
                    if let Some((name, _)) = columns.iter().find(|c| c.1 == at)
                        && !cell.is_empty()
                    {
                        fields.push((name, cell));
                    }
                }
                !fields.is_empty()
            }
            Self::Cef => framed(message, [1, 2, 5], fields),
            Self::Leef => framed(message, [1, 2, 4], fields),
        }
    }
}

fn framed<'a>(message: &'a str, at: [usize; 3], fields: &mut Fields<'a>) -> bool {
    fields.clear();
    for (number, part) in pipes(message).enumerate().take(6) {
        if let Some(name) = at.iter().position(|a| *a == number)
            && !part.is_empty()
        {
            fields.push((CEF[name], part));
        }
    }
    fields.len() == 3
}

/// Comma-separated cells; a quoted one may hold commas.
pub(super) fn cells(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (cell, behind) = match text.strip_prefix('"') {
            Some(inner) => {
                let end = inner.find('"').unwrap_or(inner.len());
                (&inner[..end], inner.get(end + 1..).unwrap_or_default())
            }
            None => {
                let end = text.find(',').unwrap_or(text.len());
                (&text[..end], &text[end..])
            }
        };
        rest = behind.strip_prefix(',');
        Some(cell)
    })
}

/// All `key=value` and `key="value"` pairs of a text.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
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
            let (found, after) = match behind.strip_prefix('"') {
                Some(quoted) => {
                    let end = quoted.find('"').unwrap_or(quoted.len());
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
