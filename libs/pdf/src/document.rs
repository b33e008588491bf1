//! The pages while they are filled.

use krilla::image::Image;

use crate::font::{Faces, Weight};
use crate::ops::{ACCENT, Color, Element, INK, Kind, LINE, Mark, Op, PALE, SOFT, WARN, WARN_PALE};
use crate::write::{self, About, Error};

/// A4.
pub(crate) const PAGE: (f32, f32) = (595.28, 841.89);
/// From the edge to what stands on the page.
pub(crate) const MARGIN: f32 = 46.0;
/// Kept free at the foot of each page.
const FOOT: f32 = 30.0;
/// Size and distance of lines of running text.
const BODY: (f32, f32) = (9.0, 13.0);

/// A picture in the corner of the first page.
#[derive(Clone)]
pub struct Logo(pub(crate) Image);

impl Logo {
    /// Of a file in PNG.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn png(bytes: Vec<u8>) -> Result<Self, String> {
        // PDF/A forbids a picture to be smoothed.
        let image = Image::from_png(bytes.into(), false)?;
        let (width, height) = image.size();
        if width == 0 || height == 0 || width > 4_000 || height > 4_000 {
            return Err(format!("{width} × {height} pixels, expected 1 to 4000"));
        }
        Ok(Self(image))
    }
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Logo").field(&self.0.size()).finish()
    }
}

/// How a document looks.
#[derive(Debug, Clone)]
pub struct Theme {
    /// The color of titles and figures.
    pub accent: Color,
    /// Whose document it is.
    pub logo: Option<Logo>,
    /// What stands for the logo in words.
    pub logo_text: String,
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            accent: ACCENT,
            logo: None,
            logo_text: String::new(),
        }
    }
}

/// A figure in a box: what it is, its value, and a line below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What it is.
    pub label: String,
    /// Its value.
    pub value: String,
    /// What is to be said of it.
    pub note: String,
}

/// A document that is being filled.
pub struct Document {
    pub(crate) faces: Faces,
    /// What stands on each page, and of which element it is a part; of none what only decorates.
    pub(crate) pages: Vec<Vec<(Option<usize>, Op)>>,
    /// The structure, in reading order.
    pub(crate) elements: Vec<Element>,
    pub(crate) theme: Theme,
    element: Option<usize>,
    pub(crate) marks: Vec<Mark>,
    /// Where the next thing begins.
    pub(crate) y: f32,
    foot: String,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document")
            .field("pages", &self.pages.len())
            .finish_non_exhaustive()
    }
}

impl Document {
    /// A document with one empty page; `foot` stands at the foot of each, beside its number.
    #[must_use]
    pub fn new(foot: impl Into<String>, theme: Theme) -> Self {
        Self {
            faces: Faces::new(),
            pages: vec![Vec::new()],
            elements: Vec::new(),
            theme,
            element: None,
            marks: Vec::new(),
            y: MARGIN,
            foot: foot.into(),
        }
    }

    pub(crate) fn width() -> f32 {
        PAGE.0 - 2.0 * MARGIN
    }

    pub(crate) fn bottom() -> f32 {
        PAGE.1 - MARGIN - FOOT
    }

    pub(crate) fn put(&mut self, op: Op) {
        let decorates = matches!(op, Op::Box { .. }) && !self.is_figure();
        let element = self.element.filter(|_| !decorates);
        if let Some(page) = self.pages.last_mut() {
            page.push((element, op));
        }
    }

    pub(crate) fn is_inside(&self) -> bool {
        self.element.is_some()
    }

    fn is_figure(&self) -> bool {
        let of = self.element.map(|element| &self.elements[element].kind);
        matches!(of, Some(Kind::Figure(_)))
    }

    /// What is put by `fill` is an element of this kind, inside the one that is being filled.
    pub(crate) fn within<T>(&mut self, kind: Kind, fill: impl FnOnce(&mut Self) -> T) -> T {
        let parent = self.element;
        self.elements.push(Element { kind, parent });
        self.element = Some(self.elements.len() - 1);
        let done = fill(self);
        self.element = parent;
        done
    }

