//! Where reading goes on behind damage.
//!
//! Records carry no mark, so the next intact one is searched: first where the damaged one's length says that it begins, which holds
//! unless the length itself is what was damaged; then byte by byte. A candidate must carry a checksum under one of the numbers that it
//! could have there, and what follows it should go on to the end of the segment with the numbers that are left: bytes inside a
//! message that look like records cannot, since the records behind them have other numbers.

use crate::record::{self, HEADER, MAX_RECORD};

/// Bytes that are searched at most. The longest record is half of it, so that one damaged length is never more than one record.
pub(crate) const WINDOW: usize = 2 * MAX_RECORD;
/// Bytes that checksums are made of at most in one search: crafted content must not keep a reader busy.
const EFFORT: usize = 512 << 20;

struct Search<'a> {
    bytes: &'a [u8],
    /// Number of the damaged record.
    seq: u64,
    /// Number behind the last record of the segment, when it is known.
    end: Option<u64>,
    effort: usize,
}

/// A run of intact records.
struct Run {
    at: usize,
    seq: u64,
    records: u64,
    /// Offset behind it.
    behind: usize,
    /// It goes to the end of the segment and has all numbers that are left.
    whole: bool,
}

/// Offset and number of the next intact record in `bytes`, at whose beginning the record `seq` is damaged. `end` is the number behind
/// the last record of the segment, when it is known.
pub(crate) fn next_intact(bytes: &[u8], seq: u64, end: Option<u64>) -> Option<(usize, u64)> {
    let effort = EFFORT;
    let mut search = Search {
        bytes,
        seq,
        end,
        effort,
    };
    search.run()
}

impl Search<'_> {
    fn run(&mut self) -> Option<(usize, u64)> {
        if let Some(found) = self.hop(0, self.seq) {
            return Some(found);
        }
        let mut best: Option<Run> = None;
        let mut at = HEADER;
        while at + HEADER <= self.bytes.len() && self.effort > 0 {
            let Some(seq) = self.number(at) else {
                at += 1;
                continue;
            };
            let run = self.follow(at, seq);
            at = run.behind;
            if best
                .as_ref()
                .is_none_or(|b| run.whole || run.records > b.records)
            {
                let whole = run.whole;
                best = Some(run);
                if whole {
                    break;
                }
            }
        }
        best.map(|run| (run.at, run.seq))
    }

    fn extent(&self, at: usize) -> usize {
        record::extent(self.bytes.get(at..).unwrap_or_default())
    }

    /// Length of the record at a place, when it is intact under the number.
    fn intact(&mut self, at: usize, seq: u64) -> Option<usize> {
        let extent = self.extent(at);
        if self.end.is_some_and(|end| seq >= end) || at + extent > self.bytes.len() {
            return None;
        }
        self.effort = self.effort.saturating_sub(extent);
        record::decode(&self.bytes[at..], seq).map(|(_, length)| length)
    }

    /// The intact record behind a damaged one whose length is still right.
    fn hop(&mut self, at: usize, seq: u64) -> Option<(usize, u64)> {
        let (next, seq) = (at + self.extent(at), seq + 1);
        self.intact(next, seq).map(|_| (next, seq))
    }

    /// The number of an intact record at a place: one of those for which there is room between it and the damaged one.
    fn number(&mut self, at: usize) -> Option<u64> {
        if self.bytes[at + 17..at + HEADER] != [0; 3] || at + self.extent(at) > self.bytes.len() {
            return None;
        }
        let last = self.seq + (at / HEADER) as u64;
        let last = self.end.map_or(last, |end| last.min(end - 1));
        (self.seq + 1..=last).find(|&seq| self.effort > 0 && self.intact(at, seq).is_some())
    }

    /// Follows the records from one on, over further damaged ones with the right length.
    fn follow(&mut self, at: usize, seq: u64) -> Run {
        let mut run = Run {
            at,
            seq,
            records: 0,
            behind: at,
            whole: false,
        };
        let mut next = seq;
        loop {
            if let Some(length) = self.intact(run.behind, next) {
                run.behind += length;
                run.records += 1;
                next += 1;
            } else if let Some(found) = self.hop(run.behind, next) {
                (run.behind, next) = found;
            } else {
                break;
            }
        }
        let length = self.bytes.len();
        let last = |seq| self.end.is_none_or(|end| seq == end);
        let spoilt_last = run.behind + self.extent(run.behind) == length && last(next + 1);
        run.whole = (run.behind == length && last(next)) || spoilt_last;
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, encode};

    fn segment(payloads: &[Vec<u8>], first: u64) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for (seq, payload) in (first..).zip(payloads) {
            starts.push(bytes.len());
            let record = Record {
                seq,
                stamp: 1_000 + seq,
                class: 6,
                payload,
            };
            encode(record, &mut bytes);
        }
        (bytes, starts)
    }

    #[test]
    fn records_inside_a_message_are_not_taken_for_records_of_the_segment() {
        // The second message is made of records with the numbers that come next.
        let inner: Vec<Vec<u8>> = (0..3).map(|n| format!("made up {n}").into()).collect();
        let (crafted, _) = segment(&inner, 3);
        let payloads = [
            b"one".to_vec(),
            crafted,
            b"three".to_vec(),
            b"four".to_vec(),
        ];
        let (bytes, starts) = segment(&payloads, 1);
        for end in [None, Some(5)] {
            let mut damaged = bytes[starts[1]..].to_vec();
            damaged[4] ^= 1;
            let next = starts[2] - starts[1];
            assert_eq!(next_intact(&damaged, 2, end), Some((next, 3)), "{end:?}");
        }
    }

    #[test]
    fn a_lost_block_costs_the_records_that_it_touches() {
        let payloads: Vec<Vec<u8>> = (0..400).map(|n| vec![n as u8; 30 + n % 50]).collect();
        let (mut bytes, starts) = segment(&payloads, 1);
        bytes[4_096..8_192].fill(0);
        let first = starts.iter().position(|s| *s > 4_096).unwrap() - 1;
        let behind = starts.iter().position(|s| *s >= 8_192).unwrap();
        let found = next_intact(&bytes[starts[first]..], first as u64 + 1, Some(401));
        assert_eq!(
            found,
            Some((starts[behind] - starts[first], behind as u64 + 1))
        );
    }

    #[test]
    fn crafted_content_does_not_keep_the_search_busy() {
        // Headers at every place, each with a length that reaches far.
        let mut bytes: Vec<u8> = (0..200_000)
            .flat_map(|_| [0, 0, 0, 0, 0, 0, 0x20, 0])
            .collect();
        bytes.extend([0; HEADER]);
        let mut search = Search {
            bytes: &bytes,
            seq: 1,
            end: Some(u64::MAX),
            effort: 4 << 20,
        };
        assert_eq!(search.run(), None);
        assert_eq!(search.effort, 0);
    }
}
