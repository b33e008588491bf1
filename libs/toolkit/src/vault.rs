//! Secrets from Vault or OpenBao: `vault:MOUNT/PATH#KEY` in place of the name of a file.
//!
//! `MOUNT` is a key-value engine of version 2, `KEY` a key of the secret at `PATH`. The first use reads the secret; from then on one thread
//! reads every secret in use again each [`Settings::refresh`], so that a password that was changed in Vault is used soon after. While Vault
//! does not answer, or refuses, the last value serves: [`Series`] tell of it. Where Vault is and how the service logs in is said by
//! variables of the environment, [`Settings::from_environment`].

mod client;
mod settings;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::encoder::{Encoder, Kind, Labels};
use crate::{Collect, Secret};
use client::Client;
use settings::Settings;

/// What begins the name of a secret in Vault.
const SCHEME: &str = "vault:";
/// Most secrets that are followed.
const MOST: usize = 1_000;
/// A secret that nobody asked for so long is not read any more.
const UNUSED: Duration = Duration::from_secs(600);
/// After so long a secret that could not be read at its first use is asked for again.
const AGAIN: Duration = Duration::from_secs(5);
/// Longest wait for the first reading of a secret.
const FIRST: Duration = Duration::from_secs(20);
/// What stays as it is in a segment of a path: RFC 3986, section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The name of one value in Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Behind `/v1/`: `MOUNT/data/PATH`.
    path: String,
    key: String,
}

impl Reference {
    /// What `path` names in Vault; `None` where it is the name of a file. A folder before the scheme does not count: configurations put
    /// their own in front of every name.
    pub(crate) fn of(path: &Path) -> Option<io::Result<Self>> {
        let text = path.to_str()?;
        let at = text
            .match_indices(SCHEME)
            .map(|(at, _)| at)
            .find(|at| *at == 0 || text[..*at].ends_with('/'))?;
        let name = &text[at + SCHEME.len()..];
        Some(Self::parse(name).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "expected vault:MOUNT/PATH#KEY, such as vault:secret/sotp/snmp#password",
            )
        }))
    }

    fn parse(name: &str) -> Option<Self> {
        let (path, key) = name.split_once('#').filter(|(_, key)| !key.is_empty())?;
        let (mount, below) = path.split_once('/')?;
        if [mount]
            .into_iter()
            .chain(below.split('/'))
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return None;
        }
        let encoded: Vec<String> = below
            .split('/')
            .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
            .collect();
        let mount = utf8_percent_encode(mount, SEGMENT);
        Some(Self {
            path: format!("{mount}/data/{}", encoded.join("/")),
            key: key.to_owned(),
        })
    }
}

/// A secret that is followed.
#[derive(Debug)]
struct Entry(Mutex<Known>);

/// What is known of a secret.
#[derive(Debug)]
struct Known {
    /// Its keys; `None` until it was read once.
    values: Option<BTreeMap<String, Secret>>,
    /// Why the last reading failed.
    failure: Option<String>,
    tried: Instant,
    used: Instant,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry {
    /// Takes the outcome of a reading; what was good stays when it is an error.
    fn take(&self, path: &str, read: Result<BTreeMap<String, Secret>, String>) -> bool {
        let mut known = locked(&self.0);
        known.tried = Instant::now();
        match read {
            Ok(values) => {
                if known.failure.take().is_some() {
                    tracing::info!(path, "secret is read from Vault again");
                }
                known.values = Some(values);
                true
            }
            Err(reason) => {
                if known.failure.as_ref() != Some(&reason) {
                    tracing::warn!(
                        path,
                        reason,
                        "secret cannot be read from Vault, the last one stays"
                    );
                }
                known.failure = Some(reason);
                false
            }
        }
    }
}

/// One value that follows Vault.
#[derive(Debug)]
pub(crate) struct Value {
    entry: Arc<Entry>,
    key: String,
    last: Mutex<Secret>,
}

impl Value {
    /// Reads it, unless it is known already.
    ///
    /// # Errors
    /// Vault is not configured, does not answer or does not have it.
    pub(crate) fn open(reference: &Reference) -> io::Result<Self> {
        let store = store()?;
        let entry = store.entry(&reference.path)?;
        let missing = || {
            let message = format!("the secret in Vault has no key {:?}", reference.key);
            io::Error::new(io::ErrorKind::NotFound, message)
        };
        let value = locked(&entry.0)
            .values
            .as_ref()
            .and_then(|values| values.get(&reference.key).cloned());
        Ok(Self {
            last: Mutex::new(value.ok_or_else(missing)?),
            entry,
            key: reference.key.clone(),
        })
    }

