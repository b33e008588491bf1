//! What is read of a device: its configurations, what it says of itself, further answers.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::{SETTLE, Session};
use crate::{About, Collected, Error, Facts, Incomplete, Output, Transport};

impl Session {
    /// The configuration, normalised: the answers of the driver's commands one behind the other, each under a comment with its
    /// command where there are several.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn collect(&mut self) -> Result<Collected, Error> {
        self.collect_unless(|_| false).await
    }

    /// As [`Session::collect`], where `known` says that a text is the one that is held already: a device whose driver wants two
    /// readings that are the same is then read once.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn collect_unless(
        &mut self,
        known: impl Fn(&str) -> bool,
    ) -> Result<Collected, Error> {
        let span = tracing::info_span!("ssh configuration is read");
        let twice = async {
            let mut first = self.collected().await?;
            if first.complete.is_ok() && self.driver.complete().twice && !known(&first.text) {
                let second = self.collected().await?;
                first.bytes += second.bytes;
                first.complete = match second.complete {
                    Ok(()) if first.text != second.text => Err(Incomplete::Evidence),
                    other => other,
                };
            }
            Ok(first)
        };
        twice.instrument(span).await
    }

    /// The configuration that the device starts with, normalised; `None` where the driver knows none, or the device does not show it whole.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn startup(&mut self) -> Result<Option<String>, Error> {
        let driver = Arc::clone(&self.driver);
        let Some(command) = &driver.startup else {
            return Ok(None);
        };
        let answer = self.exchange(command, false, SETTLE).await?;
        let whole = answer.refused.is_none() && answer.whole;
        Ok((whole && driver.complete().holds(&answer.lines))
            .then(|| driver.normalise(&answer.lines)))
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

    async fn collected(&mut self) -> Result<Collected, Error> {
        let driver = Arc::clone(&self.driver);
        let mut lines = Vec::new();
        let mut bytes = 0;
        let mut complete = Ok(());
        for command in &driver.collect {
            let answer = self.exchange(command, false, SETTLE).await?;
            bytes += answer.bytes;
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
            if driver.collect.len() > 1 {
                lines.push(format!("{} {command}", driver.comment));
            }
            lines.extend(answer.lines);
        }
        if complete.is_ok() && !driver.complete().holds(&lines) {
            complete = Err(Incomplete::Evidence);
        }
        Ok(Collected {
            text: driver.normalise(&lines),
            complete,
            bytes,
            author: driver.author(&lines),
        })
    }
}
