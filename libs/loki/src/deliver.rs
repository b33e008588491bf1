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
use crate::{ClientError, Destination, Limits, Line, Push, Verdict};

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

/// Requests of tenants whose memory is kept from batch to batch.
const KEPT: usize = 8;

pub(crate) struct Deliverer<R> {
    pub(crate) destination: Destination,
    pub(crate) render: R,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) dead: Arc<DeadLetters>,
    client: Client,
    pace: Pace,
    streams: Streams,
    /// The requests of a batch, one for each tenant, in reused memory.
    pushes: Vec<Push>,
    /// The line that is being rendered.
    line: Line,
    placed: Vec<Result<Placed, &'static str>>,
}

/// The records of a batch that belong to one tenant, by their index.
struct Group<'a> {
    tenant: Option<&'a str>,
    indices: Vec<usize>,
}

type Letters = Vec<(usize, DeadLetter)>;

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
            pushes: Vec::new(),
            destination,
            render,
            observer,
            dead,
            streams: Streams::default(),
            line: Line::default(),
            placed: Vec::new(),
        })
    }

    /// Delivers all records. `stop` completes when no more waiting is wanted.
    pub(crate) async fn deliver(
        &mut self,
        records: &[Record<'_>],
        stop: &tokio::sync::Notify,
    ) -> Outcome {
        let (groups, mut letters) = self.place(records);
        for (at, group) in groups.iter().enumerate() {
            let mut push =
                std::mem::replace(&mut self.pushes[at], Push::new(self.destination.format));
            let outcome = self
                .group(records, group, &mut push, &mut letters, stop)
                .await;
            self.pushes[at] = push;
            if outcome == Outcome::Stopped {
                return Outcome::Stopped;
            }
        }
        self.pushes.truncate(KEPT);
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

    /// Renders every record once and puts it into the request of its tenant.
    fn place<'a>(&mut self, records: &[Record<'a>]) -> (Vec<Group<'a>>, Letters) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.placed.clear();
        self.render.begin();
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut known: HashMap<Option<&str>, usize> = HashMap::new();
        let mut last = 0;
        let mut letters = Letters::new();
        for (at, record) in records.iter().enumerate() {
            self.line.clear();
            self.render.render(*record, &mut self.line);
            let placed = self
                .streams
                .place(&self.line, record.stamp, now, &self.destination.limits)
                .map_err(|refusal| match refusal {
                    crate::Refusal::LineTooLong => "line_too_long",
                    crate::Refusal::Labels => "invalid_labels",
                });
            match placed {
                Ok(placed) => {
                    let tenant = self.render.tenant(record);
                    if groups.get(last).is_none_or(|g| g.tenant != tenant) {
                        last = *known.entry(tenant).or_insert_with(|| {
                            groups.push(Group {
                                tenant,
                                indices: Vec::new(),
                            });
                            groups.len() - 1
                        });
                        if self.pushes.len() < groups.len() {
                            self.pushes.push(Push::new(self.destination.format));
                        }
                    }
                    let group = &mut groups[last];
                    if group.indices.is_empty() {
                        self.pushes[last].clear();
                    }
                    group.indices.push(at);
                    mark(&mut self.line, record, placed);
                    add(
                        &mut self.pushes[last],
                        &self.streams,
                        placed,
                        &self.line,
                        &self.destination.limits,
                    );
                }
                Err(reason) => letters.push((
                    at,
                    letter(
                        &self.destination.name,
                        record,
                        &self.line,
                        reason,
                        "held back before sending",
                    ),
                )),
            }
            self.placed.push(placed);
        }
        self.render.end();
        (groups, letters)
    }

    /// Builds a request of some records of the batch again.
    fn rebuild(&mut self, records: &[Record<'_>], indices: &[usize], push: &mut Push) {
        push.clear();
        for &at in indices {
            if let Some(Ok(placed)) = self.placed.get(at).copied() {
                self.line.clear();
                self.render.render(records[at], &mut self.line);
                mark(&mut self.line, &records[at], placed);
                add(
                    push,
                    &self.streams,
                    placed,
                    &self.line,
                    &self.destination.limits,
                );
            }
        }
    }

    fn letter(&mut self, record: &Record<'_>, reason: &str, detail: &str) -> DeadLetter {
        self.line.clear();
        self.render.render(*record, &mut self.line);
        letter(&self.destination.name, record, &self.line, reason, detail)
    }

    /// Delivers the records of one tenant, of which `whole` is the request, splitting what is refused.
    async fn group(
        &mut self,
        records: &[Record<'_>],
        group: &Group<'_>,
        whole: &mut Push,
        letters: &mut Letters,
        stop: &tokio::sync::Notify,
    ) -> Outcome {
        let mut rebuilt = Push::new(self.destination.format);
        'again: loop {
            let mut open = vec![&*group.indices];
            let mut refused = Letters::new();
            let mut stored = 0;
            while let Some(part) = open.pop() {
                let push = if part.len() == group.indices.len() {
                    &mut *whole
                } else {
                    self.rebuild(records, part, &mut rebuilt);
                    &mut rebuilt
                };
                match self.part(group.tenant, push, stop).await {
                    Part::Stored => stored += part.len(),
                    Part::Stopped => return Outcome::Stopped,
                    Part::Refused { reason, detail } if part.len() == 1 => {
                        let letter = self.letter(&records[part[0]], reason, &detail);
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
        push: &mut Push,
        stop: &tokio::sync::Notify,
    ) -> Part {
        let body = match push.body() {
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

/// Says in the metadata when a line was received, if it bears another stamp.
fn mark(line: &mut Line, record: &Record<'_>, placed: Placed) {
    if placed.stamp != record.stamp {
        line.metadata("received_time_ns", &record.stamp.to_string());
    }
}

fn add(push: &mut Push, streams: &Streams, placed: Placed, line: &Line, limits: &Limits) {
    let stream = (placed.stream, streams.labels(placed.stream));
    push.add(stream, line, placed.coarse, placed.stamp, limits);
}

fn letter(
    destination: &str,
    record: &Record<'_>,
    line: &Line,
    reason: &str,
    detail: &str,
) -> DeadLetter {
    let mut letter = DeadLetter::new(*record, destination, reason, detail);
    crate::push::render_labels(line.labels(false), &mut letter.labels);
    letter.line.clone_from(&line.text);
    letter
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
