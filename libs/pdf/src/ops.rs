//! What stands on a page.

use crate::font::Weight;

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Color(pub(crate) u8, pub(crate) u8, pub(crate) u8);

pub(crate) const INK: Color = Color(0x1f, 0x24, 0x2b);
pub(crate) const SOFT: Color = Color(0x5b, 0x65, 0x70);
pub(crate) const LINE: Color = Color(0xc9, 0xcf, 0xd6);
pub(crate) const PALE: Color = Color(0xf2, 0xf4, 0xf7);
pub(crate) const ACCENT: Color = Color(0x1d, 0x4e, 0x89);
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
    Box {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        color: Color,
    },
}

/// A heading and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) text: String,
    pub(crate) page: usize,
    pub(crate) y: f32,
}
