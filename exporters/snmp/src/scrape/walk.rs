//! Answers of walks: what they hold, what they end, and what is wrong with them.

use super::answer::Answer;
use super::cursor::{self, Cursor};
use super::{After, Params, Scrape, Taken, of_status};
use crate::codec;
use crate::oid::{self, Oid};
use crate::reason::Reason;
use crate::value::Raw;

/// The most values of a walk that cannot be read and are passed over.
const UNREAD: u32 = 8;

impl Scrape {
    pub(super) fn walked(
        &mut self,
        cursor: &mut Cursor,
        pdu: &codec::Pdu<'_>,
        octets: usize,
        asked: u32,
    ) -> After {
        if pdu.status != 0 {
            return self.refused_walk(cursor, pdu.status, asked);
        }
        let params = self.params(cursor);
        if let Some(walk) = cursor.as_walk_mut() {
            walk.last = walk.next();
        }
        let mut names = std::mem::take(&mut self.names);
        let answer = Answer::read(pdu, &mut names, &self.table);
        self.pace
            .answer(pdu.varbinds.len(), answer.is_short(asked as usize));
        let after = self.take_answer(cursor, &answer, &names, octets, params);
        self.names = names;
        after
    }

    pub(super) fn take_answer(
        &mut self,
        cursor: &mut Cursor,
        answer: &Answer<'_>,
        names: &[u32],
        octets: usize,
        params: Params,
    ) -> After {
        let last = cursor.as_walk().map_or(&[][..], |walk| &walk.last);
        if !params.allow_nonincreasing && !answer.increases(names, last) {
            return self.disordered(cursor, answer, names);
        }
        let mut kept = 0;
        let mut wrong = answer.cut;
        for (name, value) in &answer.values {
            match self.take(cursor, &names[name.clone()], *value) {
                Ok(Taken::Kept) => kept += 1,
                Ok(Taken::End) => {
                    if kept > 0 {
                        self.pace.size(octets, kept);
                    }
                    return self.end_of_walk(cursor);
                }
                Err(reason) => {
                    wrong = Some(reason);
                    break;
                }
            }
        }
        if kept == 0
            && let Some(unread) = &answer.unread
            && let Some(after) = self.pass_over(cursor, &names[unread.clone()])
        {
            return after;
        }
        if kept == 0 {
            return self.doubt(cursor, wrong.unwrap_or(Reason::BadAnswer));
        }
        // What came before a bad value counts; the next request begins at the bad one.
        self.pace.size(octets, kept);
        cursor.trust();
        After::Again
    }

    /// Passes over a value that cannot be read when it was asked for alone, and tells it. A few of a walk: each costs two requests.
    fn pass_over(&mut self, cursor: &mut Cursor, name: &[u32]) -> Option<After> {
        let alone = self.limits.v1;
        let walk = cursor.as_walk_mut()?;
        let column = walk.columns.front()?;
        let ahead = name > walk.last.as_slice() && oid::within(name, column.ids());
        if !(walk.single || alone) || !ahead || walk.unread >= UNREAD {
            return None;
        }
        walk.unread += 1;
        walk.rows += 1;
        walk.last = name.to_vec();
        cursor.trust();
        self.fail(cursor.work, Reason::Decode);
        Some(After::Again)
    }

    /// An answer whose names do not increase. A value may have been passed over, so one is asked for at a time; where the agent goes
    /// back then too, that is its order, and it is followed as long as it comes to a new place.
    fn disordered(&mut self, cursor: &mut Cursor, answer: &Answer<'_>, names: &[u32]) -> After {
        let Some(walk) = cursor.as_walk_mut() else {
            return After::Done;
        };
        let last_of = |answer: &Answer<'_>| answer.values.last().map(|(name, _)| name.clone());
        let Some(end) = last_of(answer).map(|name| names[name].to_vec()) else {
            return self.doubt(cursor, Reason::BadAnswer);
        };
        let echoed = answer
            .values
            .iter()
            .any(|(name, _)| names[name.clone()] == walk.last);
        let alone = walk.single || self.limits.v1;
        // Another order of rows never leads out of the columns at hand to the front.
        let inside = walk.columns.front().is_some_and(|column| {
            let all = || answer.values.iter().map(|(name, _)| &names[name.clone()]);
            all().all(|name| name > column.ids())
        });
        let followed = self.limits.strict || self.pace.is_disordered() || alone;
        if echoed || !inside || !followed || !walk.turned.insert(end.clone()) {
            return self.doubt(cursor, Reason::NonIncreasing);
        }
        self.pace.disordered();
        for (name, value) in &answer.values {
            let name = &names[name.clone()];
            if matches!(value, Raw::EndOfMibView) {
                return self.end_of_walk(cursor);
            }
            match self.table.insert(name, *value) {
                Ok(true) => self.works[cursor.work].counts.values += 1,
                Ok(false) => {}
                Err(_) => return self.doubt(cursor, Reason::Decode),
            }
        }
        let Some(walk) = cursor.as_walk_mut() else {
            return After::Done;
        };
        walk.rows += 1;
        walk.last = end;
        cursor.trust();
        loop {
            let Some(walk) = cursor.as_walk_mut() else {
                return After::Done;
            };
            match walk.columns.front() {
                None => return After::Done,
                Some(column) if walk.last.as_slice() <= column.ids() => return After::Again,
                Some(column) if oid::within(&walk.last, column.ids()) => return After::Again,
                Some(_) => {
                    let ended = walk.next_column();
                    self.column_ended(cursor.work, ended);
                }
            }
        }
    }

