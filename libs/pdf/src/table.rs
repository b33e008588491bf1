//! Tables.

use crate::document::{Document, MARGIN};
use crate::font::{Weight, words};
use crate::ops::{INK, Kind, LINE, PALE, SOFT};

const SIZE: f32 = 8.0;
const STEP: f32 = 13.5;
/// From one line of a cell to the next.
const FURTHER: f32 = 9.5;
/// Most lines of a cell.
const LINES: usize = 3;
/// The smallest letters of a heading.
const SMALLEST: f32 = 6.5;
/// Room at both sides of a text.
const SIDES: f32 = 6.0;

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
    /// Where its texts stand.
    pub align: Align,
}

impl Column {
    /// A column of names.
    #[must_use]
    pub fn left(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            align: Align::Left,
        }
    }

    /// A column of figures.
    #[must_use]
    pub fn right(title: &str) -> Self {
        Self {
            align: Align::Right,
            ..Self::left(title)
        }
    }
}

/// A table; the headings stand again on each page that it reaches. Each column is as wide as what stands in it, as far as there is room;
/// then names are broken into lines, at words first.
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
        let widths = self.widths(table);
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

    /// How many rows of one line a table has room for on the page that is there, below a heading.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some rows of a page, not negative"
    )]
    pub fn rows_left(&self) -> usize {
        // The heading of the chapter, that of the table, and the line below it.
        let rows = (Self::bottom() - self.y - 28.0 - STEP - 11.0) / STEP;
        rows.max(0.0) as usize
    }

    /// The widths of the columns. Figures are never broken; names are where there is no room, at their words as long as there is for these.
    fn widths(&self, table: &Table) -> Vec<f32> {
        let total = Self::width();
        let whole: Vec<f32> = (0..table.columns.len())
            .map(|at| self.widest(table, at, 1.0, |text| vec![text]))
            .collect();
        let least = |(at, column): (usize, &Column)| match column.align {
            Align::Right => self.widest(table, at, SMALLEST / SIZE, |text| vec![text]),
            Align::Left => self
                .widest(table, at, SMALLEST / SIZE, words)
                .min(total / 5.0),
        };
        let least: Vec<f32> = table.columns.iter().enumerate().map(least).collect();
        let sum = |widths: &[f32]| widths.iter().sum::<f32>();
        let (all, few) = (sum(&whole), sum(&least));
        let both = least.iter().zip(&whole);
        if all <= total {
            #[expect(clippy::cast_precision_loss, reason = "some columns")]
            let more = (total - all) / whole.len().max(1) as f32;
            whole.iter().map(|width| width + more).collect()
        } else if few <= total {
            let part = (total - few) / (all - few);
            both.map(|(least, whole)| least + (whole - least) * part)
                .collect()
        } else {
            let names = table.columns.iter().zip(&least);
            let names = names.filter(|(column, _)| column.align == Align::Left);
            let names: f32 = names.map(|(_, width)| width).sum();
            // Too many figures for a line: then everything is narrower, and cut.
            let part = (names - (few - total)) / names;
            let (name, figure) = if names > 0.0 && part > 0.3 {
                (part, 1.0)
            } else {
                (total / few, total / few)
            };
            let narrow = |(column, width): (&Column, &f32)| match column.align {
                Align::Left => width * name,
                Align::Right => width * figure,
            };
            table.columns.iter().zip(&least).map(narrow).collect()
        }
    }

    /// The widest part of the cells of a column, and of its heading at this part of its size.
    fn widest<'a>(
        &self,
        table: &'a Table,
        at: usize,
        heading: f32,
        parts: impl Fn(&'a str) -> Vec<&'a str>,
    ) -> f32 {
        let regular = self.faces.of(Weight::Regular);
        let title = self
            .faces
            .of(Weight::Bold)
            .width(&table.columns[at].title, SIZE);
        let cells = table.rows.iter().filter_map(|row| row.get(at));
        let cells = cells
            .flat_map(|text| parts(text))
            .map(|part| regular.width(part, SIZE));
        // A little more, for what is lost in adding it up.
        cells.fold(title * heading, f32::max) + SIDES + 0.1
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
                let inner = width - SIDES;
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
        let inner = width - SIDES;
        let mut y = self.y + STEP - 4.0;
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let face = self.faces.of(weight);
            // A heading is made smaller before it is cut.
            let sizes = [SIZE, 7.5, 7.0, SMALLEST];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Theme;

    fn widths(table: &Table) -> Vec<f32> {
        Document::new("", Theme::default()).widths(table)
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them_and_figures_are_whole() {
        let long = "a-long-name of something that takes more than one line on the page";
        let row = |name: &str, figure: &str| {
            let mut row = vec![name.to_owned(); 3];
            row.extend(vec![figure.to_owned(); 5]);
            row
        };
        let mut columns = vec![Column::left("Name"); 3];
        columns.extend(vec![Column::right("Figure"); 5]);
        let faces = Document::new("", Theme::default()).faces;
        let width = |text: &str| faces.of(Weight::Regular).width(text, SIZE) + SIDES;
        for (name, figure) in [
            ("r1", "0 s"),
            ("r1", "31 d 4 h 15 min"),
            (long, "31 d 4 h 15 min"),
        ] {
            let table = Table {
                columns: columns.clone(),
                rows: vec![row("", ""), row(name, figure)],
            };
            let widths = widths(&table);
            let sum: f32 = widths.iter().sum();
            assert!((sum - Document::width()).abs() < 0.1, "{sum}");
            for figures in &widths[3..] {
                assert!(*figures >= width(figure), "{figure}: {widths:?}");
            }
            let longest = words(name).into_iter().map(&width).fold(0.0, f32::max);
            assert!(widths[0] >= longest, "{name}: {widths:?}");
        }
        // More figures than there is room for.
        let table = Table {
            columns: vec![Column::right("Figure"); 12],
            rows: vec![vec!["31 d 4 h 15 min".to_owned(); 12]],
        };
        let sum: f32 = widths(&table).iter().sum();
        assert!((sum - Document::width()).abs() < 0.1, "{sum}");
    }
}
