//! Whether a log is what was written: every record that was changed, dropped, inserted or reordered, by name.
//!
//! A log begins with record 1, or after the record that the one who verifies declares as its genesis, where older files were moved
//! away; from there no number may be missing. Without an anchor the end of the chain is whatever the files say: records cut off the end
//! leave a whole, shorter chain. Every [`Anchor`] that was kept elsewhere must be there, which shows that too, up to its record, and
//! shows a chain that was written anew. Records that somebody declared as lost stay lost.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::Anchor;
use super::line::{self, Entry, Event, GENESIS, Hash, Parsed};

/// Most findings that are listed.
const MOST: usize = 1000;

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Its line, counted from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A record is not what was hashed.
    Changed {
        /// Its number.
        sequence: u64,
        /// Where it stands.
        at: Place,
    },
    /// A record is of a later version of this form: a later version of the program wrote it.
    Later {
        /// Its number.
        sequence: u64,
        /// Its version.
        version: u32,
        /// Where it stands.
        at: Place,
    },
    /// Records are not there.
    Dropped {
        /// Number of the first.
        first: u64,
        /// Number of the last.
        last: u64,
    },
    /// A record stands a second time: one of the two was inserted.
    Inserted {
        /// Its number.
        sequence: u64,
        /// Where the second one stands.
        at: Place,
    },
    /// A line that is no record was inserted.
    Foreign {
        /// Where it stands.
        at: Place,
    },
    /// A record stands after records that were written later.
    Reordered {
        /// Its number.
        sequence: u64,
        /// Where it stands.
        at: Place,
    },
    /// A record does not continue the one before it: one of the two was replaced.
    Unlinked {
        /// Number of the second.
        sequence: u64,
        /// Where the second stands.
        at: Place,
    },
    /// The last line has no end: a crash cut it, or it is being written now.
    Torn {
        /// Where it stands.
        at: Place,
    },
    /// A record is not the one that was anchored: the chain was written anew.
    NotAnchored {
        /// Its number.
        sequence: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { sequence, at } => write!(f, "record {sequence} was changed ({at})"),
            Self::Later {
                sequence,
                version,
                at,
            } => write!(
                f,
                "record {sequence} is of version {version}, which a later version of the program wrote ({at}): go back to that one, or restore a backup from before it"
            ),
            Self::Dropped { first, last } if first == last => {
                write!(f, "record {first} is missing")
            }
            Self::Dropped { first, last } => write!(f, "records {first} to {last} are missing"),
            Self::Inserted { sequence, at } => {
                write!(f, "record {sequence} stands a second time ({at})")
            }
            Self::Foreign { at } => write!(f, "a line that is no record was inserted ({at})"),
            Self::Reordered { sequence, at } => {
                write!(f, "record {sequence} stands after later ones ({at})")
            }
            Self::Unlinked { sequence, at } => write!(
                f,
                "record {sequence} does not continue the one before it: one of the two was replaced ({at})"
            ),
            Self::Torn { at } => write!(
                f,
                "the last line has no end ({at}): a crash cut it, and the next start of the service recovers it; or it is being written now"
            ),
            Self::NotAnchored { sequence } => write!(
                f,
                "record {sequence} is not the one that was anchored: the chain was written anew"
            ),
        }
    }
}

/// Records that are not there, and that somebody declared as lost when the log was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Who declared it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When, UTC.
    pub time: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            last,
            by,
            reason,
            time,
        } = self;
        write!(
            f,
            "records {first} to {last} are lost, declared by {by:?} at {time}: {reason:?}"
        )
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that were read and are whole.
    pub records: u64,
    /// Files that were read.
    pub files: usize,
    /// The last record of the chain.
    pub head: Option<Anchor>,
    /// What is wrong; empty when all is well or declared as lost.
    pub findings: Vec<Finding>,
    /// Records that are declared as lost.
    pub lost: Vec<Lost>,
    /// The first record that is dated before the one before it, and how many there are: the clock was set back.
    pub back: Option<(u64, u64)>,
    /// Anchors of records before the declared genesis, which were not looked for.
    pub before: usize,
    /// There is more that is wrong than is listed.
    pub more: bool,
}

/// Reads a whole log, a folder or one file of it, from record 1 on, and holds it to these anchors.
///
/// # Errors
/// It cannot be read.
pub fn verify(path: &Path, anchors: &[Anchor]) -> io::Result<Report> {
    verify_from(path, None, anchors)
}

/// As [`verify`], of a log that begins after this record: older files were moved away.
///
/// # Errors
/// It cannot be read.
pub fn verify_from(path: &Path, genesis: Option<Anchor>, anchors: &[Anchor]) -> io::Result<Report> {
    let files = if path.is_dir() {
        super::segment::segments(path)?
    } else {
        vec![path.to_owned()]
    };
    let mut checker = Checker::from(genesis, anchors);
    for file in &files {
        read(file, |place, bytes, ended| {
            checker.line(place, Seen::of(bytes, ended));
        })?;
    }
    let mut report = checker.finish();
    report.files = files.len();
    Ok(report)
}

