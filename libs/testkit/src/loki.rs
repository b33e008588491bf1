//! A strict double of Loki: refuses what Loki refuses, keeps what it is sent, answers label and range queries.
//!
//! Its rules are those of Loki's distributor and ingester, with Loki's default limits: label syntax, label and line
//! limits, too old, too far ahead, too far behind the stream, stream limit, rate limit; a push is not atomic (the
//! valid entries of a refused request are kept, the answer names the last fault); one entry per stream,
//! nanosecond and text.

mod rules;
mod server;
mod store;
mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use rules::{LokiLimits, parse_labels};
pub use store::Entry;
pub use wire::{Metadata, PushedEntry, PushedStream};

use crate::tls;
use store::Store;

/// How the double answers instead of doing its work.
#[derive(Debug, Clone)]
pub enum Misbehave {
    /// Answers with a status code, stores nothing.
    Status(u16, &'static str),
    /// Answers with a status code, and with `Retry-After: SECONDS`.
    RetryAfter(u16, u64),
    /// Stores what it was sent and closes the connection without an answer.
    LoseAnswer,
    /// Answers after a while.
    Slow(Duration),
}

type Sink = Box<dyn FnMut(&str, u64, &[u8]) + Send>;

struct Inner {
    limits: LokiLimits,
    store: Store,
    script: VecDeque<Misbehave>,
    /// Answered to every push while it is set.
    always: Option<Misbehave>,
    sink: Option<Sink>,
    /// Memory for what a push says, kept from push to push.
    plain: Vec<u8>,
    requests: u64,
    authorization: Option<String>,
    tenant_required: bool,
}

/// A running double.
pub struct Loki {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    task: tokio::task::JoinHandle<()>,
}

impl Loki {
    /// Starts a double on a free port of loopback, or on the given address.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: Option<SocketAddr>) -> std::io::Result<Self> {
        Self::start_with(address, None).await
    }

    /// The same, with TLS where there are files.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_with(
        address: Option<SocketAddr>,
        tls: Option<tls::Files>,
    ) -> std::io::Result<Self> {
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = tokio::net::TcpListener::bind(address).await?;
        let inner = Arc::new(Mutex::new(Inner {
            limits: LokiLimits::default(),
            store: Store::default(),
            script: VecDeque::new(),
            always: None,
            sink: None,
            plain: Vec::new(),
            requests: 0,
            authorization: None,
            tenant_required: false,
        }));
        let address = listener.local_addr()?;
        let task = tokio::spawn(server::serve(listener, inner.clone(), tls));
        Ok(Self {
            address,
            inner,
            task,
        })
    }

    /// The address of the push endpoint.
    #[must_use]
    pub fn push_url(&self) -> String {
        format!("http://{}/loki/api/v1/push", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the limits.
    pub fn limits(&self, change: impl FnOnce(&mut LokiLimits)) {
        change(&mut self.lock().limits);
    }

    /// The next pushes are answered so, one after the other.
    pub fn script(&self, misbehaviour: impl IntoIterator<Item = Misbehave>) {
        self.lock().script.extend(misbehaviour);
    }

    /// Every push is answered so until `None` is set.
    pub fn always(&self, misbehaviour: Option<Misbehave>) {
        self.lock().always = misbehaviour;
    }

    /// Pushes must carry this `Authorization` header.
    pub fn require_authorization(&self, value: &str) {
        self.lock().authorization = Some(value.to_owned());
    }

    /// Pushes must carry a tenant.
    pub fn require_tenant(&self) {
        self.lock().tenant_required = true;
    }

    /// Entries are shown to `sink` (labels, stamp, text) instead of being kept: for loads larger than memory.
    pub fn sink(&self, sink: impl FnMut(&str, u64, &[u8]) + Send + 'static) {
        self.lock().sink = Some(Box::new(sink));
    }

    /// How many pushes it has seen.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// How many entries it keeps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().store.len()
    }

    /// Whether it keeps none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything it keeps, ordered by stamp.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().store.entries(None)
    }

    /// Everything it keeps for a tenant, ordered by stamp.
    #[must_use]
    pub fn entries_of(&self, tenant: &str) -> Vec<Entry> {
        self.lock().store.entries(Some(tenant))
    }

    /// How many streams it keeps.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.lock().store.streams()
    }
}

impl Drop for Loki {
    fn drop(&mut self) {
        self.task.abort();
    }
}
