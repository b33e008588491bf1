//! A storage in memory that fails on demand and knows what a loss of power may leave.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use spool::storage::{File, Storage};

#[derive(Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

struct MemoryFile {
    content: Mutex<Content>,
    faults: Arc<Faults>,
}

/// Which operations fail: those with a number in `from..to`.
#[derive(Default)]
pub(crate) struct Faults {
    count: AtomicU64,
    from: AtomicU64,
    to: AtomicU64,
}

impl Faults {
    pub(crate) fn plan(&self, from: u64, to: u64) {
        self.count.store(0, Ordering::SeqCst);
        self.from.store(from, Ordering::SeqCst);
        self.to.store(to, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn step(&self) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        if number >= self.from.load(Ordering::SeqCst) && number < self.to.load(Ordering::SeqCst) {
            return Err(io::Error::other("planned fault"));
        }
        Ok(())
    }
}

type Names = BTreeMap<String, Arc<MemoryFile>>;

#[derive(Default)]
struct Folder {
    now: Names,
    synced: Names,
}

/// Handles to one folder; clones see the same files.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    folder: Arc<Mutex<Folder>>,
    pub(crate) faults: Arc<Faults>,
}

impl Memory {
    /// What the folder may look like after a loss of power, chosen by `random`.
    pub(crate) fn lose_power(&self, random: &mut fastrand::Rng) -> Memory {
        let folder = self.folder.lock().unwrap();
        let after = Memory::default();
        let mut names = folder.synced.clone();
        for (name, file) in &folder.now {
            if random.bool() {
                names.insert(name.clone(), file.clone());
            }
        }
        for name in folder.synced.keys() {
            if !folder.now.contains_key(name) && random.bool() {
                names.remove(name);
            }
        }
        let mut fresh = Names::new();
        for (name, file) in names {
            let content = file.content.lock().unwrap();
            let bytes = survivor(&content, random);
            let content = Mutex::new(Content {
                synced: bytes.clone(),
                now: bytes,
            });
            fresh.insert(
                name,
                Arc::new(MemoryFile {
                    content,
                    faults: after.faults.clone(),
                }),
            );
        }
        *after.folder.lock().unwrap() = Folder {
            now: fresh.clone(),
            synced: fresh,
        };
        after
    }

    pub(crate) fn damage(&self, name: &str, at: usize) {
        let folder = self.folder.lock().unwrap();
        folder.now[name].content.lock().unwrap().now[at] ^= 0xff;
    }

    /// The same files, on their own from here on.
    pub(crate) fn copy(&self) -> Memory {
        let copy = Memory::default();
        let mut names = Names::new();
        for (name, file) in &self.folder.lock().unwrap().now {
            let bytes = file.content.lock().unwrap().now.clone();
            let content = Mutex::new(Content {
                synced: bytes.clone(),
                now: bytes,
            });
            let faults = copy.faults.clone();
            names.insert(name.clone(), Arc::new(MemoryFile { content, faults }));
        }
        *copy.folder.lock().unwrap() = Folder {
            now: names.clone(),
            synced: names,
        };
        copy
    }

    pub(crate) fn length(&self, name: &str) -> usize {
        let folder = self.folder.lock().unwrap();
        folder.now[name].content.lock().unwrap().now.len()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.folder.lock().unwrap().now.keys().cloned().collect()
    }
}

/// Some prefix of what was written over what was synced, perhaps with a hole in what was not synced.
fn survivor(content: &Content, random: &mut fastrand::Rng) -> Vec<u8> {
    let cut = random.usize(0..=content.now.len());
    let mut bytes = content.synced.clone();
    let common = content
        .now
        .iter()
        .zip(&content.synced)
        .take_while(|(a, b)| a == b)
        .count();
    let cut = cut.max(common);
    if bytes.len() < cut {
        bytes.resize(cut, 0);
    }
    bytes[..cut].copy_from_slice(&content.now[..cut]);
    if content.now.len() < content.synced.len() && random.bool() {
        bytes.truncate(content.now.len().max(cut));
    }
    if cut > content.synced.len() && random.bool() {
        let hole = random.usize(content.synced.len()..cut);
        bytes[hole..cut].fill(0);
    }
    bytes
}

impl Storage for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        self.faults.step()?;
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.faults.step()?;
        let mut folder = self.folder.lock().unwrap();
        if folder.now.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(MemoryFile {
            content: Mutex::default(),
            faults: self.faults.clone(),
        });
        folder.now.insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.faults.step()?;
        let folder = self.folder.lock().unwrap();
        Ok(folder.now.get(name).ok_or(io::ErrorKind::NotFound)?.clone())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.faults.step()?;
        self.folder
            .lock()
            .unwrap()
            .now
            .remove(name)
            .map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.faults.step()?;
        let mut folder = self.folder.lock().unwrap();
        folder.synced = folder.now.clone();
        Ok(())
    }
}

impl File for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        self.faults.step()?;
        Ok(self.content.lock().unwrap().now.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.step()?;
        let content = self.content.lock().unwrap();
        let rest = content.now.get(offset as usize..).unwrap_or_default();
        // Short reads happen; the queue must ask again.
        let n = rest.len().min(into.len()).min(4000);
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let fault = self.faults.step();
        let mut content = self.content.lock().unwrap();
        let offset = offset as usize;
        // A failing write may have written something.
        let n = if fault.is_err() {
            bytes.len() / 2
        } else {
            bytes.len().min(3000)
        };
        if content.now.len() < offset + n {
            content.now.resize(offset + n, 0);
        }
        content.now[offset..offset + n].copy_from_slice(&bytes[..n]);
        fault.map(|()| n)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.faults.step()?;
        self.content.lock().unwrap().now.resize(length as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.step()?;
        let mut content = self.content.lock().unwrap();
        content.synced = content.now.clone();
        Ok(())
    }
}