    /// As Vault has it, as far as is known; where it has it no more, the last one.
    pub(crate) fn current(&self) -> Secret {
        let mut known = locked(&self.entry.0);
        known.used = Instant::now();
        let mut last = locked(&self.last);
        let now = known
            .values
            .as_ref()
            .and_then(|values| values.get(&self.key));
        if let Some(value) = now {
            *last = value.clone();
        }
        last.clone()
    }
}

/// The secrets of the process.
#[derive(Debug)]
struct Store {
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    ask: mpsc::SyncSender<Ask>,
    up: AtomicBool,
    failures: AtomicU64,
    /// Unix time in milliseconds.
    last_good: AtomicU64,
}

/// A secret that is to be read now.
#[derive(Debug)]
struct Ask {
    path: String,
    entry: Arc<Entry>,
    done: mpsc::SyncSender<()>,
}

static STORE: OnceLock<Result<Arc<Store>, String>> = OnceLock::new();

fn store() -> io::Result<&'static Arc<Store>> {
    STORE
        .get_or_init(Store::start)
        .as_ref()
        .map_err(|reason| io::Error::other(reason.clone()))
}

impl Store {
    fn start() -> Result<Arc<Self>, String> {
        let settings = Settings::from_environment(|name| std::env::var(name).ok())?;
        let (ask, asks) = mpsc::sync_channel(16);
        let store = Arc::new(Self {
            entries: Mutex::default(),
            ask,
            up: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            last_good: AtomicU64::new(0),
        });
        let own = Arc::clone(&store);
        // A thread without a runtime: configurations are read before there is one, and inside of one.
        std::thread::Builder::new()
            .name("vault".to_owned())
            .spawn(move || own.run(settings, &asks))
            .map_err(|error| format!("the thread that asks Vault cannot be started: {error}"))?;
        Ok(store)
    }

    /// The secret, read at its first use.
    fn entry(&self, path: &str) -> io::Result<Arc<Entry>> {
        let entry = {
            let mut entries = locked(&self.entries);
            if entries.len() >= MOST && !entries.contains_key(path) {
                let message = format!("expected at most {MOST} secrets in Vault");
                return Err(io::Error::other(message));
            }
            let now = Instant::now();
            Arc::clone(entries.entry(path.to_owned()).or_insert_with(|| {
                Arc::new(Entry(Mutex::new(Known {
                    values: None,
                    failure: None,
                    tried: now,
                    used: now,
                })))
            }))
        };
        let outcome = |known: &Known| match (&known.values, &known.failure) {
            (Some(_), _) => Some(Ok(())),
            (None, Some(reason)) if known.tried.elapsed() < AGAIN => {
                Some(Err(io::Error::other(reason.clone())))
            }
            (None, _) => None,
        };
        {
            let mut known = locked(&entry.0);
            known.used = Instant::now();
            if let Some(outcome) = outcome(&known) {
                return outcome.map(|()| Arc::clone(&entry));
            }
        }
        let (done, end) = mpsc::sync_channel(1);
        let ask = Ask {
            path: path.to_owned(),
            entry: Arc::clone(&entry),
            done,
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "Vault has not answered in time");
        self.ask.try_send(ask).map_err(|_| late())?;
        end.recv_timeout(FIRST).map_err(|_| late())?;
        let read = outcome(&locked(&entry.0)).unwrap_or_else(|| Err(late()));
        read.map(|()| entry)
    }

