//! A push client for Loki on top of a durable queue, and a client that reads lines back: [`Source`].
//!
//! A [`Pusher`] reads records from a [`spool`] reader, has them rendered as log lines ([`Render`]), pushes
//! them in batches to one destination and acknowledges what was stored. Its promises:
//!
//! - A record is acknowledged only when Loki answered 204 for it, or it stands in the dead-letter file.
//! - The stamp of a line is fixed before the first attempt, so sending it again stores nothing twice:
//!   Loki keeps one entry per stream, nanosecond and text.
//! - What Loki would refuse is not sent: labels, lengths, counts and times are held to [`Limits`] here.
//! - A refused batch (400) is split until the bad entry is found, which goes to the dead-letter file; the
//!   rest is stored. When nothing at all is taken it is a fault of the set-up and holds the queue.
//! - 429 and 5xx are tried again with jittered backoff, or when `Retry-After` says. 260, 401, 403, 404
//!   and every other answer that no retry will mend hold the queue and are reported; they drop nothing.
//!
//! A service that writes lines of its own takes a [`Section`] and a [`QueueSection`] into its configuration and opens [`Lines`]; one with a
//! queue of its own calls [`deliver`] for each destination and collects the [`Delivery`].
//!
//! The contract is Loki's own: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod client;
mod compose;
mod dead;
mod deliver;
mod delivery;
mod destination;
mod limits;
mod line;
mod lines;
mod pace;
mod plan;
mod push;
mod pusher;
mod query;
mod section;
mod task;
mod wire;

pub use answer::{Verdict, classify};
pub use client::{ClientError, http};
pub use dead::{DeadLetter, DeadLetters, read_dead_letters};
pub use deliver::{Observer, Outcome, Render, State};
pub use delivery::{Delivery, Records, Watch};
pub use destination::{Authentication, Batching, Destination, Rate, Retry};
pub use limits::{Limits, Refusal};
pub use line::{Line, Shared};
pub use lines::Lines;
pub use push::{Format, Push};
pub use pusher::{Pusher, replay};
pub use query::{Answered, QueryError, Source, Stored};
pub use section::{BasicAuth, QueueSection, Section, Wrong};
pub use task::deliver;
