//! Lines that change a device: modes, commits, and timers that take a change back.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::{Session, check};
use crate::driver::Question;
use crate::{Answer, Error, Timer, Transport, timer};

/// Lines around those of a change.
struct Way {
    enter: Vec<String>,
    commit: Vec<String>,
    leave: Vec<String>,
    abort: Vec<String>,
}

impl Session {
    /// Enters configuration mode, types `lines`, commits where the platform does so, and leaves it again.
    ///
    /// The answers are those to `lines`. When the device does not take one of them, the rest is not typed, what can be undone
    /// is (`abort` of the driver), and the last answer carries the refusal.
    ///
    /// # Errors
    /// As [`Session::run`], and [`Error::Unsupported`] when the driver knows no configuration mode.
    pub async fn configure<L: AsRef<str>>(&mut self, lines: &[L]) -> Result<Vec<Answer>, Error> {
        // Lines may hold secrets: how many there are is all that a trace is told.
        let span = tracing::info_span!("ssh lines are typed", "ssh.lines" = lines.len());
        self.configured(lines).instrument(span).await
    }

    async fn configured<L: AsRef<str>>(&mut self, lines: &[L]) -> Result<Vec<Answer>, Error> {
        let driver = Arc::clone(&self.driver);
        let Some(configure) = &driver.configure else {
            return Err(Error::Unsupported {
                platform: driver.platform().to_owned(),
                what: "configuration mode",
            });
        };
        let way = Way {
            enter: configure.enter.clone(),
            commit: configure.commit.clone(),
            leave: configure.leave.clone(),
            abort: configure.abort.clone(),
        };
        for line in lines {
            check(line.as_ref())?;
        }
        if let Some(refused) = self.enter(&way).await? {
            return Ok(vec![refused]);
        }
        self.typed(&way, lines, None).await
    }

    /// As [`Session::configure`], but the device takes the lines back when `timer` is over, unless [`Session::confirm`] comes first.
    /// `None`: this device takes no timer, and nothing was typed.
    ///
    /// After an error nobody knows whether the change was made; when it was, its timer runs.
    ///
    /// # Errors
    /// As [`Session::run`], and [`Error::Unsupported`] when the driver knows no timer.
    pub async fn configure_until<L: AsRef<str>>(
        &mut self,
        lines: &[L],
        timer: &Timer,
    ) -> Result<Option<Vec<Answer>>, Error> {
        let span = tracing::info_span!(
            "ssh lines are typed with a timer",
            "ssh.lines" = lines.len(),
            "ssh.minutes" = timer.minutes()
        );
        self.configured_until(lines, timer).instrument(span).await
    }

    async fn configured_until<L: AsRef<str>>(
        &mut self,
        lines: &[L],
        timer: &Timer,
    ) -> Result<Option<Vec<Answer>>, Error> {
        let driver = Arc::clone(&self.driver);
        let timed = driver
            .timed()
            .ok_or_else(|| timer::unknown(driver.platform()))?;
        let filled = |lines: &[String]| lines.iter().map(|line| timer.fill(line)).collect();
        let way = Way {
            enter: filled(&timed.enter),
            commit: filled(&timed.arm),
            leave: filled(&timed.leave),
            abort: filled(&timed.abort),
        };
        for line in lines {
            check(line.as_ref())?;
        }
        let refused = self.enter(&way).await?;
        // Words alone do not tell: each version says in its own that it has no archive. Who is not in the mode has typed nothing.
        if refused.is_some() || (driver.transport() == Transport::Shell && !self.configuring) {
            return Ok(None);
        }
        Ok(Some(self.typed(&way, lines, timed.ask.as_ref()).await?))
    }

    /// Keeps a change that was made with a timer; it may be said in another session than the change.
    ///
    /// The answer is the one that refuses it, or the last one.
    ///
    /// # Errors
    /// As [`Session::configure_until`].
    pub async fn confirm(&mut self, timer: &Timer) -> Result<Answer, Error> {
        let driver = Arc::clone(&self.driver);
        let timed = driver
            .timed()
            .ok_or_else(|| timer::unknown(driver.platform()))?;
        self.all(&timed.confirm, timer).await
    }

    /// Takes a change that was made with a timer back at once. `None`: the device knows no such command, and its timer has to do it.
    ///
    /// # Errors
    /// As [`Session::configure_until`].
    pub async fn revert(&mut self, timer: &Timer) -> Result<Option<Answer>, Error> {
        let driver = Arc::clone(&self.driver);
        let timed = driver
            .timed()
            .ok_or_else(|| timer::unknown(driver.platform()))?;
        if timed.revert.is_empty() {
            return Ok(None);
        }
        self.all(&timed.revert, timer).await.map(Some)
    }

    /// Types each of them, in whatever mode it is; where one is refused, configuration mode is left without the rest.
    async fn all(&mut self, lines: &[String], timer: &Timer) -> Result<Answer, Error> {
        let driver = Arc::clone(&self.driver);
        let mut last = None;
        for line in lines {
            let answer = self
                .exchange(&timer.fill(line), true, Duration::ZERO)
                .await?;
            let refused = answer.refused.is_some();
            last = Some(answer);
            if refused {
                if let Some(configure) = driver.configure.as_ref().filter(|_| self.configuring) {
                    for line in &configure.abort {
                        self.exchange(line, true, Duration::ZERO).await?;
                    }
                }
                break;
            }
        }
        last.ok_or_else(|| timer::unknown(driver.platform()))
    }

    /// Enters configuration mode; the answer is the refusal.
    async fn enter(&mut self, way: &Way) -> Result<Option<Answer>, Error> {
        for line in &way.enter {
            let answer = self.exchange(line, true, Duration::ZERO).await?;
            if answer.refused.is_some() {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Types lines in configuration mode, commits and leaves it.
    async fn typed<L: AsRef<str>>(
        &mut self,
        way: &Way,
        lines: &[L],
        question: Option<&Question>,
    ) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::new();
        let typed = lines.iter().map(AsRef::as_ref);
        let mut refused = false;
        for line in typed.chain(way.commit.iter().map(String::as_str)) {
            let ask = question.filter(|_| answers.len() == lines.len());
            let said = self.said(line, true, Duration::ZERO, ask).await?;
            let answer = said.answer(&self.driver);
            refused = answer.refused.is_some();
            if refused || answers.len() < lines.len() {
                answers.push(answer);
            }
            if refused {
                break;
            }
        }
        for line in if refused { &way.abort } else { &way.leave } {
            self.exchange(line, true, Duration::ZERO).await?;
        }
        Ok(answers)
    }
}
