//! Who is logged in on a device, as its own log says: the answer to *who changed this* where the log of commands names nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most accounts of one device that are remembered.
const MOST: usize = 32;
/// A login whose end was never seen is forgotten after this time.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Somebody who has just logged out may still have made the change.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// Logins by device.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<HashMap<String, BTreeMap<String, Sessions>>>);

#[derive(Debug)]
struct Sessions {
    open: u32,
    seen: Instant,
}

impl Sessions {
    fn counts(&self, now: Instant) -> bool {
        now < self.seen + if self.open > 0 { LONGEST } else { AFTERWARDS }
    }
}

impl Logins {
    /// `user` logged in on `device`.
    pub(crate) fn login(&self, device: &str, user: &str, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let users = all.entry(device.to_owned()).or_default();
        users.retain(|_, sessions| sessions.counts(now));
        if users.len() >= MOST && !users.contains_key(user) {
            return;
        }
        let sessions = users
            .entry(user.to_owned())
            .or_insert(Sessions { open: 0, seen: now });
        sessions.open = sessions.open.saturating_add(1);
        sessions.seen = now;
    }

    /// A session of `user` on `device` ended.
    pub(crate) fn logout(&self, device: &str, user: &str, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = all.get_mut(device).and_then(|users| users.get_mut(user)) {
            sessions.open = sessions.open.saturating_sub(1);
            sessions.seen = now;
        }
    }

    /// Those who may have made a change now, without the account `own`: one name, or several with `or` between; `None` when
    /// nobody is known.
    pub(crate) fn candidates(&self, device: &str, own: &str, now: Instant) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let users = all.get(device)?;
        let names: Vec<&str> = users
            .iter()
            .filter(|(name, sessions)| *name != own && sessions.counts(now))
            .map(|(name, _)| name.as_str())
            .collect();
        (!names.is_empty()).then(|| names.join(" or "))
    }

    /// Forgets devices that `known` does not hold.
    pub(crate) fn retain(&self, known: impl Fn(&str) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|device, _| known(device));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_is_logged_in_is_named_and_several_are_all_named() {
        let (logins, now) = (Logins::default(), Instant::now());
        assert_eq!(logins.candidates("r1", "sotp", now), None);
        logins.login("r1", "sotp", now);
        assert_eq!(logins.candidates("r1", "sotp", now), None);
        logins.login("r1", "alice", now);
        assert_eq!(logins.candidates("r1", "sotp", now).unwrap(), "alice");
        logins.login("r1", "bob", now);
        assert_eq!(
            logins.candidates("r1", "sotp", now).unwrap(),
            "alice or bob"
        );
        assert_eq!(logins.candidates("r2", "sotp", now), None);
    }

    #[test]
    fn one_who_logged_out_is_named_for_a_moment_only() {
        let (logins, now) = (Logins::default(), Instant::now());
        logins.login("r1", "alice", now);
        logins.logout("r1", "alice", now);
        assert_eq!(logins.candidates("r1", "sotp", now).unwrap(), "alice");
        assert_eq!(logins.candidates("r1", "sotp", now + AFTERWARDS), None);
        logins.login("r1", "alice", now);
        assert_eq!(logins.candidates("r1", "sotp", now + LONGEST), None);
    }

    #[test]
    fn a_device_that_names_ever_new_users_fills_its_own_room_and_no_more() {
        let (logins, now) = (Logins::default(), Instant::now());
        for number in 0..10 * MOST {
            logins.login("r1", &format!("u{number}"), now);
        }
        logins.login("r2", "alice", now);
        let named = logins.candidates("r1", "sotp", now).unwrap();
        assert_eq!(named.split(" or ").count(), MOST);
        assert_eq!(logins.candidates("r2", "sotp", now).unwrap(), "alice");
    }
}
