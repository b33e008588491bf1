//! What a device said, and whether it is all of it.

use std::time::Duration;

use crate::Facts;

/// What a device said to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The lines, without echo, prompt, messages of the log and trailing spaces.
    pub lines: Vec<String>,
    /// The line by which the device said that it did not take the command.
    pub refused: Option<String>,
    /// Bytes that came from the device.
    pub bytes: usize,
    /// Whether it is known to be all of it; not when the text of a pager was left in it.
    pub whole: bool,
    /// Exit status, from a device without a terminal.
    pub status: Option<u32>,
}

impl Answer {
    /// The lines as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

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

/// A configuration as it was collected: normalised, not masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The text; not to be stored unless `complete` is `Ok`.
    pub text: String,
    /// Whether there is evidence that it is whole.
    pub complete: Result<(), Incomplete>,
    /// Bytes that came from the device.
    pub bytes: usize,
    /// Who changed it last, where the device writes that into its configuration.
    pub author: Option<String>,
}

/// What a device says of itself, and what it answered to further commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Model, version, serial number, and numbers.
    pub facts: Facts,
    /// Name and text of each answer, not masked.
    pub outputs: Vec<(String, String)>,
}

/// Time that the parts of a session took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seconds {
    /// TCP connection and key exchange.
    pub connect: Duration,
    /// Login.
    pub login: Duration,
    /// From the open shell to the prompt.
    pub prompt: Duration,
    /// Commands.
    pub commands: Duration,
}
