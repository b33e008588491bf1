//! Records for people, the newest first, a page at a time.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde_json::Value;

use super::line::{self, Event, LONGEST, Parsed};
use super::segment::segments;

/// Lines that one page looks through at most.
const LOOKED: usize = 50_000;
/// Bytes that are read at a time.
const PIECE: u64 = 64 * 1024;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Only records before the one with this number.
    pub(crate) before: u64,
    /// How many.
    pub(crate) most: usize,
    /// A part of the person, verb or object, in small letters; empty for all.
    pub(crate) find: &'a str,
}

/// One page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Whole records, each as its line has it.
    pub(crate) records: Vec<Value>,
    /// Where the next page begins, when older records were not looked at.
    pub(crate) before: Option<u64>,
}

/// Reads a page of the log in a folder. Lines that are no whole records are passed over: verifying names them.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn page(folder: &Path, wanted: Wanted<'_>) -> io::Result<Page> {
    let mut page = Page::default();
    let mut looked = 0;
    for file in segments(folder)?.iter().rev() {
        let flow = backwards(&File::open(file)?, |bytes| {
            let Parsed::Whole { entry, .. } = line::parse(bytes) else {
                return ControlFlow::Continue(());
            };
            if entry.seq >= wanted.before {
                return ControlFlow::Continue(());
            }
            if page.records.len() == wanted.most || looked == LOOKED {
                page.before = Some(entry.seq + 1);
                return ControlFlow::Break(());
            }
            looked += 1;
            if fits(&entry.event, wanted.find) {
                page.records.extend(serde_json::from_slice(bytes).ok());
            }
            ControlFlow::Continue(())
        })?;
        if flow.is_break() {
            break;
        }
    }
    Ok(page)
}

fn fits(event: &Event, find: &str) -> bool {
    let what = match event {
        Event::Begun(what)
        | Event::Read(what)
        | Event::Ended { what, .. }
        | Event::Refused { what, .. } => what,
        Event::Resumed { by, .. } => return by.to_lowercase().contains(find),
        Event::Recovered { .. } => return find.is_empty(),
    };
    [&what.display, &what.subject, &what.verb, &what.object]
        .iter()
        .any(|text| text.to_lowercase().contains(find))
}

/// Gives each line that has its end, without it, from the last to the first.
fn backwards(
    file: &File,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut at = file.metadata()?.len();
    // What stands after `at` and is not given yet: the end of a line, and what follows the last line end.
    let mut rest = Vec::new();
    let mut ended = false;
    while at > 0 {
        let length = at.min(PIECE);
        at -= length;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut bytes, at)?;
        bytes.append(&mut rest);
        let mut lines = bytes.rsplit(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if at > 0 && lines.peek().is_none() {
                // Longer than any record: it is none, and is not gathered.
                if line.len() <= 2 * LONGEST {
                    rest = line.to_vec();
                }
                break;
            }
            // The first has no end after it.
            let whole = std::mem::replace(&mut ended, true);
            if whole && !line.is_empty() && each(line).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use testkit::TempDir;

    use super::*;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.join("f"), text).unwrap();
        let mut lines = Vec::new();
        let file = File::open(dir.join("f")).unwrap();
        let _ = backwards(&file, |line| {
            lines.push(line.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_come_from_the_last_to_the_first_wherever_the_pieces_begin() {
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"a\nb\ntorn"), [b"b", b"a"]);
        for length in [1, 7, 64, 999, 1000, 30_000] {
            for count in [1, 2, 66, 70] {
                let all: Vec<Vec<u8>> = (0..count)
                    .map(|n: usize| format!("{n:0length$}").into_bytes())
                    .collect();
                let mut text = all.join(&b'\n');
                text.push(b'\n');
                let mut wanted = all;
                wanted.reverse();
                assert_eq!(lines(&text), wanted, "{count} of {length}");
            }
        }
    }

    #[test]
    fn what_is_longer_than_any_record_is_passed_over() {
        let mut text = b"first\n".to_vec();
        text.extend(vec![b'x'; 1 << 20]);
        text.extend(b"\nlast\n");
        let lines = lines(&text);
        assert_eq!(lines.first().unwrap(), b"last");
        assert_eq!(lines.last().unwrap(), b"first");
        assert!(lines.iter().all(|line| line.len() < 1 << 18));
    }
}
