//! From pages to a file.

use std::num::NonZeroU16;

use krilla::SerializeSettings;
use krilla::color::rgb;
use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, TableHeaderScope, Tag, TagGroup, TagKind,
    TagTree,
};

use crate::document::{Document, Logo, PAGE};
use crate::ops::{Color, Kind, Op};

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
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|error| refused(format!("{error:?}")))?;
    let mut out = krilla::Document::new_with(SerializeSettings {
        configuration,
        enable_tagging: true,
        ..SerializeSettings::default()
    });
    // The parts of each element, in the order in which they stand.
    let mut parts: Vec<Vec<Identifier>> = vec![Vec::new(); document.elements.len()];
    for ops in &document.pages {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1);
        let size = size.ok_or_else(|| refused("the size of a page".to_owned()))?;
        let mut page = out.start_page_with(size);
        let mut surface = page.surface();
        for run in ops.chunk_by(|one, two| one.0 == two.0) {
            let element = run[0].0;
            let tag = match element {
                None => ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)),
                Some(_) => ContentTag::Other,
            };
            let part = surface.start_tagged(tag);
            for (_, op) in run {
                draw(&mut surface, document, op);
            }
            surface.end_tagged();
            if let Some(element) = element {
                parts[element].push(part);
            }
        }
        surface.finish();
        page.finish();
    }
    out.set_tag_tree(structure(document, parts, &about.language));
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

/// The elements as a tree: each one is behind the one that it is inside of.
fn structure(document: &Document, parts: Vec<Vec<Identifier>>, language: &str) -> TagTree {
    let mut tree = TagTree::new().with_lang(Some(language.to_owned()));
    let mut groups: Vec<Option<TagGroup>> = Vec::new();
    for (element, parts) in document.elements.iter().zip(parts) {
        let mut group = TagGroup::new(tag(&element.kind));
        for part in parts {
            group.push(part);
        }
        groups.push(Some(group));
    }
    // From the last one on, so that each is whole when it is put into its own; what comes out first stands last.
    let mut inside: Vec<Vec<TagGroup>> = vec![Vec::new(); groups.len()];
    let mut top = Vec::new();
    for (index, element) in document.elements.iter().enumerate().rev() {
        let Some(mut group) = groups[index].take() else {
            continue;
        };
        for child in std::mem::take(&mut inside[index]).into_iter().rev() {
            group.push(child);
        }
        match element.parent {
            Some(parent) => inside[parent].push(group),
            None => top.push(group),
        }
    }
    for group in top.into_iter().rev() {
        tree.push(group);
    }
    tree
}

fn tag(kind: &Kind) -> TagKind {
    match kind {
        Kind::Heading(level, text) => {
            let level = NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN);
            Tag::Hn(level, Some(text.clone())).into()
        }
        Kind::Paragraph => Tag::P.into(),
        Kind::Figure(text) => Tag::Figure(Some(text.clone())).into(),
        Kind::Table => Tag::Table.into(),
        Kind::Row => Tag::TR.into(),
        Kind::Head => Tag::TH(TableHeaderScope::Column).into(),
        Kind::Cell => Tag::TD.into(),
    }
}

fn draw(surface: &mut Surface<'_>, document: &Document, op: &Op) {
    match op {
        Op::Logo {
            x,
            y,
            width,
            height,
        } => {
            let Some(Logo(image)) = &document.theme.logo else {
                return;
            };
            #[expect(clippy::cast_precision_loss, reason = "some thousand pixels at most")]
            let (wide, high) = (image.size().0 as f32, image.size().1 as f32);
            let scale = (width / wide).min(height / high);
            let Some(size) = Size::from_wh(wide * scale, high * scale) else {
                return;
            };
            let place = Transform::from_translate(x + width - size.width(), *y);
            surface.push_transform(&place);
            surface.draw_image(image.clone(), size);
            surface.pop();
        }
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
            let face = document.faces.of(*weight);
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
        let mut document = Document::new("foot", crate::Theme::default());
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
            text: "one half, one not known".to_owned(),
        });
        document.heading("Rows");
        document.table(&Table {
            columns: vec![Column::left("name"), Column::right("figure")],
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
        assert!(text.contains("/StructTreeRoot"), "tagged");
        assert!(text.contains("<pdfuaid:part>1</pdfuaid:part>"), "PDF/UA-1");
    }

    /// A PNG of two pixels.
    const PIXELS: &[u8] = &[
        137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 2, 0, 0, 0, 1, 8, 2,
        0, 0, 0, 123, 64, 232, 221, 0, 0, 0, 13, 73, 68, 65, 84, 120, 218, 99, 248, 207, 0, 4, 255,
        1, 7, 0, 1, 255, 61, 125, 140, 73, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
    ];

    #[test]
    fn logo_is_in_the_file_with_its_words_and_what_is_no_picture_is_refused() {
        let theme = crate::Theme {
            logo: Some(Logo::png(PIXELS.to_vec()).unwrap()),
            logo_text: "Example".to_owned(),
            ..crate::Theme::default()
        };
        let mut document = Document::new("foot", theme);
        document.title("A title", "about it");
        let file = document.finish(&about()).unwrap();
        let text = String::from_utf8_lossy(&file).into_owned();
        assert!(
            text.contains("/Subtype /Image") || text.contains("/Subtype/Image"),
            "a picture"
        );
        assert!(Logo::png(b"GIF89a".to_vec()).is_err());
    }
}
