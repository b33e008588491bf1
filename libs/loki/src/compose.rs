//! Rendering a batch into requests, which needs no answer: the next batch is made ready while one is under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spool::Record;
use tokio::time::Instant;

use crate::dead::DeadLetter;
use crate::deliver::Render;
use crate::plan::{Placed, Streams};
use crate::{Destination, Limits, Line, Push, Refusal};

/// Requests of tenants whose memory is kept from batch to batch.
const KEPT: usize = 8;

/// Stamps were chosen by the clock of then: what waited longer is made ready anew.
const FRESH: Duration = Duration::from_secs(10);

/// Records that cannot be stored, by their index, as they go to the dead-letter file.
pub(crate) type Letters = Vec<(usize, DeadLetter)>;

pub(crate) struct Composer<R> {
    destination: Arc<Destination>,
    render: R,
    streams: Streams,
    /// The line that is being rendered.
    line: Line,
}

/// The records of a batch that belong to one tenant, by their index, with their request.
pub(crate) struct Group {
    pub(crate) tenant: Option<String>,
    pub(crate) indices: Vec<usize>,
    pub(crate) push: Push,
    /// See [`Prepared::pack`].
    pub(crate) body: std::io::Result<Vec<u8>>,
}

/// A batch, ready to be sent.
pub(crate) struct Prepared {
    pub(crate) groups: Vec<Group>,
    pub(crate) letters: Letters,
    placed: Vec<Option<Placed>>,
    at: Instant,
    /// Levels for the observer: streams in use, lines stamped anew so far, lines moved to a coarse stream so far.
    pub(crate) streams: (usize, u64, u64),
    /// Requests in memory that is used again.
    spare: Vec<Push>,
}

impl Default for Prepared {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            letters: Letters::new(),
            placed: Vec::new(),
            at: Instant::now(),
            streams: (0, 0, 0),
            spare: Vec::new(),
        }
    }
}

impl Prepared {
    pub(crate) fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH
    }

    /// Encodes and compresses the requests.
    pub(crate) fn pack(&mut self) {
        for group in &mut self.groups {
            group.body = group.push.body();
        }
    }

    fn clear(&mut self) {
        self.spare
            .extend(self.groups.drain(..).map(|group| group.push));
        self.spare.truncate(KEPT);
        self.letters.clear();
        self.placed.clear();
        self.at = Instant::now();
    }

    fn group(&mut self, tenant: Option<&str>, format: crate::Format) -> usize {
        let mut push = self.spare.pop().unwrap_or_else(|| Push::new(format));
        push.clear();
        self.groups.push(Group {
            tenant: tenant.map(str::to_owned),
            indices: Vec::new(),
            push,
            body: Ok(Vec::new()),
        });
        self.groups.len() - 1
    }
}

impl<R: Render> Composer<R> {
    pub(crate) fn new(destination: Arc<Destination>, render: R) -> Self {
        Self {
            destination,
            render,
            streams: Streams::default(),
            line: Line::default(),
        }
    }

    /// Renders every record once and puts it into the request of its tenant.
    pub(crate) fn compose(&mut self, records: &[Record<'_>], ready: &mut Prepared) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        ready.clear();
        self.render.begin();
        let mut known: HashMap<Option<&str>, usize> = HashMap::new();
        let mut last: Option<(Option<&str>, usize)> = None;
        for (at, record) in records.iter().enumerate() {
            self.line.clear();
            self.render.render(*record, &mut self.line);
            let limits = &self.destination.limits;
            let placed = self.streams.place(&self.line, record.stamp, now, limits);
            ready.placed.push(placed.ok());
            let placed = match placed {
                Ok(placed) => placed,
                Err(refusal) => {
                    let reason = match refusal {
                        Refusal::LineTooLong => "line_too_long",
                        Refusal::Labels => "invalid_labels",
                    };
                    let letter = self.written(record, reason, "held back before sending");
                    ready.letters.push((at, letter));
                    continue;
                }
            };
            let tenant = self.render.tenant(record);
            let group = match last {
                Some((same, group)) if same == tenant => group,
                _ => *known
                    .entry(tenant)
                    .or_insert_with(|| ready.group(tenant, self.destination.format)),
            };
            last = Some((tenant, group));
            mark(&mut self.line, record, placed);
            let Group { indices, push, .. } = &mut ready.groups[group];
            indices.push(at);
            let labels = self.streams.labels(placed.stream);
            add(push, labels, placed, &self.line, limits);
        }
        self.render.end();
        ready.streams = (
            self.streams.len(),
            self.streams.restamped,
            self.streams.coarsened,
        );
    }

    /// Builds a request of some records of a prepared group again.
    pub(crate) fn rebuild(
        &mut self,
        records: &[Record<'_>],
        ready: &Prepared,
        group: &Group,
        part: &[usize],
        push: &mut Push,
    ) {
        push.clear();
        for &at in part {
            if let Some(Some(placed)) = ready.placed.get(at).copied() {
                self.line.clear();
                self.render.render(records[at], &mut self.line);
                mark(&mut self.line, &records[at], placed);
                // Another batch may have been placed since, and the stream's number with it.
                let labels = group.push.labels(placed.stream);
                add(push, labels, placed, &self.line, &self.destination.limits);
            }
        }
    }

    /// A record that was refused, as it goes to the dead-letter file.
    pub(crate) fn letter(&mut self, record: &Record<'_>, reason: &str, detail: &str) -> DeadLetter {
        self.line.clear();
        self.render.render(*record, &mut self.line);
        self.written(record, reason, detail)
    }

    /// The same of a record that was rendered last.
    fn written(&self, record: &Record<'_>, reason: &str, detail: &str) -> DeadLetter {
        let mut letter = DeadLetter::new(*record, &self.destination.name, reason, detail);
        crate::push::render_labels(self.line.labels(false), &mut letter.labels);
        letter.line.clone_from(&self.line.text);
        letter
    }
}

/// Says in the metadata when a line was received, if it bears another stamp.
fn mark(line: &mut Line, record: &Record<'_>, placed: Placed) {
    if placed.stamp != record.stamp {
        line.metadata("received_time_ns", &record.stamp.to_string());
    }
}

fn add(push: &mut Push, labels: &str, placed: Placed, line: &Line, limits: &Limits) {
    let stream = (placed.stream, labels);
    push.add(stream, line, placed.coarse, placed.stamp, limits);
}
