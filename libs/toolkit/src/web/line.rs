//! Whose turn it is to have a password compared: one at a time, and each login by itself in turn.
//!
//! Who tries many passwords waits behind their own: a login is a user name from one address (of IPv6, one /64), and logins take turns,
//! so that another login waits for one comparison of each, not for all of them.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Comparisons that may wait for one login; at the costs that are usual this is some seconds.
const OF_ONE: usize = 128;
/// Comparisons that may wait in all. When so many do, a login that has fewer takes a place of the one that has most.
const IN_ALL: usize = 512;

/// A user name from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    name: String,
    from: Option<IpAddr>,
}

impl Login {
    /// `peer` is the address of a connection, or another text where it has none.
    pub(super) fn new(name: &str, peer: &str) -> Self {
        Self {
            name: name.chars().take(64).collect(),
            from: network(peer),
        }
    }
}

/// What counts as one address: of IPv6 one /64; `None` for a unix socket.
pub(super) fn network(peer: &str) -> Option<IpAddr> {
    let address = |peer: SocketAddr| peer.ip();
    let from = peer.parse().ok().or(peer.parse().ok().map(address));
    from.map(|from: IpAddr| match from.to_canonical() {
        IpAddr::V6(from) => IpAddr::V6((from.to_bits() >> 64 << 64).into()),
        v4 => v4,
    })
}

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    busy: bool,
    count: usize,
    /// Logins in the order of their turns; none of them is empty.
    logins: VecDeque<(Login, VecDeque<oneshot::Sender<Turn>>)>,
}

/// The turn; the next one comes when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Line>>);

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn; `None` when too many wait.
    pub(super) async fn turn(self: &Arc<Self>, login: &Login) -> Option<Turn> {
        let wait = {
            let mut waiting = self.lock();
            if !waiting.busy {
                waiting.busy = true;
                return Some(Turn(Some(Arc::clone(self))));
            }
            waiting.join(login)?
        };
        wait.await.ok()
    }

    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        self.lock().busy
    }

    /// Gives the turn to the next who still waits.
    fn pass(self: Arc<Self>) {
        let mut turn = Turn(Some(self));
        loop {
            let Some(line) = &turn.0 else { return };
            let mut waiting = line.lock();
            let Some(next) = waiting.next() else {
                waiting.busy = false;
                drop(waiting);
                turn.0 = None;
                return;
            };
            drop(waiting);
            match next.send(turn) {
                Ok(()) => return,
                // Who waited has left.
                Err(back) => turn = back,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.pass();
        }
    }
}

impl Waiting {
    fn join(&mut self, login: &Login) -> Option<oneshot::Receiver<Turn>> {
        for (_, waiting) in &mut self.logins {
            let before = waiting.len();
            waiting.retain(|one| !one.is_closed());
            self.count -= before - waiting.len();
        }
        self.logins.retain(|(_, waiting)| !waiting.is_empty());
        let own = self.logins.iter().position(|(known, _)| known == login);
        let mine = own.map_or(0, |at| self.logins[at].1.len());
        if mine >= OF_ONE {
            return None;
        }
        if self.count >= IN_ALL {
            let most = self
                .logins
                .iter_mut()
                .max_by_key(|(_, waiting)| waiting.len());
            let (_, most) = most.filter(|(_, waiting)| waiting.len() > mine + 1)?;
            most.pop_back();
            self.count -= 1;
        }
        let (send, wait) = oneshot::channel();
        match own {
            Some(at) => self.logins[at].1.push_back(send),
            None => self
                .logins
                .push_back((login.clone(), VecDeque::from([send]))),
        }
        self.count += 1;
        Some(wait)
    }

    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let (login, mut waiting) = self.logins.pop_front()?;
        let mut next = waiting.pop_front();
        self.count -= usize::from(next.is_some());
        // Who left does not use up the turn of their login.
        while next.as_ref().is_some_and(oneshot::Sender::is_closed) && !waiting.is_empty() {
            next = waiting.pop_front();
            self.count -= 1;
        }
        if !waiting.is_empty() {
            self.logins.push_back((login, waiting));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;

    use super::*;

    #[test]
    fn a_login_is_a_name_from_an_address() {
        let of = |name, peer| Login::new(name, peer);
        assert_eq!(of("a", "192.0.2.1:1"), of("a", "192.0.2.1:2"));
        assert_eq!(of("a", "192.0.2.1:1"), of("a", "[::ffff:192.0.2.1]:2"));
        assert_eq!(of("a", "[2001:db8::1]:1"), of("a", "[2001:db8::2]:1"));
        assert_ne!(of("a", "[2001:db8::1]:1"), of("a", "[2001:db8:0:1::1]:1"));
        assert_ne!(of("a", "192.0.2.1:1"), of("b", "192.0.2.1:1"));
        assert_ne!(of("a", "192.0.2.1"), of("a", "192.0.2.2"));
        assert_eq!(of("a", "192.0.2.1"), of("a", "192.0.2.1:1"));
        assert_eq!(of("a", "unix"), of("a", "unix"));
    }

    /// A hundred wait under one name; one under another comes after the next of them, and those who left are passed over.
    #[tokio::test]
    async fn another_login_does_not_wait_for_all_of_one() {
        let line = Arc::new(Line::default());
        let (alice, carol) = (Login::new("alice", "unix"), Login::new("carol", "unix"));
        let held = line.turn(&alice).await.unwrap();
        let mut many: Vec<_> = (0..100).map(|_| Box::pin(line.turn(&alice))).collect();
        for one in &mut many {
            assert!(poll_immediate(one).await.is_none());
        }
        let mut one = Box::pin(line.turn(&carol));
        assert!(poll_immediate(&mut one).await.is_none());
        drop(many.remove(0));
        drop(held);
        let first = poll_immediate(&mut many[0]).await.unwrap().unwrap();
        drop(first);
        let turn = poll_immediate(&mut one).await.unwrap();
        assert!(turn.is_some());
        drop((turn, many));
        assert!(!line.is_busy(), "nobody waits, and nobody is waited for");
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded_and_the_one_with_most_makes_room() {
        let line = Arc::new(Line::default());
        let login = |number: usize| Login::new(&format!("u{number}"), "unix");
        let held = line.turn(&login(0)).await.unwrap();
        let mut all = Vec::new();
        for number in 0..4 {
            for _ in 0..OF_ONE {
                let mut one = Box::pin({
                    let (line, login) = (Arc::clone(&line), login(number));
                    async move { line.turn(&login).await }
                });
                assert!(poll_immediate(&mut one).await.is_none());
                all.push(one);
            }
        }
        assert!(line.turn(&login(0)).await.is_none(), "too many of one");
        let mut right = Box::pin(async {
            let login = login(9);
            line.turn(&login).await
        });
        assert!(poll_immediate(&mut right).await.is_none(), "it waits");
        let mut pushed = 0;
        for one in &mut all {
            pushed += usize::from(matches!(poll_immediate(one).await, Some(None)));
        }
        assert_eq!((pushed, line.lock().count), (1, IN_ALL));
        drop(held);
    }
}
