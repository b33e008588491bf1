//! From an open shell to the prompt of privileged mode, by bytes alone.
//!
//! The prompt is the last line when an empty line makes the device write the same one again. Where it is one from which privileged
//! mode is entered, that is done, and the prompt is learned anew.

use std::time::{Duration, Instant};

use super::MOST_BANNER;
use crate::driver::Driver;
use crate::prompt::Prompt;
use crate::screen::Screen;
use crate::transport::Shell;
use crate::{Error, Login};

/// Silence after which an empty line asks for the prompt anew.
const ASK_AGAIN: Duration = Duration::from_millis(1500);

/// What the device is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// An empty line.
    Enter,
    /// These characters, as an answer to a question.
    Answer(String),
    /// A command.
    Command(String),
    /// The secret of privileged mode.
    Secret,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The prompt is learned; `raised` when privileged mode was entered.
    Learning { raised: bool },
    /// The command for privileged mode was sent; `told` when its secret was, too.
    Raising { told: bool },
}

/// A login of which the prompt is not known yet.
pub(crate) struct Opening<'a> {
    driver: &'a Driver,
    screen: Screen,
    /// Which questions of the driver were answered: each is once.
    answered: Vec<bool>,
    state: State,
}

impl<'a> Opening<'a> {
    /// An empty line is sent first.
    pub(crate) fn new(driver: &'a Driver) -> Self {
        Self {
            driver,
            screen: Screen::default(),
            answered: vec![false; driver.questions.len()],
            state: State::Learning { raised: false },
        }
    }

    /// Takes what came from the device: what it is sent then, or the prompt.
    ///
    /// # Errors
    /// Banners without end, or privileged mode is refused.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(Vec<Say>, Option<Prompt>), Error> {
        self.screen.push(bytes);
        if self.screen.bytes() > MOST_BANNER {
            return Err(self.late());
        }
        match self.state {
            State::Learning { raised } => self.learn(raised),
            State::Raising { told } => self.raise(told).map(|say| (say, None)),
        }
    }

    /// What the device is sent when it has been quiet.
    fn silent(&self) -> Option<Say> {
        matches!(self.state, State::Learning { .. }).then_some(Say::Enter)
    }

    /// Why nothing came of it, when the time is over.
    fn late(&self) -> Error {
        match self.state {
            State::Learning { .. } => Error::Prompt {
                last: shown(self.screen.current()),
            },
            State::Raising { .. } => Error::Privilege,
        }
    }

    fn enters(&mut self, state: State) {
        self.state = state;
        self.screen = Screen::default();
    }

    fn learn(&mut self, raised: bool) -> Result<(Vec<Say>, Option<Prompt>), Error> {
        let driver = self.driver;
        let mut say = Vec::new();
        let current = self.screen.current();
        for (question, answered) in driver.questions.iter().zip(&mut self.answered) {
            let asked = |line: &[u8]| question.ask.is_match(line);
            if !*answered && (asked(current) || self.screen.lines().next_back().is_some_and(asked))
            {
                *answered = true;
                say.push(Say::Answer(question.send.clone()));
            }
        }
        if !driver.is_prompt(current) {
            return Ok((say, None));
        }
        let written = |line: &&[u8]| !line.is_empty() && !driver.is_ignored(line);
        let last = self.screen.lines().rev().find(written);
        if last.is_none_or(|line| line != current) {
            if !self.screen.lines().any(|line| line == current) {
                say.push(Say::Enter);
            }
            return Ok((say, None));
        }
        let prompt = Prompt::learned(current, driver);
        match &driver.privilege {
            Some(privilege) if privilege.when.is_match(prompt.text()) => {
                if raised {
                    return Err(Error::Privilege);
                }
                say.push(Say::Command(privilege.command.clone()));
                self.enters(State::Raising { told: false });
                Ok((say, None))
            }
            _ => Ok((say, Some(prompt))),
        }
    }

    fn raise(&mut self, told: bool) -> Result<Vec<Say>, Error> {
        let Some(privilege) = &self.driver.privilege else {
            return Err(Error::Privilege);
        };
        let current = self.screen.current();
        // Prompts from before the command say nothing.
        let echo = |line: &[u8]| line.ends_with(privilege.command.as_bytes());
        if !self.screen.lines().any(echo) {
            return Ok(Vec::new());
        }
        if privilege.ask.is_match(current) {
            if !told {
                self.state = State::Raising { told: true };
                return Ok(vec![Say::Secret]);
            }
            // It asks again, so the secret was wrong; a second one would lock the account.
            return match self.screen.count() > 2 {
                true => Err(Error::Privilege),
                false => Ok(Vec::new()),
            };
        }
        if !self.driver.is_prompt(current) {
            return Ok(Vec::new());
        }
        self.enters(State::Learning { raised: true });
        Ok(vec![Say::Enter])
    }
}

/// Learns the prompt of an open shell; each step of the way may take as long as `within`.
pub(super) async fn open(
    shell: &mut Shell,
    driver: &Driver,
    login: &Login,
    within: Duration,
) -> Result<Prompt, Error> {
    let mut opening = Opening::new(driver);
    let mut until = Instant::now() + within;
    let mut say = vec![Say::Enter];
    let mut learned = None;
    loop {
        for say in say {
            let text = match say {
                Say::Enter => driver.enter.clone(),
                Say::Answer(text) => text,
                Say::Command(command) => command + &driver.enter,
                Say::Secret => {
                    let secret = login.privilege_secret().ok_or(Error::Privilege)?;
                    format!("{}{}", secret.reveal(), driver.enter)
                }
            };
            shell.send(text, within).await?;
        }
        if let Some(prompt) = learned {
            return Ok(prompt);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(opening.late());
        }
        let before = opening.state;
        (say, learned) = match shell.receive(left.min(ASK_AGAIN)).await? {
            Some(bytes) => opening.push(&bytes)?,
            None => (opening.silent().into_iter().collect(), None),
        };
        if opening.state != before {
            until = Instant::now() + within;
        }
    }
}

/// The last 60 characters of a line, printable.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let count = text.chars().count();
    text.chars()
        .skip(count.saturating_sub(60))
        .map(|c| if c.is_control() { '.' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
