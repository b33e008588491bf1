//! What Alertmanager sends, and who may send it.
//!
//! The contract was read in Alertmanager 0.34: a body with `version: "4"`; 2xx is the end of it, 5xx and no answer are tried again, every
//! other 4xx, 429 too, is dropped for the time. So the alerts are on disk before 200 is answered, overload is 503, and 4xx is answered
//! only where sending it again cannot help.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toolkit::trace::Origin;
use toolkit::{Request, SecretFile};

use crate::journal::Alert;

/// Largest body in bytes.
pub const MAX_BODY: usize = 4 << 20;
/// How old a signature of Grafana may be, in seconds.
const SIGNED: u64 = 300;
/// Most alerts of one body.
const MAX_ALERTS: usize = 10_000;
/// Most labels of one alert, and their length in bytes.
const MAX_LABELS: usize = 64;
const MAX_LABEL: usize = 2_048;

/// Why a webhook is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Neither token nor certificate is a known one.
    Unknown,
    /// Larger than [`MAX_BODY`], or with more alerts than are taken at once.
    TooLarge,
    /// Not the JSON of a webhook.
    Malformed,
    /// Another version, or a template took the place of the body.
    Version,
    /// Too much waits to be written.
    Overload,
    /// This instance waits for its lock.
    Standby,
    /// The journal cannot be written.
    Journal,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::TooLarge,
        Self::Malformed,
        Self::Version,
        Self::Overload,
        Self::Standby,
        Self::Journal,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unauthenticated",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Overload => "overload",
            Self::Standby => "standby",
            Self::Journal => "journal",
        }
    }

    /// The status that is answered: 5xx where sending it again may help.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Unknown => 401,
            Self::TooLarge => 413,
            Self::Malformed | Self::Version => 400,
            Self::Overload | Self::Standby | Self::Journal => 503,
        }
    }
}

/// Who may send.
#[derive(Debug, Clone, Default)]
pub struct Senders {
    /// The bearer token.
    pub token: Option<Arc<SecretFile>>,
    /// Subjects of client certificates (RFC 4514).
    pub certificates: Vec<String>,
    /// Users of the web configuration.
    pub web_users: Vec<String>,
    /// The key of the signature of a Grafana contact point.
    pub grafana: Option<Arc<SecretFile>>,
    /// The key of the signature that our own services put under their events (`X-SOTP-Signature`).
    pub events: Option<Arc<SecretFile>>,
}

impl Senders {
    /// Whether the request is of a known sender. Without any that is configured nobody is.
    #[must_use]
    pub fn know(&self, request: &Request) -> bool {
        if let Some(certificate) = request.client_certificate()
            && self
                .certificates
                .iter()
                .any(|subject| subject == certificate.subject())
        {
            return true;
        }
        if request
            .user()
            .is_some_and(|user| self.web_users.iter().any(|known| known == user))
        {
            return true;
        }
        let sent = request.header("authorization").and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        match (&self.token, sent) {
            (Some(file), Some(sent)) => {
                let wanted = file.current();
                // Digests are compared, so that the time it takes says nothing about the token.
                !wanted.reveal().is_empty()
                    && Sha256::digest(wanted.reveal()) == Sha256::digest(sent)
            }
            _ => false,
        }
    }
}

impl Senders {
    /// Whether a contact point of Grafana signed the request (`X-Grafana-Alerting-Signature`, HMAC-SHA256 of the time, a colon and the body),
    /// no longer ago than five minutes before `now` (seconds since the epoch): without its time a request could be sent again by others.
    #[must_use]
    pub fn know_grafana(&self, request: &Request, now: i64) -> bool {
        let signed = || {
            let file = self.grafana.as_ref()?;
            let sent = unhex(request.header("x-grafana-alerting-signature")?)?;
            let time = request.header("x-grafana-alerting-timestamp")?;
            let at: i64 = time.parse().ok()?;
            let key =
                ring::hmac::Key::new(ring::hmac::HMAC_SHA256, file.current().reveal().as_bytes());
            let text = [time.as_bytes(), b":", request.body()].concat();
            ring::hmac::verify(&key, &text, &sent).ok()?;
            (at.abs_diff(now) <= SIGNED).then_some(())
        };
        signed().is_some()
    }

    /// Whether an event was signed by one of our own services, or is of a known sender.
    #[must_use]
    pub fn know_event(&self, request: &Request) -> bool {
        let signed = || {
            let file = self.events.as_ref()?;
            let sent = unhex(
                request
                    .header("x-sotp-signature")?
                    .strip_prefix("sha256=")?,
            )?;
            let key =
                ring::hmac::Key::new(ring::hmac::HMAC_SHA256, file.current().reveal().as_bytes());
            ring::hmac::verify(&key, request.body(), &sent).ok()
        };
        signed().is_some() || self.know(request)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    (text.len() == 64)
        .then(|| digits.map(byte).collect())
        .flatten()
}

/// A webhook's content.
#[derive(Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The alerts, in the order of the body.
    pub alerts: Vec<Alert>,
    /// Alerts that Alertmanager left out.
    pub truncated: u64,
    /// Alerts with more or longer labels than are taken: the others of the body are taken all the same.
    pub left_out: u64,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    version: serde_json::Value,
    #[serde(default, rename = "orgId")]
    org_id: Option<i64>,
    #[serde(default, rename = "truncatedAlerts")]
    truncated: u64,
    #[serde(default)]
    alerts: Vec<RawAlert>,
}

