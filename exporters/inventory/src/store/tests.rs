//! Every call to the disk fails once, in every way it can: the last good version stays, and nothing that was
//! answered for is lost.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use inventory::edit::{Edit, Entry, Kind};
use testkit::TempDir;

use super::disk::{Disk, Real};
use super::merging::Side;
use super::*;
use crate::config::Remote;

/// How the call ends that is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It fails, and the process lives on.
    Fails,
    /// The process dies before it.
    Before,
    /// The process dies after it.
    After,
    /// The process dies when so many bytes are written.
    Torn(usize),
}

struct Faulty {
    chosen: usize,
    end: End,
    calls: AtomicUsize,
    dead: AtomicBool,
    /// Bytes of the chosen call, when it writes some.
    bytes: AtomicUsize,
}

impl Faulty {
    fn new(chosen: usize, end: End) -> Arc<Self> {
        Arc::new(Self {
            chosen,
            end,
            calls: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
        })
    }

    fn call<T>(
        &self,
        bytes: &[u8],
        part: impl FnOnce(&[u8]),
        whole: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let dead = || Err(io::Error::other("the process is dead"));
        if self.dead.load(Ordering::SeqCst) {
            return dead();
        }
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.chosen {
            return whole();
        }
        self.bytes.store(bytes.len(), Ordering::SeqCst);
        if self.end == End::Fails {
            // A full disk: part of it was written.
            part(&bytes[..bytes.len() / 2]);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        match self.end {
            End::After => drop(whole()),
            End::Torn(length) => part(&bytes[..length.min(bytes.len())]),
            _ => {}
        }
        self.dead.store(true, Ordering::SeqCst);
        dead()
    }
}

impl Disk for Faulty {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.call(&[], |_| (), || Real.read(path))
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call(
            bytes,
            |part| Real.append(path, part).unwrap(),
            || Real.append(path, bytes),
        )
    }
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.call(&[], |_| (), || Real.truncate(path, length))
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call(
            bytes,
            |part| Real.write(path, part).unwrap(),
            || Real.write(path, bytes),
        )
    }
    fn sync(&self, path: &Path) -> io::Result<()> {
        self.call(&[], |_| (), || Real.sync(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(&[], |_| (), || Real.rename(from, to))
    }
    fn git(
        &self,
        folder: &Path,
        args: &[&str],
        input: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Output> {
        self.call(&[], |_| (), || Real.git(folder, args, input))
    }
}

const TEXT: &str = "# ours\ndevices:\n  - name: r0\n    address: 192.0.2.1 # kept\n";

struct Case {
    dir: TempDir,
}

impl Case {
    /// A folder whose store was opened before, with one change in git.
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        dir.write("inventory.yaml", TEXT).unwrap();
        let case = Self { dir };
        let store = case.open(Arc::new(Real)).unwrap();
        store.flush().unwrap();
        case
    }

    fn file(&self) -> PathBuf {
        self.dir.join("inventory.yaml")
    }

    fn options(&self) -> Options {
        Options {
            guard: Guard::default(),
            file: self.file(),
            branch: "main".to_owned(),
            audit: None,
        }
    }

    #[allow(clippy::needless_pass_by_value, reason = "as the store takes it")]
    fn open(&self, disk: Arc<dyn Disk>) -> Result<Arc<Store>, StoreError> {
        // Another test that starts git holds a copy of our lock file for a moment.
        for _ in 0..200 {
            match Store::open(Arc::clone(&disk), self.options()) {
                Err(StoreError::Taken) => std::thread::sleep(Duration::from_millis(10)),
                other => return other,
            }
        }
        Err(StoreError::Taken)
    }
}

fn put(name: &str, last: u8) -> Edit {
    Edit::Put(
        Entry::parse(
            Kind::Device,
            &format!("{{name: {name}, address: 10.0.0.{last}}}"),
        )
        .unwrap(),
    )
}

fn change(store: &Arc<Store>, edit: Edit) -> Result<(), StoreError> {
    let mut held = store.try_hold();
    held.settle()?;
    let prepared = held.prepare(vec![edit])?;
    let signed = Signed {
        author: git::author("t", "t@example.net"),
        message: "test".to_owned(),
        key: None,
    };
    held.commit(prepared, &signed)
}

fn names(store: &Store) -> Vec<String> {
    store
        .document()
        .devices
        .iter()
        .map(|device| device.name.clone())
        .collect()
}

/// Open, two changes, a flush, a third change, a flush; answers what was answered for.
fn story(case: &Case, disk: &Arc<Faulty>) -> Vec<&'static str> {
    let mut answered = vec!["r0"];
    let Ok(store) = case.open(Arc::clone(disk) as Arc<dyn Disk>) else {
        return answered;
    };
    for (name, last) in [("a", 1), ("b", 2)] {
        if change(&store, put(name, last)).is_ok() {
            answered.push(name);
        }
    }
    let _ = store.flush();
    if change(&store, put("c", 3)).is_ok() {
        answered.push("c");
    }
    let _ = store.flush();
    assert_eq!(
        names(&store),
        answered,
        "memory holds something else than was answered for"
    );
    answered
}

