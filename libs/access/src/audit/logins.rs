//! Wrong passwords on record: the first of a source at once, the others of the same minute as one number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use toolkit::{App, OnEnd, WrongLogin};

use super::{Audit, Record};

/// How long those of one source are counted before the number is recorded.
const MINUTE: Duration = Duration::from_secs(60);
/// Sources of one minute that are told apart; those of all others are one number.
const SOURCES: usize = 1024;

/// Records every login with a wrong password in the log that `audit` gives, as long as it gives one: the user, where there is such a
/// one, and the address. A source, which is a user at one address, leaves two records a minute at most; beyond them stands the
/// allowance of [`Audit::refuse`].
pub fn wrong_logins(app: &mut App, audit: impl Fn() -> Option<Audit> + Send + Sync + 'static) {
    let (audit, logins) = (Arc::new(audit), Arc::new(Logins::default()));
    let (log, seen) = (Arc::clone(&audit), Arc::clone(&logins));
    app.wrong_logins(move |login| {
        if let Some(audit) = log() {
            seen.note(&login, |login, detail| refuse(&audit, login, detail));
        }
    });
    app.spawn("wrong_logins", OnEnd::Restart, move |stop| {
        let (audit, logins) = (Arc::clone(&audit), Arc::clone(&logins));
        async move {
            loop {
                let ended = tokio::select! {
                    () = tokio::time::sleep(MINUTE) => false,
                    () = stop.requested() => true,
                };
                if let Some(audit) = audit() {
                    logins.minute(|login, detail| refuse(&audit, login, detail));
                }
                if ended {
                    return Ok(());
                }
            }
        }
    });
}

fn refuse(audit: &Audit, login: &WrongLogin, detail: &str) {
    let user = login.user.as_deref().unwrap_or("unknown");
    let record = Record {
        caller: None,
        verb: "login".to_owned(),
        object: format!("web_user/{user}"),
        trace_id: toolkit::trace::current_id(),
        request_hash: [0; 32],
    };
    audit.refuse(record, &format!("401: {detail} from {}", login.peer));
}

#[derive(Debug, Default)]
struct Logins(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Each source of this minute with how many came after the first.
    more: HashMap<(Option<String>, String), u64>,
    others: u64,
}

impl Logins {
    fn note(&self, login: &WrongLogin, record: impl FnOnce(&WrongLogin, &str)) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let source = (login.user.clone(), login.peer.clone());
        if let Some(more) = seen.more.get_mut(&source) {
            *more += 1;
        } else if seen.more.len() >= SOURCES {
            seen.others += 1;
        } else {
            seen.more.insert(source, 0);
            drop(seen);
            record(login, "wrong password");
        }
    }

    /// A minute is over: what was not recorded one by one is, as numbers.
    fn minute(&self, record: impl Fn(&WrongLogin, &str)) {
        let seen = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for ((user, peer), more) in seen.more.into_iter().filter(|(_, more)| *more > 0) {
            let detail = format!("{more} more wrong passwords within a minute");
            record(&WrongLogin { user, peer }, &detail);
        }
        if seen.others > 0 {
            let login = WrongLogin {
                user: None,
                peer: "other addresses".to_owned(),
            };
            let detail = format!("{} more wrong passwords within a minute", seen.others);
            record(&login, &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_source_leaves_two_records_a_minute_and_many_sources_a_bounded_number() {
        let logins = Logins::default();
        let written = RefCell::new(Vec::new());
        let record = |login: &WrongLogin, detail: &str| {
            let user = login.user.as_deref().unwrap_or("-");
            let line = format!("{user} {}: {detail}", login.peer);
            written.borrow_mut().push(line);
        };
        let login = |user: Option<&str>, peer: &str| WrongLogin {
            user: user.map(str::to_owned),
            peer: peer.to_owned(),
        };
        for _ in 0..500 {
            logins.note(&login(Some("alice"), "192.0.2.1"), record);
        }
        logins.note(&login(None, "192.0.2.1"), record);
        assert_eq!(
            *written.borrow(),
            [
                "alice 192.0.2.1: wrong password",
                "- 192.0.2.1: wrong password"
            ]
        );
        written.borrow_mut().clear();
        logins.minute(record);
        assert_eq!(
            *written.borrow(),
            ["alice 192.0.2.1: 499 more wrong passwords within a minute"]
        );
        written.borrow_mut().clear();
        logins.minute(record);
        assert!(written.borrow().is_empty(), "a quiet minute");
        for number in 0..SOURCES + 7 {
            logins.note(&login(None, &number.to_string()), record);
        }
        assert_eq!(written.borrow().len(), SOURCES);
        written.borrow_mut().clear();
        logins.minute(record);
        assert_eq!(
            *written.borrow(),
            ["- other addresses: 7 more wrong passwords within a minute"]
        );
    }
}
