//! Answers of gets.

use super::cursor::{Cursor, Task};
use super::{After, Scrape, of_status};
use crate::codec;
use crate::oid;
use crate::reason::Reason;
use crate::value::Raw;

impl Scrape {
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
        let Task::Get(oids) = &mut cursor.task else {
            return After::Done;
        };
        if oids.len() > 1 {
            let rest = oids.split_off(oids.len() / 2);
            let work = cursor.work;
            let next = cursor.next;
            self.push(Cursor {
                next,
                ..Cursor::get(work, rest)
            });
            return After::Again;
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
        for (((_, value), oid), name) in varbinds.into_iter().zip(oids).zip(&names) {
            let there = !matches!(value, Raw::Missing | Raw::EndOfMibView);
            if there && oid::within(name, oid.ids()) {
                self.works[cursor.work].counts.values += 1;
                self.table.insert(name, value).map_err(|_| Reason::Decode)?;
            }
        }
        Ok(())
    }
}
