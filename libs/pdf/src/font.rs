//! The two fonts: how wide a text is, and which glyphs it has.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::MetadataProvider as _;
use skrifa::instance::{LocationRef, Size};

/// What stands for a character that the font does not have: the file must not hold a glyph without meaning.
const MISSING: char = '?';

/// A weight of the one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// A text as the font writes it.
pub(crate) struct Shaped {
    /// The text, with what the font lacks replaced.
    pub(crate) text: String,
    pub(crate) glyphs: Vec<KrillaGlyph>,
}

/// One font, ready to be asked and to be put into a file.
pub(crate) struct Face {
    pub(crate) font: Font,
    metrics: skrifa::metrics::GlyphMetrics<'static>,
    map: skrifa::charmap::Charmap<'static>,
    units: f32,
}

/// Both weights.
pub(crate) struct Faces {
    regular: Face,
    bold: Face,
}

impl Faces {
    #[expect(
        clippy::expect_used,
        reason = "the fonts are part of the program; the first test reads them"
    )]
    pub(crate) fn new() -> Self {
        let face = |bytes: &'static [u8]| {
            let read = skrifa::FontRef::new(bytes).expect("a font");
            Face {
                font: Font::new(bytes.into(), 0).expect("a font"),
                metrics: read.glyph_metrics(Size::unscaled(), LocationRef::default()),
                map: read.charmap(),
                units: f32::from(
                    read.metrics(Size::unscaled(), LocationRef::default())
                        .units_per_em,
                ),
            }
        };
        Self {
            regular: face(notosans::REGULAR_TTF),
            bold: face(notosans::BOLD_TTF),
        }
    }

    pub(crate) fn of(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

impl Face {
    /// The glyph of a character and its advance, in parts of the size.
    fn glyph(&self, c: char) -> Option<(skrifa::GlyphId, f32)> {
        let id = self.map.map(c).filter(|id| id.to_u32() != 0)?;
        Some((id, self.metrics.advance_width(id)? / self.units))
    }

    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        let advance = |c| self.glyph(c).or_else(|| self.glyph(MISSING));
        size * text
            .chars()
            .filter_map(advance)
            .map(|(_, width)| width)
            .sum::<f32>()
    }

    pub(crate) fn shape(&self, text: &str) -> Shaped {
        let mut shaped = Shaped {
            text: String::with_capacity(text.len()),
            glyphs: Vec::with_capacity(text.len()),
        };
        for c in text.chars() {
            let (c, found) = match self.glyph(c) {
                Some(found) => (c, Some(found)),
                None => (MISSING, self.glyph(MISSING)),
            };
            let Some((id, advance)) = found else { continue };
            let start = shaped.text.len();
            shaped.text.push(c);
            shaped.glyphs.push(KrillaGlyph::new(
                GlyphId::new(id.to_u32()),
                advance,
                0.0,
                0.0,
                0.0,
                start..shaped.text.len(),
                None,
            ));
        }
        shaped
    }

    /// The text, or its beginning with an ellipsis where it is wider than `width`.
    pub(crate) fn fitted(&self, text: &str, size: f32, width: f32) -> String {
        if self.width(text, size) <= width {
            return text.to_owned();
        }
        let mut kept: String = text.to_owned();
        while kept.pop().is_some() {
            let cut = format!("{}…", kept.trim_end());
            if self.width(&cut, size) <= width {
                return cut;
            }
        }
        String::new()
    }

    /// Lines no wider than `width`, broken at spaces; a longer word is broken behind a sign in it, else where it must be.
    pub(crate) fn lines(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                let joined = if line.is_empty() {
                    word.to_owned()
                } else {
                    format!("{line} {word}")
                };
                if self.width(&joined, size) <= width {
                    line = joined;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                for c in word.chars() {
                    line.push(c);
                    if self.width(&line, size) > width && line.chars().count() > 1 {
                        line.pop();
                        // What was not finished of the last part begins the next line.
                        line.push(c);
                        let last = words(&line).last().map_or(0, |part| part.len());
                        line.pop();
                        let at = (line.len() + c.len_utf8()).saturating_sub(last);
                        let rest = if at > 0 && at < line.len() {
                            line.split_off(at)
                        } else {
                            String::new()
                        };
                        lines.push(std::mem::replace(&mut line, rest));
                        line.push(c);
                    }
                }
            }
            lines.push(line);
        }
        lines
    }
}

/// The parts of a text between which a line may end: words, and what stands behind a sign and begins with a letter, so that numbers, dates
/// and addresses stay whole.
pub(crate) fn words(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for word in text.split_whitespace() {
        let mut begin = 0;
        let next = word.char_indices().zip(word.chars().skip(1));
        for ((at, c), following) in next {
            if matches!(c, '-' | '/' | '_' | ',') && following.is_alphabetic() {
                parts.push(&word[begin..at + 1]);
                begin = at + 1;
            }
        }
        parts.push(&word[begin..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_measured_cut_and_broken_by_their_width() {
        let faces = Faces::new();
        let face = faces.of(Weight::Regular);
        let whole = face.width("Zażółć gęślą jaźń", 10.0);
        assert!((60.0..110.0).contains(&whole), "{whole}");
        assert!(faces.of(Weight::Bold).width("Zażółć", 10.0) > face.width("Zażółć", 10.0));
        let cut = face.fitted("core-router-of-the-second-floor", 10.0, 60.0);
        assert!(
            cut.ends_with('…') && face.width(&cut, 10.0) <= 60.0,
            "{cut}"
        );
        let lines = face.lines(&"word and ".repeat(30), 10.0, 100.0);
        assert!(lines.len() > 5);
        assert!(lines.iter().all(|line| face.width(line, 10.0) <= 100.0));
        assert_eq!(lines.join(" "), "word and ".repeat(30).trim_end());
        let broken = face.lines(&"x".repeat(100), 10.0, 50.0);
        assert_eq!(broken.concat().len(), 100, "{broken:?}");
        let signs = face.lines("katowice-datacenter-2-ap-27", 8.0, 60.0);
        assert_eq!(signs, ["katowice-", "datacenter-2-", "ap-27"]);
        let parts = words("ap-eth 2025-10-02 10:00:00+02:00 Gi0/0/1");
        assert_eq!(
            parts,
            ["ap-", "eth", "2025-10-02", "10:00:00+02:00", "Gi0/0/1"]
        );
    }

    #[test]
    fn what_the_font_lacks_is_replaced_and_not_left_out() {
        let shaped = Faces::new().of(Weight::Regular).shape("a漢b");
        assert_eq!(shaped.text, "a?b");
        assert_eq!(shaped.glyphs.len(), 3);
    }
}