    /// What is put by `fill` only decorates: it is said elsewhere.
    pub(crate) fn aside<T>(&mut self, fill: impl FnOnce(&mut Self) -> T) -> T {
        let parent = self.element.take();
        let done = fill(self);
        self.element = parent;
        done
    }

    pub(crate) fn text(
        &mut self,
        (x, y): (f32, f32),
        size: f32,
        weight: Weight,
        color: Color,
        text: &str,
    ) {
        let text = text.to_owned();
        self.put(Op::Text {
            x,
            y,
            size,
            weight,
            color,
            text,
        });
    }

    pub(crate) fn fill(&mut self, (x, y): (f32, f32), (width, height): (f32, f32), color: Color) {
        self.put(Op::Box {
            x,
            y,
            width,
            height,
            color,
        });
    }

    /// A page for what comes next, unless the one that is there is empty.
    pub fn page(&mut self) {
        if self.pages.last().is_some_and(|page| !page.is_empty()) {
            self.pages.push(Vec::new());
        }
        self.y = MARGIN;
    }

    /// A page for something of this height, where it does not fit on the one that is there.
    pub(crate) fn room(&mut self, height: f32) -> bool {
        let full = self.y + height > Self::bottom();
        if full {
            self.page();
        }
        full
    }

    /// Space before what comes next.
    pub fn space(&mut self, height: f32) {
        self.y += height;
    }

    /// The title of the document and what it is about; the logo stands beside them.
    pub fn title(&mut self, title: &str, below: &str) {
        const LOGO: (f32, f32) = (110.0, 34.0);
        let mut width = Self::width();
        if self.theme.logo.is_some() {
            let (x, y) = (PAGE.0 - MARGIN - LOGO.0, self.y - 12.0);
            let text = self.theme.logo_text.clone();
            self.within(Kind::Figure(text), |own| {
                let (width, height) = LOGO;
                own.put(Op::Logo {
                    x,
                    y,
                    width,
                    height,
                });
            });
            width -= LOGO.0 + 10.0;
        }
        let accent = self.theme.accent;
        let face = self.faces.of(Weight::Bold);
        let title = face.fitted(title, 22.0, width);
        self.y += 20.0;
        self.within(Kind::Heading(1, title.clone()), |own| {
            own.text((MARGIN, own.y), 22.0, Weight::Bold, accent, &title);
        });
        self.y += 8.0;
        self.fill((MARGIN, self.y), (Self::width(), 1.5), accent);
        self.y += 8.0;
        self.within(Kind::Paragraph, |own| {
            own.lines(below, Weight::Regular, 10.0, 14.0, SOFT);
        });
        self.y += 8.0;
    }

    /// A heading; it is an entry of the outline.
    pub fn heading(&mut self, text: &str) {
        self.room(70.0);
        self.y += 18.0;
        self.marks.push(Mark {
            text: text.to_owned(),
            page: self.pages.len() - 1,
            y: self.y - 14.0,
        });
        let accent = self.theme.accent;
        self.within(Kind::Heading(2, text.to_owned()), |own| {
            own.text((MARGIN, own.y), 13.0, Weight::Bold, accent, text);
        });
        self.y += 9.0;
    }

    /// Running text.
    pub fn paragraph(&mut self, text: &str) {
        self.within(Kind::Paragraph, |own| {
            own.lines(text, Weight::Regular, BODY.0, BODY.1, INK);
        });
        self.y += 5.0;
    }

    /// A remark, in smaller letters.
    pub fn remark(&mut self, text: &str) {
        self.within(Kind::Paragraph, |own| {
            own.lines(text, Weight::Regular, 7.5, 10.5, SOFT);
        });
        self.y += 4.0;
    }

