//! Positions in a target's tree.

use std::collections::{HashSet, VecDeque};

use super::rows::Rows;
use crate::oid::Oid;

/// One thread of requests: each answer decides the next request.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) work: usize,
    pub(super) task: Task,
    /// The most repetitions that this cursor may ask for.
    pub(super) repetitions: u32,
    /// Answers in a row that could not be right.
    pub(super) doubts: u32,
    /// A get asks for what is behind each name.
    pub(super) next: bool,
    /// From which name of a get on only we want to know it.
    pub(super) own: usize,
}

#[derive(Debug)]
pub(super) enum Task {
    Get(Vec<Oid>),
    Walk(Walk),
    Rows(Rows),
}

/// A walk over columns, in order.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) columns: VecDeque<Oid>,
    /// The last identifier that came, or what was asked for; empty before the first answer.
    pub(super) last: Vec<u32>,
    /// Instances seen in the column at hand.
    pub(super) rows: u32,
    /// The most instances seen in a finished column.
    tallest: u32,
    /// Ask with GETNEXT for one instance.
    pub(super) single: bool,
    /// Values that could not be read and were passed over.
    pub(super) unread: u32,
    /// Where answers ended whose names did not increase: an agent that comes to one of them again goes in a circle.
    pub(super) turned: HashSet<Vec<u32>>,
}

impl Cursor {
    pub(super) fn get(work: usize, oids: Vec<Oid>) -> Self {
        Self {
            work,
            task: Task::Get(oids),
            repetitions: u32::MAX,
            doubts: 0,
            next: false,
            own: usize::MAX,
        }
    }

    /// How many names a request of it has.
    pub(super) fn names(&self) -> usize {
        match &self.task {
            Task::Get(oids) => oids.len(),
            Task::Walk(_) => 1,
            Task::Rows(rows) => rows.questions.len() + rows.open.len(),
        }
    }

    /// Whether nobody but us wants it.
    pub(super) fn is_own(&self) -> bool {
        self.own == 0
    }

    /// The name that a get asks for to have this instance: what comes behind it is the instance, where the agent has it. Some agents
    /// stay silent when they are asked for what they do not have.
    pub(super) fn asked(&self, instance: &Oid) -> Vec<u32> {
        if self.next && self.is_own() {
            before(instance)
        } else {
            instance.ids().to_vec()
        }
    }

    pub(super) fn walk(work: usize, columns: VecDeque<Oid>) -> Self {
        let walk = Walk {
            columns,
            last: Vec::new(),
            rows: 0,
            tallest: 0,
            single: false,
            unread: 0,
            turned: HashSet::new(),
        };
        Self {
            work,
            task: Task::Walk(walk),
            repetitions: u32::MAX,
            doubts: 0,
            next: false,
            own: usize::MAX,
        }
    }

    pub(super) fn rows(work: usize, rows: Rows) -> Self {
        Self {
            work,
            task: Task::Rows(rows),
            repetitions: u32::MAX,
            doubts: 0,
            next: false,
            own: usize::MAX,
        }
    }

    pub(super) fn as_walk(&self) -> Option<&Walk> {
        if let Task::Walk(walk) = &self.task {
            Some(walk)
        } else {
            None
        }
    }

    pub(super) fn as_walk_mut(&mut self) -> Option<&mut Walk> {
        if let Task::Walk(walk) = &mut self.task {
            Some(walk)
        } else {
            None
        }
    }

    /// The agent answered well: doubts are over.
    pub(super) fn trust(&mut self) {
        if self.doubts > 0 {
            self.doubts = 0;
            self.repetitions = u32::MAX;
            if let Some(walk) = self.as_walk_mut() {
                walk.single = false;
            }
        }
    }

    /// A new cursor with the later half of the columns.
    pub(super) fn split(&mut self) -> Option<Self> {
        let (work, repetitions) = (self.work, self.repetitions);
        let walk = self.as_walk_mut()?;
        let keep = walk.columns.len().div_ceil(2);
        let columns = walk.columns.split_off(keep);
        if columns.is_empty() {
            return None;
        }
        let tallest = walk.tallest.max(walk.rows);
        let walk = Walk {
            columns,
            last: Vec::new(),
            rows: 0,
            tallest,
            single: false,
            unread: 0,
            turned: HashSet::new(),
        };
        Some(Self {
            work,
            task: Task::Walk(walk),
            repetitions,
            doubts: 0,
            next: false,
            own: usize::MAX,
        })
    }
}

/// A name behind which this instance is the next.
pub(super) fn before(instance: &Oid) -> Vec<u32> {
    match instance.ids() {
        [object @ .., 0] => object.to_vec(),
        [row @ .., last] => [row, &[last - 1]].concat(),
        [] => Vec::new(),
    }
}

impl Walk {
    /// What the next request asks behind.
    pub(super) fn next(&self) -> Vec<u32> {
        match self.columns.front() {
            Some(column) if self.last.as_slice() < column.ids() => column.ids().to_vec(),
            _ => self.last.clone(),
        }
    }

    /// Finishes the column at hand: the column and the instances seen in it.
    pub(super) fn next_column(&mut self) -> Option<(Oid, u32)> {
        let column = self.columns.pop_front()?;
        let rows = std::mem::take(&mut self.rows);
        self.tallest = self.tallest.max(rows);
        Some((column, rows))
    }

    /// Instances that are probably still to come.
    pub(super) fn remaining(&self) -> f64 {
        f64::from(self.tallest.max(self.rows)) * self.columns.len() as f64 - f64::from(self.rows)
    }
}
