//! Declaring what of a log is lost, so that it goes on.
//!
//! What stands is kept as far as it is whole and holds what is known of it; the rest is set aside under other names, for whoever looks
//! into it. Then one record, `resumed`, says which numbers are lost, who declared it and why. Nothing makes them whole again:
//! [`verify`](super::verify) reports them as lost from then on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::head::{self, HeadFile};
use super::line::{self, Entry, Event, GENESIS, Hash, Parsed, hex};
use super::{Anchor, segment, verify};

/// Longest reason and name.
const LONGEST: usize = 512;

/// What is to be declared.
#[derive(Debug, Clone)]
pub struct Resume<'a> {
    /// The folder of the log.
    pub folder: &'a Path,
    /// Where its newest record is noted, when not beside it.
    pub head: Option<&'a Path>,
    /// Records that were kept elsewhere; the newest says how far the log went.
    pub anchors: &'a [Anchor],
    /// Who declares it.
    pub by: &'a str,
    /// Why, for whoever verifies.
    pub reason: &'a str,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Numbers of the first and the last record that are lost; `None` when none is.
    pub lost: Option<(u64, u64)>,
    /// Files that were set aside.
    pub aside: Vec<PathBuf>,
    /// Where the log goes on.
    pub head: Anchor,
}

/// Why nothing was declared, and nothing changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A service writes to it, for which it is whole.
    #[error(
        "the log is open in a service that finds nothing wrong with it; stop the service first"
    )]
    Locked,
    /// It is not known how far the log went.
    #[error(
        "it is not known how far the log went; expected --anchor NUMBER:HASH with the newest record that is known, from the metric, from Loki or from paper"
    )]
    NoHead,
    /// The reason or the name is empty or too long.
    #[error("expected a reason and a name of 1 to 512 bytes")]
    Words,
}

/// The part of the log that is whole and holds what is known of it.
#[derive(Default)]
struct Good {
    at: Option<Anchor>,
    /// Index of the file with its end, and the bytes of that file which belong to it.
    end: Option<(usize, u64)>,
}

/// Declares as lost whatever is missing or wrong, and lets the log go on after it. A log that is whole is left alone.
///
/// # Errors
/// It is open in a service, it is not known how far it went, or the disk fails.
pub fn resume(asked: &Resume<'_>) -> Result<Declared, ResumeError> {
    let words = |text: &str| !text.trim().is_empty() && text.len() <= LONGEST;
    if !(words(asked.by) && words(asked.reason)) {
        return Err(ResumeError::Words);
    }
    let folder = asked.folder;
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |source| ResumeError::File { path, source }
    };
    let head = asked
        .head
        .map_or_else(|| head::beside(folder), Path::to_owned);
    let mut known = asked.anchors.to_vec();
    // A note that cannot be read is as good as none: the log is held to the anchors alone.
    let noted = head::read(&head);
    known.extend(noted.as_ref().ok().copied().flatten());
    let newest = known.iter().max_by_key(|anchor| anchor.sequence);
    let newest = *newest.ok_or(ResumeError::NoHead)?;
    let lock = segment::lock(folder).map_err(at(folder))?;
    let _lock = lock.ok_or(ResumeError::Locked)?;
    let files = segment::segments(folder).map_err(at(folder))?;
    let (good, claimed) = good(&files, &known).map_err(at(folder))?;
    let (sequence, hash) = good.at.map_or((0, GENESIS), |it| (it.sequence, it.hash));
    let aside = set_aside(&files, &good).map_err(at(folder))?;
    let last = newest.sequence.max(claimed).min(line::MOST - 1);
    let declared = if last > sequence {
        let event = Event::Resumed {
            first: sequence + 1,
            last: newest.sequence,
            last_hash: hex(&newest.hash),
            by: asked.by.to_owned(),
            reason: asked.reason.to_owned(),
        };
        let path = match good.end {
            Some((file, _)) => files[file].clone(),
            None => folder.join(segment::name(last + 1)),
        };
        let hash = append(&path, last + 1, &hash, event).map_err(at(&path))?;
        Anchor {
            sequence: last + 1,
            hash,
        }
    } else {
        Anchor { sequence, hash }
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at(folder))?;
    if noted.is_err() {
        fs::remove_file(&head).map_err(at(&head))?;
    }
    HeadFile::new(&head).keep(&declared);
    Ok(Declared {
        lost: (last > sequence).then_some((sequence + 1, last)),
        aside,
        head: declared,
    })
}

