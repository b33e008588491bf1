//! Sending one batch until every record of it is stored or parked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spool::Record;
use tokio::time::Instant;

use crate::client::Client;
use crate::dead::{DeadLetter, DeadLetters};
use crate::pace::Pace;
use crate::plan::{Placed, Streams};
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

    /// Writes a record's labels, text and metadata into an empty line. The same record must give the same line.
    fn render(&mut self, record: Record<'_>, line: &mut Line);
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

/// Is told what happens to records and requests.
pub trait Observer: Send + Sync {
    /// Records are stored.
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>);
    /// A record is in the dead-letter file.
    fn parked(&self, record: &Record<'_>, reason: &str);
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
    /// Every record is stored or parked.
    Done,
    /// It was told to stop before that.
    Stopped,
}

/// When so many entries of a batch are refused one by one and none is stored, the set-up is at fault.
const ALL_REFUSED: usize = 32;

pub(crate) struct Deliverer<R> {
    pub(crate) destination: Destination,
    pub(crate) render: R,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) dead: Arc<DeadLetters>,
    client: Client,
    pace: Pace,
    streams: Streams,
    push: Push,
    /// The rendered lines of the batch, in reused memory.
    lines: Vec<Line>,
    placed: Vec<Result<Placed, &'static str>>,
}

/// What became of one part of a batch.
enum Part {
    Stored,
    Refused {
        reason: &'static str,
        detail: String,
    },
    Stopped,
}

impl<R: Render> Deliverer<R> {
    pub(crate) fn new(
        destination: Destination,
        render: R,
        observer: Arc<dyn Observer>,
        dead: Arc<DeadLetters>,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            client: Client::new(&destination)?,
            pace: Pace::new(destination.rate.clone()),
            push: Push::new(destination.format),
            destination,
            render,
            observer,
            dead,
            streams: Streams::default(),
            lines: Vec::new(),
            placed: Vec::new(),
        })
    }

    /// Delivers all records. `stop` completes when no more waiting is wanted.
    pub(crate) async fn deliver(
        &mut self,
        records: &[Record<'_>],
        stop: &tokio::sync::Notify,
    ) -> Outcome {
        self.place(records);
        let mut tenants: Vec<(Option<&str>, Vec<usize>)> = Vec::new();
        let mut known: HashMap<Option<&str>, usize> = HashMap::new();
        let mut letters: Vec<(usize, DeadLetter)> = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match self.placed.get(at) {
                Some(Ok(_)) => {
                    let tenant = self.render.tenant(record);
                    let group = *known.entry(tenant).or_insert_with(|| {
                        tenants.push((tenant, Vec::new()));
                        tenants.len() - 1
                    });
                    tenants[group].1.push(at);
                }
                Some(Err(reason)) => {
                    letters.push((
                        at,
                        self.letter(records, at, reason, "held back before sending"),
                    ));
                }
                None => {}
            }
        }
        for (tenant, indices) in tenants {
            if self
                .group(records, tenant, &indices, &mut letters, stop)
                .await
                == Outcome::Stopped
            {
                return Outcome::Stopped;
            }
        }
        let outcome = self.park(records, &letters, stop).await;
        if outcome == Outcome::Done {
            let mut parked = letters.iter().map(|l| l.0).collect::<Vec<_>>();
            parked.sort_unstable();
            let stored = records.iter().enumerate();
            let stored = stored.filter(|(at, _)| parked.binary_search(at).is_err());
            self.observer.stored(&mut stored.map(|(_, record)| record));
            for (at, letter) in &letters {
                self.observer.parked(&records[*at], &letter.reason);
            }
        }
        self.observer.streams(
            self.streams.len(),
            self.streams.restamped,
            self.streams.coarsened,
        );
        outcome
    }

    fn place(&mut self, records: &[Record<'_>]) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.placed.clear();
        self.lines
            .resize_with(records.len().max(self.lines.len()), Line::default);
        self.render.begin();
        let limits = &self.destination.limits;
        for (record, line) in records.iter().zip(&mut self.lines) {
            line.clear();
            self.render.render(*record, line);
            let placed = self
                .streams
                .place(line, record.stamp, now, limits)
                .map_err(|refusal| match refusal {
                    crate::Refusal::LineTooLong => "line_too_long",
                    crate::Refusal::Labels => "invalid_labels",
                });
            if let Ok(placed) = placed
                && placed.stamp != record.stamp
            {
                line.metadata("received_time_ns", &record.stamp.to_string());
            }
            self.placed.push(placed);
        }
    }

    fn letter(&self, records: &[Record<'_>], at: usize, reason: &str, detail: &str) -> DeadLetter {
        let mut letter = DeadLetter::new(records[at], &self.destination.name, reason, detail);
        if let Some(line) = self.lines.get(at) {
            crate::push::render_labels(line.labels(false), &mut letter.labels);
            letter.line.clone_from(&line.text);
        }
        letter
    }

    /// Delivers the records of one tenant, splitting what is refused.
    async fn group(
        &mut self,
        records: &[Record<'_>],
        tenant: Option<&str>,
        indices: &[usize],
        letters: &mut Vec<(usize, DeadLetter)>,
        stop: &tokio::sync::Notify,
    ) -> Outcome {
        'again: loop {
            let mut open = vec![indices];
            let mut refused: Vec<(usize, DeadLetter)> = Vec::new();
            let mut stored = 0;
            while let Some(part) = open.pop() {
                match self.part(tenant, part, stop).await {
                    Part::Stored => stored += part.len(),
                    Part::Stopped => return Outcome::Stopped,
                    Part::Refused { reason, detail } if part.len() == 1 => {
                        let letter = self.letter(records, part[0], reason, &detail);
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
        indices: &[usize],
        stop: &tokio::sync::Notify,
    ) -> Part {
        self.push.clear();
        for &at in indices {
            if let (Some(Ok(placed)), Some(line)) = (self.placed.get(at), self.lines.get(at)) {
                let stream = (placed.stream, self.streams.labels(placed.stream));
                self.push.add(
                    stream,
                    line,
                    placed.coarse,
                    placed.stamp,
                    &self.destination.limits,
                );
            }
        }
        let body = match self.push.body() {
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
            if wait(self.pace.take(self.push.content()), stop).await == Outcome::Stopped {
                return Part::Stopped;
            }
            let begin = Instant::now();
            let answer = self.client.send(body.clone(), tenant.as_deref()).await;
            self.observer
                .answered(&answer.code, begin.elapsed(), body.len(), self.push.lines());
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

    async fn hold(
        &mut self,
        reason: &'static str,
        detail: &str,
        stop: &tokio::sync::Notify,
    ) -> Outcome {
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
        stop: &tokio::sync::Notify,
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

async fn wait(pause: Duration, stop: &tokio::sync::Notify) -> Outcome {
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
