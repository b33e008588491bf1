//! Many references moved at once, by writing the file of packed references anew.
//!
//! Git writes a file for each reference and waits for the disk each time, which for a fleet takes most of the time of writing. Here the disk is
//! waited for once: `packed-refs.lock` is written, synced and renamed, as git does when it packs, so that all references move or none does,
//! also over a crash. What stands in a file of its own hides what is packed, and is removed after that; until then the reference is the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for another program that packs; after it git writes the references, each in a file of its own.
const PATIENCE: Duration = Duration::from_secs(2);
/// Age of a lock whose program is there no more.
const LEFT: Duration = Duration::from_secs(600);
/// What the file begins with: sorted, and tags with what they stand for.
const HEADER: &[u8] = b"# pack-refs with: peeled fully-peeled sorted \n";

/// Where a reference goes.
pub(crate) struct Move<'a> {
    /// The commit that it is expected to have.
    pub(crate) from: Option<&'a str>,
    /// The commit that it shall have.
    pub(crate) to: &'a str,
}

/// Whether the repository in `folder` keeps references in files, and `reference` is a plain name, `refs/heads/KIND/NAME`, for which git would make no
/// objection. With others git itself is asked.
pub(crate) fn takes(folder: &Path, reference: &str) -> bool {
    let plain = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let lock = part.as_bytes().ends_with(b".lock");
        let dots = part.starts_with('.') || part.ends_with('.') || part.contains("..");
        !part.is_empty() && part.chars().all(known) && !dots && !lock && !part.starts_with('-')
    };
    let mut parts = reference.split('/');
    let heads = parts.next() == Some("refs") && parts.next() == Some("heads");
    let rest: Vec<&str> = parts.collect();
    heads
        && rest.len() == 2
        && rest.iter().all(|part| plain(part))
        && !folder.join("reftable").exists()
        && !folder.join(reference).is_dir()
        && !folder.join("refs/heads").join(rest[0]).is_file()
}

