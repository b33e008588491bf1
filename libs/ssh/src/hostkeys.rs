//! Known host keys: a file in OpenSSH's form, to which keys may be added on first use.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use russh::keys::{
    Algorithm, HashAlg, PublicKey, PublicKeyBase64 as _, known_hosts, parse_public_key_base64,
};

use crate::Error;

/// What happens with the key of a host that has none in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// The connection is refused.
    #[default]
    Refuse,
    /// The key is written to the file and is the known one from then on.
    Pin,
}

/// What the check of a host key said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNews {
    /// It stands in the file.
    Known,
    /// It was written to the file just now.
    Pinned,
}

/// The host keys that are trusted: a `known_hosts` file, read again when it changes.
///
/// Names with a port other than 22 stand as `[host]:port`. Hashed names are understood, and `@revoked` lines make every use
/// of their key a refusal. `@cert-authority` lines and patterns with `*` or `?` are not: they match nothing.
#[derive(Debug)]
pub struct HostKeys {
    path: PathBuf,
    unknown: OnUnknown,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Inode, size and time of change of what was read.
    stamp: Option<(u64, u64, i64, i64)>,
    by_name: HashMap<String, Vec<PublicKey>>,
    revoked: Vec<PublicKey>,
    /// Whether some names are hashed, so that the file itself has to be searched.
    hashed: bool,
}

impl HostKeys {
    /// The keys in the file at `path`, which may not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, unknown: OnUnknown) -> Self {
        Self {
            path: path.into(),
            unknown,
            held: Mutex::default(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Algorithms of the keys that are known for a host.
    pub(crate) fn algorithms(&self, host: &str, port: u16) -> Result<Vec<Algorithm>, Error> {
        let held = self.read()?;
        let known = self.known(&held, host, port)?;
        Ok(known.iter().map(PublicKey::algorithm).collect())
    }

    /// Whether `key` is the one of `host`.
    pub(crate) fn check(&self, host: &str, port: u16, key: &PublicKey) -> Result<KeyNews, Error> {
        let held = self.read()?;
        let name = name(host, port);
        let fingerprint = || key.fingerprint(HashAlg::Sha256).to_string();
        let known = self.known(&held, host, port)?;
        let same = |other: &PublicKey| other.key_data() == key.key_data();
        if held.revoked.iter().any(same) {
            return Err(Error::HostKeyChanged {
                host: name,
                fingerprint: fingerprint(),
            });
        }
        if known.iter().any(same) {
            return Ok(KeyNews::Known);
        }
        if !known.is_empty() {
            return Err(Error::HostKeyChanged {
                host: name,
                fingerprint: fingerprint(),
            });
        }
        match self.unknown {
            OnUnknown::Refuse => Err(Error::UnknownHostKey {
                host: name,
                fingerprint: fingerprint(),
            }),
            OnUnknown::Pin => {
                self.append(&name, key)
                    .map_err(|source| self.error(source))?;
                Ok(KeyNews::Pinned)
            }
        }
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::KnownHosts {
            path: self.path.clone(),
            source,
        }
    }

    fn known(&self, held: &Held, host: &str, port: u16) -> Result<Vec<PublicKey>, Error> {
        let mut known = held
            .by_name
            .get(&name(host, port))
            .cloned()
            .unwrap_or_default();
        if held.hashed {
            let hashed = known_hosts::known_host_keys_path(host, port, &self.path)
                .map_err(|error| self.error(std::io::Error::other(error.to_string())))?;
            known.extend(hashed.into_iter().map(|(_, key)| key));
        }
        Ok(known)
    }

    /// One line more. The file ends with a line end afterwards, whoever wrote the line before.
    fn append(&self, name: &str, key: &PublicKey) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let before = std::fs::read(&self.path).unwrap_or_default();
        let gap = if before.is_empty() || before.ends_with(b"\n") {
            ""
        } else {
            "\n"
        };
        let line = format!(
            "{gap}{name} {} {}\n",
            key.algorithm(),
            key.public_key_base64()
        );
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }

    fn read(&self) -> Result<MutexGuard<'_, Held>, Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match std::fs::metadata(&self.path) {
            Ok(meta) => Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.error(error)),
        };
        if stamp != held.stamp {
            let text = match stamp {
                Some(_) => {
                    std::fs::read_to_string(&self.path).map_err(|error| self.error(error))?
                }
                None => String::new(),
            };
            *held = parse(&text);
            held.stamp = stamp;
        }
        Ok(held)
    }
}

