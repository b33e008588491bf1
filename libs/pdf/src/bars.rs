//! A row of bars.

use crate::document::{Document, MARGIN};
use crate::font::Weight;
use crate::ops::{Color, Kind, LINE, SOFT, WARN};

const HEIGHT: f32 = 110.0;
/// Room left of the bars for what their heights mean.
const LEFT: f32 = 48.0;
/// Room below them for their names.
const BELOW: f32 = 14.0;
const GRAY: Color = Color(0x8a, 0x93, 0x9e);

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is of, in a few letters.
    pub label: String,
    /// How high it is; none is a mark on the ground line: there is no value, which is not a value of nothing.
    pub value: Option<f64>,
}

/// Bars side by side, between two values; what is below the line of the goal has another shade, and stands below the line too.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The bars.
    pub bars: Vec<Bar>,
    /// The value of the ground line.
    pub low: f64,
    /// The value at the top.
    pub high: f64,
    /// Its name.
    pub high_label: String,
    /// The name of the ground line.
    pub low_label: String,
    /// The goal, and its name.
    pub goal: Option<(f64, String)>,
    /// What it shows, in words.
    pub text: String,
}

impl Bars {
    /// The height of a value between 0 and 1.
    #[expect(clippy::cast_possible_truncation, reason = "a share of a few points")]
    fn height(&self, value: f64) -> f32 {
        let span = (self.high - self.low).max(f64::MIN_POSITIVE);
        ((value - self.low) / span).clamp(0.0, 1.0) as f32
    }
}

impl Document {
    /// Puts a row of bars.
    pub fn bars(&mut self, chart: &Bars) {
        self.room(HEIGHT + BELOW + 8.0);
        self.within(Kind::Figure(chart.text.clone()), |own| own.draw_bars(chart));
    }

    fn draw_bars(&mut self, chart: &Bars) {
        let (x, top) = (MARGIN + LEFT, self.y + 6.0);
        let ground = top + HEIGHT;
        let width = Self::width() - LEFT;
        let count = f32::from(u16::try_from(chart.bars.len().max(1)).unwrap_or(u16::MAX));
        let step = width / count;
        self.axis(&chart.high_label, top, 0.5);
        self.axis(&chart.low_label, ground, 0.8);
        let mut at = x;
        for bar in &chart.bars {
            match bar.value {
                Some(value) => {
                    let high = (HEIGHT * chart.height(value)).max(0.8);
                    let misses = chart.goal.as_ref().is_some_and(|(goal, _)| value < *goal);
                    let color = if misses { WARN } else { self.theme.accent };
                    self.fill((at + step * 0.15, ground - high), (step * 0.7, high), color);
                }
                None => {
                    let face = self.faces.of(Weight::Regular);
                    let dash = at + (step - face.width("–", 8.0)) / 2.0;
                    self.text((dash, ground - 4.0), 8.0, Weight::Regular, GRAY, "–");
                }
            }
            let face = self.faces.of(Weight::Regular);
            let name = at + (step - face.width(&bar.label, 6.5)) / 2.0;
            self.text((name, ground + 9.0), 6.5, Weight::Regular, SOFT, &bar.label);
            at += step;
        }
        if let Some((goal, label)) = &chart.goal {
            let y = ground - HEIGHT * chart.height(*goal);
            self.fill((x, y), (width, 0.7), SOFT);
            // Not over the name of the top.
            if y - top > 9.0 {
                self.label(label, y);
            }
        }
        self.y += HEIGHT + BELOW + 10.0;
    }

    fn axis(&mut self, label: &str, y: f32, thick: f32) {
        self.fill((MARGIN + LEFT, y), (Self::width() - LEFT, thick), LINE);
        self.label(label, y);
    }

    fn label(&mut self, label: &str, y: f32) {
        let width = self.faces.of(Weight::Regular).width(label, 6.5);
        let x = MARGIN + LEFT - 5.0 - width;
        self.text((x, y + 2.2), 6.5, Weight::Regular, SOFT, label);
    }
}