    /// Takes one value of a walk.
    pub(super) fn take(
        &mut self,
        cursor: &mut Cursor,
        ids: &[u32],
        value: Raw<'_>,
    ) -> Result<Taken, Reason> {
        let work = cursor.work;
        let Some(walk) = cursor.as_walk_mut() else {
            return Err(Reason::BadAnswer);
        };
        match value {
            Raw::EndOfMibView => return Ok(Taken::End),
            // Not an answer to GETNEXT; some agents mean the end by it when they repeat what was asked for. Behind it, it is passed over.
            Raw::Missing if ids <= walk.last.as_slice() => {
                return if walk.rows == 0 {
                    Ok(Taken::End)
                } else {
                    Err(Reason::BadAnswer)
                };
            }
            _ => {}
        }
        let forward = ids > walk.last.as_slice();
        loop {
            let Some(column) = walk.columns.front() else {
                return Ok(Taken::End);
            };
            if oid::within(ids, column.ids()) {
                if self.table.insert(ids, value).map_err(|_| Reason::Decode)? {
                    self.works[work].counts.values += 1;
                }
                walk.rows += 1;
                break;
            }
            if ids < column.ids() {
                if !forward {
                    return Ok(Taken::End);
                }
                break;
            }
            let ended = walk.next_column();
            self.column_ended(work, ended);
        }
        walk.last.clear();
        walk.last.extend_from_slice(ids);
        Ok(Taken::Kept)
    }

    /// A column that is a walk's own root and showed nothing may be an instance: it is asked for directly.
    pub(super) fn column_ended(&mut self, work: usize, ended: Option<(Oid, u32)>) {
        if let Some((column, 0)) = ended
            && column == self.works[work].work.root
        {
            self.push(Cursor::get(work, vec![column]));
        }
    }

    pub(super) fn end_of_walk(&mut self, cursor: &mut Cursor) -> After {
        let work = cursor.work;
        loop {
            let Some(ended) = cursor.as_walk_mut().and_then(cursor::Walk::next_column) else {
                return After::Done;
            };
            self.column_ended(work, Some(ended));
        }
    }

    /// An answer that cannot be right: asked again for one instance alone, then given up.
    pub(super) fn doubt(&mut self, cursor: &mut Cursor, reason: Reason) -> After {
        if cursor.doubts < 2 {
            cursor.doubts += 1;
            cursor.repetitions = 1;
            if let Some(walk) = cursor.as_walk_mut() {
                walk.single = true;
            }
            return After::Again;
        }
        self.fail(cursor.work, reason);
        self.skip_column(cursor)
    }

    /// Leaves the column at hand and goes on with the next.
    pub(super) fn skip_column(&mut self, cursor: &mut Cursor) -> After {
        cursor.trust();
        let Some(walk) = cursor.as_walk_mut() else {
            return After::Done;
        };
        walk.single = false;
        walk.next_column();
        if walk.columns.is_empty() {
            After::Done
        } else {
            After::Again
        }
    }

    pub(super) fn refused_walk(&mut self, cursor: &mut Cursor, status: i64, asked: u32) -> After {
        if status == 1 && asked > 1 {
            cursor.repetitions = (asked / 2).max(1);
            self.pace.cap_repetitions(cursor.repetitions);
            return After::Again;
        }
        // Only version 1 says the end of the tree this way (RFC 1157 §4.1.3). Some agents say it too where a Counter64 follows, which
        // version 1 has not: what lies behind is asked for by its name.
        if status == 2 && self.limits.v1 {
            let work = cursor.work;
            let Some(walk) = cursor.as_walk_mut() else {
                return After::Done;
            };
            let ended = walk.next_column();
            let more = !walk.columns.is_empty();
            self.column_ended(work, ended);
            return if more { After::Again } else { After::Done };
        }
        self.doubt(cursor, of_status(status))
    }
}