/// How a host stands in the file.
fn name(host: &str, port: u16) -> String {
    if port == 22 {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    }
}

/// Lines that are none are passed over, as OpenSSH does.
fn parse(text: &str) -> Held {
    let mut held = Held::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (revoked, names) = match words.next() {
            Some("@revoked") => (true, words.next()),
            Some(word) if word.starts_with(['#', '@']) => continue,
            word => (false, word),
        };
        let (Some(names), Some(_), Some(key)) = (names, words.next(), words.next()) else {
            continue;
        };
        let Ok(key) = parse_public_key_base64(key) else {
            continue;
        };
        if revoked {
            held.revoked.push(key);
            continue;
        }
        for name in names.split(',') {
            if name.starts_with("|1|") {
                held.hashed = true;
            } else {
                held.by_name
                    .entry(name.to_owned())
                    .or_default()
                    .push(key.clone());
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G2sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn key(text: &str) -> PublicKey {
        parse_public_key_base64(text).unwrap()
    }

    fn keys(text: &str, unknown: OnUnknown) -> (testkit::TempDir, HostKeys) {
        let dir = testkit::TempDir::new().unwrap();
        let path = dir.write("known_hosts", text).unwrap();
        (dir, HostKeys::new(path, unknown))
    }

    #[test]
    fn known_key_passes_and_another_one_has_changed() {
        let (_dir, keys) = keys(&format!("r1,[r2]:2222 ssh-ed25519 {ONE}\n"), OnUnknown::Pin);
        assert_eq!(keys.check("r1", 22, &key(ONE)).unwrap(), KeyNews::Known);
        assert_eq!(keys.check("r2", 2222, &key(ONE)).unwrap(), KeyNews::Known);
        let error = keys.check("r1", 22, &key(TWO)).unwrap_err();
        assert_eq!(error.reason(), "host_key_changed");
    }

    #[test]
    fn unknown_host_is_refused_or_pinned_as_configured() {
        let (_dir, strict) = keys("", OnUnknown::Refuse);
        assert_eq!(
            strict.check("r1", 22, &key(ONE)).unwrap_err().reason(),
            "host_key_unknown"
        );
        let (_dir, pinning) = keys(&format!("r9 ssh-ed25519 {TWO}"), OnUnknown::Pin);
        assert_eq!(
            pinning.check("r1", 2022, &key(ONE)).unwrap(),
            KeyNews::Pinned
        );
        assert_eq!(
            pinning.check("r1", 2022, &key(ONE)).unwrap(),
            KeyNews::Known
        );
        assert_eq!(pinning.check("r9", 22, &key(TWO)).unwrap(), KeyNews::Known);
        assert_eq!(
            pinning.check("r1", 2022, &key(TWO)).unwrap_err().reason(),
            "host_key_changed"
        );
    }

    #[test]
    fn revoked_key_is_refused_even_where_it_is_known() {
        let text = format!("@revoked * ssh-ed25519 {ONE}\nr1 ssh-ed25519 {ONE}\n");
        let (_dir, keys) = keys(&text, OnUnknown::Pin);
        assert_eq!(
            keys.check("r1", 22, &key(ONE)).unwrap_err().reason(),
            "host_key_changed"
        );
    }

    #[test]
    fn hashed_name_is_found() {
        let line = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF\n";
        let (_dir, keys) = keys(line, OnUnknown::Refuse);
        let hashed = key("AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF");
        assert_eq!(
            keys.check("example.com", 22, &hashed).unwrap(),
            KeyNews::Known
        );
        assert_eq!(
            keys.check("example.com", 22, &key(ONE))
                .unwrap_err()
                .reason(),
            "host_key_changed"
        );
    }
}
