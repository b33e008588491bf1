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
use super::cursor::{self, Cursor, Task};
use super::sizes::{Group, MOST_COLUMNS, Question};
use super::{After, Scrape, Work};
use crate::codec;
use crate::oid::{self, Oid};
use crate::value::Raw;

/// Columns in step.
#[derive(Debug)]
pub(super) struct Rows {
    /// The column, its place in the table, and the last identifier that came; empty before the first answer.
    pub(super) open: Vec<Lane>,
    pub(super) repetitions: u32,
    /// Instances that the target had, asked for in front of the first rows.
    pub(super) questions: Vec<Question>,
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
        let asked = |question: &Question| cursor::before(&question.instance);
        let questions = self.questions.iter().map(asked);
        questions
            .chain(self.open.iter().map(|lane| lane.last.clone()))
            .collect()
    }
}

/// Octets of a varbind beside its name, where the value is a number.
const NUMBER: usize = 12;
/// The most instances that are asked for in front of rows.
pub(super) const FEW: usize = 4;

impl Group {
    /// Takes instances in front of its first rows, where they fit the same answer. Says whether they do.
    pub(super) fn ask_in_front(&mut self, at: usize, work: &Work, frame: u32) -> bool {
        let octets = |oid: &Oid| NUMBER + oid::encoded_len(oid.ids());
        let known = self.questions.iter().map(|question| &question.instance);
        let answer = known.chain(&work.oids).map(octets).sum::<usize>()
            + self.repetitions as usize * self.octets as usize;
        let names = self.questions.len() + work.oids.len();
        let fits =
            names <= FEW && names + self.columns.len() <= MOST_COLUMNS && answer <= frame as usize;
        if fits {
            let question = |instance: &Oid| Question {
                work: at,
                own: work.own,
                instance: instance.clone(),
            };
            self.questions.extend(work.oids.iter().map(question));
        }
        fits
    }
}

impl Scrape {
    /// Asks for columns, each with the piece of work that wants it, side by side.
    pub(super) fn push_rows(&mut self, group: Group) {
        let Group {
            columns,
            repetitions,
            cuts,
            part,
            mut questions,
            ..
        } = group;
        let Some((work, ..)) = columns.first() else {
            return;
        };
        let work = *work;
        let ends = cuts.iter().map(Some).chain([None]);
        let begins = [None].into_iter().chain(cuts.iter().map(Some));
        for (before, (begin, end)) in (0u32..).map(|at| at * part).zip(begins.zip(ends)) {
            let row = |column: &Oid, index: Option<&Vec<u32>>| {
                index.map(|index| column.join(index).ids().to_vec())
            };
            let lane = |(work, column, rows): &(usize, Oid, u32)| {
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
            let rows = Rows {
                open,
                repetitions,
                questions: std::mem::take(&mut questions),
            };
            self.push(Cursor::rows(work, rows));
        }
    }

    pub(super) fn stepped(
        &mut self,
        cursor: &mut Cursor,
        pdu: &codec::Pdu<'_>,
        octets: usize,
        asked: u32,
    ) -> After {
        let Task::Rows(rows) = &mut cursor.task else {
            return After::Done;
        };
        let mut names = std::mem::take(&mut self.names);
        let questions = std::mem::take(&mut rows.questions);
        let front = questions.len();
        let mut valid = pdu.status == 0;
        let mut kept = 0;
        if valid {
            let answer = Answer::read(pdu, &mut names, &self.table);
            self.pace
                .answer(pdu.varbinds.len(), answer.is_short(front + asked as usize));
            let lanes = rows.open.len();
            valid = answer.cut.is_none() && answer.values.len() > front;
            let (asked, mut answered) = answer.values.split_at(front.min(answer.values.len()));
            for (question, (name, value)) in questions.iter().zip(asked) {
                let ids = question.instance.ids();
                let table = if question.own {
                    &mut self.own
                } else {
                    &mut self.table
                };
                // The agent had each of them: what stands in its place may be a row.
                valid = valid && names[name.clone()] == *ids && table.insert(ids, *value).is_ok();
                self.works[question.work].counts.values += u64::from(valid && !question.own);
            }
            if !valid {
                answered = &[];
            }
            for (at, (name, value)) in answered.iter().enumerate() {
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
        if front > 0 {
            // Perhaps it is these that it mixes up.
            self.pace.asked_apart();
            self.ask_apart(&questions);
        }
        self.walk_again(open);
        After::Done
    }

    /// Asks for instances in requests of their own.
    pub(super) fn ask_apart(&mut self, questions: &[Question]) {
        for of_work in questions.chunk_by(|a, b| a.work == b.work) {
            let instances = of_work.iter().map(|question| question.instance.clone());
            let cursor = Cursor::get(of_work[0].work, instances.collect());
            self.push(Cursor {
                own: if of_work[0].own { 0 } else { usize::MAX },
                ..cursor
            });
        }
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
