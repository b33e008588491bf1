//! The report on paper: page one for those who decide, then what it rests on.

mod details;
mod front;

use pdf::{About, Document, Error};

use crate::figures::Report;

/// Whose report it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Titles {
    /// What stands at the top.
    pub title: String,
    /// Whose network it is; empty for nobody's.
    pub organisation: String,
}

/// The version that the method page names: figures may differ from one to another.
pub const VERSION: &str = concat!("sotp-reporter ", env!("CARGO_PKG_VERSION"));

/// The report as PDF. The same report gives the same bytes.
///
/// # Errors
/// The writer refuses it, which is an error of the programmer.
pub fn pdf(report: &Report, titles: &Titles) -> Result<Vec<u8>, Error> {
    let owner = match &*titles.organisation {
        "" => String::new(),
        name => format!(" · {name}"),
    };
    let mut document = Document::new(format!("{} · {}{owner}", titles.title, report.month));
    front::page(&mut document, report, titles);
    details::pages(&mut document, report);
    let day = report.month.after().first();
    let small = |number: i8| u8::try_from(number).unwrap_or_default();
    document.finish(&About {
        title: format!("{} {}", titles.title, report.month),
        author: match &*titles.organisation {
            "" => VERSION.to_owned(),
            name => name.to_owned(),
        },
        program: VERSION.to_owned(),
        language: "en".to_owned(),
        id: format!("sotp-availability-{}", report.month),
        day: (
            u16::try_from(day.year()).unwrap_or_default(),
            small(day.month()),
            small(day.day()),
        ),
    })
}

/// A name, or what is said where there is none.
fn named(text: &str) -> String {
    if text.is_empty() {
        "(none)".to_owned()
    } else {
        text.to_owned()
    }
}

/// How a figure stands to its target, in words.
fn verdict(availability: Option<f64>, target: f64) -> &'static str {
    match availability {
        None => "not known",
        Some(share) if share >= target => "met",
        Some(_) => "missed",
    }
}
