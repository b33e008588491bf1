//! A configuration as a device showed it, and whether it is all of it.

use std::sync::{Arc, OnceLock};

use ring::digest::{Context, SHA256};

use crate::Driver;
use crate::answer::Said;

/// Why a configuration does not count as whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incomplete {
    /// The evidence that the driver wants is not there.
    Evidence,
    /// The device did not take a command; its words.
    Refused(String),
    /// Text of a pager was left in an answer.
    Pager,
}

impl Incomplete {
    /// Its name, fit for a label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Refused(_) => "refused",
            Self::Pager => "pager",
        }
    }

    /// Every value of [`Incomplete::reason`].
    pub const REASONS: [&'static str; 3] = ["evidence", "refused", "pager"];
}

/// Digests of a whole configuration: of the bytes that came, and of the text that they came to. They are of a text that is not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    raw: [u8; 32],
    text: [u8; 32],
}

/// A configuration as it was collected, not masked: its text alone, or what came where that is known already and nobody may ask for its text.
#[derive(Debug)]
pub struct Collected {
    /// Whether there is evidence that it is whole; without it the text is not to be stored.
    pub complete: Result<(), Incomplete>,
    /// Bytes that came from the device.
    pub bytes: usize,
    driver: Arc<Driver>,
    /// Empty once it was read.
    said: Vec<Said>,
    raw: [u8; 32],
    text: OnceLock<String>,
    author: Option<String>,
    seen: OnceLock<Seen>,
}

impl Collected {
    /// What was said to the commands of a driver. What came is not looked through where it is that of `seen`.
    pub(crate) fn new(driver: &Arc<Driver>, said: Vec<Said>, seen: Option<&Seen>) -> Self {
        let mut collected = Self {
            complete: Ok(()),
            bytes: said.iter().map(Said::bytes).sum(),
            driver: Arc::clone(driver),
            raw: raw(&said),
            said,
            text: OnceLock::new(),
            author: None,
            seen: OnceLock::new(),
        };
        if seen.is_some_and(|seen| collected.came_as(seen)) {
            return collected;
        }
        let Read {
            text,
            author,
            complete,
        } = read(driver, &collected.said);
        collected.said = Vec::new();
        collected.text = text.into();
        collected.author = author;
        collected.complete = complete;
        collected
    }

    /// The text, normalised.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text
            .get_or_init(|| read(&self.driver, &self.said).text)
    }

    /// Who changed it last, where the device writes that into its configuration and it came in other bytes than those of `seen`.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }

    /// Its digests.
    #[must_use]
    pub fn seen(&self) -> Seen {
        *self.seen.get_or_init(|| {
            let mut context = Context::new(&SHA256);
            context.update(self.text().as_bytes());
            Seen {
                raw: self.raw,
                text: finished(context),
            }
        })
    }

    /// Whether its text is that of `seen`.
    #[must_use]
    pub fn is(&self, seen: &Seen) -> bool {
        self.came_as(seen) || self.seen().text == seen.text
    }

    /// Whether it came in the bytes of `seen`.
    #[must_use]
    pub fn came_as(&self, seen: &Seen) -> bool {
        self.raw == seen.raw
    }
}

/// What an answer comes to.
struct Read {
    text: String,
    author: Option<String>,
    complete: Result<(), Incomplete>,
}

/// Its lines are in memory only here: they take several times as much as the text.
fn read(driver: &Driver, said: &[Said]) -> Read {
    let mut lines = Vec::new();
    let mut complete = Ok(());
    for (one, command) in said.iter().zip(&driver.collect) {
        let (own, flaw) = one.read(driver);
        if let (Some(flaw), Ok(())) = (flaw, &complete) {
            complete = Err(flaw);
        }
        if said.len() > 1 {
            lines.push(format!("{} {command}", driver.comment).into());
        }
        lines.extend(own);
    }
    if complete.is_ok() && !driver.complete().holds(&lines) {
        complete = Err(Incomplete::Evidence);
    }
    let mut text = driver.normalise(&lines);
    text.shrink_to_fit();
    Read {
        text,
        author: driver.author(&lines),
        complete,
    }
}

/// A digest of what came: of a channel its lines and its status, which another reading may not have.
fn raw(said: &[Said]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for said in said {
        match said {
            Said::Terminal(reply) => context.update(reply.text()),
            Said::Channel(answer) => {
                let lines = answer.lines.iter();
                lines.for_each(|line| context.update(format!("{line}\n").as_bytes()));
                context.update(format!("{:?}\n", answer.status).as_bytes());
            }
        }
        context.update(b"\0");
    }
    finished(context)
}

fn finished(context: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
