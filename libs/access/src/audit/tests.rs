use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use testkit::TempDir;

use super::line::{self, Entry, Event, Parsed};
use super::recover::Recovered;
use super::segment::{Position, segments};
use super::store::Store;
use super::verify::{Checker, Place, Seen, lines, verify, verify_from};
use super::*;
use crate::caller::{Role, Via};

mod restore;

/// With the newest record noted in the folder, and what was noted before forgotten: as if it had been written by no process yet.
fn forgetful(dir: &TempDir) -> Options {
    let _ = fs::remove_file(dir.join("head"));
    noting(dir)
}

/// With the newest record noted in the folder, which goes away with it.
fn noting(dir: &TempDir) -> Options {
    Options {
        head: Some(dir.join("head")),
        ..Options::default()
    }
}

fn record(object: &str) -> Record {
    Record {
        caller: Some(Caller {
            subject: "user:1".to_owned(),
            display: "ann".to_owned(),
            role: Role::Operator,
            via: Via::GrafanaToken,
        }),
        verb: "device.change".to_owned(),
        object: object.to_owned(),
        trace_id: None,
        request_hash: [7; 32],
    }
}

fn rt() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A log of so many records, half of them outcomes; the folder and the last record.
fn log(records: u64, segment_bytes: u64) -> (TempDir, Anchor) {
    let dir = TempDir::new().unwrap();
    let options = Options {
        segment_bytes,
        ..forgetful(&dir)
    };
    let audit = Audit::open(dir.path(), options).unwrap();
    rt().block_on(async {
        for n in 0..records / 2 {
            let pending = audit.begin(record(&format!("device/r{n}"))).await.unwrap();
            pending.finish(Outcome::Done("v1".to_owned())).await;
        }
    });
    let head = audit.head();
    assert_eq!(head.sequence, records);
    (dir, head)
}

fn only(dir: &TempDir) -> PathBuf {
    let files = segments(dir.path()).unwrap();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

fn findings(path: &Path, anchors: &[Anchor]) -> Vec<Finding> {
    verify(path, anchors).unwrap().findings
}

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.map(<[u8]>::to_vec).collect()
}

#[test]
fn log_that_nobody_touched_is_whole() {
    let (dir, head) = log(200, u64::MAX);
    let report = verify(dir.path(), &[head]).unwrap();
    assert_eq!((report.records, report.files), (200, 1));
    assert_eq!((report.head, report.findings), (Some(head), Vec::new()));
    let text = fs::read_to_string(only(&dir)).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["event"], "begun");
    assert_eq!(first["object"], "device/r0");
    assert_eq!(first["prev"], "0".repeat(64));
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["outcome"], &last["of"]),
        (&"done".into(), &199.into())
    );
}

/// Every bit of the file, also those that make or take a line end.
#[test]
fn every_flipped_bit_is_found_and_named() {
    let (dir, _) = log(200, u64::MAX);
    let all = split(&fs::read(only(&dir)).unwrap());
    let seen: Vec<Seen> = all
        .iter()
        .map(|line| Seen::of(&line[..line.len() - 1], true))
        .collect();
    let flipped = std::thread::scope(|scope| {
        let (all, seen) = (&all, &seen);
        let halves = [0, 1].map(|half| scope.spawn(move || flip_every_bit(all, seen, half)));
        halves
            .map(|half| half.join().unwrap())
            .iter()
            .sum::<usize>()
    });
    assert_eq!(
        flipped,
        all.iter().map(|line| line.len() * 8).sum::<usize>()
    );
}

