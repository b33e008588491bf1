//! What stands on a page.

use crate::font::Weight;

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

pub(crate) const INK: Color = Color(0x1f, 0x24, 0x2b);
pub(crate) const SOFT: Color = Color(0x5b, 0x65, 0x70);
pub(crate) const LINE: Color = Color(0xc9, 0xcf, 0xd6);
pub(crate) const PALE: Color = Color(0xf2, 0xf4, 0xf7);
/// Of titles and figures, unless another one is given.
pub const ACCENT: Color = Color(0x1d, 0x4e, 0x89);
pub(crate) const WARN: Color = Color(0xb4, 0x23, 0x18);
pub(crate) const WARN_PALE: Color = Color(0xfd, 0xec, 0xea);

/// One thing on a page; `y` grows downwards, that of a text is its base line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    Text {
        x: f32,
        y: f32,
        size: f32,
        weight: Weight,
        color: Color,
        text: String,
    },
    /// The logo of the document, as large as it may be in this room and at its upper right corner.
    Logo {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
    },
    Box {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        color: Color,
    },
}

/// What something on a page is, for those who do not see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A heading of this level, and its text.
    Heading(u16, String),
    Paragraph,
    /// Something drawn, and the words that stand for it.
    Figure(String),
    Table,
    Row,
    /// The heading of a column.
    Head,
    Cell,
}

/// One element of the structure, inside another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) kind: Kind,
    pub(crate) parent: Option<usize>,
}

/// A heading and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) text: String,
    pub(crate) page: usize,
    pub(crate) y: f32,
}
