//! The report on paper: page one for those who decide, then what it rests on.

mod details;
mod front;
mod method;
mod network;
mod trend;

use pdf::{About, Document, Error, Theme};

use crate::figures::{Incident, Known, Report};
use crate::tables::Profile;
use crate::words::Language;

/// Whose report it is, and how it looks.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What stands at the top.
    pub title: String,
    /// Whose network it is; empty for nobody's.
    pub organisation: String,
    /// The language of the PDF and the mail.
    pub language: Language,
    /// For whom the tables are written.
    pub csv: Profile,
    /// Color and logo.
    pub theme: Theme,
}

/// The version that the method page names: figures may differ from one to another.
pub const VERSION: &str = concat!("sotp-reporter ", env!("CARGO_PKG_VERSION"));

/// A report that is being written, with the language that it is written in.
struct Paper<'a> {
    document: Document,
    report: &'a Report,
    look: &'a Look,
    language: Language,
}

/// The report as PDF. The same report gives the same bytes.
///
/// # Errors
/// The writer refuses it, which is an error of the programmer.
pub fn pdf(report: &Report, look: &Look) -> Result<Vec<u8>, Error> {
    let owner = match &*look.organisation {
        "" => String::new(),
        name => format!(" · {name}"),
    };
    let theme = Theme {
        logo_text: match &*look.organisation {
            "" => look.title.clone(),
            name => name.to_owned(),
        },
        ..look.theme.clone()
    };
    let foot = format!("{} · {}{owner}", look.title, report.month);
    let mut paper = Paper {
        document: Document::new(foot, theme),
        report,
        look,
        language: look.language,
    };
    paper.front();
    paper.details();
    let day = report.month.after().first();
    let small = |number: i8| u8::try_from(number).unwrap_or_default();
    paper.document.finish(&About {
        title: format!("{} {}", look.title, report.month),
        author: match &*look.organisation {
            "" => VERSION.to_owned(),
            name => name.to_owned(),
        },
        program: VERSION.to_owned(),
        language: look.language.tag().to_owned(),
        id: format!("sotp-availability-{}", report.month),
        day: (
            u16::try_from(day.year()).unwrap_or_default(),
            small(day.month()),
            small(day.day()),
        ),
    })
}

impl<'a> Paper<'a> {
    /// The incidents, the longest first; where there are none, that is said.
    fn longest_first(&mut self) -> Vec<&'a (Incident, Known)> {
        let report = self.report;
        if report.incidents.is_empty() {
            self.say(
                "No device was found down outside maintenance.",
                "Poza planowanymi pracami żadne urządzenie nie było niedostępne.",
            );
        }
        let mut all: Vec<_> = report.incidents.iter().collect();
        all.sort_by_key(|(one, _)| (std::cmp::Reverse(one.end - one.start), one.start));
        all
    }

    /// A name, or what is said where there is none.
    fn named(&self, text: &str) -> String {
        if text.is_empty() {
            self.language.of("(none)", "(brak)").to_owned()
        } else {
            text.to_owned()
        }
    }

    /// How a figure stands to its target, in words.
    fn verdict(&self, availability: Option<f64>, target: f64) -> &'static str {
        match availability {
            None => self.language.none(),
            Some(share) if share >= target => self.language.of("met", "spełniony"),
            Some(_) => self.language.of("missed", "niespełniony"),
        }
    }

    fn heading(&mut self, english: &str, polish: &str) {
        self.document.heading(self.language.of(english, polish));
    }

    fn say(&mut self, english: impl Into<String>, polish: impl Into<String>) {
        let text = self.language.of(english.into(), polish.into());
        self.document.paragraph(&text);
    }
}
