//! Sending one batch until every record of it is stored or dead-lettered.

use std::sync::Arc;
use std::time::Duration;

use spool::Record;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::Client;
use crate::compose::{Composer, Group, Letters, Prepared};
use crate::dead::{DeadLetter, DeadLetters};
use crate::pace::Pace;
use crate::{ClientError, Destination, Line, Push, Verdict};

/// Turns the queue's records into log lines.
pub trait Render: Send {
    /// The tenant that a record belongs to; none: the destination's.
    fn tenant<'a>(&self, record: &Record<'a>) -> Option<&'a str> {
        let _ = record;
        None
    }

    /// Is called before the records of a batch are rendered: the moment to look at what may have changed.
    fn begin(&mut self) {}

    /// Writes a record's labels, text and metadata into an empty line. The same record must give the same line: after a
    /// refusal it is rendered again.
    fn render(&mut self, record: Record<'_>, line: &mut Line);

    /// Is called when the records of a batch were rendered.
    fn end(&mut self) {}
}

/// What a destination is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// Requests are answered with success.
    Delivering,
    /// The last attempt failed and is tried again.
    Retrying(&'a str),
    /// Nothing moves until somebody acts.
    Holding(&'a str),
}

/// Is notified of what happens to records and requests.
pub trait Observer: Send + Sync {
    /// Records are stored.
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>);
    /// A record is in the dead-letter file.
    fn dead_lettered(&self, record: &Record<'_>, reason: &str);
    /// A request was answered (or not), with the status code or the kind of failure.
    fn answered(&self, code: &str, took: Duration, body_bytes: usize, lines: usize);
    /// The state may have changed.
    fn state(&self, state: State<'_>);
    /// Levels: streams in use, lines stamped anew so far, lines moved to a coarse stream so far.
    fn streams(&self, streams: usize, restamped: u64, coarsened: u64);
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every record is stored or dead-lettered.
    Done,
    /// It was stopped before that.
    Stopped,
}

/// When so many entries of a batch are refused one by one and none is stored, the set-up is at fault.
const ALL_REFUSED: usize = 32;

/// Sends what is ready, to one destination.
pub(crate) struct Deliverer {
    pub(crate) destination: Arc<Destination>,
    observer: Arc<dyn Observer>,
    dead: Arc<DeadLetters>,
    client: Client,
    pace: Pace,
}

/// What became of one part of a batch.
pub(crate) enum Part {
    Stored,
    Refused {
        reason: &'static str,
        detail: String,
    },
    Stopped,
}

impl Deliverer {
    pub(crate) fn new(
        destination: Arc<Destination>,
        observer: Arc<dyn Observer>,
        dead: Arc<DeadLetters>,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            client: Client::new(&destination)?,
            pace: Pace::new(destination.rate.clone()),
            destination,
            observer,
            dead,
        })
    }

    /// Sends the requests of a batch, each until it is stored or refused. `stop` completes when no more waiting is wanted.
    pub(crate) async fn send(&mut self, ready: &Prepared, stop: &Notify) -> Vec<Part> {
        let mut answers = Vec::with_capacity(ready.groups.len());
        for group in &ready.groups {
            let answer = self
                .part(group.tenant.as_deref(), &group.push, &group.body, stop)
                .await;
            let stopped = matches!(answer, Part::Stopped);
            answers.push(answer);
            if stopped {
                break;
            }
        }
        answers
    }

    /// Goes on from the answers to a batch's requests until every record is stored or dead-lettered.
    pub(crate) async fn settle<R: Render>(
        &mut self,
        records: &[Record<'_>],
        ready: &mut Prepared,
        answers: Vec<Part>,
        composer: &mut Composer<R>,
        stop: &Notify,
    ) -> Outcome {
        let mut letters = std::mem::take(&mut ready.letters);
        for (group, answer) in ready.groups.iter().zip(answers) {
            let outcome = match answer {
                Part::Stored => Outcome::Done,
                Part::Stopped => Outcome::Stopped,
                refused @ Part::Refused { .. } => {
                    let whole = (ready as &Prepared, group, refused);
                    self.split(records, whole, composer, &mut letters, stop)
                        .await
                }
            };
            if outcome == Outcome::Stopped {
                return Outcome::Stopped;
            }
        }
        let outcome = self.park(records, &letters, stop).await;
        if outcome == Outcome::Done {
            let mut dead_lettered = letters.iter().map(|l| l.0).collect::<Vec<_>>();
            dead_lettered.sort_unstable();
            let stored = records.iter().enumerate();
            let stored = stored.filter(|(at, _)| dead_lettered.binary_search(at).is_err());
            self.observer.stored(&mut stored.map(|(_, record)| record));
            for (at, letter) in &letters {
                self.observer.dead_lettered(&records[*at], &letter.reason);
            }
        }
        let (streams, restamped, coarsened) = ready.streams;
        self.observer.streams(streams, restamped, coarsened);
        outcome
    }

    /// Delivers the records of one tenant whose request was refused, in parts.
    async fn split<R: Render>(
        &mut self,
        records: &[Record<'_>],
        (ready, group, refusal): (&Prepared, &Group, Part),
        composer: &mut Composer<R>,
        letters: &mut Letters,
        stop: &Notify,
    ) -> Outcome {
        let mut rebuilt = Push::new(self.destination.format);
        let mut known = Some(refusal);
        'again: loop {
            let mut open = vec![&*group.indices];
            let mut refused = Letters::new();
            let mut stored = 0;
            while let Some(part) = open.pop() {
                let tenant = group.tenant.as_deref();
                let answer = if let Some(answer) = known.take() {
                    answer
                } else if part.len() == group.indices.len() {
                    self.part(tenant, &group.push, &group.body, stop).await
                } else {
                    composer.rebuild(records, ready, group, part, &mut rebuilt);
                    let body = rebuilt.body();
                    self.part(tenant, &rebuilt, &body, stop).await
                };
                match answer {
                    Part::Stored => stored += part.len(),
                    Part::Stopped => return Outcome::Stopped,
                    Part::Refused { reason, detail } if part.len() == 1 => {
                        let letter = composer.letter(&records[part[0]], reason, &detail);
                        refused.push((part[0], letter));
                        if refused.len() >= ALL_REFUSED && stored == 0 {
                            if self.hold("everything_refused", &detail, stop).await
                                == Outcome::Stopped
                            {
                                return Outcome::Stopped;
                            }
                            continue 'again;
                        }
                    }
                    Part::Refused { .. } => {
                        let (first, second) = part.split_at(part.len() / 2);
                        open.push(second);
                        open.push(first);
                    }
                }
            }
            letters.append(&mut refused);
            return Outcome::Done;
        }
    }

    /// Sends one request until it is stored or refused.
    async fn part(
        &mut self,
        tenant: Option<&str>,
        push: &Push,
        body: &std::io::Result<Vec<u8>>,
        stop: &Notify,
    ) -> Part {
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                return Part::Refused {
                    reason: "too_large",
                    detail: error.to_string(),
                };
            }
        };
        let tenant = tenant
            .or(self.destination.tenant.as_deref())
            .map(str::to_owned);
        let mut pause = self.destination.retry.first;
        loop {
            if wait(self.pace.take(push.content()), stop).await == Outcome::Stopped {
                return Part::Stopped;
            }
            let begin = Instant::now();
            let answer = self.client.send(body.clone(), tenant.as_deref()).await;
            self.observer
                .answered(&answer.code, begin.elapsed(), body.len(), push.lines());
            let outcome = match answer.verdict {
                Verdict::Stored => {
                    self.observer.state(State::Delivering);
                    return Part::Stored;
                }
                Verdict::Refused => {
                    return Part::Refused {
                        reason: reason(&answer.detail),
                        detail: answer.detail,
                    };
                }
                Verdict::TooLarge => {
                    return Part::Refused {
                        reason: "too_large",
                        detail: answer.detail,
                    };
                }
                Verdict::Hold(reason) => self.hold(reason, &answer.detail, stop).await,
                Verdict::Retry(after) => {
                    tracing::warn!(
                        destination = self.destination.name,
                        code = answer.code,
                        detail = answer.detail,
                        "push failed, it is tried again"
                    );
                    self.observer.state(State::Retrying(&answer.code));
                    let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
                    pause = (pause * 2).min(self.destination.retry.longest);
                    wait(after.map_or(jittered, |after| after + jittered / 4), stop).await
                }
            };
            if outcome == Outcome::Stopped {
                return Part::Stopped;
            }
        }
    }

    async fn hold(&mut self, reason: &'static str, detail: &str, stop: &Notify) -> Outcome {
        tracing::error!(
            destination = self.destination.name,
            reason,
            detail,
            "push is held until this is mended, nothing is dropped"
        );
        self.observer.state(State::Holding(reason));
        wait(self.destination.retry.hold, stop).await
    }

    /// Writes letters to the dead-letter file; while that is impossible the queue is held.
    async fn park(
        &mut self,
        records: &[Record<'_>],
        letters: &[(usize, DeadLetter)],
        stop: &Notify,
    ) -> Outcome {
        if letters.is_empty() {
            return Outcome::Done;
        }
        let plain: Vec<DeadLetter> = letters.iter().map(|l| l.1.clone()).collect();
        loop {
            match self.dead.append(&plain) {
                Ok(()) => break,
                Err(error) => {
                    if self
                        .hold("dead_letter_file", &error.to_string(), stop)
                        .await
                        == Outcome::Stopped
                    {
                        return Outcome::Stopped;
                    }
                }
            }
        }
        tracing::warn!(
            destination = self.destination.name,
            entries = letters.len(),
            of = records.len(),
            file = %self.dead.path().display(),
            "entries were refused and stand in the dead-letter file"
        );
        Outcome::Done
    }
}

async fn wait(pause: Duration, stop: &Notify) -> Outcome {
    if pause.is_zero() {
        return Outcome::Done;
    }
    tokio::select! {
        () = tokio::time::sleep(pause) => Outcome::Done,
        () = stop.notified() => {
            // Whoever asks next shall stop as well.
            stop.notify_one();
            Outcome::Stopped
        }
    }
}

/// One word for what Loki says, from a closed list: it becomes a label of a metric.
fn reason(detail: &str) -> &'static str {
    const KNOWN: [(&str, &str); 10] = [
        ("Max entry size", "line_too_long"),
        ("max line size", "line_too_long"),
        ("too far behind", "too_far_behind"),
        ("timestamp too old", "too_old"),
        ("timestamp too new", "too_new"),
        ("out of order", "out_of_order"),
        ("error parsing labels", "invalid_labels"),
        ("label", "invalid_labels"),
        ("structured metadata", "metadata"),
        ("stream", "stream"),
    ];
    KNOWN
        .iter()
        .find(|(text, _)| detail.contains(text))
        .map_or("refused", |(_, word)| *word)
}
