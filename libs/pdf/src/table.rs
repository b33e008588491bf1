//! Tables.

use crate::document::{Document, MARGIN};
use crate::font::Weight;
use crate::ops::{INK, LINE, PALE, SOFT};

const SIZE: f32 = 8.0;
const STEP: f32 = 13.5;

/// Where the texts of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At its left edge: names.
    Left,
    /// At its right edge: figures.
    Right,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its heading.
    pub title: String,
    /// Its part of the width, beside those of the others.
    pub share: f32,
    /// Where its texts stand.
    pub align: Align,
}

impl Column {
    /// A column of names.
    #[must_use]
    pub fn left(title: &str, share: f32) -> Self {
        Self {
            title: title.to_owned(),
            share,
            align: Align::Left,
        }
    }

    /// A column of figures.
    #[must_use]
    pub fn right(title: &str, share: f32) -> Self {
        Self {
            align: Align::Right,
            ..Self::left(title, share)
        }
    }
}

/// A table; the headings stand again on each page that it reaches. A text that is too wide for its column ends with an ellipsis.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with one text for each column.
    pub rows: Vec<Vec<String>>,
}

impl Document {
    /// Puts a table.
    pub fn table(&mut self, table: &Table) {
        let shares: f32 = table.columns.iter().map(|column| column.share).sum();
        let widths: Vec<f32> = table
            .columns
            .iter()
            .map(|column| Self::width() * column.share / shares)
            .collect();
        self.room(3.0 * STEP);
        self.head(table, &widths);
        for (index, row) in table.rows.iter().enumerate() {
            if self.room(STEP) {
                self.head(table, &widths);
            }
            if index % 2 == 1 {
                self.fill((MARGIN, self.y), (Self::width(), STEP), PALE);
            }
            self.cells(table, &widths, row, Weight::Regular);
        }
        self.fill((MARGIN, self.y), (Self::width(), 0.5), LINE);
        self.y += 10.0;
    }

    fn head(&mut self, table: &Table, widths: &[f32]) {
        let titles: Vec<String> = table.columns.iter().map(|one| one.title.clone()).collect();
        self.cells(table, widths, &titles, Weight::Bold);
        self.fill((MARGIN, self.y), (Self::width(), 0.8), SOFT);
        self.y += 1.0;
    }

    fn cells(&mut self, table: &Table, widths: &[f32], row: &[String], weight: Weight) {
        let mut x = MARGIN;
        let y = self.y + STEP - 4.0;
        for ((column, width), text) in table.columns.iter().zip(widths).zip(row) {
            let face = self.faces.of(weight);
            let text = face.fitted(text, SIZE, width - 6.0);
            let at = match column.align {
                Align::Left => x + 3.0,
                Align::Right => x + width - 3.0 - face.width(&text, SIZE),
            };
            let color = if weight == Weight::Bold { SOFT } else { INK };
            if !text.is_empty() {
                self.text((at, y), SIZE, weight, color, &text);
            }
            x += width;
        }
        self.y += STEP;
    }
}
