//! Sessions that are kept from one collection to the next, so that a device sees one login for many.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use inventory::Device;
use ssh::Session;

use crate::config::Config;

/// How long a kept session may take to answer an empty line.
const ANSWERS: Duration = Duration::from_secs(5);

/// What a session was opened with; with anything else it is no longer of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    address: String,
    port: u16,
    platform: String,
    credential: String,
    jump: Option<String>,
}

impl Opened {
    /// What a session with a device would be opened with now.
    pub(crate) fn of(config: &Config, device: &Device) -> Self {
        Self {
            address: device.address.to_string(),
            port: device.ssh.as_ref().map_or(22, |ssh| ssh.port),
            platform: device.platform.to_string(),
            credential: config
                .credential(device)
                .map_or_else(String::new, |credential| credential.name.clone()),
            jump: config.jump_host(device).map(str::to_owned),
        }
    }
}

struct Kept {
    session: Session,
    opened: Opened,
    until: Instant,
}

/// What became of a kept session.
pub(crate) enum Found {
    /// There was none.
    None,
    /// It answers.
    Alive(Box<Session>),
    /// It does no longer, or is of no use any more.
    Dead,
}

/// The kept sessions, by device.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Kept>>);

impl Sessions {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session with a device, if one was kept that still answers.
    pub(crate) async fn take(&self, device: &str, opened: &Opened) -> Found {
        let kept = self.held().remove(device);
        let Some(mut kept) = kept else {
            return Found::None;
        };
        if kept.opened == *opened && kept.session.is_alive(ANSWERS).await {
            return Found::Alive(Box::new(kept.session));
        }
        kept.session.close().await;
        Found::Dead
    }

    /// Keeps a session, or gives it back where there are too many already.
    pub(crate) fn keep(
        &self,
        device: &str,
        session: Session,
        opened: Opened,
        time: Duration,
        most: usize,
    ) -> Option<Session> {
        let mut held = self.held();
        if time.is_zero() || held.len() >= most && !held.contains_key(device) {
            return Some(session);
        }
        let kept = Kept {
            session,
            opened,
            until: Instant::now() + time,
        };
        held.insert(device.to_owned(), kept)
            .map(|before| before.session)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.held().len()
    }

    /// Those whose time is over or of which `known` knows no device, to be closed.
    pub(crate) fn over(&self, known: impl Fn(&str) -> bool) -> Vec<Session> {
        let now = Instant::now();
        let gone = |name: &String, kept: &mut Kept| kept.until <= now || !known(name);
        let mut held = self.held();
        held.extract_if(gone)
            .map(|(_, kept)| kept.session)
            .collect()
    }
}