/// Flips every bit of every second line; returns how many.
fn flip_every_bit(all: &[Vec<u8>], seen: &[Seen], half: usize) -> usize {
    let place = |line: usize| Place {
        file: "x".to_owned(),
        line: line as u64,
    };
    let mut before = Checker::new(&[]);
    let mut flips = 0;
    for (at, line) in all.iter().enumerate() {
        let mut bad = line.clone();
        for bit in 0..line.len() * 8 {
            if at % 2 != half {
                break;
            }
            bad[bit / 8] ^= 1 << (bit % 8);
            let mut checker = before.clone();
            // A line end that is gone joins this line and the next; the lines after them are as they were.
            let joined = usize::from(bit / 8 + 1 == line.len());
            let region = [
                &bad[..],
                all.get(at + joined)
                    .filter(|_| joined == 1)
                    .map_or(&[], |it| it),
            ]
            .concat();
            lines(&region[..], "x", 1, |place, bytes, ended| {
                checker.line(place, Seen::of(bytes, ended));
            })
            .unwrap();
            for (later, seen) in seen.iter().enumerate().skip(at + 1 + joined).take(3) {
                checker.line(place(later), seen.clone());
            }
            let found = checker.finish().findings;
            let number = at as u64 + 1;
            let named = found.iter().any(|finding| match finding {
                Finding::Changed { sequence, .. } => *sequence == number,
                Finding::Torn { .. } => number == 200,
                _ => false,
            });
            assert!(named, "record {number}, bit {bit}: {found:?}");
            bad[bit / 8] ^= 1 << (bit % 8);
            flips += 1;
        }
        before.line(place(at), seen[at].clone());
    }
    assert!(before.finish().findings.is_empty());
    flips
}

/// The same from the file itself, for some of the bits.
#[test]
fn flipped_bits_in_the_file_are_found() {
    let (dir, _) = log(200, u64::MAX);
    let path = only(&dir);
    let good = fs::read(&path).unwrap();
    for bit in (0..good.len() * 8).step_by(9973) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bad).unwrap();
        assert!(!findings(dir.path(), &[]).is_empty(), "bit {bit}");
    }
}

#[test]
fn every_removed_record_is_found_and_the_last_one_by_its_anchor() {
    let (dir, head) = log(200, u64::MAX);
    let path = only(&dir);
    let all = split(&fs::read(&path).unwrap());
    for at in 0..all.len() {
        let mut fewer = all.clone();
        fewer.remove(at);
        fs::write(&path, fewer.concat()).unwrap();
        let number = at as u64 + 1;
        let wanted = vec![Finding::Dropped {
            first: number,
            last: number,
        }];
        assert_eq!(findings(dir.path(), &[head]), wanted);
        // The end of the chain is what the file says, unless somebody knows better.
        let unanchored = if number == 200 { Vec::new() } else { wanted };
        assert_eq!(findings(dir.path(), &[]), unanchored);
    }
}

#[test]
fn every_swap_is_found_and_named() {
    let (dir, _) = log(200, u64::MAX);
    let path = only(&dir);
    let all = split(&fs::read(&path).unwrap());
    for first in 0..all.len() - 1 {
        for second in [first + 1, all.len() - 1 - first / 2] {
            if second <= first {
                continue;
            }
            let mut swapped = all.clone();
            swapped.swap(first, second);
            fs::write(&path, swapped.concat()).unwrap();
            let found = findings(dir.path(), &[]);
            let reordered = |finding: &Finding| {
                matches!(finding, Finding::Reordered { sequence, .. }
                    if (first as u64 + 1..=second as u64 + 1).contains(sequence))
            };
            assert!(
                !found.is_empty() && found.iter().any(reordered),
                "{first} {second}: {found:?}"
            );
        }
    }
}

#[test]
fn what_is_inserted_is_found() {
    let (dir, _) = log(20, u64::MAX);
    let path = only(&dir);
    let all = split(&fs::read(&path).unwrap());
    for at in 0..all.len() {
        let mut more = all.clone();
        more.insert(at, all[at].clone());
        fs::write(&path, more.concat()).unwrap();
        let sequence = at as u64 + 1;
        let found = findings(dir.path(), &[]);
        assert!(
            matches!(found[..], [Finding::Inserted { sequence: named, .. }] if named == sequence),
            "{at}: {found:?}"
        );
        let mut more = all.clone();
        more.insert(at, b"{}\n".to_vec());
        fs::write(&path, more.concat()).unwrap();
        let found = findings(dir.path(), &[]);
        assert!(
            matches!(found[..], [Finding::Foreign { .. }]),
            "{at}: {found:?}"
        );
    }
}

/// Writes a record anew with its own right hash, as somebody would who knows how.
fn forge(line: &[u8], change: impl FnOnce(&mut Entry)) -> Vec<u8> {
    let Parsed::Whole { mut entry, .. } = line::parse(&line[..line.len() - 1]) else {
        panic!("not whole")
    };
    change(&mut entry);
    entry.line().unwrap().0
}

