//! Pages of text, tables and bars as tagged PDF/A-2b and PDF/UA-1: the same input gives the same bytes.
//!
//! [`Document`] is filled from the top: headings, paragraphs, [`Table`]s, [`Tile`]s and [`Bars`] go one below the other, and a page ends
//! where the next thing does not fit. Each is an element of the structure by which programs read the document aloud. Nothing is read from the machine: the fonts are part of the program, and the only time in the file
//! is the one that [`About`] names. Lengths are points, a 72nd of an inch.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bars;
mod document;
mod font;
mod ops;
mod table;
mod write;

pub use bars::{Bar, Bars};
pub use document::{Document, Logo, Theme, Tile};
pub use ops::{ACCENT, Color};
pub use table::{Align, Column, Table};
pub use write::{About, Error};
