//! What is read of a device: its configurations, what it says of itself, further answers.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::{SETTLE, Session};
use crate::{About, Collected, Error, Facts, Incomplete, Output, Seen};

impl Session {
    /// The configuration: the answers of the driver's commands one behind the other, each under a comment with its command where
    /// there are several.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn collect(&mut self) -> Result<Collected, Error> {
        self.collect_unless(None).await
    }

    /// As [`Session::collect`], where `seen` was whole: what is the same is neither looked through again nor, by a device whose
    /// driver wants two readings that are the same, read a second time.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn collect_unless(&mut self, seen: Option<&Seen>) -> Result<Collected, Error> {
        let span = tracing::info_span!("ssh configuration is read");
        let twice = async {
            let mut first = self.collected(seen).await?;
            let known = seen.is_some_and(|seen| first.is(seen));
            if first.complete.is_ok() && self.driver.complete().twice && !known {
                let second = self.collected(None).await?;
                first.bytes += second.bytes;
                first.complete = match second.complete {
                    Ok(()) if first.text() != second.text() => Err(Incomplete::Evidence),
                    other => other,
                };
            }
            Ok(first)
        };
        twice.instrument(span).await
    }

    /// The configuration that the device starts with; `None` where the driver knows none, or the device does not show it whole. `seen`
    /// as in [`Session::collect_unless`].
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn startup(&mut self, seen: Option<&Seen>) -> Result<Option<Collected>, Error> {
        let driver = Arc::clone(&self.driver);
        let Some(command) = &driver.startup else {
            return Ok(None);
        };
        let said = self.said(command, false, SETTLE, None).await?;
        let collected = Collected::new(&driver, vec![said], seen);
        Ok(Some(collected).filter(|collected| collected.complete.is_ok()))
    }

    /// What the device says of itself, by the commands that its driver names.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn facts(&mut self) -> Result<Facts, Error> {
        self.about(&[]).await.map(|about| about.facts)
    }

    /// What the device says of itself, and what it answers to the commands of `outputs`, each asked once: name and normalised
    /// text. A command that it does not take is left out, as is an answer that is not whole.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn about(&mut self, outputs: &[&Output]) -> Result<About, Error> {
        let driver = Arc::clone(&self.driver);
        let mut about = About::default();
        let facts = driver.facts.iter().map(|fact| fact.command.as_str());
        let commands = outputs.iter().map(|output| output.command());
        let mut asked: Vec<&str> = Vec::new();
        for command in facts.chain(commands) {
            if asked.contains(&command) {
                continue;
            }
            asked.push(command);
            let answer = self.exchange(command, false, Duration::ZERO).await?;
            if answer.refused.is_some()
                || !answer.whole
                || answer.status.is_some_and(|status| status != 0)
            {
                continue;
            }
            for fact in driver.facts.iter().filter(|fact| fact.command == command) {
                about.facts.read(fact, &answer.lines);
            }
            for output in outputs.iter().filter(|output| output.command() == command) {
                let text = output.normalise(&answer.lines);
                about.outputs.push((output.name().to_owned(), text));
            }
        }
        Ok(about)
    }

    async fn collected(&mut self, seen: Option<&Seen>) -> Result<Collected, Error> {
        let driver = Arc::clone(&self.driver);
        let mut said = Vec::new();
        for command in &driver.collect {
            said.push(self.said(command, false, SETTLE, None).await?);
        }
        Ok(Collected::new(&driver, said, seen))
    }
}