#[derive(Deserialize)]
struct RawAlert {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    fingerprint: String,
}

/// The alerts in `body`, which came at `now` (milliseconds since the epoch).
///
/// # Errors
/// It is not one that can be taken, whole or not at all.
pub fn parse(body: &[u8], now: i64, origin: Option<&Origin>) -> Result<Webhook, Refused> {
    if body.len() > MAX_BODY {
        return Err(Refused::TooLarge);
    }
    let body: Body = serde_json::from_slice(body).map_err(|_| Refused::Malformed)?;
    // A contact point of Grafana has the same form under a number of its own.
    if body.version != "4" && !(body.version == "1" && body.org_id.is_some()) {
        return Err(Refused::Version);
    }
    if body.alerts.len() > MAX_ALERTS {
        return Err(Refused::TooLarge);
    }
    let alert = |raw: RawAlert| {
        let short = |text: &str| text.len() <= MAX_LABEL;
        let sound = raw.labels.len() <= MAX_LABELS
            && raw
                .labels
                .iter()
                .all(|(name, value)| short(name) && short(value));
        let fingerprint = !raw.fingerprint.is_empty()
            && raw.fingerprint.len() <= 64
            && raw.fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
        let firing = match &*raw.status {
            "firing" => true,
            "resolved" => false,
            _ => return Err(Refused::Malformed),
        };
        let starts_at: Timestamp = raw.starts_at.parse().map_err(|_| Refused::Malformed)?;
        if !fingerprint {
            return Err(Refused::Malformed);
        }
        if !sound {
            return Ok(None);
        }
        Ok(Some(Alert {
            seq: 0,
            at: now,
            fingerprint: raw.fingerprint,
            firing,
            starts_at: starts_at.as_millisecond(),
            labels: raw.labels,
            origin: origin.cloned(),
        }))
    };
    let count = body.alerts.len();
    let read: Vec<Option<Alert>> = body
        .alerts
        .into_iter()
        .map(alert)
        .collect::<Result<_, _>>()?;
    let alerts: Vec<Alert> = read.into_iter().flatten().collect();
    Ok(Webhook {
        left_out: (count - alerts.len()) as u64,
        alerts,
        truncated: body.truncated,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn body() -> serde_json::Value {
        json!({
            "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 2, "receiver": "remediator", "status": "firing",
            "notification_reason": "first notification", "routeLabels": {},
            "alerts": [
                {"status": "firing", "labels": {"alertname": "InterfaceShut", "device": "r1", "ifName": "r2"}, "annotations": {},
                 "startsAt": "2026-01-01T00:00:00.5Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "c0ffee0123456789"},
                {"status": "resolved", "labels": {}, "startsAt": "2026-01-01T01:00:00+01:00", "fingerprint": "1"}
            ]
        })
    }

    fn parsed(body: &serde_json::Value) -> Result<Webhook, Refused> {
        parse(&serde_json::to_vec(body).unwrap(), 7, None)
    }

    #[test]
    fn body_of_alertmanager_is_read() {
        let webhook = parsed(&body()).unwrap();
        assert_eq!(webhook.truncated, 2);
        let [first, second] = &*webhook.alerts else {
            panic!("{webhook:?}")
        };
        assert!(first.firing && !second.firing);
        assert_eq!(
            (first.starts_at, second.starts_at),
            (1_767_225_600_500, 1_767_225_600_000)
        );
        assert_eq!(first.labels["ifName"], "r2");
    }

    #[test]
    fn what_is_not_version_4_is_refused() {
        for version in [json!("3"), json!(4), json!(null), json!("4 ")] {
            let mut body = body();
            body["version"] = version;
            assert_eq!(parsed(&body), Err(Refused::Version));
        }
        assert_eq!(
            parsed(&json!({"title": "a template of somebody's own"})),
            Err(Refused::Version)
        );
        for bad in ["", "[]", "{", "\"4\"", "null"] {
            let refused = parse(bad.as_bytes(), 0, None).unwrap_err();
            assert_eq!(refused.status(), 400, "{bad}");
        }
        for (field, value) in [
            ("status", json!("pending")),
            ("startsAt", json!("now")),
            ("fingerprint", json!("../x")),
            ("labels", json!({"a": 1})),
        ] {
            let mut body = body();
            body["alerts"][0][field] = value;
            assert_eq!(parsed(&body), Err(Refused::Malformed), "{field}");
        }
    }

    #[test]
    fn alert_with_labels_beyond_all_bounds_does_not_take_the_others_with_it() {
        let many: BTreeMap<String, String> = (0..10_000)
            .map(|n| (format!("l{n}"), "x".to_owned()))
            .collect();
        for labels in [
            json!(many),
            json!({"alertname": "x".repeat(MAX_LABEL + 1)}),
            json!({"x".repeat(MAX_LABEL + 1): "x"}),
        ] {
            let mut body = body();
            body["alerts"][0]["labels"] = labels;
            let webhook = parsed(&body).unwrap();
            assert_eq!((webhook.alerts.len(), webhook.left_out), (1, 1));
            assert!(!webhook.alerts[0].firing);
        }
        let mut body = body();
        body["alerts"][0]["labels"] = json!({"ifName": "r2\u{1b}[2J\r\nreload"});
        let webhook = parsed(&body).unwrap();
        assert_eq!(
            webhook.left_out, 0,
            "a name that can be none is refused where it would become a port"
        );
        assert!(!crate::runbook::can_be(
            "port",
            &webhook.alerts[0].labels["ifName"]
        ));
    }

    #[test]
    fn contact_point_of_grafana_is_known_by_a_fresh_signature_and_its_body_is_read() {
        let dir = testkit::TempDir::new().unwrap();
        let file = dir.write("grafana", "Jefe\n").unwrap();
        let senders = Senders {
            grafana: Some(Arc::new(SecretFile::open(file).unwrap())),
            ..Senders::default()
        };
        let sent = "{}";
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"Jefe");
        let signature = |time: &str| {
            let tag = ring::hmac::sign(&key, format!("{time}:{sent}").as_bytes());
            tag.as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let known = |signature: &str, time: Option<&str>, body: &str| {
            let request = Request::new(http::Method::POST, "/", body.to_owned()).unwrap();
            let header = |request: Request, name: &str, value: &str| {
                request.with_header(name.parse().unwrap(), value.parse().unwrap())
            };
            let mut request = header(request, "x-grafana-alerting-signature", signature);
            if let Some(time) = time {
                request = header(request, "x-grafana-alerting-timestamp", time);
            }
            senders.know_grafana(&request, 1_000)
        };
        let good = signature("1000");
        assert!(known(&good, Some("1000"), sent));
        assert!(known(&signature("701"), Some("701"), sent));
        for (signature, time, body) in [
            (&*good, Some("1001"), sent),
            (&good, None, sent),
            (&good, Some("1000"), "{ }"),
            (&*signature("699"), Some("699"), sent),
            (&signature("1301"), Some("1301"), sent),
            (&signature("x"), Some("x"), sent),
            ("", Some("1000"), sent),
            ("zz", Some("1000"), sent),
        ] {
            assert!(!known(signature, time, body), "{signature} {time:?} {body}");
        }
        let nobody = Request::new(http::Method::POST, "/", sent.to_owned()).unwrap();
        assert!(!Senders::default().know_grafana(&nobody, 1_000));

        let mut body = body();
        body["version"] = json!("1");
        assert_eq!(
            parsed(&body),
            Err(Refused::Version),
            "of nobody that is known"
        );
        body["orgId"] = json!(1);
        body["state"] = json!("alerting");
        assert_eq!(parsed(&body).unwrap().alerts.len(), 2);
    }

    #[test]
    fn nothing_too_large_is_taken_and_429_is_never_answered() {
        assert_eq!(
            parse(&vec![b' '; MAX_BODY + 1], 0, None),
            Err(Refused::TooLarge)
        );
        assert!(Refused::ALL.iter().all(|refused| refused.status() != 429));
    }

    #[test]
    fn events_are_known_by_their_signature_and_by_nothing_less() {
        let dir = testkit::TempDir::new().unwrap();
        let file = dir.write("events", "Jefe\n").unwrap();
        let senders = Senders {
            events: Some(Arc::new(SecretFile::open(file).unwrap())),
            ..Senders::default()
        };
        // RFC 4231, section 4.3.
        let good = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        for (header, body, known) in [
            (good, "what do ya want for nothing?", true),
            (good, "what do ya want for nothing!", false),
            (
                &good.replace("5b", "5c"),
                "what do ya want for nothing?",
                false,
            ),
            ("sha256=", "what do ya want for nothing?", false),
            ("sha256=zz", "", false),
        ] {
            let request = Request::new(http::Method::POST, "/", body.to_owned()).unwrap();
            let request =
                request.with_header("x-sotp-signature".parse().unwrap(), header.parse().unwrap());
            assert_eq!(senders.know_event(&request), known, "{header} {body}");
            assert!(!senders.know(&request), "a signature is no token");
        }
        let unsigned = Request::new(http::Method::POST, "/", "x").unwrap();
        assert!(!senders.know_event(&unsigned) && !Senders::default().know_event(&unsigned));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, 0, None);
        }
    }
}
