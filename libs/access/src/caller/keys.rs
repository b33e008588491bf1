//! The signing keys of Grafana: fetched when they are needed, kept, and never trusted for long without being seen again.
//!
//! `GET /api/signing-keys/keys` answers a JWK set (RFC 7517) to everybody. It is fetched when there is none yet, when the one here is
//! older than [`FRESH`], and when a token names a key that is not in it. A fetch is tried at most once in [`PAUSE`], whatever tokens
//! arrive, and one at a time. Keys older than [`STALE`] are not used: who cannot reach Grafana for so long lets nobody in.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::time::Instant;

use super::series::SERIES;

/// Age at which keys are fetched again.
pub(crate) const FRESH: Duration = Duration::from_secs(300);
/// Age at which keys are not used any more.
pub(crate) const STALE: Duration = Duration::from_secs(3600);
/// Least time between two fetches.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);
/// Time for one fetch.
const WHOLE: Duration = Duration::from_secs(3);
/// Largest answer in bytes.
const LARGEST: usize = 128 * 1024;
/// Most keys that are kept.
const MOST: usize = 64;

/// A point of P-256, uncompressed: 0x04, x, y.
type Point = [u8; 65];

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) url: reqwest::Url,
    pub(crate) ca_file: Option<PathBuf>,
}

/// The keys of one Grafana.
#[derive(Debug)]
pub(crate) struct Keys {
    origin: Origin,
    known: Mutex<Known>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    points: HashMap<String, Point>,
    /// When they were last seen.
    seen: Option<Instant>,
    tried: Option<Instant>,
    /// Somebody fetches now; who has no key waits for that.
    fetching: bool,
}

/// Says that nobody fetches any more, also when the request that did went away.
struct Fetching<'a>(&'a Keys);

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.0.lock().fetching = false;
    }
}

/// What is known about a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Key(Box<Point>),
    /// Grafana does not have it.
    Unknown,
    /// No keys can be had that may be used.
    Unavailable,
}

impl Keys {
    /// The keys of this origin, shared with every other configuration that names it: a reload fetches nothing.
    pub(crate) fn of(origin: Origin) -> Arc<Self> {
        static SHARED: LazyLock<Mutex<HashMap<Origin, Weak<Keys>>>> = LazyLock::new(Mutex::default);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|_, keys| keys.strong_count() > 0);
        if let Some(keys) = shared.get(&origin).and_then(Weak::upgrade) {
            return keys;
        }
        let keys = Arc::new(Self {
            origin: origin.clone(),
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        });
        shared.insert(origin, Arc::downgrade(&keys));
        keys
    }

    /// Finds a key, fetching when that may help and is allowed now.
    pub(crate) async fn find(&self, kid: &str) -> Found {
        let (found, wanted) = self.look(kid);
        if !wanted {
            return found;
        }
        let _one = self.turn.lock().await;
        // Whoever waited finds what the one before fetched.
        let (found, wanted) = self.look(kid);
        if !wanted {
            return found;
        }
        let fetching = self.begin();
        match self.fetch().await {
            Ok(points) => {
                SERIES.fetched(true, points.len());
                let mut known = self.lock();
                known.points = points;
                known.seen = Some(Instant::now());
            }
            Err(error) => {
                SERIES.fetched(false, 0);
                tracing::warn!(url = %self.origin.url, error = toolkit::chain(&error), "keys of Grafana cannot be read, the last ones stay for an hour at most");
            }
        }
        drop(fetching);
        self.look(kid).0
    }

    /// What is known, and whether a fetch is due and allowed.
    fn look(&self, kid: &str) -> (Found, bool) {
        let known = self.lock();
        let now = Instant::now();
        let age = known.seen.map(|seen| now.saturating_duration_since(seen));
        let usable = age.is_some_and(|age| age < STALE);
        let found = match known.points.get(kid) {
            _ if !usable => Found::Unavailable,
            Some(point) => Found::Key(Box::new(*point)),
            None => Found::Unknown,
        };
        let due = !matches!(found, Found::Key(_)) || age.is_none_or(|age| age >= FRESH);
        let allowed = known
            .tried
            .is_none_or(|tried| now.saturating_duration_since(tried) >= PAUSE);
        let waits = known.fetching && !matches!(found, Found::Key(_));
        (found, due && (allowed || waits))
    }

    fn begin(&self) -> Fetching<'_> {
        let mut known = self.lock();
        known.tried = Some(Instant::now());
        known.fetching = true;
        Fetching(self)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<HashMap<String, Point>, FetchError> {
        let mut answer = self
            .client()
            .await?
            .get(self.origin.url.clone())
            .send()
            .await?;
        if answer.status() != http::StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LARGEST {
                return Err(FetchError::Large);
            }
            body.extend_from_slice(&chunk);
        }
        points(&body)
    }

    async fn client(&self) -> Result<reqwest::Client, FetchError> {
        // Another library of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(WHOLE)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &self.origin.ca_file {
            let pem = tokio::fs::read(path).await.map_err(FetchError::CaFile)?;
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
        } else if self.origin.url.scheme() == "http" {
            // The authorities of the system are not needed, and a small image may have none.
            builder = builder.tls_certs_only([]);
        }
        Ok(builder.build()?)
    }
}

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("request failed")]
    Request(#[from] reqwest::Error),
    #[error("ca_file cannot be read")]
    CaFile(#[source] std::io::Error),
    #[error("expected status 200, found {0}")]
    Status(http::StatusCode),
    #[error("the answer has more than {LARGEST} bytes")]
    Large,
    #[error("expected a JWK set")]
    Json(#[source] serde_json::Error),
    #[error("expected keys, found none: Grafana Cloud keeps them elsewhere and is not supported")]
    None,
}

#[derive(Deserialize)]
struct Set {
    keys: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    y: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    used: Option<String>,
}

/// The keys of a JWK set that can verify ES256. A key id that stands for two keys stands for none.
pub(crate) fn points(body: &[u8]) -> Result<HashMap<String, Point>, FetchError> {
    let set: Set = serde_json::from_slice(body).map_err(FetchError::Json)?;
    let mut points: HashMap<String, Option<Point>> = HashMap::new();
    for value in set.keys.unwrap_or_default().into_iter().take(MOST) {
        let Some((kid, point)) = serde_json::from_value(value).ok().and_then(point) else {
            continue;
        };
        points
            .entry(kid)
            .and_modify(|other| *other = other.filter(|other| *other == point))
            .or_insert(Some(point));
    }
    let points: HashMap<_, _> = points
        .into_iter()
        .filter_map(|(kid, point)| Some((kid, point?)))
        .collect();
    if points.is_empty() {
        return Err(FetchError::None);
    }
    Ok(points)
}

/// RFC 7518 section 6.2.1. Whether the point lies on the curve is checked with each signature.
fn point(jwk: Jwk) -> Option<(String, Point)> {
    let fits = jwk.kty == "EC"
        && jwk.crv == "P-256"
        && jwk.alg.is_none_or(|alg| alg == "ES256")
        && jwk.used.is_none_or(|used| used == "sig")
        && !jwk.kid.is_empty();
    if !fits {
        return None;
    }
    let coordinate =
        |text: &str| -> Option<[u8; 32]> { URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok() };
    let (x, y) = (coordinate(&jwk.x)?, coordinate(&jwk.y)?);
    let mut point = [4; 65];
    point[1..33].copy_from_slice(&x);
    point[33..].copy_from_slice(&y);
    Some((jwk.kid, point))
}
