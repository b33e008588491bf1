//! What happens when the log is taken away, cut or replaced, and how it goes on.

use super::*;
use crate::audit::resume::{Resume, ResumeError, resume};

fn begin(audit: &Audit, object: &str) -> Result<(), AuditError> {
    rt().block_on(async {
        let pending = audit.begin(record(object)).await?;
        pending.finish(Outcome::Done(String::new())).await;
        Ok(())
    })
}

/// A log of ten records whose newest is noted, open.
fn open() -> (TempDir, PathBuf, Audit) {
    let dir = TempDir::new().unwrap();
    let folder = dir.join("audit");
    let audit = Audit::open(&folder, Options::default()).unwrap();
    for n in 0..5 {
        begin(&audit, &format!("device/r{n}")).unwrap();
    }
    (dir, folder, audit)
}

fn file(folder: &Path) -> PathBuf {
    segments(folder).unwrap()[0].clone()
}

fn declare(folder: &Path, anchors: &[Anchor]) -> Result<Declared, ResumeError> {
    resume(&Resume {
        folder,
        head: None,
        anchors,
        by: "ann",
        reason: "the disk was replaced",
    })
}

type Harm = fn(&Path);

/// Each way to take records away, and the first one that is lost by it.
const HARMS: [(&str, Harm, u64); 7] = [
    (
        "the folder is gone",
        |folder| fs::remove_dir_all(folder).unwrap(),
        1,
    ),
    (
        "the file is gone",
        |folder| fs::remove_file(file(folder)).unwrap(),
        1,
    ),
    ("cut between two records", |folder| keep(folder, 6), 7),
    (
        "cut inside a record",
        |folder| {
            let text = fs::read(file(folder)).unwrap();
            let file = fs::OpenOptions::new()
                .write(true)
                .open(file(folder))
                .unwrap();
            file.set_len(text.len() as u64 - 40).unwrap();
        },
        10,
    ),
    (
        "replaced by the same text in another file",
        |folder| {
            let (path, text) = (file(folder), fs::read(file(folder)).unwrap());
            fs::remove_file(&path).unwrap();
            fs::write(&path, text).unwrap();
        },
        11,
    ),
    (
        "replaced by another chain",
        |folder| {
            let path = file(folder);
            fs::remove_file(&path).unwrap();
            let (other, _) = log(12, u64::MAX);
            fs::copy(only(&other), path).unwrap();
        },
        1,
    ),
    (
        "the newest record written over in place",
        |folder| {
            let path = file(folder);
            let text = fs::read_to_string(&path).unwrap();
            let mut lines: Vec<Vec<u8>> = split(text.as_bytes());
            let last = lines.pop().unwrap();
            lines.push(forge(&last, |entry| {
                if let Event::Ended { outcome, .. } = &mut entry.event {
                    *outcome = "fail".to_owned();
                }
            }));
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &lines.concat(), 0).unwrap();
        },
        // Nothing is known of those before but that they belong to this one.
        1,
    ),
];

fn keep(folder: &Path, records: usize) {
    let kept = split(&fs::read(file(folder)).unwrap())[..records].concat();
    let path = file(folder);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(kept.len() as u64).unwrap();
}

#[test]
fn a_log_that_was_taken_away_is_noticed_at_the_next_write_and_goes_on_once_it_is_declared() {
    for (what, harm, first) in HARMS {
        let (_dir, folder, audit) = open();
        let head = audit.head();
        harm(&folder);
        let refused = begin(&audit, "device/ghost");
        assert!(
            matches!(refused, Err(AuditError::Write(_))),
            "{what}: {refused:?}"
        );
        assert!(audit.refusing().is_some(), "{what}");
        if first == 11 {
            // Nothing is lost: it goes on by itself at the next look.
            begin(&audit, "device/a").unwrap();
            continue;
        }
        assert!(
            begin(&audit, "device/ghost").is_err(),
            "{what}: once noticed it stays so"
        );
        let declared = declare(&folder, &[]).unwrap_or_else(|error| panic!("{what}: {error}"));
        let lost = (
            first,
            if what.contains("another chain") {
                12
            } else {
                10
            },
        );
        assert_eq!(declared.lost, Some(lost), "{what}");
        begin(&audit, "device/after").unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(audit.refusing(), None, "{what}");
        let report = verify(&folder, &[head, audit.head()]).unwrap();
        assert_eq!(report.findings, [], "{what}");
        let told: Vec<_> = report
            .lost
            .iter()
            .map(|lost| (lost.first, lost.last, &*lost.by))
            .collect();
        assert_eq!(told, [(lost.0, lost.1, "ann")], "{what}");
        // The next start finds it good, and it stays declared.
        drop(audit);
        let audit = Audit::open(&folder, Options::default()).unwrap();
        begin(&audit, "device/later").unwrap();
        assert_eq!(verify(&folder, &[]).unwrap().lost.len(), 1, "{what}");
    }
}

