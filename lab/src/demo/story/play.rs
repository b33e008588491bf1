//! One step while it is played: its clock, what it waits for, and what it has seen.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::{HOOK, PREPARATION, Stage};
use crate::demo::timeline::Evidence;

/// Time between two looks; a time in the timeline is late by this much at most, and by the look itself.
const LOOK: Duration = Duration::from_millis(50);
/// What is kept of a text in an answer, bytes.
const TEXT: usize = 8 << 10;

/// A step while it is played.
pub(in crate::demo) struct Play<'a> {
    /// The network and what watches it.
    pub(in crate::demo) stage: &'a Stage<'a>,
    bound: Duration,
    /// What a wait may take beyond the bound, where more than one try is made.
    patience: Duration,
    began: Instant,
    trigger: Option<Instant>,
    done: Option<Instant>,
    /// Begin and end of each try.
    tries: Vec<(Instant, Instant)>,
    /// With the time of each, since the trigger may come later.
    seen: Vec<(Instant, Evidence)>,
}

impl<'a> Play<'a> {
    pub(super) fn new(stage: &'a Stage<'a>, bound: Duration) -> Self {
        Self {
            stage,
            bound,
            patience: Duration::ZERO,
            began: Instant::now(),
            trigger: None,
            done: None,
            tries: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// The clock of the step begins: `what` is done next.
    pub(in crate::demo) fn trigger(&mut self, what: &str) {
        let now = Instant::now();
        self.trigger = Some(now);
        self.done = None;
        self.add(now, what, None, None);
    }

    /// When the last thing that was seen was seen.
    pub(in crate::demo) fn seen_last(&self) -> Instant {
        self.seen.last().map_or(self.began, |(at, _)| *at)
    }

    /// The clock of this try ran from a time of the world's clock, that of the event itself as somebody else wrote it down, to `done`.
    pub(in crate::demo) fn began_at(&mut self, at: SystemTime, done: Instant) {
        let ago = SystemTime::now().duration_since(at).unwrap_or_default();
        self.trigger = Instant::now().checked_sub(ago).or(self.trigger);
        self.done = Some(done);
    }

    /// A wait may take longer than the bound by this much, as there may be another try.
    pub(in crate::demo) fn patience(&mut self, time: Duration) {
        self.patience = time;
    }

    /// The step may take this long in the place of its own bound; `why` goes into the timeline.
    pub(in crate::demo) fn allow(&mut self, bound: Duration, why: &str) {
        self.bound = bound;
        self.saw(why);
    }

    /// A try is over; the best of them is what the step took. Answers whether that is within the bound.
    pub(in crate::demo) fn tried(&mut self) -> bool {
        let done = self.done.unwrap_or_else(Instant::now);
        self.tries
            .extend(self.trigger.map(|trigger| (trigger, done)));
        let best = self.tries.iter().min_by_key(|(from, to)| *to - *from);
        let Some(&(trigger, done)) = best else {
            return false;
        };
        (self.trigger, self.done) = (Some(trigger), Some(done));
        done - trigger <= self.bound
    }

    /// The clock stands still: all that had to be seen was seen. Without it the end of the step is the end of its play.
    pub(in crate::demo) fn done(&mut self) {
        self.done.get_or_insert_with(Instant::now);
    }

    /// Something happened or was seen now.
    pub(in crate::demo) fn saw(&mut self, what: &str) {
        self.add(Instant::now(), what, None, None);
    }

    /// The same, with what was asked and the raw answer.
    pub(in crate::demo) fn evidence(&mut self, what: &str, asked: &str, answer: impl Into<Value>) {
        self.add(Instant::now(), what, Some(asked), Some(answer.into()));
    }

    /// Looks until `look` finds something; the time of that look goes into the timeline.
    ///
    /// # Errors
    /// The bound of the step is over; the error says what was waited for and what the last look met.
    pub(in crate::demo) async fn until<T>(
        &mut self,
        what: &str,
        look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let (found, at) = until(what, self.deadline(), look).await?;
        self.add(at, what, None, None);
        Ok(found)
    }

    /// Asks until the answer is as `fits` says; question and answer go into the timeline, also the last answer when the time is over.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(in crate::demo) async fn until_answer(
        &mut self,
        what: &str,
        asked: &str,
        mut ask: impl AsyncFnMut() -> anyhow::Result<Value>,
        fits: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut last = None;
        let found = until(what, self.deadline(), async || {
            let answer = ask().await?;
            if fits(&answer) {
                return Ok(Some(answer));
            }
            last = Some(answer);
            Ok(None)
        });
        match found.await {
            Ok((answer, at)) => {
                self.add(at, what, Some(asked), Some(answer.clone()));
                Ok(answer)
            }
            Err(error) => {
                let missed = format!("not in time: {what}");
                self.add(Instant::now(), &missed, Some(asked), last);
                Err(error)
            }
        }
    }

    /// Waits until an instant query has a result that is not empty, and returns it.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(in crate::demo) async fn until_query(
        &mut self,
        what: &str,
        expr: &str,
    ) -> anyhow::Result<Value> {
        let stage = self.stage;
        let some = |result: &Value| result.as_array().is_some_and(|result| !result.is_empty());
        self.until_answer(what, expr, async || stage.query(expr).await, some)
            .await
    }

