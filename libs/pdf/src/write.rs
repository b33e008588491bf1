//! From pages to a file.

use krilla::SerializeSettings;
use krilla::color::rgb;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;

use crate::document::{Document, PAGE};
use crate::font::Faces;
use crate::ops::{Color, Op};

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its title.
    pub title: String,
    /// Who made it.
    pub author: String,
    /// The program that made it.
    pub program: String,
    /// Its language, as in `en`.
    pub language: String,
    /// What it is told from others by; the same for the same content.
    pub id: String,
    /// The day that it is of: year, month, day. No clock is read.
    pub day: (u16, u8, u8),
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The writer refused what was put on the pages.
    #[error("the PDF cannot be written: {0}")]
    Refused(String),
}

pub(crate) fn write(document: &Document, about: &About) -> Result<Vec<u8>, Error> {
    let refused = |why: String| Error::Refused(why);
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_B)
        .finish()
        .map_err(|error| refused(format!("{error:?}")))?;
    let mut out = krilla::Document::new_with(SerializeSettings {
        configuration,
        enable_tagging: false,
        ..SerializeSettings::default()
    });
    for ops in &document.pages {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1);
        let size = size.ok_or_else(|| refused("the size of a page".to_owned()))?;
        let mut page = out.start_page_with(size);
        let mut surface = page.surface();
        for op in ops {
            draw(&mut surface, &document.faces, op);
        }
        surface.finish();
        page.finish();
    }
    let mut outline = Outline::new();
    for mark in &document.marks {
        let place = XyzDestination::new(mark.page, Point::from_xy(0.0, mark.y));
        outline.push_child(OutlineNode::new(mark.text.clone(), place));
    }
    out.set_outline(outline);
    let (year, month, day) = about.day;
    let date = DateTime::new(year)
        .month(month)
        .day(day)
        .hour(0)
        .minute(0)
        .second(0)
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    out.set_metadata(
        Metadata::new()
            .title(about.title.clone())
            .authors(vec![about.author.clone()])
            .creator(about.program.clone())
            .language(about.language.clone())
            .document_id(about.id.clone())
            .creation_date(date),
    );
    out.finish().map_err(|error| refused(format!("{error:?}")))
}

fn draw(surface: &mut Surface<'_>, faces: &Faces, op: &Op) {
    match op {
        Op::Box {
            x,
            y,
            width,
            height,
            color,
        } => {
            let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) else {
                return;
            };
            let mut path = PathBuilder::new();
            path.push_rect(rect);
            if let Some(path) = path.finish() {
                surface.set_fill(Some(fill(*color)));
                surface.draw_path(&path);
            }
        }
        Op::Text {
            x,
            y,
            size,
            weight,
            color,
            text,
        } => {
            let face = faces.of(*weight);
            let shaped = face.shape(text);
            surface.set_fill(Some(fill(*color)));
            surface.draw_glyphs(
                Point::from_xy(*x, *y),
                &shaped.glyphs,
                face.font.clone(),
                &shaped.text,
                *size,
                false,
            );
        }
    }
}

fn fill(Color(red, green, blue): Color) -> Fill {
    Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        ..Fill::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bar, Bars, Column, Table, Tile};

    fn about() -> About {
        About {
            title: "A title".to_owned(),
            author: "Somebody".to_owned(),
            program: "a test".to_owned(),
            language: "en".to_owned(),
            id: "1".to_owned(),
            day: (2026, 2, 1),
        }
    }

    fn filled() -> Document {
        let mut document = Document::new("foot");
        document.title("Zażółć gęślą jaźń", "about it");
        document.tiles(&[Tile {
            label: "availability".to_owned(),
            value: "99.9 %".to_owned(),
            note: "of 99.5 %".to_owned(),
        }]);
        document.warning("Look", &["at this".to_owned()]);
        let bar = |value| Bar {
            label: "1".to_owned(),
            value,
        };
        document.bars(&Bars {
            bars: vec![bar(Some(0.5)), bar(None)],
            low: 0.0,
            high: 1.0,
            high_label: "1".to_owned(),
            low_label: "0".to_owned(),
            goal: Some((0.7, "goal".to_owned())),
        });
        document.heading("Rows");
        document.table(&Table {
            columns: vec![Column::left("name", 2.0), Column::right("figure", 1.0)],
            rows: (0..200)
                .map(|row| vec![format!("row {row}"), "漢".to_owned()])
                .collect(),
        });
        document
    }

    #[test]
    fn same_pages_are_the_same_bytes_and_archival() {
        let file = filled().finish(&about()).unwrap();
        assert_eq!(file, filled().finish(&about()).unwrap());
        assert!(file.starts_with(b"%PDF-1.7"));
        let text = String::from_utf8_lossy(&file);
        assert!(text.contains("<pdfaid:part>2</pdfaid:part>"), "PDF/A-2");
        let pages = filled().pages.len();
        assert_eq!(pages, 5, "200 rows of 13.5 points");
    }
}
