//! How a rule reads its message: by its words, by pairs, by columns, or as CEF and LEEF.

mod place;
mod states;
mod text;
mod values;

use std::borrow::Cow;

pub(super) use place::{Kind, full_interface, unnamed};
pub(super) use text::Text;
pub(super) use values::{cells, pairs, unescaped};

use values::{Reading, Taken};

/// What was found in a message, by name.
pub type Fields<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// How a rule reads its message.
#[derive(Debug)]
pub(super) enum Pattern {
    /// By its words.
    Text(Text),
    /// By the values that stand in it.
    Values(Reading, Vec<Taken>),
}

impl Pattern {
    /// Reads `pairs …`, `listed …`, `columns …`, `cef …`, `leef …`, or words with places.
    pub(super) fn parse(text: &'static str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let reading = match word {
            "pairs" => Reading::Pairs,
            "listed" => Reading::Listed,
            "columns" => Reading::Columns,
            "cef" => Reading::Cef,
            "leef" => Reading::Leef,
            _ => return Text::pattern(text).map(Self::Text),
        };
        let taken = rest
            .split(' ')
            .filter(|part| !part.is_empty())
            .map(|part| Taken::parse(part, reading))
            .collect::<Result<_, _>>()?;
        Ok(Self::Values(reading, taken))
    }

    /// Whether it can give this field.
    pub(super) fn gives(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => text.places().any(|place| place.name == name),
            Self::Values(reading, taken) => {
                taken.iter().any(|t| t.fields().any(|f| f == name)) || reading.gives(name)
            }
        }
    }

    /// Makes the pattern match only where the field is there: a sentence without it would have a hole.
    pub(super) fn need(&mut self, name: &str) -> Result<(), String> {
        match self {
            Self::Text(text) => match text.places().find(|place| place.name == name) {
                Some(place) if place.optional => Err(format!(
                    "expected {{{name}}} between [ and ] in the sentence, since it may be missing"
                )),
                _ => Ok(()),
            },
            Self::Values(reading, taken) => {
                let mut known = reading.always(name);
                for taken in taken.iter_mut().filter(|t| t.fields().next() == Some(name)) {
                    taken.needed = true;
                    known = true;
                }
                known.then_some(()).ok_or_else(|| {
                    format!("expected {{{name}}} between [ and ] in the sentence, since it may be missing")
                })
            }
        }
    }

    /// Whether it reads names and values, as structured data has them, and not words.
    pub(super) fn reads_pairs(&self) -> bool {
        matches!(self, Self::Values(Reading::Pairs, _))
    }

    /// The words and places, when it reads by them.
    #[cfg(test)]
    pub(super) fn text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) => Some(text),
            Self::Values(..) => None,
        }
    }

    /// Whether the message is one of these; what was found is in `fields` then.
    pub(super) fn matches<'a>(&self, message: &'a str, fields: &mut Fields<'a>) -> bool {
        fields.clear();
        match self {
            Self::Text(text) => text.matches(message, fields) && !values::icmp_with_ports(fields),
            Self::Values(reading, taken) => {
                let matches = reading.matches(taken, message, fields);
                values::drop_ports_of_icmp(fields, taken);
                matches
            }
        }
    }
}
