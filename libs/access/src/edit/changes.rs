//! The changes that go on, and the last ones that ended: what came of them, by id and by key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use ring::rand::SecureRandom as _;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use toolkit::Response;
use toolkit::web::response::bytes;

use super::Key;
use super::key::hex;
use crate::caller::{Caller, Role};

/// Changes that are remembered after their end.
const MOST: usize = 1_000;
/// Largest body of an answer that is remembered, in bytes.
const LARGEST: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Changes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_id: HashMap<String, Entry>,
    by_key: HashMap<String, String>,
    /// Those that ended, oldest first.
    ended: VecDeque<String>,
}

struct Entry {
    owner: Caller,
    key: Option<Key>,
    state: ChangeState,
    answer: watch::Receiver<Option<Response>>,
}

/// How far a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// It was begun and goes on.
    Running,
    /// It was done.
    Done,
    /// It was refused when it was to be done; nothing was changed.
    Refused,
    /// It failed.
    Failed,
}

/// A change that takes longer than its request: where it stands is told at `/api/v1/changes/{id}`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Underway {
    /// Its id.
    pub change: String,
    /// How far it is.
    pub state: ChangeState,
}

/// How a change stands.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct ChangeOutcome {
    /// Its id.
    pub change: String,
    /// How far it is.
    pub state: ChangeState,
    /// The status that its request was answered with, or would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What came of it, where that has an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The answer, where it is JSON and not too long to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
}

/// What there is under a key.
pub(super) enum Claim {
    /// Nothing before.
    Mine(Ticket),
    /// The same request, under this id; its answer comes or is there.
    Same(String, watch::Receiver<Option<Response>>),
    /// Another request.
    Other,
}

/// The place of a change among those that go on. Dropped before its end it is forgotten, as if it had not been asked for.
pub(super) struct Ticket {
    changes: Arc<Changes>,
    id: String,
    answer: watch::Sender<Option<Response>>,
    ended: bool,
}

impl Changes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a change without a key.
    pub(super) fn open(self: &Arc<Self>, caller: &Caller) -> Ticket {
        self.ticket(&mut self.lock(), caller, None)
    }

    /// A place for the change under this key, when it is the first.
    pub(super) fn claim(self: &Arc<Self>, caller: &Caller, key: &Key) -> Claim {
        let mut state = self.lock();
        let known = state.by_key.get(&key.name);
        match known.and_then(|id| Some((id, state.by_id.get(id)?))) {
            None => Claim::Mine(self.ticket(&mut state, caller, Some(key.clone()))),
            Some((id, entry)) => match &entry.key {
                Some(before) if before.request == key.request => {
                    Claim::Same(id.clone(), entry.answer.clone())
                }
                _ => Claim::Other,
            },
        }
    }

    fn ticket(self: &Arc<Self>, state: &mut State, caller: &Caller, key: Option<Key>) -> Ticket {
        let id = fresh();
        let (send, answer) = watch::channel(None);
        if let Some(key) = &key {
            state.by_key.insert(key.name.clone(), id.clone());
        }
        let entry = Entry {
            owner: caller.clone(),
            key,
            state: ChangeState::Running,
            answer,
        };
        state.by_id.insert(id.clone(), entry);
        Ticket {
            changes: Arc::clone(self),
            id,
            answer: send,
            ended: false,
        }
    }

    /// How a change stands, for the one who asked for it or an admin.
    pub(super) fn told(&self, id: &str, caller: &Caller) -> Option<ChangeOutcome> {
        let state = self.lock();
        let entry = state.by_id.get(id)?;
        if !(entry.owner.is_same(caller) || caller.role >= Role::Admin) {
            return None;
        }
        let answer = entry.answer.borrow();
        let answer = answer.as_ref();
        Some(ChangeOutcome {
            change: id.to_owned(),
            state: entry.state,
            status: answer.map(|answer| answer.status().as_u16()),
            location: answer.and_then(|answer| text(answer.headers(), &LOCATION)),
            answer: answer.and_then(|answer| serde_json::from_slice(&bytes(answer)).ok()),
        })
    }

    fn forget(&self, id: &str) {
        self.lock().forget(id);
    }

    fn ended(&self, id: &str, end: ChangeState, tell: impl FnOnce()) {
        let mut state = self.lock();
        let Some(entry) = state.by_id.get_mut(id) else {
            return;
        };
        entry.state = end;
        // Under the lock: who sees the state sees the answer.
        tell();
        // A key is for what was done: what was not may be tried again under it.
        if end != ChangeState::Done
            && let Some(key) = entry.key.take()
        {
            state.by_key.remove(&key.name);
        }
        state.ended.push_back(id.to_owned());
        while state.ended.len() > MOST {
            if let Some(oldest) = state.ended.pop_front() {
                state.forget(&oldest);
            }
        }
    }
}

impl State {
    fn forget(&mut self, id: &str) {
        if let Some(key) = self.by_id.remove(id).and_then(|entry| entry.key) {
            self.by_key.remove(&key.name);
        }
    }
}

impl Ticket {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// It is done; the same request under its key is answered so again.
    pub(super) fn done(self, answer: &Response) {
        self.end(ChangeState::Done, answer);
    }

    /// It ended without being done.
    pub(super) fn end(mut self, end: ChangeState, answer: &Response) {
        self.ended = true;
        let answer = match bytes(answer).len() {
            0..=LARGEST => answer.clone(),
            _ => {
                let mut short = Response::default();
                *short.status_mut() = answer.status();
                *short.headers_mut() = answer.headers().clone();
                short.headers_mut().remove(CONTENT_TYPE);
                short
            }
        };
        self.changes.ended(&self.id, end, || {
            self.answer.send_replace(Some(answer));
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.ended {
            self.changes.forget(&self.id);
        }
    }
}

fn text(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// 128 random bits in hexadecimal.
fn fresh() -> String {
    let mut bytes = [0; 16];
    // There is no way for this to fail on Linux; if it did, two changes would be shown under one id, to their callers alone.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Via;

    #[test]
    fn the_last_thousand_changes_are_known_to_who_asked_for_them() {
        let changes = Arc::<Changes>::default();
        let caller = Caller {
            subject: "user:3".to_owned(),
            display: "alice".to_owned(),
            role: Role::Operator,
            via: Via::GrafanaToken,
        };
        let other = Caller {
            subject: "user:4".to_owned(),
            ..caller.clone()
        };
        let answer = Response::default();
        let ids: Vec<String> = (0..MOST + 1)
            .map(|_| {
                let ticket = changes.open(&caller);
                let id = ticket.id().to_owned();
                ticket.done(&answer);
                id
            })
            .collect();
        assert_eq!(changes.told(&ids[0], &caller), None, "one too many");
        let state = |caller| changes.told(&ids[1], caller).map(|told| told.state);
        assert_eq!(
            (state(&caller), state(&other)),
            (Some(ChangeState::Done), None)
        );
        assert_eq!(changes.lock().by_id.len(), MOST);
    }
}
