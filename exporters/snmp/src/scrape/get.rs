//! Gets: how they are made, and their answers.

use super::cursor::{Cursor, Task};
use super::{After, Scrape, Work, of_status};
use crate::codec;
use crate::oid;
use crate::reason::Reason;
use crate::value::Raw;

/// The most names of a request to which our own questions are added: some agents answer no more.
const MOST_NAMES: usize = 24;

impl Scrape {
    /// Makes the requests of one piece of work.
    pub(super) fn push_gets(&mut self, at: usize, work: &Work) {
        let most = if self.limits.v1 || self.pace.one_at_a_time() {
            1
        } else {
            work.params.repetitions.clamp(1, 60) as usize
        };
        if work.own {
            for oids in work.oids.chunks(most.min(MOST_NAMES)) {
                self.push(Cursor {
                    next: work.probe,
                    own: 0,
                    ..Cursor::get(at, oids.to_vec())
                });
            }
            return;
        }
        for oids in work.oids.chunks(most) {
            self.push(Cursor {
                next: work.probe,
                ..Cursor::get(at, oids.to_vec())
            });
        }
    }

    /// Adds own questions to a get that has room for them.
    pub(super) fn join(&mut self, work: &Work) -> bool {
        if self.limits.v1 || self.pace.one_at_a_time() {
            return false;
        }
        let room = |cursor: &&mut Cursor| match &cursor.task {
            Task::Get(oids) => {
                !cursor.next
                    && cursor.own == usize::MAX
                    && oids.len() + work.oids.len() <= MOST_NAMES
            }
            _ => false,
        };
        let Some(cursor) = self.cursors.iter_mut().flatten().find(room) else {
            return false;
        };
        if let Task::Get(oids) = &mut cursor.task {
            cursor.own = oids.len();
            oids.extend(work.oids.iter().cloned());
        }
        true
    }

    pub(super) fn got(&mut self, cursor: &mut Cursor, pdu: &codec::Pdu<'_>) -> After {
        let Task::Get(oids) = &mut cursor.task else {
            return After::Done;
        };
        if pdu.status == 2 {
            // noSuchName names the culprit; the others are asked for again.
            let culprit = usize::try_from(pdu.index)
                .ok()
                .and_then(|index| index.checked_sub(1))
                .filter(|at| *at < oids.len());
            if let Some(at) = culprit {
                oids.remove(at);
                if cursor.own != usize::MAX && at < cursor.own {
                    cursor.own -= 1;
                }
                return if oids.is_empty() {
                    After::Done
                } else {
                    After::Again
                };
            }
            if oids.len() == 1 {
                return After::Done;
            }
        }
        let reason = if pdu.status == 0 {
            match self.take_all(cursor, pdu) {
                Ok(()) => return After::Done,
                Err(reason) => reason,
            }
        } else {
            of_status(pdu.status)
        };
        if cursor.names() > 1 {
            let whole = std::mem::replace(cursor, Cursor::get(cursor.work, Vec::new()));
            self.part(whole);
            return After::Done;
        }
        if cursor.is_own() {
            self.unheard = true;
            return After::Done;
        }
        if cursor.doubts < 2 {
            cursor.doubts += 1;
            return After::Again;
        }
        self.fail(cursor.work, reason);
        After::Done
    }

    pub(super) fn take_all(&mut self, cursor: &Cursor, pdu: &codec::Pdu<'_>) -> Result<(), Reason> {
        let Task::Get(oids) = &cursor.task else {
            return Err(Reason::BadAnswer);
        };
        let varbinds: Vec<_> = codec::Varbinds::new(pdu.varbinds)
            .collect::<Result<_, _>>()
            .map_err(|_| Reason::Decode)?;
        if varbinds.len() != oids.len() {
            return Err(Reason::BadAnswer);
        }
        let (mut name, mut names) = (Vec::new(), Vec::new());
        for ((octets, _), oid) in varbinds.iter().zip(oids) {
            name.clear();
            oid::decode(octets, &mut name).map_err(|_| Reason::Decode)?;
            if name != oid.ids() && !cursor.next {
                return Err(Reason::BadAnswer);
            }
            names.push(name.clone());
        }
        for (at, (((_, value), oid), name)) in
            varbinds.into_iter().zip(oids).zip(&names).enumerate()
        {
            let there = !matches!(value, Raw::Missing | Raw::EndOfMibView);
            if !there || !oid::within(name, oid.ids()) {
                continue;
            }
            if at >= cursor.own {
                self.own.insert(name, value).map_err(|_| Reason::Decode)?;
                continue;
            }
            self.works[cursor.work].counts.values += 1;
            self.table.insert(name, value).map_err(|_| Reason::Decode)?;
        }
        Ok(())
    }
}
