//! From a command to its answer, by bytes alone.
//!
//! An answer begins behind the echo of the command, which stands behind the prompt or alone on its line. It ends when the prompt
//! stands at the end of what came *and* the device, sent an empty line, shows the same prompt once more: a text that imitates the
//! prompt is followed by the rest of the answer instead. Prompts left over from before are passed over, since no echo stands in
//! front of them.

use std::borrow::Cow;

use crate::Error;
use crate::driver::Driver;
use crate::prompt::Prompt;
use crate::screen::Screen;

/// Most empty lines that are sent to find out whether the prompt is real.
const MOST_QUESTIONS: usize = 64;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for more.
    Wait,
    /// Press a key for the pager and wait.
    Page,
    /// Send an empty line and wait.
    Ask,
    /// The answer is whole, unless more comes at once.
    Done,
}

/// One command and what has come of its answer.
pub(crate) struct Exchange<'a> {
    driver: &'a Driver,
    prompt: &'a Prompt,
    command: &'a [u8],
    configuring: bool,
    most: usize,
    screen: Screen,
    /// Number of the line with the echo.
    echo: Option<usize>,
    /// Lines that have been searched for the echo.
    searched: usize,
    /// Complete lines at the time of the last empty line that was sent.
    asked_at: Option<usize>,
    asked: usize,
    paged: bool,
    /// The pager is asked on once for each time it shows.
    paged_at: Option<usize>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        driver: &'a Driver,
        prompt: &'a Prompt,
        command: &'a str,
        configuring: bool,
        most: usize,
    ) -> Self {
        Self {
            driver,
            prompt,
            command: command.trim().as_bytes(),
            configuring,
            most,
            screen: Screen::default(),
            echo: None,
            searched: 0,
            asked_at: None,
            asked: 0,
            paged: false,
            paged_at: None,
        }
    }

    /// Whether the device has shown that it took the command.
    pub(crate) fn echoed(&self) -> bool {
        self.echo.is_some()
    }

    /// What is known of the device.
    pub(crate) fn driver(&self) -> &'a Driver {
        self.driver
    }

    /// The line that is not ended yet: the prompt, once the answer is whole.
    pub(crate) fn current(&self) -> &[u8] {
        self.screen.current()
    }

    /// Whether the line that is not ended yet is the prompt outside of configuration mode.
    pub(crate) fn is_outside(&self) -> bool {
        self.current() == self.prompt.text()
    }

    /// Takes what came from the device.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Step, Error> {
        self.screen.push(bytes);
        if self.screen.bytes() > self.most {
            return Err(Error::TooLarge { most: self.most });
        }
        if self.echo.is_none() {
            let count = self.screen.count();
            let mut lines = self.searched..count;
            self.echo = lines.find(|&number| self.is_echo(self.screen.line(number)));
            self.searched = count;
        }
        let Some(echo) = self.echo else {
            return Ok(Step::Wait);
        };
        if self.pager() {
            return Ok(Step::Page);
        }
        let current = self.screen.current();
        if !self.prompt.is(current, self.configuring) {
            return Ok(Step::Wait);
        }
        let count = self.screen.count();
        if self.end(echo).is_some() {
            return Ok(Step::Done);
        }
        if self.asked_at == Some(count) {
            return Ok(Step::Wait);
        }
        self.asked += 1;
        if self.asked > MOST_QUESTIONS {
            return Err(Error::Prompt {
                last: String::from_utf8_lossy(self.prompt.text()).into_owned(),
            });
        }
        self.asked_at = Some(count);
        Ok(Step::Ask)
    }

    /// What the device may be sent when it has been quiet: an empty line where its last line is a message of its log, behind
    /// which no prompt was written again. Never anything that could answer a question.
    pub(crate) fn nudge(&mut self) -> Step {
        let count = self.screen.count();
        let last = self.screen.line(count.saturating_sub(1));
        let asked = self.asked_at == Some(count);
        if self.echo.is_some()
            && !asked
            && self.screen.current().is_empty()
            && self.driver.is_log(last)
        {
            self.asked_at = Some(count);
            return Step::Ask;
        }
        Step::Wait
    }

    fn is_echo(&self, line: &[u8]) -> bool {
        // A prompt that was taken without its trailing space leaves that in front.
        line.trim_ascii_start() == self.command
            || self.prompt.after(line, self.configuring) == Some(self.command)
    }

    fn pager(&mut self) -> bool {
        let current = self.screen.current();
        if current.is_empty() || !self.driver.is_pager(current) {
            self.paged_at = None;
            return false;
        }
        let place = self.screen.count();
        if self.paged_at == Some(place) {
            return false;
        }
        let whole = self.driver.is_whole_pager(current);
        self.paged = true;
        if whole {
            // Some pagers erase themselves and some do not: what was theirs alone goes now.
            self.screen.clear_current();
            self.paged_at = None;
        } else {
            self.paged_at = Some(place);
        }
        true
    }

    /// The number of the line with the first of the two prompts that end the answer.
    fn end(&self, echo: usize) -> Option<usize> {
        self.asked_at?;
        let line = |number: &usize| self.screen.line(*number);
        let before = (echo + 1..self.screen.count())
            .rev()
            .find(|number| !line(number).is_empty() && !self.driver.is_ignored(line(number)))?;
        (line(&before) == self.screen.current()).then_some(before)
    }

    /// The answer, once it is whole.
    pub(crate) fn reply(self) -> Reply {
        let found = self.echo.and_then(|echo| Some((echo, self.end(echo)?)));
        let lines = found.map_or(0..0, |(echo, end)| {
            // Some show the line a second time when it was sent.
            let again = |number: &usize| {
                self.prompt
                    .after(self.screen.line(*number), self.configuring)
                    == Some(self.command)
            };
            let again = (echo + 1..end).take_while(again).count();
            echo + 1 + again..end
        });
        Reply {
            prompt: self.prompt.text().to_vec(),
            paged: self.paged,
            ended: found.is_some(),
            bytes: self.screen.bytes(),
            text: self.screen.into_text(lines),
        }
    }

    #[cfg(test)]
    fn finish(self) -> (Vec<String>, bool) {
        let driver = self.driver;
        let reply = self.reply();
        let (lines, spoilt) = reply.read(driver);
        (owned(lines), spoilt)
    }
}