    /// Waits until an instant query has an empty result.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(in crate::demo) async fn until_no_result(
        &mut self,
        what: &str,
        expr: &str,
    ) -> anyhow::Result<()> {
        let stage = self.stage;
        let none = |result: &Value| result.as_array().is_some_and(Vec::is_empty);
        self.until_answer(what, expr, async || stage.query(expr).await, none)
            .await?;
        Ok(())
    }

    /// Waits until the JSON at `url` is as `fits` says, and returns it.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(in crate::demo) async fn until_json(
        &mut self,
        what: &str,
        url: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let stage = self.stage;
        self.until_answer(what, url, async || stage.json(url).await, fits)
            .await
    }

    /// Waits until a request of the app, made by somebody at Grafana or its double, is answered as `fits` says; `path` is as the routes
    /// of the app have it.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(in crate::demo) async fn until_app(
        &mut self,
        what: &str,
        role: &str,
        path: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let stage = self.stage;
        let url = stage.app(path);
        let (login, password) = stage.login(role)?;
        let ask = async || {
            let request = stage.client().get(&url).basic_auth(&login, Some(&password));
            let answer = request.send().await?.error_for_status()?;
            anyhow::Ok(answer.json::<Value>().await?)
        };
        let asked = format!("{login}: {url}");
        self.until_answer(what, &asked, ask, fits).await
    }

    /// Waits until a line in Loki (or its double) is as `fits` says, and returns it with its stream.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(in crate::demo) async fn until_loki(
        &mut self,
        what: &str,
        selector: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let stage = self.stage;
        let ask = async || {
            let lines = stage.lines(selector).await?;
            Ok(lines.into_iter().rfind(&fits).unwrap_or_default())
        };
        let asked = format!("Loki: {selector}");
        self.until_answer(what, &asked, ask, |line| !line.is_null())
            .await
    }

    /// Waits until a command in a node (or, without one, beside the services) says what `fits` wants, and returns it.
    ///
    /// # Errors
    /// The bound of the step is over.
    pub(in crate::demo) async fn until_says(
        &mut self,
        what: &str,
        node: Option<&str>,
        argv: &[&str],
        fits: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let stage = self.stage;
        let asked = format!("{}: {}", node.unwrap_or("box"), argv.join(" "));
        let ask = async || Ok(Value::from(stage.run(node, argv).await?));
        let fits = |answer: &Value| answer.as_str().is_some_and(&fits);
        let answer = self.until_answer(what, &asked, ask, fits).await?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// Runs a command of the user's, for which the clock of the step stands still.
    ///
    /// # Errors
    /// It failed.
    pub(in crate::demo) async fn aside(&mut self, command: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        self.stage.hook(command, HOOK).await?;
        let took = began.elapsed();
        self.trigger = self.trigger.map(|trigger| trigger + took);
        for (at, _) in &mut self.seen {
            *at += took;
        }
        Ok(())
    }

    /// Seconds from the trigger to the end, those that it may take, and everything that was seen.
    pub(super) fn end(mut self) -> (Option<f64>, Duration, Vec<Evidence>) {
        self.done();
        let seconds = self.trigger.zip(self.done);
        let seconds = seconds.map(|(trigger, done)| round(since(trigger, done)));
        let zero = self.trigger.unwrap_or(self.began);
        for (at, evidence) in &mut self.seen {
            evidence.seconds = round(since(zero, *at));
        }
        let bound = self.bound;
        let seen = self.seen.into_iter().map(|(_, evidence)| evidence);
        (seconds, bound, seen.collect())
    }

    fn deadline(&self) -> Instant {
        match self.trigger {
            Some(trigger) => trigger + self.bound + self.patience,
            None => self.began + PREPARATION,
        }
    }

    fn add(&mut self, at: Instant, what: &str, asked: Option<&str>, answer: Option<Value>) {
        let seconds = self.trigger.map(|trigger| since(trigger, at));
        match seconds {
            Some(seconds) => println!("  {seconds:8.2} s   {what}"),
            None => println!("  before       {what}"),
        }
        let evidence = Evidence {
            seconds: 0.0,
            what: what.to_owned(),
            asked: asked.map(str::to_owned),
            answer: answer.map(shortened),
        };
        self.seen.push((at, evidence));
    }
}