#[test]
fn a_log_that_was_taken_away_is_noticed_at_the_start() {
    for (what, harm, first) in HARMS {
        // A crash leaves a last line without its end; whoever noted the record knows better.
        let (_dir, folder, audit) = open();
        drop(audit);
        harm(&folder);
        let audit = Audit::open(&folder, Options::default()).unwrap();
        if first == 11 {
            begin(&audit, "device/a").unwrap();
            continue;
        }
        assert!(audit.refusing().is_some(), "{what}");
        assert!(begin(&audit, "device/ghost").is_err(), "{what}");
        assert_eq!(
            audit.head().sequence,
            10,
            "{what}: the metric does not begin again"
        );
        declare(&folder, &[]).unwrap_or_else(|error| panic!("{what}: {error}"));
        begin(&audit, "device/after").unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
}

#[test]
fn nothing_is_declared_over_a_log_that_is_whole_or_not_known_of() {
    let (dir, folder, audit) = open();
    let head = audit.head();
    assert!(matches!(declare(&folder, &[]), Err(ResumeError::Locked)));
    drop(audit);
    let declared = declare(&folder, &[]).unwrap();
    assert_eq!((declared.lost, declared.head), (None, head));
    assert_eq!(verify(&folder, &[head]).unwrap().findings, []);
    // With what was noted gone too, somebody must know how far it went.
    fs::remove_file(dir.join("audit.head")).unwrap();
    keep(&folder, 4);
    assert!(matches!(declare(&folder, &[]), Err(ResumeError::NoHead)));
    assert_eq!(declare(&folder, &[head]).unwrap().lost, Some((5, 10)));
}

#[test]
fn a_declaration_covers_only_what_it_follows() {
    let (_dir, folder, audit) = open();
    drop(audit);
    keep(&folder, 4);
    declare(&folder, &[]).unwrap();
    let lines = split(&fs::read(file(&folder)).unwrap());
    // A record before it is taken out: the declaration does not cover that one.
    let fewer = [&lines[..3], &lines[4..]].concat().concat();
    fs::write(file(&folder), fewer).unwrap();
    assert!(!verify(&folder, &[]).unwrap().findings.is_empty());
}

/// A new chain that is longer than what was noted, in files enough that the noted number is in none of the last two.
#[test]
fn a_longer_chain_in_many_files_does_not_pass_for_the_one_that_was_noted() {
    let (_dir, folder, audit) = open();
    drop(audit);
    fs::remove_file(file(&folder)).unwrap();
    let (other, _) = log(40, 1024);
    let forged = segments(other.path()).unwrap();
    assert!(forged.len() > 6, "{}", forged.len());
    for path in &forged {
        fs::copy(path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let audit = Audit::open(&folder, Options::default()).unwrap();
    assert!(audit.refusing().is_some());
    assert!(begin(&audit, "device/ghost").is_err());
    // The same files are good where nothing else was noted.
    drop(audit);
    fs::remove_file(head::beside(&folder)).unwrap();
    let audit = Audit::open(&folder, Options::default()).unwrap();
    begin(&audit, "device/a").unwrap();
}

#[test]
fn a_note_that_was_spoilt_is_no_new_beginning() {
    let (_dir, folder, audit) = open();
    let newest = audit.head();
    drop(audit);
    let note = head::beside(&folder);
    fs::remove_dir_all(&folder).unwrap();
    let long = "x".repeat(500);
    for spoilt in ["10:", "\n", &long] {
        fs::write(&note, spoilt).unwrap();
        let audit = Audit::open(&folder, Options::default()).unwrap();
        assert!(audit.refusing().is_some(), "{spoilt:.10}");
        assert!(begin(&audit, "device/ghost").is_err(), "{spoilt:.10}");
        drop(audit);
    }
    assert!(matches!(declare(&folder, &[]), Err(ResumeError::NoHead)));
    assert_eq!(declare(&folder, &[newest]).unwrap().lost, Some((1, 10)));
    let audit = Audit::open(&folder, Options::default()).unwrap();
    begin(&audit, "device/after").unwrap();
    assert_eq!(noted(&folder), Ok(Some(audit.head())));
}

/// The lock is taken away, so that a second service opens the log of the first.
#[test]
fn of_two_services_with_one_folder_one_records_and_nothing_is_recorded_twice() {
    let (_dir, folder, first) = open();
    fs::remove_file(folder.join("lock")).unwrap();
    let second = Audit::open(&folder, Options::default()).unwrap();
    begin(&second, "device/second").unwrap();
    assert!(begin(&first, "device/first").is_err());
    assert!(begin(&first, "device/first").is_err(), "it stays so");
    begin(&second, "device/second").unwrap();
    let report = verify(&folder, &[second.head()]).unwrap();
    assert_eq!(
        (report.findings, report.lost, report.records),
        (vec![], vec![], 14)
    );
}

#[test]
fn a_number_that_nobody_can_have_written_is_not_gone_on_with() {
    for number in [u64::MAX, u64::MAX - 1, line::MOST + 1] {
        let (_dir, folder, audit) = open();
        let newest = audit.head();
        drop(audit);
        let path = file(&folder);
        let text = fs::read(&path).unwrap();
        let last = split(&text).pop().unwrap();
        let forged = forge(&last, |entry| {
            entry.seq = number;
            entry.prev = line::hex(&newest.hash);
            entry.event = Event::Resumed {
                first: 11,
                last: 11,
                last_hash: String::new(),
                by: "ann".to_owned(),
                reason: "x".to_owned(),
            };
        });
        fs::write(&path, [text, forged].concat()).unwrap();
        assert!(!verify(&folder, &[]).unwrap().findings.is_empty());
        let audit = Audit::open(&folder, Options::default()).unwrap();
        assert!(audit.refusing().is_some(), "{number}");
        drop(audit);
        assert_eq!(declare(&folder, &[]).unwrap().lost, None, "{number}");
        let audit = Audit::open(&folder, Options::default()).unwrap();
        begin(&audit, "device/after").unwrap();
        assert_eq!(audit.head().sequence, 12, "{number}");
    }
}

/// Of records that claim to come after those that are known, no more are believed than there are.
#[test]
fn what_is_claimed_after_the_end_does_not_carry_the_numbers_away() {
    let (_dir, folder, audit) = open();
    drop(audit);
    let path = file(&folder);
    let text = fs::read(&path).unwrap();
    let forged = forge(&split(&text).pop().unwrap(), |entry| {
        entry.seq = 1 << 40;
        entry.prev = line::hex(&line::GENESIS);
    });
    fs::write(&path, [text, forged].concat()).unwrap();
    let declared = declare(&folder, &[]).unwrap();
    assert_eq!(declared.lost, Some((11, 21)));
}

#[test]
fn a_clock_that_was_set_back_is_told_and_is_no_fault() {
    let (_dir, folder, audit) = open();
    drop(audit);
    let path = file(&folder);
    let mut prev = line::GENESIS;
    let mut lines = Vec::new();
    for (number, line) in split(&fs::read(&path).unwrap()).into_iter().enumerate() {
        let line = forge(&line, |entry| {
            let hour = if (4..6).contains(&number) { 11 } else { 12 };
            entry.time = format!("2026-03-01T{hour}:00:{number:02}.000000Z");
            entry.prev = line::hex(&prev);
        });
        let Parsed::Whole { hash, .. } = line::parse(&line[..line.len() - 1]) else {
            panic!("not whole")
        };
        prev = hash;
        lines.push(line);
    }
    fs::write(&path, lines.concat()).unwrap();
    let report = verify(&folder, &[]).unwrap();
    assert_eq!((report.findings, report.back), (vec![], Some((5, 1))));
}
