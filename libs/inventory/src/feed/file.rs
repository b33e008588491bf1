//! A file, looked at by content: Kubernetes swaps links under a watcher, and editors replace files.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use super::{Seen, blocking, parse};
use crate::file::bounded;
use crate::problem::Error;

/// A file is read whole at least this often, whatever its times say.
const FULL_READ: Duration = Duration::from_secs(30);
/// Two writes within this time may carry the same time stamp.
const SAME_TIME: Duration = Duration::from_secs(2);

pub(super) struct Reader {
    path: PathBuf,
    /// The state at the last reading, unless it was too fresh to tell the next one apart.
    stamp: Option<Stamp>,
    read_at: Instant,
    seen: Option<([u8; 32], bool)>,
    /// Content that was found once: it counts when the next look finds it too, since an editor may be writing it.
    fresh: Option<[u8; 32]>,
}

/// What changes when the file is written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a write from now on is sure to give another stamp.
    fn settled(self) -> bool {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let changed = Duration::from_secs(u64::try_from(self.changed.0).unwrap_or(0));
        now.checked_sub(changed).is_some_and(|age| age > SAME_TIME)
    }
}

impl Reader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            stamp: None,
            read_at: Instant::now(),
            seen: None,
            fresh: None,
        }
    }

    /// Looks at the file; bad content that was reported before is reported again only when `force`d.
    pub(super) async fn look(&mut self, force: bool) -> Result<Seen, Error> {
        let path = self.path.clone();
        let known = self
            .stamp
            .filter(|_| !force && self.read_at.elapsed() < FULL_READ);
        let read = blocking(move || read(&path, known)).await;
        let (stamp, bytes) = match read {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(self.same()),
            Err(error) => {
                self.stamp = None;
                self.seen = None;
                return Err(error);
            }
        };
        self.stamp = Some(stamp).filter(|stamp| stamp.settled());
        self.read_at = Instant::now();
        let checksum: [u8; 32] = Sha256::digest(&bytes).into();
        if self
            .seen
            .is_some_and(|(known, good)| known == checksum && (good || !force))
        {
            return Ok(self.same());
        }
        if !force && self.fresh != Some(checksum) {
            self.fresh = Some(checksum);
            self.stamp = None;
            return Ok(Seen::Writing);
        }
        let result = parse(bytes, self.path.display().to_string()).await;
        self.seen = Some((checksum, result.is_ok()));
        result.map(|inventory| Seen::New(Box::new(inventory)))
    }

    fn same(&self) -> Seen {
        if self.seen.is_some_and(|(_, good)| good) {
            Seen::Same
        } else {
            Seen::StillBad
        }
    }
}

/// The stamp and content of the file, or nothing when its stamp is `known`.
fn read(path: &Path, known: Option<Stamp>) -> Result<Option<(Stamp, Vec<u8>)>, Error> {
    let failed = |source| Error::Read {
        path: path.display().to_string(),
        source,
    };
    if known.is_some()
        && known
            == std::fs::metadata(path)
                .ok()
                .map(|metadata| Stamp::of(&metadata))
    {
        return Ok(None);
    }
    let file = File::open(path).map_err(failed)?;
    let stamp = Stamp::of(&file.metadata().map_err(failed)?);
    let bytes = bounded(file, path)?;
    Ok(Some((stamp, bytes)))
}

#[cfg(test)]
mod tests {
    use testkit::TempDir;

    use super::*;

    async fn look(reader: &mut Reader) -> Option<usize> {
        match reader.look(false).await.unwrap() {
            Seen::New(inventory) => Some(inventory.devices().len()),
            Seen::Same | Seen::Writing => None,
            Seen::Checked(_) | Seen::StillBad => panic!("a good file"),
        }
    }

    /// An editor that writes in place lets every look find it longer.
    #[tokio::test]
    async fn a_file_counts_when_two_looks_in_a_row_found_the_same() {
        let dir = TempDir::new().unwrap();
        let text = |devices: u8| {
            let device = |n| format!("- {{name: d{n}, address: 192.0.2.{n}}}\n");
            let devices: String = (1..=devices).map(device).collect();
            format!("devices:\n{devices}")
        };
        let path = dir.write("inventory.yaml", text(5)).unwrap();
        let mut reader = Reader::new(path.clone());
        assert!(matches!(reader.look(true).await.unwrap(), Seen::New(_)));
        for devices in [2, 3, 4] {
            std::fs::write(&path, text(devices)).unwrap();
            assert_eq!(look(&mut reader).await, None, "{devices}");
        }
        assert_eq!(look(&mut reader).await, Some(4));
        assert_eq!(look(&mut reader).await, None, "taken already");
        // Who asks by name gets what stands there.
        std::fs::write(&path, text(3)).unwrap();
        assert!(matches!(reader.look(true).await.unwrap(), Seen::New(_)));
    }
}
