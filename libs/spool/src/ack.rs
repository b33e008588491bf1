//! A reader's acknowledgement file: two slots, written in turn, so that a torn write spoils one at most.

use std::sync::Arc;

use crate::Error;
use crate::storage::{File, Storage, read_full, write_all};

const SLOT: usize = 32;
const MAGIC: &[u8; 8] = b"SOTPACK1";

pub(crate) struct AckFile {
    name: String,
    pub(crate) file: Arc<dyn File>,
    turn: u64,
}

pub(crate) fn name(reader: &str) -> String {
    format!("{reader}.ack")
}

fn encode(turn: u64, next: u64) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(MAGIC);
    slot[8..16].copy_from_slice(&turn.to_le_bytes());
    slot[16..24].copy_from_slice(&next.to_le_bytes());
    let sum = crc32fast::hash(&slot[..28]);
    slot[28..].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// Whether it is as it was written, by its sum.
fn whole(slot: &[u8]) -> bool {
    slot.len() == SLOT && slot[28..] == crc32fast::hash(&slot[..28]).to_le_bytes()
}

fn decode(slot: &[u8]) -> Option<(u64, u64)> {
    let field = |at: usize| Some(u64::from_le_bytes(slot.get(at..at + 8)?.try_into().ok()?));
    if whole(slot) && slot[..8] == *MAGIC {
        Some((field(8)?, field(16)?))
    } else {
        None
    }
}

impl AckFile {
    /// Opens or makes the file; gives the first number that is not acknowledged, if any was recorded.
    pub(crate) fn open(
        storage: &dyn Storage,
        reader: &str,
        exists: bool,
    ) -> Result<(Self, Option<u64>), Error> {
        let name = name(reader);
        let file = if exists {
            storage
                .open(&name)
                .map_err(Error::storage("opening", &name))?
        } else {
            storage
                .create(&name)
                .map_err(Error::storage("creating", &name))?
        };
        let mut slots = [0; 2 * SLOT];
        let read = read_full(&*file, &mut slots, 0).map_err(Error::storage("reading", &name))?;
        for slot in slots[..read].chunks(SLOT).filter(|slot| whole(slot)) {
            crate::segment::later(&name, slot, &[MAGIC])?;
        }
        if read % SLOT != 0 {
            // A slot that was cut would be whole again where a zero was cut off and the other slot is written behind it.
            let offset = (read / SLOT * SLOT) as u64;
            write_all(&*file, &[0; SLOT], offset).map_err(Error::storage("writing", &name))?;
        }
        let best = slots[..read].chunks(SLOT).filter_map(decode).max();
        let (turn, next) = best.map_or((0, None), |(turn, next)| (turn, Some(next)));
        Ok((Self { name, file, turn }, next))
    }

    pub(crate) fn write(&mut self, next: u64) -> Result<(), Error> {
        let turn = self.turn + 1;
        let offset = (turn % 2) * SLOT as u64;
        write_all(&*self.file, &encode(turn, next), offset)
            .map_err(Error::storage("writing", &self.name))?;
        self.turn = turn;
        Ok(())
    }
}
