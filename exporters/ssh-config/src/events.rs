//! What sotp-syslog tells by its webhook: who logged in, who changed something.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use ring::hmac;
use schemars::JsonSchema;
use serde::Deserialize;
use toolkit::trace::Origin;
use toolkit::web::response;
use toolkit::{Request, Response};

use crate::archive::Reason;
use crate::collector::Shared;

/// Longest name of a user that is taken.
const LONGEST_USER: usize = 64;

/// An event of sotp-syslog; further members are left alone.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Event {
    event: String,
    device: String,
    /// The message of the device, in which its driver looks for a change and for who made it.
    #[serde(default)]
    message: String,
    #[serde(default)]
    fields: serde_json::Map<String, serde_json::Value>,
}

/// `POST /api/v1/events`: an event with its signature.
pub(crate) fn take(shared: &Arc<Shared>, request: &Request) -> Response {
    let (result, response) = judged(shared, request);
    shared.counters.events.with_label_values(&[result]).inc();
    response
}

fn judged(shared: &Arc<Shared>, request: &Request) -> (&'static str, Response) {
    let config = shared.config.current();
    let refused = |text: &str| response::text(StatusCode::FORBIDDEN, text);
    let Some(secret) = &config.events_secret else {
        return (
            "bad_signature",
            refused("events are not taken: events.secret_file is not configured\n"),
        );
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.current().reveal().as_bytes());
    let signature = request
        .header("x-sotp-signature")
        .and_then(|value| value.strip_prefix("sha256="))
        .and_then(unhex);
    let right = signature.is_some_and(|tag| hmac::verify(&key, request.body(), &tag).is_ok());
    if !right {
        return (
            "bad_signature",
            refused("expected X-SOTP-Signature with the HMAC-SHA256 of the body\n"),
        );
    }
    let Ok(event) = serde_json::from_slice::<Event>(request.body()) else {
        let expected =
            "expected a JSON object with event, device and fields, as sotp-syslog sends it\n";
        return (
            "malformed",
            response::text(StatusCode::BAD_REQUEST, expected),
        );
    };
    let done = |result| {
        (
            result,
            response::text(StatusCode::OK, format!("{result}\n")),
        )
    };
    let inventory = shared.feed.current();
    let Some(device) = inventory.device(&event.device) else {
        return done("unknown_device");
    };
    let user = event
        .fields
        .get("user")
        .and_then(|user| user.as_str())
        .and_then(user);
    let now = Instant::now();
    // What the platform's driver reads in the line itself: also where whoever sent it calls it nothing, or names nobody.
    let driver = config.drivers.get(&device.platform);
    let change = driver.and_then(|driver| driver.change(&event.message));
    let named = change
        .as_ref()
        .and_then(|by| by.as_deref())
        .and_then(self::user);
    let kind = match (event.event.as_str(), &change) {
        (kind @ ("login" | "logout" | "configuration_change"), _) => kind,
        (_, Some(_)) => "configuration_change",
        (kind, None) => kind,
    };
    match (kind, user) {
        ("login", Some(user)) => shared.logins.login(&device.name, &user, now),
        ("logout", Some(user)) => shared.logins.logout(&device.name, &user, now),
        ("configuration_change", user) => {
            let user = user.or(named);
            let own = config
                .credential(device)
                .map_or("", |credential| credential.user.as_str());
            let user = user.or_else(|| shared.logins.candidates(&device.name, own, now));
            let reason = Reason {
                origin: Origin::here(),
                trigger: "syslog",
                user,
            };
            if !shared.trigger(&device.name, reason) {
                return done("ignored");
            }
        }
        _ => return done("ignored"),
    }
    done("taken")
}

/// A name as it may stand in a commit: printable and short.
fn user(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .take(LONGEST_USER)
        .collect();
    let name = name.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
