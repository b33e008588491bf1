//! What a scrape is given and what it gives back.

use std::time::{Duration, Instant};

use super::Pace;
use crate::budget::Claim;
use crate::codec::Operation;
use crate::oid::Oid;
use crate::reason::Reason;
use crate::value::Table;

/// How requests of one piece of work are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// `max_repetitions` of the module.
    pub repetitions: u32,
    /// `retries` of the module.
    pub retries: u32,
    /// `timeout` of the module.
    pub timeout: Duration,
    /// `allow_nonincreasing_oids` of the module.
    pub allow_nonincreasing: bool,
}

/// One subtree to walk or list of instances to get.
#[derive(Clone, Debug)]
pub struct Work {
    /// What failures name: the walk as configured, or the first instance.
    pub root: Oid,
    /// How to ask.
    pub params: Params,
    /// The parts of the subtree that matter, sorted; or the instances.
    pub oids: Vec<Oid>,
    /// Whether `oids` are instances.
    pub get: bool,
    /// Whether only the first instance below each of `oids` is asked for, to see whether there is one.
    pub probe: bool,
    /// Whether only we want to know it: what is not answered is no failure, and nothing waits for it.
    pub own: bool,
}

/// Bounds of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When it must be over.
    pub deadline: Instant,
    /// Version 1: no GETBULK, one instance per GET.
    pub v1: bool,
    /// One request at a time with exactly the configured repetitions.
    pub strict: bool,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Request id.
    pub id: i32,
    /// What to do.
    pub operation: Operation,
    /// To which objects.
    pub oids: Vec<Vec<u32>>,
    /// Whether it was sent before.
    pub again: bool,
}

/// A part that could not be collected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// Which piece of work.
    pub work: usize,
    /// Why.
    pub reason: Reason,
}

/// Counts of one piece of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent, repeated ones too.
    pub sent: u64,
    /// Messages sent again.
    pub again: u64,
    /// Values received that lie in what was asked for.
    pub values: u64,
}

/// What a scrape ended with.
#[derive(Debug)]
pub struct Outcome {
    /// What was learnt, sorted.
    pub table: Table,
    /// What is missing and why; empty when the scrape is complete.
    pub failures: Vec<Failure>,
    /// Counts by piece of work.
    pub counts: Vec<Counts>,
    /// Answers to what only we want to know, a column for each question.
    pub own: Table,
    /// Whether such a question stayed without an answer.
    pub unheard: bool,
    /// The memory that the table takes.
    pub claim: Option<Claim>,
    /// Whether the target answered at all.
    pub answered: bool,
    /// What to remember for the next scrape.
    pub pace: Pace,
}