/// Opens after the story with a sound disk: everything that was answered for is there, once, in file, memory and git.
fn whole(case: &Case, answered: &[&str], what: &str) {
    let store = case
        .open(Arc::new(Real))
        .unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
    let found = names(&store);
    let extra: Vec<&String> = found
        .iter()
        .filter(|name| !answered.contains(&&***name))
        .collect();
    assert!(
        answered
            .iter()
            .all(|name| found.iter().any(|found| found == name)),
        "{what}: {found:?}, answered {answered:?}"
    );
    // A change that died after its record was on disk may be there too, whole; never more than that one.
    assert!(extra.len() <= 1, "{what}: {found:?}, answered {answered:?}");
    change(&store, put("z", 9)).unwrap();
    store.flush().unwrap();
    let text = std::fs::read_to_string(case.file()).unwrap();
    assert!(
        text.starts_with("# ours\ndevices:\n  - name: r0\n    address: 192.0.2.1 # kept\n"),
        "{what}: {text}"
    );
    assert_eq!(text, store.try_hold().text(), "{what}");
    let head = store.git.head().unwrap().unwrap();
    assert_eq!(store.git.file_at(&head).unwrap().unwrap(), text, "{what}");
    let log = store.git.log(&head, 100).unwrap();
    assert_eq!(log.len(), found.len() + 1, "{what}: {log:?}");
    let fsck = std::process::Command::new("git")
        .args(["fsck", "--strict"])
        .current_dir(case.dir.path())
        .output()
        .unwrap();
    assert!(
        fsck.status.success(),
        "{what}: {}",
        String::from_utf8_lossy(&fsck.stderr)
    );
}

#[test]
fn every_call_may_fail_or_be_the_last() {
    let calls = {
        let (case, disk) = (Case::new(), Faulty::new(usize::MAX, End::Fails));
        let answered = story(&case, &disk);
        assert_eq!(answered, ["r0", "a", "b", "c"]);
        disk.calls.load(Ordering::SeqCst)
    };
    assert!(calls > 20, "{calls}");
    let (next, torn) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = |chosen: usize, end: End, what: String| {
        let (case, disk) = (Case::new(), Faulty::new(chosen, end));
        let answered = story(&case, &disk);
        whole(
            &case,
            &answered,
            &format!("call {chosen} of {calls}, {what}"),
        );
        disk.bytes.load(Ordering::SeqCst)
    };
    let every = || {
        while let Some(chosen) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|at| *at < calls)
        {
            one(chosen, End::Fails, "which fails".to_owned());
            one(chosen, End::After, "after which all ends".to_owned());
            let bytes = one(chosen, End::Before, "before which all ends".to_owned());
            // What is written may be cut off anywhere.
            for length in [1, bytes / 3, bytes.saturating_sub(1)] {
                if bytes > 0 {
                    torn.fetch_add(1, Ordering::SeqCst);
                    one(
                        chosen,
                        End::Torn(length),
                        format!("cut after {length} of {bytes} bytes"),
                    );
                }
            }
        }
    };
    // They wait for a disk most of the time.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(every);
        }
    });
    let torn = torn.into_inner();
    assert!(torn > 6, "{torn}");
}

