//! What the last files say when the log is opened.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::line::{self, Event, GENESIS, Parsed, What, digest, hex};
use super::segment::{self, Open, Position};
use super::verify::{Finding, Place};
use super::{Anchor, AuditError};

/// Where the chain goes on, and what must be recorded first.
pub(super) struct Recovered {
    pub(super) at: Position,
    pub(super) events: Vec<Event>,
}

/// Locks the folder, reads its last two files, or more where the record that is expected is not in them, and opens the last one to go on.
/// The record that is expected must be there, or be declared as lost.
pub(super) fn open(
    folder: &Path,
    expected: Option<Anchor>,
) -> Result<(Open, Recovered), AuditError> {
    let name = folder.display().to_string();
    let failed = |source| AuditError::Open {
        folder: name.clone(),
        source,
    };
    let lock = segment::lock(folder)
        .map_err(failed)?
        .ok_or_else(|| AuditError::Locked(name.clone()))?;
    let files = segment::segments(folder).map_err(failed)?;
    if files.is_empty() && expected.is_none() {
        tracing::info!(folder = name, "a new audit log begins");
    }
    let torn = files
        .last()
        .map(|path| mend(path))
        .transpose()
        .map_err(failed)?;
    // Whatever waits for its outcome began shortly before the end, so two files hold it.
    let last_two = files.len().saturating_sub(2);
    // What is expected is near the end too, unless somebody put files of their own after it.
    let holding = expected.map_or(last_two, |it| {
        let name = segment::name(it.sequence);
        let not_later = |path: &PathBuf| path.file_name().is_some_and(|own| *own <= *name);
        files.partition_point(not_later).saturating_sub(1)
    });
    let recent = &files[last_two.min(holding)..];
    let mut chain = Chain {
        expected,
        ..Chain::default()
    };
    for path in recent {
        chain.read(path).map_err(failed)?;
    }
    if let Some(finding) = chain.damage.take() {
        return Err(AuditError::Damaged {
            folder: name,
            finding: Box::new(finding),
        });
    }
    if let Some(what) = chain.lacks() {
        return Err(AuditError::Lost { folder: name, what });
    }
    let lost = chain.open.into_iter().map(|(of, what)| Event::Ended {
        of,
        what,
        outcome: "unknown".to_owned(),
        detail: "the service ended before it was known".to_owned(),
    });
    let events = torn.flatten().into_iter().chain(lost).collect();
    let open = Open::new(folder, &files, lock).map_err(failed)?;
    let recovered = Recovered {
        at: chain.at.unwrap_or(Position {
            sequence: 0,
            hash: GENESIS,
            len: 0,
        }),
        events,
    };
    Ok((open, recovered))
}

/// Gives the last line its end when it is whole, and takes it out when it is not. It was never reported as written; its hash stays.
fn mend(path: &Path) -> io::Result<Option<Event>> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    let longest = line::LONGEST as u64 * 2;
    let mut tail = Vec::new();
    file.seek(io::SeekFrom::Start(len.saturating_sub(longest)))?;
    file.read_to_end(&mut tail)?;
    if tail.is_empty() || tail.ends_with(b"\n") {
        return Ok(None);
    }
    let begins = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None if len <= longest => 0,
        // So long a line is none of ours: the reading below tells.
        None => return Ok(None),
    };
    let torn = &tail[begins..];
    let whole = matches!(
        line::parse(torn),
        Parsed::Whole { .. } | Parsed::Later { .. }
    );
    if whole {
        file.seek(io::SeekFrom::End(0))?;
        file.write_all(b"\n")?;
    } else {
        file.set_len(len - torn.len() as u64)?;
    }
    file.sync_all()?;
    Ok(Some(Event::Recovered {
        bytes: torn.len() as u64,
        sha256: hex(&digest(torn)),
        whole,
    }))
}

/// The chain as far as it was read.
#[derive(Default)]
struct Chain {
    at: Option<Position>,
    /// What has no outcome yet, by number.
    open: BTreeMap<u64, What>,
    damage: Option<Finding>,
    /// The record that must be there.
    expected: Option<Anchor>,
    /// What stands in its place, where it was read.
    in_place: Option<InPlace>,
}

/// What stands where a record is expected.
enum InPlace {
    It,
    Another,
}

impl Chain {
    /// What is missing of what is expected.
    fn lacks(&self) -> Option<String> {
        let expected = self.expected?;
        let number = expected.sequence;
        let reached = self.at.map_or(0, |at| at.sequence);
        match &self.in_place {
            _ if number == 0 => None,
            Some(InPlace::It) => None,
            Some(InPlace::Another) => Some(format!("record {number} is another one")),
            None if reached < number => {
                Some(format!("it ends with record {reached}, expected {number}"))
            }
            // Older files were moved away, and it with them.
            None => None,
        }
    }

    fn read(&mut self, path: &PathBuf) -> io::Result<()> {
        if let Some(at) = &mut self.at {
            at.len = 0;
        }
        super::verify::read(path, |place, bytes, ended| {
            if self.damage.is_none() {
                self.damage = self.line(place, bytes, ended).err();
            }
        })
    }

    fn line(&mut self, at: Place, bytes: &[u8], ended: bool) -> Result<(), Finding> {
        let expected = self.at.map(|at| at.sequence + 1);
        let (entry, hash) = match (line::parse(bytes), expected) {
            (Parsed::Whole { entry, hash }, _) => (entry, hash),
            (
                Parsed::Later {
                    sequence, version, ..
                },
                _,
            ) => {
                return Err(Finding::Later {
                    sequence,
                    version,
                    at,
                });
            }
            (Parsed::Changed { .. }, Some(sequence)) => {
                return Err(Finding::Changed { sequence, at });
            }
            (Parsed::Changed { .. }, None) => return Err(Finding::Foreign { at }),
        };
        if !ended {
            return Err(Finding::Torn { at });
        }
        let sequence = entry.seq;
        if let Some(before) = &self.at {
            let declared = matches!(&entry.event, Event::Resumed { first, .. } if *first == before.sequence + 1);
            if sequence > before.sequence + 1 && !declared {
                let (first, last) = (before.sequence + 1, sequence - 1);
                return Err(Finding::Dropped { first, last });
            }
            if sequence <= before.sequence {
                return Err(Finding::Reordered { sequence, at });
            }
            if entry.prev != hex(&before.hash) {
                return Err(Finding::Unlinked { sequence, at });
            }
        } else if sequence == 1 && entry.prev != hex(&GENESIS) {
            return Err(Finding::Unlinked { sequence, at });
        }
        if let Some(expected) = &self.expected {
            let covers = matches!(&entry.event, Event::Resumed { first, last, last_hash, .. }
                if (*first..sequence).contains(&expected.sequence) && (*last != expected.sequence || *last_hash == hex(&expected.hash)));
            if covers || (sequence == expected.sequence && hash == expected.hash) {
                self.in_place = Some(InPlace::It);
            } else if sequence == expected.sequence {
                self.in_place = Some(InPlace::Another);
            }
        }
        match entry.event {
            Event::Begun(what) => {
                self.open.insert(sequence, what);
            }
            Event::Ended { of, .. } => {
                self.open.remove(&of);
            }
            Event::Refused { .. }
            | Event::Read(_)
            | Event::Resumed { .. }
            | Event::Recovered { .. } => {}
        }
        let len = self.at.map_or(0, |at| at.len) + bytes.len() as u64 + 1;
        self.at = Some(Position {
            sequence,
            hash,
            len,
        });
        Ok(())
    }
}