/// An answer as it came: the messages of the log are still among its lines. It takes no more memory than its text, since many of them
/// may wait to be read.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its lines, each with its line end.
    text: Box<[u8]>,
    prompt: Vec<u8>,
    paged: bool,
    ended: bool,
    bytes: usize,
}

impl Reply {
    /// Its lines, each with its line end.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Bytes that came from the device for it.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The lines of the answer, and whether text of a pager was left in them.
    pub(crate) fn read(&self, driver: &Driver) -> (Vec<Cow<'_, str>>, bool) {
        if !self.ended {
            return (Vec::new(), true);
        }
        let lines = || {
            let lines = self.text.split_inclusive(|byte| *byte == b'\n');
            lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line))
        };
        let spoilt = self.paged && lines().any(|line| driver.holds_pager(line));
        let own = lines().filter(|line| !driver.is_log(line));
        let mut kept: Vec<Cow<'_, str>> = own.map(String::from_utf8_lossy).collect();
        // A prompt that a message of the log was written over belongs to no answer.
        while kept
            .last()
            .map(|line| line.as_bytes())
            .is_some_and(|line| line.is_empty() || driver.is_ignored(line) || line == self.prompt)
        {
            kept.pop();
        }
        (kept, spoilt)
    }
}

/// Lines that no longer need the answer.
pub(crate) fn owned(lines: Vec<Cow<'_, str>>) -> Vec<String> {
    lines.into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests;
