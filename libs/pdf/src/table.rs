//! Tables.

use crate::document::{Document, MARGIN};
use crate::font::Weight;
use crate::ops::{INK, Kind, LINE, PALE, SOFT};

const SIZE: f32 = 8.0;
const STEP: f32 = 13.5;
/// From one line of a cell to the next.
const FURTHER: f32 = 9.5;
/// Most lines of a cell.
const LINES: usize = 3;

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

/// A table; the headings stand again on each page that it reaches. A text that is too wide for its column is
/// broken at its left edge and made smaller or cut with an ellipsis at its right.
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
        self.within(Kind::Table, |own| {
            own.head(table, &widths);
            for (index, row) in table.rows.iter().enumerate() {
                let cells = own.broken(table, &widths, row);
                let height = height(&cells);
                if own.room(height) {
                    // Said once: on a further page the headings are there for the eye.
                    own.aside(|own| own.head(table, &widths));
                }
                if index % 2 == 1 {
                    own.fill((MARGIN, own.y), (Self::width(), height), PALE);
                }
                own.row(table, &widths, &cells, &Kind::Cell);
                own.y += height;
            }
        });
        self.fill((MARGIN, self.y), (Self::width(), 0.5), LINE);
        self.y += 10.0;
    }

    fn head(&mut self, table: &Table, widths: &[f32]) {
        let titles = table.columns.iter().map(|one| vec![one.title.clone()]);
        self.row(table, widths, &titles.collect::<Vec<_>>(), &Kind::Head);
        self.y += STEP;
        self.fill((MARGIN, self.y), (Self::width(), 0.8), SOFT);
        self.y += 1.0;
    }

    /// The lines of each cell: names may have several, figures stand on one.
    fn broken(&self, table: &Table, widths: &[f32], row: &[String]) -> Vec<Vec<String>> {
        let face = self.faces.of(Weight::Regular);
        let cells = table.columns.iter().zip(widths).zip(row);
        cells
            .map(|((column, width), text)| {
                let inner = width - 6.0;
                if column.align == Align::Right || face.width(text, SIZE) <= inner {
                    return vec![face.fitted(text, SIZE, inner)];
                }
                let mut lines = face.lines(text, SIZE, inner);
                if lines.len() > LINES {
                    let rest = lines.split_off(LINES - 1).join(" ");
                    lines.push(face.fitted(&rest, SIZE, inner));
                }
                lines
            })
            .collect()
    }

    /// A row; outside of a table it only decorates.
    fn row(&mut self, table: &Table, widths: &[f32], cells: &[Vec<String>], kind: &Kind) {
        if self.is_inside() {
            self.within(Kind::Row, |own| own.cells(table, widths, cells, kind));
        } else {
            self.cells(table, widths, cells, kind);
        }
    }

    fn cells(&mut self, table: &Table, widths: &[f32], cells: &[Vec<String>], kind: &Kind) {
        let mut x = MARGIN;
        let inside = self.is_inside();
        for ((column, width), lines) in table.columns.iter().zip(widths).zip(cells) {
            if inside {
                // An empty cell is one as well.
                self.within(kind.clone(), |own| {
                    own.cell(column, (x, *width), lines, kind);
                });
            } else {
                self.cell(column, (x, *width), lines, kind);
            }
            x += width;
        }
    }

    fn cell(&mut self, column: &Column, (x, width): (f32, f32), lines: &[String], kind: &Kind) {
        let (weight, color) = match kind {
            Kind::Head => (Weight::Bold, SOFT),
            _ => (Weight::Regular, INK),
        };
        let inner = width - 6.0;
        let mut y = self.y + STEP - 4.0;
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let face = self.faces.of(weight);
            // A heading is made smaller before it is cut.
            let sizes = [SIZE, 7.5, 7.0, 6.5];
            let size = sizes
                .into_iter()
                .find(|size| face.width(line, *size) <= inner);
            let size = size.unwrap_or(6.0);
            let line = face.fitted(line, size, inner);
            let at = match column.align {
                Align::Left => x + 3.0,
                Align::Right => x + width - 3.0 - face.width(&line, size),
            };
            self.text((at, y), size, weight, color, &line);
            y += FURTHER;
        }
    }
}

/// How high a row is.
fn height(cells: &[Vec<String>]) -> f32 {
    let lines = cells.iter().map(Vec::len).max().unwrap_or(1).max(1);
    STEP + FURTHER * f32::from(u16::try_from(lines - 1).unwrap_or(u16::MAX))
}
