//! A configuration as a device showed it, and whether it is all of it.

use std::sync::{Arc, OnceLock};

use ring::digest::{Context, SHA256};

use crate::answer::Said;
use crate::{Driver, Transport};

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

/// A configuration as it was collected, not masked. It is read when somebody asks for it: one that is known already is not.
#[derive(Debug)]
pub struct Collected {
    /// Whether there is evidence that it is whole; without it the text is not to be stored.
    pub complete: Result<(), Incomplete>,
    /// Bytes that came from the device.
    pub bytes: usize,
    driver: Arc<Driver>,
    said: Vec<Said>,
    raw: [u8; 32],
    lines: OnceLock<Vec<String>>,
    text: OnceLock<String>,
    seen: OnceLock<Seen>,
}

impl Collected {
    /// What was said to the commands of a driver. What came is not looked through where it is that of `seen`.
    pub(crate) fn new(driver: &Arc<Driver>, said: Vec<Said>, seen: Option<&Seen>) -> Self {
        let collected = Self {
            complete: Ok(()),
            bytes: said.iter().map(Said::bytes).sum(),
            driver: Arc::clone(driver),
            raw: raw(&said),
            said,
            lines: OnceLock::new(),
            text: OnceLock::new(),
            seen: OnceLock::new(),
        };
        if seen.is_some_and(|seen| collected.came_as(seen)) {
            return collected;
        }
        let (lines, complete) = collected.read();
        Self {
            complete,
            lines: lines.into(),
            ..collected
        }
    }

    /// The text, normalised.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text
            .get_or_init(|| self.driver.normalise(self.lines()))
    }

    /// Who changed it last, where the device writes that into its configuration.
    #[must_use]
    pub fn author(&self) -> Option<String> {
        self.driver.author(self.lines())
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

    fn lines(&self) -> &[String] {
        self.lines.get_or_init(|| self.read().0)
    }

    fn read(&self) -> (Vec<String>, Result<(), Incomplete>) {
        let driver = &self.driver;
        let mut lines = Vec::new();
        let mut complete = Ok(());
        for (said, command) in self.said.iter().zip(&driver.collect) {
            let answer = said.answer(driver);
            let flaw = match (&answer.refused, answer.status) {
                (Some(words), _) => Some(Incomplete::Refused(words.clone())),
                _ if !answer.whole => Some(Incomplete::Pager),
                (None, status) if driver.transport() == Transport::Exec && status != Some(0) => {
                    Some(Incomplete::Evidence)
                }
                _ => None,
            };
            if let (Some(flaw), Ok(())) = (flaw, &complete) {
                complete = Err(flaw);
            }
            if self.said.len() > 1 {
                lines.push(format!("{} {command}", driver.comment));
            }
            lines.extend(answer.lines);
        }
        if complete.is_ok() && !driver.complete().holds(&lines) {
            complete = Err(Incomplete::Evidence);
        }
        (lines, complete)
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
