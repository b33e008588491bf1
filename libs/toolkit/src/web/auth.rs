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
    /// No credentials, or ones that cannot be read.
    Denied,
    /// Wrong credentials; the user's name where there is such a user.
    Wrong(Option<String>),
    /// Too many comparisons wait.
    Busy,
}

/// The users and what was found out about passwords.
///
/// A result is remembered under a salted digest of user, hash and password, so a changed hash forgets by itself.
pub(crate) struct Auth {
    users: HashMap<String, User>,
    /// The highest cost of a user: what each refusal takes, so that its time tells nothing about the user.
    cost: u32,
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
                .map(|user| (user.name.clone(), user.clone()))
                .collect(),
            cost,
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
        let (hash, cost) = known.map_or_else(
            || (dummy(self.cost), self.cost),
            |user| (user.hash.clone(), user.cost),
        );
        let wrong = |name| Verdict::Wrong(known.is_some().then_some(name));
        let key = self.key(&name, &hash, &password);
        if known.is_some() && lock(&self.good).holds(&key) {
            return Verdict::Allowed(name);
        }
        if lock(&self.bad).holds(&key) {
            return wrong(name);
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
            let right = verify(&password, &hash) && is_known;
            if !right {
                own.take_as_long(cost, &password);
            }
            lock(if right { &own.good } else { &own.bad }).add(key);
            right
        };
        if tokio::task::spawn_blocking(compare).await.unwrap_or(false) {
            Verdict::Allowed(name)
        } else {
            wrong(name)
        }
    }

    /// After a comparison of this cost, does what is left to the work of the highest: each step of the cost doubles it.
    fn take_as_long(&self, cost: u32, password: &Secret) {
        for cost in cost..self.cost {
            verify(password, &dummy(cost));
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

/// A hash that no password has.
fn dummy(cost: u32) -> Secret {
    Secret::new(format!("$2b${cost:02}${}", ".".repeat(53)))
}

fn verify(password: &Secret, hash: &Secret) -> bool {
    bcrypt::verify(password.reveal(), hash.reveal()).unwrap_or(false)
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
        login_of("alice", password)
    }

    fn login_of(name: &str, password: &str) -> HeaderMap {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        HeaderMap::from_iter([(AUTHORIZATION, format!("Basic {encoded}").parse().unwrap())])
    }

    /// Nanoseconds of the processor that this thread has spent.
    fn spent() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        stat.split(' ').next().unwrap().parse().unwrap()
    }

    /// The time of the processor, not of the clock: a busy machine changes nothing about it.
    #[test]
    fn a_refusal_takes_the_same_work_whatever_the_cost_of_the_user() {
        let user = |name: &str, cost| User {
            name: name.to_owned(),
            hash: Secret::new(bcrypt::hash("secret", cost).unwrap()),
            cost,
        };
        let auth = Auth::new(&[user("low", 4), user("high", 9)]);
        let guess = Secret::new("guess");
        let mut took = Vec::new();
        for (hash, cost) in [
            (auth.users["low"].hash.clone(), 4),
            (auth.users["high"].hash.clone(), 9),
            (dummy(auth.cost), auth.cost),
        ] {
            let before = spent();
            for _ in 0..4 {
                assert!(!verify(&guess, &hash));
                auth.take_as_long(cost, &guess);
            }
            took.push(spent() - before);
        }
        // Without it the first takes a thirtieth.
        let (least, most) = (took.iter().min().unwrap(), took.iter().max().unwrap());
        assert!(*most < 2 * *least, "{took:?} ns");
    }

    #[tokio::test]
    async fn who_is_wrong_is_named_only_where_there_is_such_a_user() {
        let auth = Auth::new(&[User {
            name: "alice".to_owned(),
            hash: Secret::new(bcrypt::hash("secret", 4).unwrap()),
            cost: 4,
        }]);
        for (name, known) in [("alice", Some("alice".to_owned())), ("secret", None)] {
            // The second time from memory.
            for _ in 0..2 {
                let verdict = auth.check(&login_of(name, "guess"), "unix").await;
                assert_eq!(verdict, Verdict::Wrong(known.clone()));
            }
        }
        assert_eq!(auth.check(&HeaderMap::new(), "unix").await, Verdict::Denied);
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
        assert_eq!(
            auth.check(&login("guess 0"), "unix").await,
            Verdict::Wrong(Some("alice".to_owned()))
        );
        assert_eq!(
            auth.check(&login("secret"), "unix").await,
            Verdict::Allowed("alice".to_owned())
        );
    }
}
