//! Somebody else is told of each change: one `POST` of JSON, signed, in the form in which sotp-syslog tells of events.
//!
//! sotp-remediator takes it at `/api/v1/events/syslog`, so that it keeps its hands off what a person just changed, also where the log
//! of the device says nothing. What is not taken waits in memory, at most [`QUEUE`] changes and [`RETRY_FOR`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{Mutex, mpsc};
use toolkit::{Live, Renewing, Stop};

use crate::config::{Config, Webhook};
use crate::counters::Counters;
use crate::journal::News;

/// Changes that may wait.
pub(crate) const QUEUE: usize = 1_000;
/// How long a change is told again.
const RETRY_FOR: Duration = Duration::from_mins(10);
/// First pause after a failure; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Time for one call.
const CALL: Duration = Duration::from_secs(10);
/// Most bytes of the difference that are told.
const MOST_DIFF: usize = 4 << 10;

fn client(webhook: &Webhook) -> anyhow::Result<Renewing<reqwest::Client>> {
    let plain = webhook.url.reveal().starts_with("http://");
    let client = Renewing::new(webhook.files.clone(), move |certificates| {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sotp-ssh-config/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(CALL);
        if plain {
            // No certificate is ever looked at: do not search the system for any.
            builder = builder.tls_certs_only([]);
        }
        certificates.client(builder).build()
    })?;
    Ok(client)
}

/// One attempt: the status code, none when there was no answer.
async fn post(webhook: &Webhook, client: &reqwest::Client, change: &Change) -> Option<u16> {
    let key = webhook.secret.current();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.reveal().as_bytes());
    let tag = ring::hmac::sign(&key, change.body.as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let request = client
        .post(webhook.url.reveal())
        .header("content-type", "application/json")
        .header("idempotency-key", &change.id)
        .header("x-sotp-signature", format!("sha256={hex}"));
    let answer = request.body(change.body.clone()).send().await.ok()?;
    Some(answer.status().as_u16())
}

/// A change on its way.
#[derive(Debug)]
pub(crate) struct Change {
    at: Instant,
    id: String,
    body: String,
}

impl Change {
    /// What is told of a change; `broken` are the rules that it brought the device to break.
    pub(crate) fn new(news: &News, broken: &[String]) -> Self {
        let by = match news.user.as_str() {
            "" => "Somebody",
            user => user,
        };
        let mut sentence = format!(
            "{by} changed the configuration of {} (+{} -{})",
            news.device, news.added, news.removed
        );
        if !broken.is_empty() {
            sentence += &format!(", which now breaks {}", broken.join(", "));
        }
        let end = news.diff.floor_char_boundary(MOST_DIFF);
        let body = json!({
            "version": 1, "id": news.commit, "event": "configuration_change", "device": news.device, "site": news.site,
            "role": news.role, "severity": "notice", "sentence": sentence, "message": &news.diff[..end],
            "received": jiff::Timestamp::now().to_string(),
            "fields": {
                "user": news.user, "trigger": news.trigger, "commit": news.commit, "added": news.added.to_string(),
                "removed": news.removed.to_string(), "rules_broken": broken.join(" "),
            },
        });
        Self {
            at: Instant::now(),
            id: news.commit.clone(),
            body: body.to_string(),
        }
    }
}

/// Tells of changes, one after the other, as long as the configuration says whom.
pub(crate) async fn run(
    changes: Arc<Mutex<mpsc::Receiver<Change>>>,
    live: Live<Config>,
    counters: Counters,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut changes = changes.lock().await;
    loop {
        let told = async {
            let change = changes.recv().await?;
            Some(tell(&change, &live, &counters).await)
        };
        let result = tokio::select! {
            result = told => result,
            () = stop.requested() => None,
        };
        let Some(result) = result else {
            return Ok(());
        };
        counters.told.with_label_values(&[result]).inc();
    }
}

/// Tries until it is taken.
async fn tell(change: &Change, live: &Live<Config>, counters: &Counters) -> &'static str {
    let mut pause = PAUSE;
    loop {
        let config = live.current();
        let Some(webhook) = &config.webhook else {
            return "dropped";
        };
        let status = match client(webhook) {
            Ok(client) => post(webhook, &client.current(), change).await,
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the webhook cannot be called");
                None
            }
        };
        match status {
            Some(200..=299) => return "taken",
            Some(408 | 425 | 429 | 500..=599) | None => {}
            Some(code) => {
                tracing::warn!(code, "the webhook refused a change");
                return "refused";
            }
        }
        counters.told.with_label_values(&["failed"]).inc();
        if change.at.elapsed() + pause > RETRY_FOR {
            tracing::warn!("the webhook did not take a change in time");
            return "expired";
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