/// Gives every line with its place, without its end, and whether it has one. A line longer than any record comes in pieces.
pub(super) fn read(path: &PathBuf, each: impl FnMut(Place, &[u8], bool)) -> io::Result<()> {
    let file = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let from = BufReader::with_capacity(1 << 16, File::open(path)?);
    lines(from, &file, 1, each)
}

pub(super) fn lines(
    mut from: impl io::BufRead,
    file: &str,
    first: u64,
    mut each: impl FnMut(Place, &[u8], bool),
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for line in first.. {
        bytes.clear();
        from.by_ref()
            .take(line::LONGEST as u64 + 1)
            .read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        let ended = bytes.pop_if(|byte| *byte == b'\n').is_some() || bytes.len() > line::LONGEST;
        let place = Place {
            file: file.to_owned(),
            line,
        };
        each(place, &bytes, ended);
    }
    Ok(())
}

/// What a line turned out to be.
#[derive(Clone)]
pub(super) enum Seen {
    Whole {
        sequence: u64,
        prev: Hash,
        hash: Hash,
        time: Option<jiff::Timestamp>,
        declared: Option<Box<Lost>>,
        /// Its version, where it is a later one.
        later: Option<u32>,
    },
    Changed {
        claim: Option<u64>,
        hashes: Vec<Hash>,
    },
    /// It has no end.
    Torn,
}

impl Seen {
    pub(super) fn of(bytes: &[u8], ended: bool) -> Self {
        if !ended {
            return Self::Torn;
        }
        match line::parse(bytes) {
            Parsed::Whole { entry, hash } => Self::Whole {
                sequence: entry.seq,
                prev: line::unhex(&entry.prev).unwrap_or(GENESIS),
                hash,
                time: entry.time.parse().ok(),
                declared: declared(&entry),
                later: None,
            },
            Parsed::Later {
                sequence,
                prev,
                hash,
                version,
            } => Self::Whole {
                sequence,
                prev,
                hash,
                time: None,
                declared: None,
                later: Some(version),
            },
            Parsed::Changed { claim, hashes } => Self::Changed { claim, hashes },
        }
    }
}

/// What a record declares as lost.
fn declared(entry: &Entry) -> Option<Box<Lost>> {
    let Event::Resumed {
        first, by, reason, ..
    } = &entry.event
    else {
        return None;
    };
    Some(Box::new(Lost {
        first: *first,
        last: entry.seq.saturating_sub(1),
        by: by.clone(),
        reason: reason.clone(),
        time: entry.time.clone(),
    }))
}

/// A line that is not what was hashed, until it is known which record it was.
#[derive(Clone)]
struct Corruption {
    at: Place,
    claim: Option<u64>,
    hashes: Vec<Hash>,
}

/// Reads a chain record by record, remembering only what is missing.
#[derive(Clone)]
pub(super) struct Checker {
    anchors: BTreeMap<u64, Vec<Hash>>,
    /// The record before the first.
    begin: u64,
    /// The number that should come next.
    next: u64,
    /// What the next record may name as the one before; empty when that is not known.
    before: Vec<Hash>,
    spoilt: Vec<Corruption>,
    missing: Vec<(u64, u64)>,
    torn: Option<Place>,
    /// The date of the last record.
    time: Option<jiff::Timestamp>,
    report: Report,
}

impl Checker {
    #[cfg(test)]
    pub(super) fn new(anchors: &[Anchor]) -> Self {
        Self::from(None, anchors)
    }

    /// Of a log that begins after this record, or with the first.
    pub(super) fn from(genesis: Option<Anchor>, anchors: &[Anchor]) -> Self {
        let begin = genesis.map_or(0, |genesis| genesis.sequence);
        let before = genesis.map_or(GENESIS, |genesis| genesis.hash);
        let (anchors, earlier): (Vec<Anchor>, Vec<Anchor>) =
            anchors.iter().partition(|anchor| anchor.sequence >= begin);
        let mut by_number: BTreeMap<u64, Vec<Hash>> = BTreeMap::new();
        for anchor in &anchors {
            by_number
                .entry(anchor.sequence)
                .or_default()
                .push(anchor.hash);
        }
        Self {
            anchors: by_number,
            begin,
            next: begin + 1,
            before: vec![before],
            spoilt: Vec::new(),
            missing: Vec::new(),
            torn: None,
            time: None,
            report: Report {
                before: earlier.len(),
                ..Report::default()
            },
        }
    }

    fn found(&mut self, finding: Finding) {
        if self.report.findings.len() < MOST {
            self.report.findings.push(finding);
        } else {
            self.report.more = true;
        }
    }

