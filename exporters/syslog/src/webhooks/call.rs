//! The calls of one webhook, one after the other.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use toolkit::Renewing;

use super::{Event, HookCounters};
use crate::config::Hook;
use crate::intake::now;

/// Devices and kinds whose last call is remembered.
const REMEMBERED: usize = 20_000;

/// The HTTP client of one webhook.
pub(super) struct Client(Renewing<reqwest::Client>);

impl Client {
    pub(super) fn new(hook: &Hook) -> Result<Self, loki::ClientError> {
        let timeout = hook.timeout;
        let plain = hook.url.reveal().starts_with("http://");
        let client = Renewing::new(hook.certificates.clone(), move |certificates| {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("sotp-syslog/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .timeout(timeout);
            if plain {
                // No certificate is ever looked at: do not search the system for any.
                builder = builder.tls_certs_only([]);
            }
            certificates.client(builder).build()
        })?;
        Ok(Self(client))
    }

    /// One attempt: the status code, none when there was no answer.
    async fn post(&self, hook: &Hook, event: &Event) -> Option<u16> {
        let mut request = self
            .0
            .current()
            .post(hook.url.reveal())
            .header("content-type", "application/json")
            .header("idempotency-key", event.stamp.to_string());
        if let Some(secret) = &hook.secret {
            let signature = sign(secret.current().reveal().as_bytes(), event.body.as_bytes());
            request = request.header("x-sotp-signature", format!("sha256={signature}"));
        }
        request = hook.authentication.apply(request);
        let answer = request.body(event.body.clone()).send().await.ok()?;
        Some(answer.status().as_u16())
    }
}

/// HMAC-SHA256 (RFC 2104) in hexadecimal.
fn sign(key: &[u8], body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    let mut text = String::with_capacity(64);
    for byte in ring::hmac::sign(&key, body).as_ref() {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Calls until no more events can come.
pub(super) async fn run(
    client: Client,
    hook: Hook,
    mut events: mpsc::Receiver<Event>,
    counters: Arc<HookCounters>,
) {
    let mut last: HashMap<(String, &'static str), Instant> = HashMap::new();
    while let Some(event) = events.recv().await {
        let same = (event.device.clone(), event.kind);
        let recent = last
            .get(&same)
            .is_some_and(|at| at.elapsed() < hook.interval);
        let count = if recent {
            &counters.merged
        } else {
            match deliver(&client, &hook, &event, &counters).await {
                Ok(()) => {
                    if last.len() >= REMEMBERED {
                        last.retain(|_, at| at.elapsed() < hook.interval);
                    }
                    if last.len() < REMEMBERED {
                        last.insert(same, Instant::now());
                    }
                    &counters.called
                }
                Err(refused) if refused => &counters.refused,
                Err(_) => &counters.expired,
            }
        };
        count.fetch_add(1, Relaxed);
        counters.queued.fetch_sub(1, Relaxed);
    }
}

/// Tries until it is taken; the error says whether it was refused, else its time is over.
async fn deliver(
    client: &Client,
    hook: &Hook,
    event: &Event,
    counters: &HookCounters,
) -> Result<(), bool> {
    const LONGEST: Duration = Duration::from_secs(30);
    let mut pause = Duration::from_millis(500);
    loop {
        let status = client.post(hook, event).await;
        match status {
            Some(200..=299) => return Ok(()),
            Some(408 | 425 | 429 | 500..=599) | None => {}
            Some(code) => {
                tracing::warn!(
                    webhook = hook.name,
                    code,
                    event = event.kind,
                    "webhook refused an event"
                );
                return Err(true);
            }
        }
        counters.failed.fetch_add(1, Relaxed);
        let age = Duration::from_nanos(now().saturating_sub(event.stamp));
        if age + pause > hook.retry_for {
            tracing::warn!(
                webhook = hook.name,
                event = event.kind,
                "webhook did not take an event in time"
            );
            return Err(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        assert_eq!(
            super::sign(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