/// Seconds from `start` to `end`, below zero when it is the other way round.
fn since(start: Instant, end: Instant) -> f64 {
    let after = end.saturating_duration_since(start).as_secs_f64();
    after - start.saturating_duration_since(end).as_secs_f64()
}

fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// The same with every long text cut.
fn shortened(value: Value) -> Value {
    match value {
        Value::String(mut text) if text.len() > TEXT => {
            text.truncate(text.floor_char_boundary(TEXT));
            text.push_str(" …");
            Value::String(text)
        }
        Value::Array(all) => all.into_iter().map(shortened).collect(),
        Value::Object(all) => {
            let all = all.into_iter().map(|(key, value)| (key, shortened(value)));
            Value::Object(all.collect())
        }
        other => other,
    }
}

/// Looks until `look` finds something, and returns it with the time of the look.
///
/// # Errors
/// The deadline is over; the error says what was waited for and what the last look met.
pub(in crate::demo) async fn until<T>(
    what: &str,
    deadline: Instant,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<(T, Instant)> {
    let began = Instant::now();
    let mut last = None;
    let search = async {
        loop {
            let at = Instant::now();
            match look().await {
                Ok(Some(found)) => return (found, at),
                Ok(None) => last = None,
                Err(error) => last = Some(error),
            }
            sleep(LOOK).await;
        }
    };
    match timeout_at(deadline, search).await {
        Ok(found) => Ok(found),
        Err(_) => {
            let waited = began.elapsed().as_secs_f64();
            let failed = format!("{what}: not seen, after a wait of {waited:.1} s");
            match last {
                Some(error) => Err(error).context(failed),
                None => Err(anyhow::anyhow!(failed)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_and_says_what_it_met_last() {
        let limit = || Instant::now() + Duration::from_secs(5);
        let mut looks = 0;
        let found = until("three", limit(), async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.await.unwrap().0, 3);
        let never = until(
            "the alert",
            limit(),
            async || -> anyhow::Result<Option<()>> { anyhow::bail!("refused") },
        );
        assert_eq!(
            format!("{:#}", never.await.unwrap_err()),
            "the alert: not seen, after a wait of 5.0 s: refused"
        );
    }

    #[test]
    fn long_texts_are_cut_at_a_character_wherever_they_stand() {
        let long = "ä".repeat(TEXT);
        let value = serde_json::json!({"a": [long, 1]});
        let cut = shortened(value);
        let text = cut["a"][0].as_str().unwrap();
        assert!(
            text.len() <= TEXT + 5 && text.ends_with("ä …"),
            "{}",
            text.len()
        );
        assert_eq!(cut["a"][1], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn times_count_from_the_trigger_and_are_below_zero_before_it() {
        let start = Instant::now();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert!((since(start, Instant::now()) - 1.5).abs() < 1e-9);
        assert!((since(Instant::now(), start) + 1.5).abs() < 1e-9);
    }
}