    fn lines(&mut self, text: &str, weight: Weight, size: f32, step: f32, color: Color) {
        let lines = self.faces.of(weight).lines(text, size, Self::width());
        for line in lines {
            self.room(step);
            self.y += step;
            self.text((MARGIN, self.y), size, weight, color, &line);
        }
    }

    /// Something that must be seen, in a box; it stays on one page.
    pub fn warning(&mut self, title: &str, lines: &[String]) {
        let inner = Self::width() - 24.0;
        let face = self.faces.of(Weight::Regular);
        let lines: Vec<String> = lines
            .iter()
            .flat_map(|line| face.lines(line, BODY.0, inner))
            .collect();
        let height = 24.0 + f32::from(u16::try_from(lines.len()).unwrap_or(u16::MAX)) * BODY.1;
        self.room(height);
        self.fill((MARGIN, self.y), (Self::width(), height), WARN_PALE);
        self.fill((MARGIN, self.y), (3.0, height), WARN);
        let x = MARGIN + 14.0;
        let mut y = self.y + 16.0;
        self.within(Kind::Paragraph, |own| {
            own.text((x, y), 10.0, Weight::Bold, WARN, title);
            for line in lines {
                y += BODY.1;
                own.text((x, y), BODY.0, Weight::Regular, INK, &line);
            }
        });
        self.y += height + 8.0;
    }

    /// Figures side by side.
    pub fn tiles(&mut self, tiles: &[Tile]) {
        const HEIGHT: f32 = 62.0;
        const GAP: f32 = 8.0;
        let count = f32::from(u16::try_from(tiles.len().max(1)).unwrap_or(u16::MAX));
        let width = (Self::width() - GAP * (count - 1.0)) / count;
        self.room(HEIGHT);
        let (mut x, y) = (MARGIN, self.y);
        for tile in tiles {
            self.fill((x, y), (width, HEIGHT), PALE);
            self.fill((x, y), (width, 2.0), self.theme.accent);
            let inner = width - 16.0;
            let bold = self.faces.of(Weight::Bold);
            // A figure is made smaller rather than cut.
            let fits = |size: &f32| bold.width(&tile.value, *size) <= inner;
            let size = [17.0, 15.0, 13.0, 11.0, 9.0].into_iter().find(fits);
            let size = size.unwrap_or(8.0);
            let value = bold.fitted(&tile.value, size, inner);
            let face = self.faces.of(Weight::Regular);
            let label = face.fitted(&tile.label, 8.0, inner);
            let note = face.fitted(&tile.note, 7.5, inner);
            self.within(Kind::Paragraph, |own| {
                own.text((x + 8.0, y + 15.0), 8.0, Weight::Regular, SOFT, &label);
                own.text((x + 8.0, y + 37.0), size, Weight::Bold, INK, &value);
                own.text((x + 8.0, y + 52.0), 7.5, Weight::Regular, SOFT, &note);
            });
            x += width + GAP;
        }
        self.y += HEIGHT + 8.0;
    }

    /// The file.
    ///
    /// # Errors
    /// The writer refuses it: an error of the programmer.
    pub fn finish(mut self, about: &About) -> Result<Vec<u8>, Error> {
        let count = self.pages.len();
        let y = PAGE.1 - MARGIN;
        let foot = std::mem::take(&mut self.foot);
        for (index, page) in self.pages.iter_mut().enumerate() {
            let number = format!("{} / {count}", index + 1);
            let width = self.faces.of(Weight::Regular).width(&number, 7.5);
            let small = |x: f32, text: &str| Op::Text {
                x,
                y,
                size: 7.5,
                weight: Weight::Regular,
                color: SOFT,
                text: text.to_owned(),
            };
            let line = Op::Box {
                x: MARGIN,
                y: y - 12.0,
                width: Self::width(),
                height: 0.5,
                color: LINE,
            };
            let number = small(PAGE.0 - MARGIN - width, &number);
            page.extend([line, small(MARGIN, &foot), number].map(|op| (None, op)));
        }
        write::write(&self, about)
    }
}
