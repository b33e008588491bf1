//! Who is notified of events: the checked section `webhooks`.

use std::sync::Arc;
use std::time::Duration;

use toolkit::SecretFile;

/// One webhook.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its name in metrics.
    pub name: String,
    /// Where to post.
    pub url: toolkit::SecretUrl,
    /// The kinds of events that it is notified of.
    pub events: Vec<&'static str>,
    /// The key of the signature.
    pub secret: Option<Arc<SecretFile>>,
    /// How it knows who calls.
    pub authentication: loki::Authentication,
    /// Certificates that the server's must descend from, and with what it is shown who calls.
    pub certificates: toolkit::ClientFiles,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long a call is tried again; an event older than this is not called at all.
    pub retry_for: Duration,
    /// At most one call in this time for the same device and kind.
    pub interval: Duration,
    /// Events that may wait.
    pub queue: usize,
}