#[test]
fn replaced_record_breaks_the_chain_and_a_new_chain_its_anchor() {
    let (dir, head) = log(20, u64::MAX);
    let path = only(&dir);
    let mut all = split(&fs::read(&path).unwrap());
    all[4] = forge(&all[4], |entry| {
        if let Event::Begun(what) = &mut entry.event {
            what.subject = "user:2".to_owned();
        }
    });
    fs::write(&path, all.concat()).unwrap();
    let found = findings(dir.path(), &[]);
    assert!(
        matches!(found[..], [Finding::Unlinked { sequence: 6, .. }]),
        "{found:?}"
    );
    // Every record after it made to fit: a whole chain, of other records. Only who kept the head can tell.
    for at in 5..all.len() {
        let Parsed::Whole { hash, .. } = line::parse(&all[at - 1][..all[at - 1].len() - 1]) else {
            panic!("not whole")
        };
        all[at] = forge(&all[at], |entry| entry.prev = hex(&hash));
    }
    fs::write(&path, all.concat()).unwrap();
    assert_eq!(findings(dir.path(), &[]), []);
    assert_eq!(
        findings(dir.path(), &[head]),
        [Finding::NotAnchored { sequence: 20 }]
    );
}

#[test]
fn rotation_keeps_the_chain() {
    let (dir, head) = log(60, 2000);
    let files = segments(dir.path()).unwrap();
    assert!(files.len() > 5, "{files:?}");
    let report = verify(dir.path(), &[head]).unwrap();
    assert_eq!((report.records, report.findings), (60, Vec::new()));
    // It goes on where it was.
    let audit = Audit::open(dir.path(), forgetful(&dir)).unwrap();
    assert_eq!(audit.head(), head);
    drop(audit);
    // The oldest file was moved away: who verifies declares its last record as the genesis.
    let oldest = split(&fs::read(&files[0]).unwrap());
    let Parsed::Whole { entry, hash } = line::parse(oldest.last().unwrap().trim_ascii_end()) else {
        panic!("not whole")
    };
    let last = Anchor {
        sequence: entry.seq,
        hash,
    };
    fs::remove_file(&files[0]).unwrap();
    let dropped = Finding::Dropped {
        first: 1,
        last: last.sequence,
    };
    assert_eq!(findings(dir.path(), &[]), std::slice::from_ref(&dropped));
    assert_eq!(findings(dir.path(), &[last, head]), [dropped]);
    let early = Anchor {
        sequence: 1,
        hash: [1; 32],
    };
    let from = |anchors: &[Anchor]| verify_from(dir.path(), Some(last), anchors).unwrap();
    let report = from(&[early, last, head]);
    assert_eq!((report.findings, report.before), (Vec::new(), 1));
    assert_eq!(
        verify_from(dir.path(), Some(early), &[head])
            .unwrap()
            .findings
            .len(),
        1,
        "not after a record that is none"
    );
    // A file in the middle is missed.
    fs::remove_file(&files[3]).unwrap();
    let found = from(&[head]).findings;
    assert!(matches!(found[..], [Finding::Dropped { .. }]), "{found:?}");
}

#[test]
fn torn_end_is_recovered_wherever_it_was_cut() {
    let (dir, _) = log(10, u64::MAX);
    let path = only(&dir);
    let good = fs::read(&path).unwrap();
    let last = split(&good).last().unwrap().len();
    for cut in 1..last {
        let torn = &good[..good.len() - cut];
        fs::write(&path, torn).unwrap();
        assert!(
            matches!(findings(dir.path(), &[])[..], [Finding::Torn { .. }]),
            "{cut}"
        );
        let audit = Audit::open(dir.path(), forgetful(&dir)).unwrap();
        drop(audit);
        assert_eq!(findings(dir.path(), &[]), [], "cut {cut}");
        let text = fs::read_to_string(&path).unwrap();
        let recovered = text
            .lines()
            .find(|line| line.contains("\"event\":\"recovered\""))
            .unwrap();
        let recovered: serde_json::Value = serde_json::from_str(recovered).unwrap();
        // Cut by its line end alone the record is whole, and stays.
        assert_eq!(recovered["whole"], cut == 1);
        assert_eq!(recovered["bytes"], last - cut);
        assert_eq!(text.contains("\"outcome\":\"unknown\""), cut != 1, "{text}");
    }
}

