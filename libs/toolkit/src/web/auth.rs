//! Basic authentication, RFC 7617, with bcrypt.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

use super::line::{Line, Login};
use crate::Secret;
use crate::web_config::User;

/// Remembered results of each kind.
const REMEMBERED: usize = 256;

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Known user and right password.
    Allowed(String),
    /// No credentials, or wrong ones.
    Denied,
    /// Too many comparisons wait.
    Busy,
}

/// The users and what was found out about passwords.
///
/// A result is remembered under a salted digest of user, hash and password, so a changed hash forgets by itself.
pub(crate) struct Auth {
    users: HashMap<String, Secret>,
    /// For an unknown user, so that it takes as long as for a known one.
    dummy: Secret,
    salt: [u8; 32],
    good: Mutex<Remembered>,
    bad: Mutex<Remembered>,
    line: Arc<Line>,
}

impl Auth {
    pub(crate) fn new(users: &[User]) -> Arc<Self> {
        let cost = users.iter().map(|user| user.cost).max().unwrap_or(10);
        let mut salt = [0; 32];
        // Without a salt the digests are still digests; there is no way for this to fail with ring on Linux.
        let _ = rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut salt);
        Arc::new(Self {
            users: users
                .iter()
                .map(|user| (user.name.clone(), user.hash.clone()))
                .collect(),
            dummy: Secret::new(format!("$2b${cost:02}${}", ".".repeat(53))),
            salt,
            good: Mutex::default(),
            bad: Mutex::default(),
            line: Arc::default(),
        })
    }

    /// Checks the credentials of a request from this address.
    pub(crate) async fn check(self: &Arc<Self>, headers: &HeaderMap, peer: &str) -> Verdict {
        let Some((name, password)) = credentials(headers) else {
            return Verdict::Denied;
        };
        let known = self.users.get(&name);
        let hash = known.unwrap_or(&self.dummy).clone();
        let key = self.key(&name, &hash, &password);
        if known.is_some() && lock(&self.good).holds(&key) {
            return Verdict::Allowed(name);
        }
        if lock(&self.bad).holds(&key) {
            return Verdict::Denied;
        }
        let Some(turn) = self.line.turn(&Login::new(&name, peer)).await else {
            return Verdict::Busy;
        };
        // Requests that came together ask for the same: the first found out.
        if known.is_some() && lock(&self.good).holds(&key) {
            return Verdict::Allowed(name);
        }
        let (own, is_known) = (Arc::clone(self), known.is_some());
        // A comparison that has begun goes on when the client leaves: the turn goes with it, or leaving early would start more.
        let compare = move || {
            let _held = turn;
            let right =
                bcrypt::verify(password.reveal(), hash.reveal()).unwrap_or(false) && is_known;
            lock(if right { &own.good } else { &own.bad }).add(key);
            right
        };
        if tokio::task::spawn_blocking(compare).await.unwrap_or(false) {
            Verdict::Allowed(name)
        } else {
            Verdict::Denied
        }
    }

    fn key(&self, name: &str, hash: &Secret, password: &Secret) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.salt);
        for part in [name, hash.reveal(), password.reveal()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

fn lock(remembered: &Mutex<Remembered>) -> std::sync::MutexGuard<'_, Remembered> {
    remembered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last digests, oldest forgotten first.
#[derive(Default)]
struct Remembered(VecDeque<[u8; 32]>);

impl Remembered {
    fn holds(&self, key: &[u8; 32]) -> bool {
        self.0.contains(key)
    }

    fn add(&mut self, key: [u8; 32]) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(key);
    }
}

/// Name and password of the `Authorization` field.
fn credentials(headers: &HeaderMap) -> Option<(String, Secret)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let decoded = zeroize::Zeroizing::new(String::from_utf8(decoded).ok()?);
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), Secret::new(password)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn login(password: &str) -> HeaderMap {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("alice:{password}"));
        HeaderMap::from_iter([(AUTHORIZATION, format!("Basic {encoded}").parse().unwrap())])
    }

    #[tokio::test]
    async fn clients_that_leave_start_no_second_comparison() {
        const COST: u32 = 12;
        let hash = bcrypt::hash("secret", COST).unwrap();
        let auth = Auth::new(&[User {
            name: "alice".to_owned(),
            hash: Secret::new(hash),
            cost: COST,
        }]);
        for number in 0..5 {
            let headers = login(&format!("guess {number}"));
            let left =
                tokio::time::timeout(Duration::from_millis(5), auth.check(&headers, "unix")).await;
            assert!(left.is_err(), "a comparison was done within milliseconds");
            assert!(auth.line.is_busy(), "after {number}");
        }
        let last = auth.line.turn(&Login::new("alice", "unix")).await.unwrap();
        assert_eq!(
            lock(&auth.bad).0.len(),
            1,
            "of those who left only the first was compared"
        );
        drop(last);
        assert_eq!(auth.check(&login("guess 0"), "unix").await, Verdict::Denied);
        assert_eq!(
            auth.check(&login("secret"), "unix").await,
            Verdict::Allowed("alice".to_owned())
        );
    }
}