/// The journal cut at every byte: exactly the changes whose lines are whole are there.
#[test]
fn a_journal_cut_at_any_byte_holds_what_was_whole() {
    let case = Case::new();
    let store = case.open(Arc::new(Real)).unwrap();
    for n in 0..3 {
        change(&store, put(&format!("d{n}"), n)).unwrap();
    }
    let journal = store.private.join("journal");
    drop(store);
    let bytes = std::fs::read(&journal).unwrap();
    let file = std::fs::read_to_string(case.file()).unwrap();
    for length in 0..=bytes.len() {
        std::fs::write(&journal, &bytes[..length]).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(Real);
        let (_, records) = Journal::open(disk, journal.parent().unwrap()).unwrap();
        let lines = bytes[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        assert_eq!(records.len(), lines, "cut after {length} bytes");
        assert_eq!(
            std::fs::read(&journal).unwrap(),
            &bytes[..length][..records_end(&bytes, lines)]
        );
    }
    // A byte that turned over in the middle is found and told, not passed over.
    let mut bad = bytes.clone();
    bad[20] ^= 1;
    std::fs::write(&journal, &bad).unwrap();
    let error = case.open(Arc::new(Real)).err().unwrap();
    assert!(
        chain(&error).contains("journal:1: the line is damaged"),
        "{}",
        chain(&error)
    );
    std::fs::write(&journal, &bytes).unwrap();
    std::fs::write(case.file(), TEXT).unwrap();
    let store = case.open(Arc::new(Real)).unwrap();
    assert_eq!(names(&store), ["r0", "d0", "d1", "d2"]);
    assert_eq!(std::fs::read_to_string(case.file()).unwrap(), file);
}

fn records_end(bytes: &[u8], lines: usize) -> usize {
    let feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    feeds.take(lines).last().map_or(0, |(at, _)| at + 1)
}

#[test]
fn two_processes_do_not_edit_one_inventory() {
    let case = Case::new();
    let first = case.open(Arc::new(Real)).unwrap();
    let second = Store::open(Arc::new(Real), case.options());
    assert!(matches!(second, Err(StoreError::Taken)));
    drop(first);
    case.open(Arc::new(Real)).unwrap();
}

/// What another clone changed comes in; what both changed is shown, and each side stays where it is.
#[test]
fn two_sides_are_merged_and_none_is_lost() {
    let (case, far) = (Case::new(), TempDir::new().unwrap());
    let git = |folder: &Path, args: &[&str]| {
        let out = std::process::Command::new("git")
            .args(["-c", "user.name=f", "-c", "user.email=f@example.net"])
            .args(args)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    };
    let ours = case.dir.path().display().to_string();
    git(far.path(), &["clone", "-q", &ours, "."]);
    let their_file = far.join("inventory.yaml");
    let write = |text: &str| {
        std::fs::write(&their_file, text).unwrap();
        git(far.path(), &["commit", "-qam", "theirs"]);
    };
    write(&format!(
        "{TEXT}  # theirs\n  - name: t\n    address: 10.0.0.7\n"
    ));
    let store = case.open(Arc::new(Real)).unwrap();
    change(
        &store,
        Edit::Put(
            Entry::parse(Kind::Device, "{name: r0, address: 192.0.2.1, role: core}").unwrap(),
        ),
    )
    .unwrap();
    store.flush().unwrap();
    let remote = Remote::of(&far.path().display().to_string());
    let pull = |store: &Arc<Store>| {
        let Some(theirs) = store.fetch(&remote).unwrap() else {
            return Ok(false);
        };
        let mut held = store.try_hold();
        let prepared = held.bring_in(Side::Remote, &theirs)?;
        let signed = Signed {
            author: git::author("t", "t@example.net"),
            message: "merge".to_owned(),
            key: None,
        };
        prepared
            .map(|prepared| held.commit(prepared, &signed))
            .transpose()
            .map(|done| done.is_some())
    };
    assert!(pull(&store).unwrap());
    store.flush().unwrap();
    assert_eq!(names(&store), ["r0", "t"]);
    assert!(!pull(&store).unwrap(), "there is nothing new");
    // Pushed back, it is a step forward there.
    git(far.path(), &["checkout", "-q", "-b", "aside"]);
    store.push(&remote).unwrap();
    git(far.path(), &["checkout", "-q", "main"]);
    assert_eq!(
        std::fs::read_to_string(&their_file).unwrap(),
        std::fs::read_to_string(case.file()).unwrap()
    );
    let text = std::fs::read_to_string(&their_file).unwrap();
    write(&text.replace("10.0.0.7", "10.0.0.77"));
    change(&store, put("t", 70)).unwrap();
    store.flush().unwrap();
    let before = std::fs::read_to_string(case.file()).unwrap();
    let Err(StoreError::Conflict(conflicts)) = pull(&store) else {
        panic!("both changed t");
    };
    assert_eq!((conflicts.len(), &*conflicts[0].name), (1, "t"));
    assert_eq!(std::fs::read_to_string(case.file()).unwrap(), before);
    git(far.path(), &["checkout", "-q", "-b", "other"]);
    assert!(
        matches!(store.push(&remote), Err(StoreError::Git(_))),
        "a push must not take their side away"
    );
}

/// A folder with twenty devices whose store was opened before.
fn twenty() -> Case {
    let case = Case::new();
    let store = case.open(Arc::new(Real)).unwrap();
    for number in 1..20 {
        change(&store, put(&format!("d{number}"), number)).unwrap();
    }
    store.flush().unwrap();
    case
}

fn held_back(store: &Arc<Store>) -> bool {
    let mut held = store.try_hold();
    let refused =
        matches!(held.settle(), Err(StoreError::BadFile(why)) if why.contains("held back"));
    refused && held.store.feed.health().shrunk && names(store).len() == 20
}

#[test]
fn an_emptied_or_half_written_file_is_held_back_until_it_is_confirmed_also_over_a_restart() {
    let case = twenty();
    let whole = std::fs::read_to_string(case.file()).unwrap();
    let half: String = whole
        .lines()
        .take(8)
        .map(|line| format!("{line}\n"))
        .collect();
    let store = case.open(Arc::new(Real)).unwrap();
    for bad in ["devices: []\n", half.as_str()] {
        std::fs::write(case.file(), bad).unwrap();
        assert!(held_back(&store), "{bad}");
        // Nobody changes anything over it, and it is not the next version.
        assert!(matches!(
            change(&store, put("x", 99)),
            Err(StoreError::BadFile(_))
        ));
        std::fs::write(case.file(), &whole).unwrap();
        store.try_hold().settle().unwrap();
        assert!(!store.feed.health().shrunk && names(&store).len() == 20);
    }
    std::fs::write(case.file(), &half).unwrap();
    assert!(held_back(&store));
    drop(store);
    let store = case.open(Arc::new(Real)).unwrap();
    assert!(held_back(&store), "after a restart");
    store.try_hold().confirm().unwrap();
    assert!(names(&store).len() < 10 && !store.feed.health().shrunk);
    // Who deletes by the API means it.
    for name in names(&store) {
        change(&store, Edit::Delete(Kind::Device, name)).unwrap();
    }
    assert_eq!(names(&store).len(), 0);
}
