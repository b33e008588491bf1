//! A queue whose storage cannot be read any further.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use loki::{DeadLetters, Destination, Line, Observer, Pusher, Render, State};
use spool::storage::{Disk, File, Storage};
use spool::{Batch, Entry, Options, Queue, Record, WhenFull};
use testkit::loki::Loki;
use tokio::sync::Notify;

/// A folder whose first file of records can be read, and no other.
struct Bad(Disk, AtomicBool);

struct BadFile(Arc<dyn File>);

impl Storage for Bad {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = self.0.create(name)?;
        let records = std::path::Path::new(name)
            .extension()
            .is_some_and(|end| end == "seg");
        if records && self.1.swap(true, Relaxed) {
            return Ok(Arc::new(BadFile(file)));
        }
        Ok(file)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.open(name)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
}

impl File for BadFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(5))
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

struct Plain;

impl Render for Plain {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "syslog", true);
        line.text
            .push_str(std::str::from_utf8(record.payload).unwrap());
    }
}

struct Nobody;

impl Observer for Nobody {
    fn stored(&self, _: &mut dyn Iterator<Item = &Record<'_>>) {}
    fn dead_lettered(&self, _: &Record<'_>, _: &str) {}
    fn answered(&self, _: &str, _: Duration, _: usize, _: usize) {}
    fn state(&self, _: State<'_>) {}
    fn streams(&self, _: usize, _: u64, _: u64) {}
}

#[tokio::test]
async fn what_can_be_read_is_delivered_before_the_fault_is_told() {
    let loki = Loki::start(None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let storage = Bad(Disk::open(&spool).unwrap(), AtomicBool::new(false));
    let options = Options {
        segment_bytes: 4_096,
        max_record: 1_024,
        ..Options::default()
    };
    let (queue, _) = Queue::open_on(Box::new(storage), options).unwrap();
    let lines: Vec<String> = (0..200).map(|i| format!("line {i}")).collect();
    let entries: Vec<Entry<'_>> = lines
        .iter()
        .map(|line| Entry {
            received: 1_800_000_000_000_000_000,
            class: 6,
            when_full: WhenFull::Block,
            payload: line.as_bytes(),
        })
        .collect();
    assert_eq!(queue.append(&entries, &mut |_| ()).accepted, 200);
    let mut batch = Batch::default();
    let mut reader = queue.reader("main").unwrap();
    reader.read(&mut batch, usize::MAX, usize::MAX).unwrap();
    let readable = batch.len();
    assert!((1..200).contains(&readable), "{readable}");

    let mut destination = Destination::new("main", loki.push_url());
    destination.batching.max_lines = 1;
    let dead = Arc::new(DeadLetters::open(&folder.path().join("dead.jsonl"), 1 << 20).unwrap());
    let reader = queue.reader("main").unwrap();
    let mut pusher = Pusher::new(destination, reader, Plain, Arc::new(Nobody), dead).unwrap();
    let stop = Notify::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), pusher.run(&stop)).await;
    let fault = ended.expect("it met no fault").unwrap_err();
    assert!(
        matches!(
            fault,
            spool::Error::Storage {
                operation: "reading",
                ..
            }
        ),
        "{fault}"
    );
    assert_eq!(loki.len(), readable);
    assert_eq!(queue.stats().queued, [200 - readable as u64]);
}