    pub(super) fn line(&mut self, at: Place, seen: Seen) {
        if let Some(torn) = self.torn.take() {
            // Only the very last line may lack its end.
            self.found(Finding::Foreign { at: torn });
        }
        match seen {
            Seen::Torn => self.torn = Some(at),
            Seen::Whole {
                sequence,
                prev,
                hash,
                time,
                declared,
                later,
            } => {
                self.report.records += 1;
                if let Some(version) = later {
                    let at = at.clone();
                    self.found(Finding::Later {
                        sequence,
                        version,
                        at,
                    });
                } else {
                    if time < self.time {
                        let (_, count) = self.report.back.get_or_insert((sequence, 0));
                        *count += 1;
                    }
                    self.time = time;
                }
                if let Some(lost) = declared {
                    self.declared(sequence, &prev, *lost);
                }
                self.whole(at, sequence, prev, hash);
            }
            Seen::Changed { claim, hashes } if self.spoilt.len() < MOST => {
                self.spoilt.push(Corruption { at, claim, hashes });
            }
            Seen::Changed { .. } => self.report.more = true,
        }
    }

    fn whole(&mut self, at: Place, sequence: u64, prev: Hash, hash: Hash) {
        // Older than what is asked about.
        if sequence <= self.begin && self.next == self.begin + 1 {
            self.anchored(sequence, &hash);
            return;
        }
        if sequence < self.next {
            let finding = if self.fill(sequence) {
                Finding::Reordered { sequence, at }
            } else {
                Finding::Inserted { sequence, at }
            };
            self.found(finding);
            return;
        }
        self.assign(sequence);
        if !self.before.is_empty() && !self.before.contains(&prev) {
            self.found(Finding::Unlinked { sequence, at });
        }
        self.anchored(sequence, &hash);
        (self.next, self.before) = (sequence.saturating_add(1), vec![hash]);
        self.report.head = Some(Anchor { sequence, hash });
    }

    /// Goes over what is declared as lost, where the declaration follows what was read before.
    fn declared(&mut self, sequence: u64, prev: &Hash, lost: Lost) {
        // A log that was moved away may have been lost whole, so that the declaration is the first of all.
        let whole = lost.first == 1 && self.next == self.begin + 1 && *prev == GENESIS;
        let follows = lost.first == self.next && self.before.contains(prev);
        if !(self.spoilt.is_empty() && (whole || follows) && lost.last >= lost.first) {
            return;
        }
        self.anchors = self.anchors.split_off(&sequence);
        (self.next, self.before) = (sequence, vec![*prev]);
        if self.report.lost.len() < MOST {
            self.report.lost.push(lost);
        } else {
            self.report.more = true;
        }
    }

    fn anchored(&mut self, sequence: u64, hash: &Hash) {
        let other = |hashes: &Vec<Hash>| hashes.iter().any(|anchored| anchored != hash);
        if self.anchors.get(&sequence).is_some_and(other) {
            self.found(Finding::NotAnchored { sequence });
        }
    }

    /// Decides which records the spoilt lines before `sequence` were, and what is missing there.
    fn assign(&mut self, sequence: u64) {
        let spoilt = std::mem::take(&mut self.spoilt);
        let places = sequence - self.next;
        let lines = spoilt.len() as u64;
        if places == 0 && lines == 0 {
            return;
        }
        let follows = places == lines;
        let last = spoilt.last().map(|line| line.hashes.clone());
        let mut at = self.next;
        for (left, line) in (1..=lines).rev().zip(spoilt) {
            if at >= sequence {
                self.found(Finding::Foreign { at: line.at });
                continue;
            }
            // With more places than lines a line stands where it says, if every line after it still has a place.
            let claim = line
                .claim
                .filter(|claim| !follows && (at..=sequence.saturating_sub(left)).contains(claim));
            let number = claim.unwrap_or(at);
            self.miss(at, number);
            self.found(Finding::Changed {
                sequence: number,
                at: line.at,
            });
            at = number + 1;
        }
        self.miss(at, sequence);
        self.before = if follows {
            last.unwrap_or_default()
        } else {
            Vec::new()
        };
    }

    /// Notes that the records from `first` up to, but without, `end` are missing.
    fn miss(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        if self.missing.len() < MOST {
            self.missing.push((first, end - 1));
        } else {
            self.report.more = true;
        }
    }

    /// Takes a record out of the missing ones; `false` when it was not missing.
    fn fill(&mut self, sequence: u64) -> bool {
        let holds = |(first, last): &(u64, u64)| (*first..=*last).contains(&sequence);
        let Some(at) = self.missing.iter().position(holds) else {
            return false;
        };
        let (first, last) = self.missing.swap_remove(at);
        self.miss(first, sequence);
        self.miss(sequence + 1, last.saturating_add(1));
        true
    }

    pub(super) fn finish(mut self) -> Report {
        let end = self.next.saturating_add(self.spoilt.len() as u64);
        self.assign(end);
        self.next = end;
        if let Some((&last, _)) = self.anchors.last_key_value() {
            self.miss(self.next, last.saturating_add(1));
        }
        self.missing.sort_unstable();
        for (first, last) in std::mem::take(&mut self.missing) {
            self.found(Finding::Dropped { first, last });
        }
        if let Some(at) = self.torn.take() {
            self.found(Finding::Torn { at });
        }
        self.report
    }
}
