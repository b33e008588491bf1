//! What is known, kept over a restart in one file.
//!
//! `SOTPFC01`, then a record for each series: the lengths of a head and of a body as two 32-bit little-endian numbers, the head as JSON, the
//! body (history and what was said of the day to come), and the CRC-32 of head and body. It is written beside and then put in its place, so that
//! there is always a whole one. A file of another version, a broken one, and a forecast whose query is another one are left alone.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::DAY;
use crate::band::Width;
use crate::fit::{Kept, Outcome};
use crate::history::Raw;
use crate::store::{Entry, Quality, Store};

const MAGIC: &[u8; 8] = b"SOTPFC01";
/// Longest head: labels are bounded, and so is what was learnt.
const LONGEST: usize = 1 << 20;
/// Bytes of what was said.
const SAID: usize = DAY * 12;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    forecast: String,
    query: String,
    end: i64,
    day: i64,
    labels: promapi::Labels,
    checked: [u64; 2],
    errors: [f64; 3],
    #[serde(default)]
    width: Width,
    fitted: Option<Kept>,
}

/// Writes everything to `path`.
pub(crate) fn save(path: &Path, store: &Store) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        BufWriter::new(File::create(&beside).with_context(|| beside.display().to_string())?);
    file.write_all(MAGIC)?;
    let names: Vec<String> = store.lock().keys().cloned().collect();
    for name in names {
        let labels: Vec<promapi::Labels> = match store.lock().get(&name) {
            Some(table) => table.entries.keys().cloned().collect(),
            None => continue,
        };
        for labels in labels {
            // The lock is held for one series at a time: scrapes go on.
            let record = store.lock().get(&name).and_then(|table| {
                let entry = table.entries.get(&labels)?;
                let head = Head {
                    forecast: name.clone(),
                    query: table.query.clone(),
                    end: table.end,
                    day: table.day,
                    labels: labels.clone(),
                    checked: entry.quality.checked,
                    errors: entry.quality.errors,
                    width: entry.quality.width,
                    fitted: entry.outcome.as_ref().and_then(Outcome::kept),
                };
                let said = entry.quality.said.iter().flatten();
                let body: Vec<u8> = entry
                    .raw
                    .bytes()
                    .chain(said.flat_map(|value| value.to_le_bytes()))
                    .collect();
                Some((head, body))
            });
            let Some((head, body)) = record else { continue };
            let head = serde_json::to_vec(&head)?;
            file.write_all(&u32::try_from(head.len())?.to_le_bytes())?;
            file.write_all(&u32::try_from(body.len())?.to_le_bytes())?;
            file.write_all(&head)?;
            file.write_all(&body)?;
            let mut sum = crc32fast::Hasher::new();
            sum.update(&head);
            sum.update(&body);
            file.write_all(&sum.finalize().to_le_bytes())?;
        }
    }
    let file = file.into_inner().context("flush")?;
    file.sync_all()?;
    std::fs::rename(&beside, path).with_context(|| path.display().to_string())
}

/// Takes up what `path` holds of the forecasts that there are; tells how many series those were. A file that is not there holds nothing.
pub(crate) fn restore(path: &Path, store: &Store) -> anyhow::Result<usize> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        file => file.with_context(|| path.display().to_string())?,
    };
    let mut file = BufReader::new(file);
    let mut magic = [0; 8];
    file.read_exact(&mut magic).context("no state file")?;
    ensure!(&magic == MAGIC, "not a state file of this version");
    let mut read = Vec::new();
    while let Some(record) = next(&mut file)? {
        read.push(record);
    }
    // Taken up only when all of it is sound.
    let mut count = 0;
    let mut tables = store.lock();
    for (head, raw, said) in read {
        let Some(table) = tables.get_mut(&head.forecast) else {
            continue;
        };
        if table.query != head.query {
            continue;
        }
        (table.end, table.day) = (head.end, head.day);
        let mut entry = Entry::new(&head.labels, raw);
        entry.quality = Quality {
            checked: head.checked,
            errors: head.errors,
            width: head.width,
            said,
        };
        entry.outcome = head.fitted.and_then(Kept::outcome);
        entry.widen();
        table.entries.insert(head.labels, entry);
        count += 1;
    }
    Ok(count)
}

type Record = (Head, Raw, Box<[[f32; 3]]>);

fn next(file: &mut impl Read) -> anyhow::Result<Option<Record>> {
    let mut first = [0; 1];
    if file.read(&mut first)? == 0 {
        return Ok(None);
    }
    let mut rest = [0; 7];
    file.read_exact(&mut rest)?;
    let number = |bytes: [u8; 4]| u32::from_le_bytes(bytes) as usize;
    let head = number([first[0], rest[0], rest[1], rest[2]]);
    let body = number([rest[3], rest[4], rest[5], rest[6]]);
    ensure!(
        head <= LONGEST && body == Raw::BYTES + SAID,
        "a record of {head} and {body} bytes"
    );
    let mut bytes = vec![0; head + body + 4];
    file.read_exact(&mut bytes)?;
    let (bytes, sum) = bytes.split_at(head + body);
    ensure!(
        crc32fast::hash(bytes).to_le_bytes() == *sum,
        "a record is broken"
    );
    let (head, body) = bytes.split_at(head);
    let head: Head = serde_json::from_slice(head)?;
    let (raw, said) = body.split_at(Raw::BYTES);
    let raw = Raw::from_bytes(raw).context("a history is broken")?;
    let said = said.chunks_exact(12).map(|three| {
        std::array::from_fn(|at| {
            f32::from_le_bytes(std::array::from_fn(|byte| three[4 * at + byte]))
        })
    });
    Ok(Some((head, raw, said.collect())))
}

#[cfg(test)]
mod tests;