/// Reads the log as far as it is whole; answers the largest number that anything after it claims, too, if that many records can have come
/// after those that are known.
fn good(files: &[PathBuf], known: &[Anchor]) -> io::Result<(Good, u64)> {
    let known_at = |sequence: u64| known.iter().filter(move |it| it.sequence == sequence);
    let mut good = Good::default();
    // The last place up to which a record that is known was found.
    let mut vouched = Good::default();
    let (mut broken, mut foreign, mut claimed, mut records) = (false, false, 0, 0);
    for (number, path) in files.iter().enumerate() {
        let mut bytes = 0;
        verify::read(path, |_, line, ended| {
            bytes += line.len() as u64 + u64::from(ended);
            let Parsed::Whole { entry, hash } = line::parse(line) else {
                broken = true;
                return;
            };
            claimed = claimed.max(entry.seq);
            records += 1;
            let before = good.at.map_or((0, GENESIS), |it| (it.sequence, it.hash));
            let jump =
                matches!(&entry.event, Event::Resumed { first, .. } if *first == before.0 + 1);
            // Older files may have been moved away.
            let first = good.at.is_none() && entry.seq > 1 && !jump;
            let follows = first
                || ((entry.seq == before.0 + 1 || (jump && entry.seq > before.0))
                    && entry.prev == hex(&before.1));
            if broken || !ended || !follows {
                broken = true;
                return;
            }
            if known_at(entry.seq).any(|it| it.hash != hash) {
                (broken, foreign) = (true, true);
                return;
            }
            let at = Anchor {
                sequence: entry.seq,
                hash,
            };
            good = Good {
                at: Some(at),
                end: Some((number, bytes)),
            };
            if known_at(entry.seq).next().is_some() || jump {
                vouched = Good {
                    at: Some(at),
                    end: Some((number, bytes)),
                };
            }
        })?;
    }
    // Of a chain that turns out to be another one, only what is known to be ours is kept.
    let newest = known.iter().map(|anchor| anchor.sequence).max();
    let claimed = claimed.min(newest.unwrap_or(0).saturating_add(records));
    Ok((if foreign { vouched } else { good }, claimed))
}

/// Keeps what is good under its name; whatever else there is goes under another.
fn set_aside(files: &[PathBuf], good: &Good) -> io::Result<Vec<PathBuf>> {
    let mut aside = Vec::new();
    for (number, path) in files.iter().enumerate() {
        let (kept, whole) = match good.end {
            Some((end, bytes)) if number == end => {
                (Some(bytes), fs::metadata(path)?.len() == bytes)
            }
            Some((end, _)) if number < end => (None, true),
            _ => (None, false),
        };
        if whole {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stamp = jiff::Timestamp::now().as_microsecond();
        // A clock that was set back writes over nothing.
        let other = (stamp..)
            .map(|stamp| path.with_file_name(format!("set-aside-{stamp}-{name}")))
            .find(|other| other.symlink_metadata().is_err())
            .ok_or_else(|| io::Error::other("no name is free"))?;
        match kept {
            Some(bytes) => {
                fs::copy(path, &other)?;
                let file = OpenOptions::new().write(true).open(path)?;
                file.set_len(bytes)?;
                file.sync_all()?;
            }
            None => fs::rename(path, &other)?,
        }
        aside.push(other);
    }
    Ok(aside)
}

fn append(path: &Path, seq: u64, prev: &Hash, event: Event) -> io::Result<Hash> {
    let entry = Entry {
        seq,
        time: format!("{:.6}", jiff::Timestamp::now()),
        event,
        prev: hex(prev),
    };
    let (line, hash) = entry.line()?;
    let mut file = segment::options().open(path)?;
    file.write_all(&line)?;
    file.sync_all()?;
    Ok(hash)
}
