//! What a device said to a command.

use std::borrow::Cow;
use std::time::Duration;

use crate::exchange::{Reply, owned};
use crate::{Driver, Facts, Incomplete, Transport};

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

/// What came behind a command: on a terminal as it came, from a channel already read.
#[derive(Debug)]
pub(crate) enum Said {
    Terminal(Reply),
    Channel(Answer),
}

impl Said {
    pub(crate) fn answer(&self, driver: &Driver) -> Answer {
        match self {
            Self::Channel(answer) => answer.clone(),
            Self::Terminal(reply) => {
                let (lines, spoilt) = reply.read(driver);
                Answer {
                    refused: driver.refusal(&lines).map(str::to_owned),
                    lines: owned(lines),
                    bytes: reply.bytes(),
                    whole: !spoilt,
                    status: None,
                }
            }
        }
    }

    /// The lines, and why they are not all of a configuration where that shows.
    pub(crate) fn read(&self, driver: &Driver) -> (Vec<Cow<'_, str>>, Option<Incomplete>) {
        let refused = |words: &str| Incomplete::Refused(words.to_owned());
        match self {
            Self::Channel(answer) => {
                let failed = driver.transport() == Transport::Exec && answer.status != Some(0);
                let flaw = match &answer.refused {
                    Some(words) => Some(refused(words)),
                    None if !answer.whole => Some(Incomplete::Pager),
                    None => failed.then_some(Incomplete::Evidence),
                };
                let lines = answer.lines.iter();
                (lines.map(|line| line.as_str().into()).collect(), flaw)
            }
            Self::Terminal(reply) => {
                let (lines, spoilt) = reply.read(driver);
                let flaw = driver.refusal(&lines).map(refused);
                let flaw = flaw.or_else(|| spoilt.then_some(Incomplete::Pager));
                (lines, flaw)
            }
        }
    }

    /// Bytes that came from the device.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Terminal(reply) => reply.bytes(),
            Self::Channel(answer) => answer.bytes,
        }
    }
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