/// Moves references; `false` where that is for git to do, and nothing was changed.
///
/// # Errors
/// A reference has another commit than expected, or the disk fails. Then none was moved.
pub(crate) fn set(folder: &Path, moves: &BTreeMap<&str, Move<'_>>) -> io::Result<bool> {
    let path = folder.join("packed-refs");
    let Some(lock) = Lock::take(folder)? else {
        return Ok(false);
    };
    let before = match fs::read(&path) {
        Ok(before) => before,
        Err(error) if error.kind() == io::ErrorKind::NotFound => HEADER.to_vec(),
        Err(error) => return Err(error),
    };
    let sorted = before.split(|byte| *byte == b'\n').next();
    if !sorted.is_some_and(|line| line.ends_with(b" sorted ")) {
        return Ok(false);
    }
    let Some(after) = merged(folder, &before, moves)? else {
        return Ok(false);
    };
    lock.becomes(&path, &after)?;
    let mut folders = BTreeSet::new();
    for reference in moves.keys() {
        let own = folder.join(reference);
        match fs::remove_file(&own) {
            Ok(()) => folders.extend(own.parent().map(Path::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    for folder in [folder.to_owned()].iter().chain(&folders) {
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

/// `before` with references moved; `None` where one of them and one that is there stand in each other's way.
fn merged(
    folder: &Path,
    before: &[u8],
    moves: &BTreeMap<&str, Move<'_>>,
) -> io::Result<Option<Vec<u8>>> {
    let mut after = Vec::with_capacity(before.len() + moves.len() * 100);
    let mut next = moves.iter().peekable();
    let push = |after: &mut Vec<u8>, reference: &str, own: &Move<'_>, packed: Option<&[u8]>| {
        check(folder, reference, own, packed)?;
        after.extend_from_slice(own.to.as_bytes());
        after.push(b' ');
        after.extend_from_slice(reference.as_bytes());
        after.push(b'\n');
        Ok::<_, io::Error>(())
    };
    let parents: BTreeSet<&[u8]> = moves
        .keys()
        .filter_map(|reference| reference.rsplit_once('/'))
        .map(|(parent, _)| parent.as_bytes())
        .collect();
    // What a tag stands for is in the line below it.
    let mut replaced = false;
    for line in before.split_inclusive(|byte| *byte == b'\n') {
        let Some((id, name)) = packed(line) else {
            if !(replaced && line.starts_with(b"^")) {
                after.extend_from_slice(line);
            }
            continue;
        };
        let above = |(end, _): (usize, &u8)| {
            let own = str::from_utf8(&name[..end]);
            own.is_ok_and(|own| moves.contains_key(own))
        };
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        if parents.contains(name) || slashes.into_iter().any(above) {
            return Ok(None);
        }
        while let Some((reference, own)) = next.next_if(|(own, _)| own.as_bytes() < name) {
            push(&mut after, reference, own, None)?;
        }
        replaced = false;
        match next.next_if(|(own, _)| own.as_bytes() == name) {
            Some((reference, own)) => {
                replaced = true;
                push(&mut after, reference, own, Some(id))?;
            }
            None => after.extend_from_slice(line),
        }
    }
    for (reference, own) in next {
        push(&mut after, reference, own, None)?;
    }
    Ok(Some(after))
}

/// Commit and name of a line; `None` for the header and for what a tag stands for.
fn packed(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let space = line.iter().position(|byte| *byte == b' ')?;
    let id = line[..space].iter().all(u8::is_ascii_hexdigit);
    (id && space > 0).then(|| (&line[..space], &line[space + 1..]))
}

/// Whether a reference has the commit that is expected: that of its own file, or else the packed one.
fn check(folder: &Path, reference: &str, own: &Move<'_>, packed: Option<&[u8]>) -> io::Result<()> {
    let loose = match fs::read(folder.join(reference)) {
        Ok(loose) => Some(loose.trim_ascii().to_vec()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match loose.as_deref().or(packed) == own.from.map(str::as_bytes) {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{reference} was moved by another program"
        ))),
    }
}

/// `packed-refs.lock`, which git's own programs respect; gone when this is dropped.
struct Lock<'a> {
    folder: &'a Path,
    file: File,
}

impl<'a> Lock<'a> {
    fn take(folder: &'a Path) -> io::Result<Option<Self>> {
        let until = Instant::now() + PATIENCE;
        let path = folder.join("packed-refs.lock");
        loop {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Some(Self { folder, file })),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let changed = fs::metadata(&path).and_then(|own| own.modified());
            if changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT)) {
                let _ = fs::remove_file(&path);
            } else if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The file of packed references from now on.
    fn becomes(mut self, path: &Path, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.sync_all()?;
        fs::rename(self.folder.join("packed-refs.lock"), path)
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Renamed, it is not there any more.
        let _ = fs::remove_file(self.folder.join("packed-refs.lock"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn moves<'a>(of: &[(&'a str, Option<&'a str>)]) -> BTreeMap<&'a str, Move<'a>> {
        let one = |(name, from): &(&'a str, Option<&'a str>)| {
            let from = *from;
            (*name, Move { from, to: B })
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn plain_names_are_taken_and_others_are_left_to_git() {
        let dir = tempfile::tempdir().unwrap();
        let heads = dir.path().join("refs/heads");
        fs::create_dir_all(heads.join("device/folder")).unwrap();
        fs::write(heads.join("file"), A).unwrap();
        for good in [
            "refs/heads/device/r1",
            "refs/heads/device/A_b-1.example.net",
        ] {
            assert!(takes(dir.path(), good), "{good}");
        }
        for bad in [
            "refs/heads/main",
            "refs/heads/device/a/b",
            "refs/heads/device/a..b",
            "refs/heads/device/.a",
            "refs/heads/device/a.",
            "refs/heads/device/a.lock",
            "refs/heads/device/-a",
            "refs/heads/device/a b",
            "refs/heads/device/",
            "refs/heads/device/folder",
            "refs/heads/file/a",
            "refs/tags/device/a",
        ] {
            assert!(!takes(dir.path(), bad), "{bad}");
        }
        fs::create_dir(dir.path().join("reftable")).unwrap();
        assert!(!takes(dir.path(), "refs/heads/device/r1"));
    }

    #[test]
    fn new_ones_stand_in_order_and_the_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("packed-refs");
        let header = str::from_utf8(HEADER).unwrap();
        let tag = format!("{A} refs/tags/t\n^{A}\n");
        let before = format!("{header}{A} refs/heads/device/r2\n{A} refs/heads/main\n{tag}");
        fs::write(&path, before).unwrap();
        let new = [
            ("refs/heads/device/r1", None),
            ("refs/heads/device/r2", Some(A)),
            ("refs/heads/device/r3", None),
        ];
        assert!(set(dir.path(), &moves(&new)).unwrap());
        let found = fs::read_to_string(&path).unwrap();
        let device = |name: &str| format!("{B} refs/heads/device/{name}\n");
        let [r1, r2, r3] = ["r1", "r2", "r3"].map(device);
        assert_eq!(
            found,
            format!("{header}{r1}{r2}{r3}{A} refs/heads/main\n{tag}")
        );
        assert!(!dir.path().join("packed-refs.lock").exists());
    }

    #[test]
    fn nothing_moves_where_one_is_another_than_expected_or_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("packed-refs");
        let header = str::from_utf8(HEADER).unwrap();
        let device = dir.path().join("refs/heads/device");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("r3"), format!("{A}\n")).unwrap();
        let before = format!("{header}{A} refs/heads/device/r2\n{A} refs/heads/device/x/y\n");
        fs::write(&path, &before).unwrap();
        let r1 = ("refs/heads/device/r1", None);
        for wrong in [
            ("refs/heads/device/r2", None),
            ("refs/heads/device/r2", Some(B)),
            ("refs/heads/device/r3", None),
            ("refs/heads/device/r4", Some(A)),
        ] {
            let error = set(dir.path(), &moves(&[r1, wrong])).unwrap_err();
            assert!(error.to_string().contains("was moved"), "{wrong:?}");
        }
        assert!(!set(dir.path(), &moves(&[r1, ("refs/heads/device/x", None)])).unwrap());
        assert!(!set(dir.path(), &moves(&[r1, ("refs/heads/device/x/y/z", None)])).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        // What stands in a file of its own is what counts, and is gone afterwards.
        assert!(set(dir.path(), &moves(&[("refs/heads/device/r3", Some(A))])).unwrap());
        assert!(!device.join("r3").exists());
        fs::write(&path, format!("{A} refs/heads/device/r2\n")).unwrap();
        assert!(!set(dir.path(), &moves(&[r1])).unwrap(), "it is not sorted");
    }

    #[test]
    fn lock_of_a_program_that_is_gone_is_in_nobodys_way_and_another_one_is_respected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("packed-refs.lock");
        let r1 = moves(&[("refs/heads/device/r1", None)]);
        let lock = File::create(&path).unwrap();
        assert!(!set(dir.path(), &r1).unwrap());
        assert!(path.exists() && !dir.path().join("packed-refs").exists());
        let old = std::time::SystemTime::now() - LEFT - Duration::from_secs(60);
        lock.set_modified(old).unwrap();
        assert!(set(dir.path(), &r1).unwrap());
        assert!(!path.exists());
    }
}