    /// Reads what is asked for at once, and everything each `refresh`; forever.
    fn run(&self, settings: Settings, asks: &mpsc::Receiver<Ask>) {
        let refresh = settings.refresh;
        let mut client = Client::new(settings);
        let mut next = Instant::now() + refresh;
        loop {
            match asks.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(ask) => {
                    // Two may have asked for it before either was answered.
                    if locked(&ask.entry.0).values.is_none() {
                        let good = ask.entry.take(&ask.path, client.read(&ask.path));
                        self.judge(good);
                    }
                    let _ = ask.done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                self.round(&mut client);
                next = Instant::now() + refresh;
            }
        }
    }

    /// Reads every secret in use again.
    fn round(&self, client: &mut Client) {
        let entries: Vec<_> = {
            let mut entries = locked(&self.entries);
            entries.retain(|_, entry| {
                Arc::strong_count(entry) > 1 || locked(&entry.0).used.elapsed() < UNUSED
            });
            entries
                .iter()
                .map(|(path, entry)| (path.clone(), Arc::clone(entry)))
                .collect()
        };
        let mut good = true;
        let mut away = None;
        for (path, entry) in &entries {
            // One that nobody could ever read is asked for by whoever wants it.
            if locked(&entry.0).values.is_none() {
                continue;
            }
            // Where nobody answers, each of the others would wait as long.
            let read = match &away {
                Some(reason) => Err(String::clone(reason)),
                None => client.read(path),
            };
            if client.away {
                away = away.or_else(|| read.as_ref().err().cloned());
            }
            good &= entry.take(path, read);
        }
        self.judge(good);
    }

    /// Counts an attempt, and looks whether all that serves is as Vault has it.
    fn judge(&self, good: bool) {
        let whole = locked(&self.entries).values().all(|entry| {
            let known = locked(&entry.0);
            known.values.is_none() || known.failure.is_none()
        });
        self.up.store(whole, Ordering::Relaxed);
        if good && whole {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            self.last_good.store(now, Ordering::Relaxed);
        }
        if !good {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How Vault does, as series; none where no secret of Vault is named.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series;

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        let Some(Ok(store)) = STORE.get() else {
            return;
        };
        let none = Labels::none();
        out.family(
            "sotp_vault_up",
            Kind::Gauge,
            "1 when every secret in use could be read from Vault at the last attempt, else 0: the last values serve.",
        );
        out.sample(none, f64::from(u8::from(store.up.load(Ordering::Relaxed))));
        out.family(
            "sotp_vault_secrets",
            Kind::Gauge,
            "Secrets that are followed in Vault.",
        );
        out.sample(none, locked(&store.entries).len() as f64);
        out.family(
            "sotp_vault_failures_total",
            Kind::Counter,
            "Attempts after which not every secret in use had been read.",
        );
        out.sample(none, store.failures.load(Ordering::Relaxed) as f64);
        out.family(
            "sotp_vault_last_success_timestamp_seconds",
            Kind::Gauge,
            "Unix time when every secret in use was read last.",
        );
        let last = Duration::from_millis(store.last_good.load(Ordering::Relaxed));
        out.sample(none, last.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_vault_is_known_from_a_file() {
        let read = |text: &str| Reference::of(Path::new(text));
        let good = |text: &str| {
            let reference = read(text).unwrap().unwrap();
            (reference.path, reference.key)
        };
        let snmp = ("secret/data/sotp/snmp".to_owned(), "password".to_owned());
        assert_eq!(good("vault:secret/sotp/snmp#password"), snmp);
        assert_eq!(good("/etc/sotp/vault:secret/sotp/snmp#password"), snmp);
        assert_eq!(
            good("vault:kv/a b/ü?x#k#l"),
            ("kv/data/a%20b/%C3%BC%3Fx".to_owned(), "k#l".to_owned())
        );
        for file in [
            "password",
            "/etc/myvault:a/b#c",
            "/run/vault/token#1",
            "vault.d/x",
        ] {
            assert!(read(file).is_none(), "{file}");
        }
        for wrong in [
            "vault:",
            "vault:secret#key",
            "vault:secret/a",
            "vault:secret/a#",
            "vault:secret/#key",
            "vault:/a#key",
            "vault:secret/../sys/seal#key",
            "vault:../a#key",
        ] {
            assert!(read(wrong).unwrap().is_err(), "{wrong}");
        }
    }
}
