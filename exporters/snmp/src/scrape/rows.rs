//! Columns asked for side by side, a row after the other: a column whose height is known need not be walked alone.
//!
//! A long column is asked for in parts at the same time, each from the row with which the one before ends, to its own last row: the
//! device sees more requests at a time only as far as the window allows, and no request more.
//!
//! Whatever is not as it should be (an error, a value that cannot be read, an identifier out of order, a column that seems to have fewer
//! rows than before, a part whose last row is gone) turns every column that is still open into a walk of its own, from its beginning: an agent that mixes up what was
//! asked for may have passed a row over.

use std::cmp::Ordering;

use super::answer::Answer;
use super::cursor::{Cursor, Task};
use super::sizes::Group;
use super::{After, Scrape};
use crate::codec;
use crate::oid::{self, Oid};
use crate::value::Raw;

/// Columns in step.
#[derive(Debug)]
pub(super) struct Rows {
    /// The column, its place in the table, and the last identifier that came; empty before the first answer.
    pub(super) open: Vec<Lane>,
    pub(super) repetitions: u32,
}

#[derive(Debug)]
pub(super) struct Lane {
    /// Which piece of work wants it.
    pub(super) work: usize,
    column: Oid,
    place: usize,
    last: Vec<u32>,
    /// The last row of this part, if more parts follow.
    until: Option<Vec<u32>>,
    rows: u32,
    /// The rows it had last time.
    expected: u32,
    ended: bool,
}

impl Rows {
    /// Where the next request begins.
    pub(super) fn next(&self) -> Vec<Vec<u32>> {
        self.open.iter().map(|lane| lane.last.clone()).collect()
    }
}

impl Scrape {
    /// Asks for columns, each with the piece of work that wants it, side by side.
    pub(super) fn push_rows(&mut self, group: Group) {
        let Group {
            columns,
            rows,
            repetitions,
            cuts,
            part,
        } = group;
        let Some((work, _)) = columns.first() else {
            return;
        };
        let work = *work;
        let ends = cuts.iter().map(Some).chain([None]);
        let begins = [None].into_iter().chain(cuts.iter().map(Some));
        for (before, (begin, end)) in (0u32..).map(|at| at * part).zip(begins.zip(ends)) {
            let row = |column: &Oid, index: Option<&Vec<u32>>| {
                index.map(|index| column.join(index).ids().to_vec())
            };
            let lane = |(work, column): &(usize, Oid)| {
                Some(Lane {
                    work: *work,
                    place: self.table.column_of(column.ids())?,
                    last: row(column, begin).unwrap_or_else(|| column.ids().to_vec()),
                    until: row(column, end),
                    column: column.clone(),
                    rows: 0,
                    expected: if end.is_some() {
                        part
                    } else {
                        rows.saturating_sub(before)
                    },
                    ended: false,
                })
            };
            let open = columns.iter().filter_map(lane).collect();
            self.push(Cursor::rows(work, Rows { open, repetitions }));
        }
    }

    pub(super) fn stepped(
        &mut self,
        cursor: &mut Cursor,
        pdu: &codec::Pdu<'_>,
        octets: usize,
    ) -> After {
        let Task::Rows(rows) = &mut cursor.task else {
            return After::Done;
        };
        let mut names = std::mem::take(&mut self.names);
        let mut valid = pdu.status == 0;
        let mut kept = 0;
        if valid {
            let answer = Answer::read(pdu, &mut names, &self.table);
            valid = answer.cut.is_none() && !answer.values.is_empty();
            let lanes = rows.open.len();
            for (at, (name, value)) in answer.values.iter().enumerate() {
                let lane = &mut rows.open[at % lanes];
                if lane.ended {
                    continue;
                }
                let name = &names[name.clone()];
                let inside = oid::within(name, lane.column.ids());
                let place = lane.until.as_ref().map(|until| name.cmp(until));
                match value {
                    Raw::EndOfMibView => lane.ended = true,
                    Raw::Missing => valid = false,
                    _ if name <= lane.last.as_slice() => valid = false,
                    _ if !inside => lane.ended = true,
                    _ if place == Some(Ordering::Greater) => valid = false,
                    _ => {
                        if self.table.insert_at(lane.place, name, *value).is_err() {
                            valid = false;
                        } else {
                            kept += 1;
                            self.works[lane.work].counts.values += 1;
                            lane.rows += 1;
                            lane.last.clear();
                            lane.last.extend_from_slice(name);
                            lane.ended = place == Some(Ordering::Equal);
                        }
                    }
                }
                if lane.ended && lane.rows < lane.expected {
                    (lane.ended, valid) = (false, false);
                }
                if !valid {
                    break;
                }
            }
        }
        self.names = names;
        if kept > 0 {
            self.pace.size(octets, kept);
        }
        rows.open.retain(|lane| !lane.ended);
        if rows.open.is_empty() {
            return After::Done;
        }
        if valid {
            return After::Again;
        }
        let open = std::mem::take(&mut rows.open);
        self.walk_again(open);
        After::Done
    }

    /// Walks columns from their beginning, each by itself and once.
    pub(super) fn walk_again(&mut self, lanes: Vec<Lane>) {
        for lane in lanes {
            if self.walked_again.insert(lane.place) {
                self.push(Cursor::walk(lane.work, [lane.column].into()));
            }
        }
    }
}