#[test]
fn damaged_log_is_not_gone_on_with() {
    let (dir, _) = log(10, u64::MAX);
    let path = only(&dir);
    let mut bad = fs::read(&path).unwrap();
    bad[1000] ^= 1;
    fs::write(&path, &bad).unwrap();
    let audit = Audit::open(dir.path(), forgetful(&dir)).unwrap();
    let why = audit.refusing().unwrap();
    assert!(why.contains("was changed"), "{why}");
    let refused = rt().block_on(audit.begin(record("device/a")));
    assert!(matches!(refused, Err(AuditError::Write(_))), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), bad, "and left as it is");
}

#[test]
fn one_process_writes() {
    let (dir, _) = log(2, u64::MAX);
    let audit = Audit::open(dir.path(), forgetful(&dir)).unwrap();
    assert!(matches!(
        Audit::open(dir.path(), forgetful(&dir)),
        Err(AuditError::Locked(_))
    ));
    drop(audit);
    Audit::open(dir.path(), forgetful(&dir)).unwrap();
}

#[tokio::test]
async fn who_goes_away_leaves_an_outcome() {
    let dir = TempDir::new().unwrap();
    let audit = Audit::open(dir.path(), forgetful(&dir)).unwrap();
    drop(audit.begin(record("device/a")).await.unwrap());
    // Gone while it is being recorded.
    let mut begin = Box::pin(audit.begin(record("device/b")));
    let _ = futures_util::future::poll_immediate(&mut begin).await;
    drop(begin);
    drop(audit);
    let text = fs::read_to_string(only(&dir)).unwrap();
    assert_eq!(
        text.matches("\"outcome\":\"abandoned\"").count(),
        2,
        "{text}"
    );
    assert_eq!(findings(dir.path(), &[]), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_a_time_share_one_chain() {
    let dir = TempDir::new().unwrap();
    let audit = Audit::open(
        dir.path(),
        Options {
            most_pending: 500,
            ..forgetful(&dir)
        },
    )
    .unwrap();
    let tasks = (0..500).map(|n| {
        let audit = audit.clone();
        tokio::spawn(async move {
            let pending = audit.begin(record(&format!("device/r{n}"))).await.unwrap();
            pending.finish(Outcome::Refused("412".to_owned())).await;
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let report = verify(dir.path(), &[audit.head()]).unwrap();
    assert_eq!((report.records, report.findings), (1000, Vec::new()));
}

#[tokio::test]
async fn what_is_too_long_or_too_much_is_refused() {
    let dir = TempDir::new().unwrap();
    let audit = Audit::open(
        dir.path(),
        Options {
            most_pending: 1,
            ..forgetful(&dir)
        },
    )
    .unwrap();
    let long = audit.begin(record(&"x".repeat(20_000))).await;
    assert!(matches!(long, Err(AuditError::TooLong { .. })));
    let pending = audit.begin(record("device/a")).await.unwrap();
    assert!(matches!(
        audit.begin(record("device/b")).await,
        Err(AuditError::Busy)
    ));
    pending.finish(Outcome::Failed("é".repeat(10_000))).await;
    audit
        .begin(record("device/c"))
        .await
        .unwrap()
        .finish(Outcome::Done(String::new()))
        .await;
    assert_eq!(findings(dir.path(), &[]), []);
}

/// A disk of so many bytes, that takes what fits and then fails.
#[derive(Clone, Default)]
struct Small(Arc<Mutex<Disk>>);

#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    size: usize,
    reserved: usize,
    /// Cutting fails too.
    stuck: bool,
    /// Making durable fails.
    unsynced: bool,
}

impl Store for Small {
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.bytes.len() + bytes as usize > disk.size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.reserved = disk.bytes.len() + bytes as usize;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let fits = bytes.len().min(
            disk.size
                .max(disk.reserved)
                .saturating_sub(disk.bytes.len()),
        );
        disk.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if disk.unsynced {
            return Err(io::Error::other("fsync"));
        }
        Ok(())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.stuck {
            return Err(io::Error::other("cut"));
        }
        disk.bytes.truncate(len as usize);
        Ok(())
    }

    fn rotate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

impl Small {
    fn set(&self, change: impl FnOnce(&mut Disk)) {
        change(&mut self.0.lock().unwrap());
    }

    fn findings(&self) -> Vec<Finding> {
        let mut checker = Checker::new(&[]);
        lines(
            &self.0.lock().unwrap().bytes[..],
            "disk",
            1,
            |at, bytes, ended| {
                checker.line(at, Seen::of(bytes, ended));
            },
        )
        .unwrap();
        checker.finish().findings
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().bytes.clone()).unwrap()
    }
}

fn on(disk: &Small) -> Audit {
    let found = Recovered {
        at: Position {
            sequence: 0,
            hash: line::GENESIS,
            len: 0,
        },
        events: Vec::new(),
    };
    Audit::start(
        disk.clone(),
        &found,
        &Options {
            segment_bytes: u64::MAX,
            most_pending: 64,
            head: None,
        },
    )
    .unwrap()
}

/// Whatever size the disk has: what is begun gets its outcome, what finds no room is refused, and the chain is whole at every moment.
#[tokio::test]
async fn full_disk_refuses_what_it_cannot_record() {
    for size in (0..20_000).step_by(331) {
        let disk = Small::default();
        disk.set(|disk| disk.size = size);
        let audit = on(&disk);
        let (mut done, mut refused) = (0, 0);
        for n in 0..30 {
            match audit.begin(record(&format!("device/r{n}"))).await {
                Ok(pending) => {
                    pending.finish(Outcome::Done(String::new())).await;
                    done += 1;
                }
                Err(AuditError::Write(error)) => {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
            assert_eq!(disk.findings(), [], "{size}");
        }
        assert!(refused > 0 || size > 15_000, "{size}");
        assert_eq!(disk.text().matches("\"outcome\":\"done\"").count(), done);
        // With room again it goes on.
        disk.set(|disk| disk.size = 1 << 20);
        audit
            .begin(record("device/x"))
            .await
            .unwrap()
            .finish(Outcome::Done(String::new()))
            .await;
        assert_eq!(disk.findings(), []);
    }
}

/// However many are pending when the disk fills, there is room for the outcome of each.
#[tokio::test]
async fn room_is_kept_for_every_outcome() {
    for size in (0..80_000).step_by(1777) {
        let disk = Small::default();
        disk.set(|disk| disk.size = size);
        let audit = on(&disk);
        let mut open = Vec::new();
        for n in 0..30 {
            open.extend(audit.begin(record(&format!("device/r{n}"))).await);
        }
        let begun = open.len();
        assert!(begun < 30 && (begun > 0 || size < 6000), "{size}: {begun}");
        for pending in open {
            pending.finish(Outcome::Failed("\u{1}".repeat(512))).await;
        }
        assert_eq!(
            disk.text().matches("\"outcome\":\"failed\"").count(),
            begun,
            "{size}"
        );
        assert_eq!(disk.findings(), []);
    }
}

#[tokio::test]
async fn outcome_that_could_not_be_written_comes_before_anything_else() {
    let disk = Small::default();
    disk.set(|disk| disk.size = 1 << 20);
    let audit = on(&disk);
    let first = audit.begin(record("device/a")).await.unwrap();
    disk.set(|disk| disk.unsynced = true);
    first.finish(Outcome::Done("v1".to_owned())).await;
    assert!(
        !disk.text().contains("v1"),
        "what is not durable is taken back"
    );
    assert!(audit.begin(record("device/b")).await.is_err());
    // It cannot even be taken back: nothing is appended behind it.
    disk.set(|disk| disk.stuck = true);
    assert!(audit.begin(record("device/c")).await.is_err());
    disk.set(|disk| (disk.stuck, disk.unsynced) = (false, false));
    audit
        .begin(record("device/d"))
        .await
        .unwrap()
        .finish(Outcome::Done("v2".to_owned()))
        .await;
    assert_eq!(disk.findings(), []);
    let text = disk.text();
    assert!(
        text.find("v1").unwrap() < text.find("device/d").unwrap(),
        "{text}"
    );
    assert!(!text.contains("device/b") && !text.contains("device/c"));
}

/// A real file system of 128 KiB, in a mount namespace of this thread alone.
#[test]
fn full_file_system_refuses_what_it_cannot_record() {
    use nix::mount::{MsFlags, mount};
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not root: a small file system cannot be mounted, this is left out");
        return;
    }
    let worker = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let dir = TempDir::new().unwrap();
        mount(
            Some("none"),
            dir.path(),
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=128k"),
        )
        .unwrap();
        rt().block_on(async {
            let audit = Audit::open(dir.path(), forgetful(&dir)).unwrap();
            let mut done = 0;
            let error = loop {
                assert!(done < 1000, "the file system never fills");
                match audit.begin(record(&format!("device/r{done}"))).await {
                    Ok(pending) => pending.finish(Outcome::Done(String::new())).await,
                    Err(error) => break error,
                }
                done += 1;
            };
            assert!(matches!(&error, AuditError::Write(why) if why.kind() == io::ErrorKind::StorageFull), "{error:?}");
            assert!(done > 50, "{done}");
            let report = verify(dir.path(), &[audit.head()]).unwrap();
            assert_eq!((report.records, report.findings), (done * 2, Vec::new()));
        });
        nix::mount::umount2(dir.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
    });
    worker.join().unwrap();
}

#[test]
fn anchors_are_read_from_what_is_kept() {
    let anchor = Anchor {
        sequence: 201,
        hash: line::digest(b"x"),
    };
    let hash = hex(&anchor.hash);
    for text in [
        anchor.to_string(),
        format!("time=2026-01-01T00:00:00Z level=info msg=audit seq=201 hash={hash} event=begun"),
        format!("{{\"msg\":\"audit\",\"seq\":201,\"hash\":\"{hash}\"}}"),
    ] {
        assert_eq!(text.parse(), Ok(anchor), "{text}");
    }
    for text in [
        "",
        "201",
        "201:abc",
        &format!("201:{}", hash.to_uppercase()),
        "seq=1",
        // What a caller sends stands in a line as the value of a field, whatever it holds.
        &format!("level=info msg=\"caller refused\" path=\"/x seq=201 hash={hash}\""),
        &format!("level=info msg=\"caller refused\" path=\"/\\\" msg=audit seq=201 hash={hash}\""),
        &format!("level=info msg=audit display=\"x seq=201\" hash={hash}"),
        &format!("level=info msg=audit seq=202 hash={hash} seq=201"),
        &format!("level=info msg=\"request refused\" seq=201 hash={hash}"),
        &format!("{{\"msg\":\"caller refused\",\"path\":\"msg=audit seq=201 hash={hash}\"}}"),
    ] {
        assert_eq!(text.parse::<Anchor>(), Err(NoAnchor), "{text}");
    }
    let text: String = anchor.parts()[..5]
        .iter()
        .map(|part| format!("{part:012x}"))
        .collect();
    assert_eq!(format!("{text}{:04x}", anchor.parts()[5]), hash);
}

/// A log that a later version went on with is told from one that was changed, is not opened and is left as it is.
#[test]
fn a_record_of_a_later_version_is_no_changed_one_and_is_left_alone() {
    let (dir, head) = log(4, u64::MAX);
    let path = only(&dir);
    let before = fs::read(&path).unwrap();
    let with = |version: &str, end: &[u8]| {
        let prev = hex(&head.hash);
        let content =
            format!(r#"{{"v":{version},"seq":5,"when":1,"event":"asked","prev":"{prev}""#);
        let hash = hex(&line::digest(content.as_bytes()));
        let line = format!(r#"{content},"hash":"{hash}"}}"#);
        let text = [&before[..], line.as_bytes(), end].concat();
        fs::write(&path, &text).unwrap();
        text
    };
    for end in [&b"\n"[..], b""] {
        let text = with("2", end);
        let audit = Audit::open(dir.path(), forgetful(&dir)).unwrap();
        let said = audit.refusing().unwrap();
        assert!(
            said.contains("record 5 is of version 2") && said.contains("go back"),
            "{said}"
        );
        // Not even the end of a line that was being written is taken from it.
        assert!(fs::read(&path).unwrap().starts_with(&text));
    }
    let _ = with("2", b"\n");
    let found = findings(dir.path(), &[]);
    assert!(
        matches!(
            found[..],
            [Finding::Later {
                sequence: 5,
                version: 2,
                ..
            }]
        ),
        "{found:?}"
    );
    // One that says that it is of ours, and is none, was changed; so was one whose hash is another.
    let _ = with("1", b"\n");
    let found = findings(dir.path(), &[]);
    assert!(matches!(found[..], [Finding::Changed { .. }]), "{found:?}");
    let _ = with("2", b"\n");
    let mut text = fs::read(&path).unwrap();
    let at = text.len() - 100;
    text[at] ^= 1;
    fs::write(&path, text).unwrap();
    let found = findings(dir.path(), &[]);
    assert!(matches!(found[..], [Finding::Changed { .. }]), "{found:?}");
}
